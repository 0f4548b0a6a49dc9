//! The one thread that writes. It takes what is waiting, runs it in one transaction, commits once, then answers all.

use super::{
    live::Live,
    queue::{Queue, Refused},
    tables::Tables,
};
use crate::{
    audit::{checkpoint::Seal, tree::Frontier},
    fault,
    store::StoreError,
};
use ::redb::{Database, Error};
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};
use tokio::sync::oneshot;

/// The most writes that share a commit.
const BATCH: usize = 256;
/// A batch of so many at most also writes down which pages of the file are free, so that whoever opens it after a crash
/// need not walk the file to find out. That costs as much as a large batch itself, and more as the file grows, so a large
/// batch leaves it away; the next small one catches up.
const SMALL: usize = 4;
/// How long a commit waits for as many writes as shared the ones before it. Callers that were answered together come back
/// together: a commit that leaves with the first of them costs as much as one with half of them.
const PATIENCE: Duration = Duration::from_millis(1);

/// What a write leaves to be told once it is known how the commit ended.
type Answer = Box<dyn FnOnce(Result<(), &str>) + Send>;
/// What a write does inside the transaction of its batch.
type Work = Box<dyn FnOnce(&mut Tables<'_>) -> (Answer, Result<(), Error>) + Send>;

/// One write.
struct Write {
    work: Work,
    /// It changes no request and nobody's identity.
    quiet: bool,
}

/// A handle to the writing thread. Dropping it waits until what was accepted is written and the file is let go.
pub(super) struct Writer {
    queue: Arc<Queue<Write>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Writer {
    /// `seal` signs what is appended to the audit log; `changes` counts how often requests or identities may have changed.
    pub(super) fn start(live: Arc<Live>, seal: Seal, changes: Arc<AtomicU64>) -> io::Result<Self> {
        let queue = Arc::new(Queue::new());
        let waiting = Waiting(Arc::clone(&queue));
        let thread = thread::Builder::new().name("store-writer".to_owned());
        let thread = thread.spawn(move || run(&live, &waiting, &seal, &changes))?;
        Ok(Self { queue, thread: Some(thread) })
    }

    /// Runs `operation` in a transaction; returns once that is durable.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut Tables<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.write_then(operation, || ()).await
    }

    /// As [`Self::write`], of something that changes no request and nobody's identity.
    pub(super) async fn write_quietly<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut Tables<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.put(true, operation, || ()).await
    }

    /// As [`Self::write`]; `then` runs once the commit ended, well or not, before anybody is told.
    pub(super) async fn write_then<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut Tables<'_>) -> Result<T, Error> + Send + 'static,
        then: impl FnOnce() + Send + 'static,
    ) -> Result<T, StoreError> {
        self.put(false, operation, then).await
    }

    async fn put<T: Send + 'static>(
        &self,
        quiet: bool,
        operation: impl FnOnce(&mut Tables<'_>) -> Result<T, Error> + Send + 'static,
        then: impl FnOnce() + Send + 'static,
    ) -> Result<T, StoreError> {
        let (send, receive) = oneshot::channel();
        let work: Work = Box::new(move |tables| {
            let (value, outcome) = match operation(tables) {
                Ok(value) => (Some(value), Ok(())),
                Err(error) => (None, Err(error)),
            };
            let answer: Answer = Box::new(move |committed| {
                then();
                let said = match (committed, value) {
                    (Ok(()), Some(value)) => Ok(value),
                    (Err(error), _) => Err(StoreError(error.to_owned())),
                    (Ok(()), None) => Err(StoreError("the write failed".to_owned())),
                };
                // A caller that went away does not undo what is committed.
                let _gone = send.send(said).is_err();
            });
            (answer, outcome)
        });
        self.queue.put(Write { work, quiet }).map_err(|refused| match refused {
            Refused::Full => StoreError("too many writes are waiting for the disk".to_owned()),
            Refused::Closed => gone(),
        })?;
        receive.await.map_err(|_dropped| gone())?
    }

    /// Runs `operation`, which changes no request and nobody's identity, some time soon; nobody learns how it went.
    pub(super) fn write_later(&self, operation: impl FnOnce(&mut Tables<'_>) -> Result<(), Error> + Send + 'static) {
        let work: Work = Box::new(move |tables| {
            let outcome = operation(tables);
            (Box::new(|_committed| ()), outcome)
        });
        let _full = self.queue.put(Write { work, quiet: true }).is_err();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.close();
        let _panicked = self.thread.take().is_some_and(|thread| thread.join().is_err());
    }
}

fn gone() -> StoreError {
    StoreError("the write was given up before it was done; the log says why".to_owned())
}

/// The writing thread's end of the queue. If the thread dies, who waits is not kept waiting.
struct Waiting(Arc<Queue<Write>>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.give_up();
    }
}

fn run(live: &Live, waiting: &Waiting, seal: &Seal, changes: &AtomicU64) {
    // Where the tree ended at the last commit; read from the file again when that failed, for then nobody knows.
    let mut known: Option<Frontier> = None;
    let (mut last, mut before) = (0, 0);
    loop {
        // Everything that arrived while the last batch was committed shares the next commit.
        let writes = waiting.0.take(BATCH, usize::midpoint(last, before), PATIENCE);
        if writes.is_empty() {
            return;
        }
        (last, before) = (writes.len(), last);
        let quiet = writes.iter().all(|write| write.quiet);
        let mut answers = Vec::with_capacity(writes.len());
        let frontier = known.take();
        let outcome = live.write(|database| {
            let committed = commit(database, writes, &mut answers, frontier, seal);
            known = Some(committed.map_err(|error| error.to_string())?);
            Ok(())
        });
        if !quiet {
            changes.fetch_add(1, SeqCst);
        }
        if let Err(error) = &outcome {
            tracing::error!(%error, writes = answers.len(), "the store could not commit");
        }
        for answer in answers {
            answer(match &outcome {
                Ok(()) => Ok(()),
                Err(error) => Err(error),
            });
        }
    }
}

/// All of the batch or nothing. An error of one write is an error of the disk, never a refusal, so it ends them all.
fn commit(
    database: &Database,
    batch: Vec<Write>,
    answers: &mut Vec<Answer>,
    frontier: Option<Frontier>,
    seal: &Seal,
) -> Result<Frontier, Box<Error>> {
    let mut transaction = database.begin_write().map_err(|error| Box::new(error.into()))?;
    transaction.set_quick_repair(batch.len() <= SMALL);
    let mut failure = None;
    let sealed = {
        let mut tables = Tables::open(&transaction, frontier).map_err(Box::new)?;
        for write in batch {
            let (answer, outcome) = (write.work)(&mut tables);
            answers.push(answer);
            failure = failure.or(outcome.err());
        }
        tables.seal(seal)
    };
    let frontier = match failure.map_or(sealed, Err) {
        Ok(frontier) => frontier,
        Err(error) => {
            transaction.abort().map_err(|error| Box::new(error.into()))?;
            return Err(Box::new(error));
        }
    };
    fault::point("store.before-commit");
    transaction.commit().map_err(|error| Box::new(error.into()))?;
    fault::point("store.after-commit");
    Ok(frontier)
}
