//! The life of one sink: read from the cursor on, deliver, move the cursor, rest after failures.

use super::{
    Sink,
    deliver::{self, Failure},
    letter::Letter,
    pace::Pace,
};
use crate::{
    fault,
    store::{StoreError, outbox::DeadLetter},
};
use std::{
    convert::Infallible,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

/// Entries that are read at once.
const READ: usize = 500;
/// Bytes of entries that go out together; a larger one goes alone.
const MOST_BYTES: usize = 256 * 1024;
/// So many entries that it does not take may a sink pass before the store is told. They are passed again after a crash.
const UNTOLD: u64 = 1_000;
/// So often a server says that it delivers: well within the time after which it counts as gone.
const RENEWAL: Duration = Duration::from_secs(5);

pub(super) async fn run(sink: Arc<Sink>, pace: Pace) {
    let next = sink.next.load(Relaxed);
    let most = deliver::most(&sink.config);
    let mut worker = Worker { sink, next, told: next, most, limit: most, refusals: 0, failures: 0, held: true };
    loop {
        let after = match worker.step().await {
            Ok(after) => after,
            Err(error) => {
                worker.sink.note(Some(&format!("the store cannot be used: {error}")));
                worker.failed()
            }
        };
        let rest = match after {
            After::More => continue,
            After::Idle => pace.look,
            After::Failed(failures) => pace.rest(failures),
        };
        wait(rest, &worker.sink).await;
    }
}

async fn wait(rest: Duration, sink: &Sink) {
    #[expect(clippy::disallowed_methods, reason = "a rest that a wake cuts short")]
    let rest = tokio::time::sleep(rest);
    tokio::select! {
        () = rest => {}
        () = sink.wake.notified() => {}
    }
}

struct Worker {
    sink: Arc<Sink>,
    /// The first entry not dealt with.
    next: u64,
    /// What the store knows of that.
    told: u64,
    most: usize,
    /// The most entries of the next delivery: less than usual while one that is refused is searched for.
    limit: usize,
    /// How often the entry at `next` alone was refused.
    refusals: u32,
    /// Failures in a row.
    failures: u32,
    /// Whether this server was the one that delivers, when that was last asked.
    held: bool,
}

enum After {
    More,
    Idle,
    Failed(u32),
}

impl Worker {
    async fn step(&mut self) -> Result<After, StoreError> {
        if self.sink.retry.swap(false, Relaxed) {
            self.retry_dead_letters().await?;
        }
        if !self.holds().await? {
            // What it could not deliver is the other's now.
            self.sink.oldest_ms.store(0, Relaxed);
            self.sink.note(None);
            self.failures = 0;
            return Ok(After::Idle);
        }
        let (letters, next) = self.read().await?;
        if letters.is_empty() {
            self.sink.oldest_ms.store(0, Relaxed);
            if next == self.next {
                return Ok(After::Idle);
            }
            self.next = next;
            self.sink.next.store(next, Relaxed);
            if next - self.told >= UNTOLD {
                self.sink.store.advance_sink(self.sink.name(), next).await?;
                self.told = next;
            }
            return Ok(After::More);
        }
        self.sink.oldest_ms.store(letters.first().map_or(0, |letter| letter.time_ms), Relaxed);
        match self.deliver(&letters).await {
            Ok(()) => {
                // From here to the next line a crash delivers these once more.
                fault::point("sinks.delivered");
                self.sink.store.advance_sink(self.sink.name(), next).await?;
                self.count(letters.len());
                self.dealt_with(next);
                Ok(After::More)
            }
            Err(Failure::Later(why)) => self.wait_or_give_up(&letters, next, why).await,
            Err(Failure::Refused(why)) => self.search_or_give_up(&letters, next, why).await,
        }
    }

    /// Whether this server delivers for the sink just now. Where another did before, it goes on where that one stopped.
    async fn holds(&mut self) -> Result<bool, StoreError> {
        // Where the store cannot say, it may be another's by the time it can.
        let held = std::mem::take(&mut self.held);
        self.held = self.sink.store.hold_sink(self.sink.name()).await?;
        if !held {
            let next = self.sink.store.sink_cursor(self.sink.name()).await?.unwrap_or(self.next).max(self.next);
            self.sink.next.store(next, Relaxed);
            (self.next, self.told) = (next, next);
        }
        Ok(self.held)
    }

    /// Says again and again that this server delivers, while it does: a receiver that is slow is no server that is gone.
    async fn hold_on(&self) -> Infallible {
        let mut due = tokio::time::interval_at(tokio::time::Instant::now() + RENEWAL, RENEWAL);
        loop {
            due.tick().await;
            // What it says is asked for before the next delivery; this one is under way in any case.
            let _held = self.sink.store.hold_sink(self.sink.name()).await;
        }
    }

    /// What is to be delivered next, and where the cursor stands after it.
    async fn read(&self) -> Result<(Vec<Letter>, u64), StoreError> {
        let entries = self.sink.store.entries(self.next, READ).await?;
        let (mut letters, mut next, mut bytes) = (Vec::new(), self.next, 0);
        for entry in entries {
            let letter = Letter::new(next, &entry);
            if self.sink.config.takes(&letter.code, letter.channels()) {
                bytes += letter.json.len();
                if letters.len() >= self.limit || !letters.is_empty() && bytes > MOST_BYTES {
                    break;
                }
                letters.push(letter);
            }
            next += 1;
        }
        Ok((letters, next))
    }

    async fn deliver(&self, letters: &[Letter]) -> Result<(), Failure> {
        let patience = self.sink.config.timeout.duration();
        let mut way = self.sink.way.lock().await;
        let delivered = tokio::time::timeout(patience, way.deliver(letters));
        let outcome = tokio::select! {
            delivered = delivered => delivered.unwrap_or_else(|_late| Err(Failure::later("it took too long"))),
            never = self.hold_on() => match never {},
        };
        match &outcome {
            Ok(()) => self.sink.note(None),
            Err(Failure::Later(why) | Failure::Refused(why)) => {
                self.sink.failures.fetch_add(1, Relaxed);
                self.sink.note(Some(why));
            }
        }
        outcome
    }

    /// The receiver is not there: what is too old by now is given up, the rest waits.
    async fn wait_or_give_up(&mut self, letters: &[Letter], next: u64, why: String) -> Result<After, StoreError> {
        let oldest = self.sink.clock.now_ms().saturating_sub(self.sink.config.max_age.get().as_secs() * 1000);
        let dead: Vec<&Letter> = letters.iter().take_while(|letter| letter.time_ms < oldest).collect();
        if let Some(last) = dead.last() {
            let after = if dead.len() == letters.len() { next } else { last.index + 1 };
            self.bury(&dead, &format!("older than max_age; at last: {why}"), after).await?;
        }
        Ok(self.failed())
    }

    /// The receiver does not want something in here: halve it until it stands alone, then give it up.
    async fn search_or_give_up(&mut self, letters: &[Letter], next: u64, why: String) -> Result<After, StoreError> {
        if letters.len() > 1 {
            self.limit = letters.len() / 2;
            return Ok(After::More);
        }
        self.refusals += 1;
        if self.refusals < self.sink.config.tries.get() {
            return Ok(self.failed());
        }
        let dead: Vec<&Letter> = letters.iter().collect();
        self.bury(&dead, &why, next).await?;
        self.failures = 0;
        Ok(After::More)
    }

    async fn bury(&mut self, dead: &[&Letter], why: &str, next: u64) -> Result<(), StoreError> {
        let at_ms = self.sink.clock.now_ms();
        let bury = |letter: &&Letter| DeadLetter {
            index: letter.index,
            code: letter.code.clone(),
            at_ms,
            reason: why.to_owned(),
        };
        self.sink.store.dead_letter(self.sink.name(), dead.iter().map(bury).collect(), next).await?;
        tracing::error!(sink = self.sink.name(), entries = dead.len(), why, "entries became dead letters");
        self.next = next;
        self.told = next;
        self.refusals = 0;
        self.sink.next.store(next, Relaxed);
        Ok(())
    }

    /// Each dead letter once, alone. It is forgotten only once it is delivered.
    async fn retry_dead_letters(&mut self) -> Result<(), StoreError> {
        let mut from = 0;
        loop {
            let letters = self.sink.store.dead_letters(self.sink.name(), from, READ).await?;
            let Some(last) = letters.last() else { return Ok(()) };
            from = last.index + 1;
            for dead in letters {
                let entry = self.sink.store.entries(dead.index, 1).await?.into_iter().next();
                let Some(entry) = entry else { continue };
                match self.deliver(&[Letter::new(dead.index, &entry)]).await {
                    Ok(()) => {
                        self.sink.store.forget_dead_letters(self.sink.name(), vec![dead.index]).await?;
                        self.count(1);
                    }
                    Err(Failure::Refused(_)) => {}
                    // It is not there: the others would fail the same way.
                    Err(Failure::Later(_)) => return Ok(()),
                }
            }
        }
    }

    fn count(&self, delivered: usize) {
        self.sink.delivered.fetch_add(u64::try_from(delivered).unwrap_or(0), Relaxed);
    }

    fn dealt_with(&mut self, next: u64) {
        self.next = next;
        self.told = next;
        self.failures = 0;
        self.refusals = 0;
        self.limit = self.limit.saturating_mul(2).min(self.most);
        self.sink.next.store(next, Relaxed);
    }

    fn failed(&mut self) -> After {
        self.failures = self.failures.saturating_add(1);
        After::Failed(self.failures)
    }
}
