//! The one thread that writes. It takes what is waiting, runs it in one transaction, commits once, then answers all.

use super::{live::Live, tables::Tables};
use crate::{
    audit::{checkpoint::Seal, tree::Frontier},
    fault,
    store::StoreError,
};
use ::redb::{Database, Error};
use std::{io, sync::Arc, thread};
use tokio::sync::{mpsc, oneshot};

/// The most writes that share a commit.
const BATCH: usize = 256;
/// A batch of so many at most also writes down which pages of the file are free, so that whoever opens it after a crash
/// need not walk the file to find out. That costs as much as a large batch itself, and more as the file grows, so a large
/// batch leaves it away; the next small one catches up.
const SMALL: usize = 4;
/// The most writes that wait; more are refused at once rather than kept hanging.
const QUEUE: usize = 2_048;

/// What a write leaves to be told once it is known how the commit ended.
type Answer = Box<dyn FnOnce(Result<(), &str>) + Send>;
/// One write, run inside the transaction of its batch.
type Write = Box<dyn FnOnce(&mut Tables<'_>) -> (Answer, Result<(), Error>) + Send>;

/// A handle to the writing thread. Dropping it waits until what was accepted is written and the file is let go.
pub(super) struct Writer {
    queue: Option<mpsc::Sender<Write>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Writer {
    /// `seal` signs what is appended to the audit log.
    pub(super) fn start(live: Arc<Live>, seal: Seal) -> io::Result<Self> {
        let (send, receive) = mpsc::channel(QUEUE);
        let thread = thread::Builder::new().name("store-writer".to_owned());
        let thread = thread.spawn(move || run(&live, receive, &seal))?;
        Ok(Self { queue: Some(send), thread: Some(thread) })
    }

    /// Runs `operation` in a transaction; returns once that is durable.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut Tables<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.write_then(operation, || ()).await
    }

    /// As [`Self::write`]; `then` runs once the commit ended, well or not, before anybody is told.
    pub(super) async fn write_then<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut Tables<'_>) -> Result<T, Error> + Send + 'static,
        then: impl FnOnce() + Send + 'static,
    ) -> Result<T, StoreError> {
        let (send, receive) = oneshot::channel();
        let write: Write = Box::new(move |tables| {
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
        let queue = self.queue.as_ref().ok_or_else(gone)?;
        queue.try_send(write).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => StoreError("too many writes are waiting for the disk".to_owned()),
            mpsc::error::TrySendError::Closed(_) => gone(),
        })?;
        receive.await.map_err(|_dropped| gone())?
    }

    /// Runs `operation` some time soon; nobody learns how it went.
    pub(super) fn write_later(&self, operation: impl FnOnce(&mut Tables<'_>) -> Result<(), Error> + Send + 'static) {
        let write: Write = Box::new(move |tables| {
            let outcome = operation(tables);
            (Box::new(|_committed| ()), outcome)
        });
        let _full = self.queue.as_ref().is_some_and(|queue| queue.try_send(write).is_err());
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.queue.take());
        let _panicked = self.thread.take().is_some_and(|thread| thread.join().is_err());
    }
}

fn gone() -> StoreError {
    StoreError("the write was given up before it was done; the log says why".to_owned())
}

fn run(live: &Live, mut waiting: mpsc::Receiver<Write>, seal: &Seal) {
    // Where the tree ended at the last commit; read from the file again when that failed, for then nobody knows.
    let mut known: Option<Frontier> = None;
    let mut batch = Vec::with_capacity(BATCH);
    // Everything that arrived while the last batch was committed shares the next commit.
    while waiting.blocking_recv_many(&mut batch, BATCH) > 0 {
        let mut answers = Vec::with_capacity(batch.len());
        let writes = std::mem::take(&mut batch);
        let frontier = known.take();
        let outcome = live.write(|database| {
            let committed = commit(database, writes, &mut answers, frontier, seal);
            known = Some(committed.map_err(|error| error.to_string())?);
            Ok(())
        });
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
            let (answer, outcome) = write(&mut tables);
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
