//! The one task that writes. It takes what is waiting, runs it in one SERIALIZABLE transaction, commits once, then answers
//! all. Other servers do the same on the same database: whoever appends holds the row of the log's head from the first
//! statement on, so two batches never interleave, and the one that came second begins again.

use super::{
    change::{Change, Effect, Statement},
    connect::Connector,
    exchange::Open,
    failure::Failure,
};
use crate::{audit::checkpoint::Seal, fault, store::StoreError};
use std::time::Duration;
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_postgres::Row;

/// The most writes that share a commit.
const BATCH: usize = 256;
/// The most writes that wait; more are refused at once rather than kept hanging.
const QUEUE: usize = 2_048;
/// How often a batch is tried whose only fault is that another server came first.
const TRIES: u32 = 40;
/// How often it is tried again on a new connection, if the old one broke before the commit.
const RECONNECTS: u32 = 2;
/// The longest pause between two tries, in milliseconds.
const MOST_PAUSE_MS: u32 = 50;

/// A handle to the writing task, which ends once this is dropped and what was accepted is written.
pub(super) struct Writer(mpsc::Sender<Change>);

impl Writer {
    /// `seal` signs what is appended to the audit log.
    pub(super) fn start(connector: Connector, seal: Seal) -> Self {
        let (send, receive) = mpsc::channel(QUEUE);
        tokio::spawn(Desk { connector, seal, open: None }.run(receive));
        Self(send)
    }

    /// Runs the statements in a transaction; returns once that is durable.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        statements: Vec<Statement>,
        meaning: impl Fn(&[Vec<Row>]) -> Result<Effect<T>, StoreError> + Send + Sync + 'static,
    ) -> Result<T, StoreError> {
        let (change, answer) = Change::new(statements, meaning);
        self.0.try_send(change).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => StoreError("too many writes are waiting for the database".to_owned()),
            mpsc::error::TrySendError::Closed(_) => gone(),
        })?;
        answer.await.map_err(|_dropped| gone())?
    }

    /// Runs the statement some time soon; nobody learns how it went.
    pub(super) fn write_later(&self, statement: Statement) {
        let (change, _nobody) = Change::new(vec![statement], |_rows| Ok(Effect::only(())));
        let _full = self.0.try_send(change).is_err();
    }
}

fn gone() -> StoreError {
    StoreError("the write was given up before it was done; the log says why".to_owned())
}

struct Desk {
    connector: Connector,
    seal: Seal,
    open: Option<Open>,
}

impl Desk {
    async fn run(mut self, mut waiting: mpsc::Receiver<Change>) {
        let mut batch = Vec::with_capacity(BATCH);
        // Everything that arrived while the last batch was committed shares the next commit.
        while waiting.recv_many(&mut batch, BATCH).await > 0 {
            self.settle(std::mem::take(&mut batch)).await;
        }
    }

    /// Answers each of the batch. What the database refuses is halved until it stands alone, so that it ends no others.
    async fn settle(&mut self, batch: Vec<Change>) {
        let mut parts = vec![batch];
        while let Some(mut part) = parts.pop() {
            let outcome = self.persist(&part).await;
            if let Err(failure) = outcome {
                let refused = matches!(failure, Failure::Refused(_));
                let error = failure.error();
                if refused && part.len() > 1 {
                    let rest = part.split_off(part.len() / 2);
                    parts.extend([rest, part]);
                    continue;
                }
                tracing::error!(%error, writes = part.len(), "the store could not commit");
                part.into_iter().for_each(|change| change.answer(Err(error.clone())));
            } else {
                part.into_iter().for_each(|change| change.answer(Ok(())));
            }
        }
    }

    /// Tries until it is committed or there is no sense in it.
    async fn persist(&mut self, batch: &[Change]) -> Result<(), Failure> {
        let (mut tries, mut reconnects) = (0, 0);
        loop {
            let failure = match self.attempt(batch).await {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            };
            match &failure {
                Failure::Again(_) if tries < TRIES => {
                    rest(tries).await;
                    tries += 1;
                }
                Failure::Lost(_) if reconnects < RECONNECTS => {
                    self.open = None;
                    reconnects += 1;
                }
                Failure::Lost(_) | Failure::Unknown(_) => {
                    self.open = None;
                    return Err(failure);
                }
                Failure::Again(_) | Failure::Refused(_) | Failure::Busy(_) => return Err(failure),
            }
        }
    }

    async fn attempt(&mut self, batch: &[Change]) -> Result<(), Failure> {
        let patience = self.connector.patience;
        if self.open.as_ref().is_none_or(|open| open.connection.client.is_closed()) {
            self.open = Some(Open::new(&self.connector).await.map_err(|error| Failure::Lost(error.0))?);
        }
        let Some(open) = self.open.as_mut() else { return Err(Failure::Lost("not connected".to_owned())) };
        let late = || format!("the database did not answer within {patience:?}");
        let decided = timeout(patience, open.decide(batch)).await;
        let (frontier, wanted) = match decided.unwrap_or_else(|_late| Err(Failure::Lost(late()))) {
            Ok(decided) => decided,
            Err(failure) => {
                let back = timeout(patience, open.connection.client.batch_execute("ROLLBACK")).await;
                if !matches!(back, Ok(Ok(()))) {
                    self.open = None;
                }
                return Err(failure);
            }
        };
        fault::point("store.before-commit");
        let committed = timeout(patience, open.commit(frontier, wanted, &self.seal)).await;
        let committed = committed.unwrap_or_else(|_late| Err(Failure::Unknown(late())));
        fault::point("store.after-commit");
        if let Err(Failure::Unknown(_)) = committed {
            self.open = None;
        }
        committed
    }
}

#[expect(clippy::disallowed_methods, reason = "nobody tells when another server is done")]
async fn rest(tries: u32) {
    sleep(pause(tries)).await;
}

/// A pause of chance length, so that servers that met do not meet again; none at first.
fn pause(tries: u32) -> Duration {
    let most = 1u32.checked_shl(tries).unwrap_or(MOST_PAUSE_MS).clamp(1, MOST_PAUSE_MS);
    let chance = crate::clock::random::<4>().map_or(0, u32::from_ne_bytes);
    Duration::from_millis(u64::from(if tries == 0 { 0 } else { chance % (most + 1) }))
}
