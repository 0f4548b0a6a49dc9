//! The one task that writes. It takes what is waiting, runs it in one SERIALIZABLE transaction, commits once, then answers
//! all. Other servers do the same on the same database: whoever appends holds the row of the log's head from the first
//! statement on, so two batches never interleave, and the one that came second begins again.
//!
//! A batch takes two exchanges, however many writes it holds: the statements of all writes go out together; once their
//! answers are known, the entries, the tree, the signed checkpoint and the COMMIT do.

use super::{
    change::{Change, Effect, Statement, Wanted, big, column, number, say},
    connect::{Connection, Connector, told},
};
use crate::{
    audit::{
        checkpoint::Seal,
        tree::{self, Frontier, Hash},
    },
    fault,
    store::StoreError,
};
use std::{
    collections::{BTreeSet, HashMap},
    convert::Infallible,
    future::poll_fn,
    pin::Pin,
    task::Poll,
    time::Duration,
};
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_postgres::{Error, Row, error::SqlState};

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

const BEGIN: &str = "BEGIN ISOLATION LEVEL SERIALIZABLE";
const HEAD: &str = "SELECT size, peaks FROM audit_head FOR UPDATE";
pub(super) const APPEND: &str = "INSERT INTO audit (idx, entry) SELECT $1 + place - 1, entry \
                      FROM unnest($2::bytea[]) WITH ORDINALITY AS given (entry, place)";
pub(super) const PLANT: &str = "INSERT INTO audit_tree (place, hash) SELECT $1 + place - 1, hash \
                     FROM unnest($2::bytea[]) WITH ORDINALITY AS given (hash, place)";
const SEAL: &str = "UPDATE audit_head SET size = $1, peaks = $2, checkpoint = $3";
const TELL: &str = "SELECT pg_notify('jit_ssh', $1)";
/// Request ids in one notification, which holds less than 8000 bytes.
const TOLD_AT_ONCE: usize = 200;

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

/// Why a transaction did not end well.
enum Failure {
    /// Another server came first; nothing of this one is kept.
    Again(String),
    /// The connection broke before the commit was sent; nothing is kept.
    Lost(String),
    /// The database refuses what is in it; nothing is kept.
    Refused(String),
    /// The database could not do it just now, whatever was in it: too slow, too full. Nothing is kept.
    Busy(String),
    /// The commit was sent, and nobody knows what became of it.
    Unknown(String),
}

impl Failure {
    /// What an error means before the commit was sent.
    fn before(error: &Error) -> Self {
        let text = told(error);
        match error.code() {
            Some(code) if again(code) => Self::Again(text),
            Some(code) if ended(code) => Self::Lost(text),
            Some(code) if busy(code) => Self::Busy(text),
            Some(_) => Self::Refused(text),
            None => Self::Lost(text),
        }
    }

    /// What an error means once it was.
    fn after(error: &Error) -> Self {
        let text = told(error);
        match error.code() {
            Some(code) if again(code) => Self::Again(text),
            Some(code) if busy(code) => Self::Busy(text),
            Some(code) if !ended(code) => Self::Refused(text),
            _ => Self::Unknown(text),
        }
    }

    fn error(self) -> StoreError {
        match self {
            Self::Again(text) | Self::Lost(text) | Self::Refused(text) | Self::Busy(text) => StoreError(text),
            Self::Unknown(text) => StoreError(format!("it is not known whether this was committed: {text}")),
        }
    }
}

fn again(code: &SqlState) -> bool {
    [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED].contains(code)
}

/// Whether the connection is of no use any more: the database stops or became a standby, or a newer ca-server changed the
/// tables that statements were prepared for.
fn ended(code: &SqlState) -> bool {
    let classes = ["08", "57P", "25P03", "25006", "0A000"];
    classes.iter().any(|class| code.code().starts_with(class))
}

/// Out of time, of space, of memory.
fn busy(code: &SqlState) -> bool {
    ["57014", "55P03", "53"].iter().any(|class| code.code().starts_with(class))
}

struct Desk {
    connector: Connector,
    seal: Seal,
    open: Option<Open>,
}

/// A connection, and what was prepared on it.
pub(super) struct Open {
    pub(super) connection: Connection,
    prepared: HashMap<&'static str, tokio_postgres::Statement>,
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

type Answering<'a> = Pin<Box<dyn Future<Output = Result<Vec<Row>, Error>> + Send + 'a>>;

impl Open {
    pub(super) async fn new(connector: &Connector) -> Result<Self, StoreError> {
        let connection = connector.connect().await?;
        // A database that is set to forget commits in a crash is not asked to: what is answered is durable.
        let durable = "SELECT set_config('synchronous_commit', 'on', false) \
                       WHERE current_setting('synchronous_commit') IN ('off', 'local')";
        connector.within(connection.client.batch_execute(durable)).await?;
        Ok(Self { connection, prepared: HashMap::new() })
    }

    /// Runs the statements of all writes, in order, and learns what each wants.
    async fn decide(&mut self, batch: &[Change]) -> Result<(Frontier, Vec<Wanted>), Failure> {
        let statements = || batch.iter().flat_map(|change| &change.statements);
        let every = statements().map(|statement| statement.sql).chain([HEAD, APPEND, PLANT, SEAL, TELL]);
        self.prepare(every.collect()).await.map_err(|error| Failure::before(&error))?;
        let head = say!(HEAD);
        let asked = [self.simple(BEGIN), self.ask(&head)].into_iter().chain(statements().map(|each| self.ask(each)));
        let mut answers = in_order(asked.collect()).await.into_iter();
        // The first error is the cause of all that follow it.
        let mut next = || answers.next().unwrap_or_else(|| Ok(Vec::new())).map_err(|error| Failure::before(&error));
        next()?;
        let frontier = frontier(&next()?).map_err(|error| Failure::Refused(error.0))?;
        let mut wanted = Vec::with_capacity(batch.len());
        for change in batch {
            let rows = change.statements.iter().map(|_statement| next()).collect::<Result<Vec<_>, _>>()?;
            wanted.push(change.read(&rows).map_err(|error| Failure::Refused(error.0))?);
        }
        Ok((frontier, wanted))
    }

    /// Appends what is wanted, signs it and commits.
    async fn commit(&self, mut frontier: Frontier, wanted: Vec<Wanted>, seal: &Seal) -> Result<(), Failure> {
        let first = frontier.size();
        let (mut entries, mut hashes, mut changed) = (Vec::new(), Vec::<Vec<u8>>::new(), BTreeSet::new());
        for each in wanted {
            changed.extend(each.changed);
            for entry in each.entries {
                let Ok(()) = frontier.push(tree::leaf(entry.as_bytes()), |_place, hash| {
                    hashes.push(hash.to_vec());
                    Ok::<(), Infallible>(())
                });
                entries.push(entry.as_bytes().to_vec());
            }
        }
        let mut statements = Vec::new();
        if !entries.is_empty() {
            let index = |number| big(number).map_err(|error| Failure::Refused(error.0));
            let note = seal.checkpoint(frontier.size(), frontier.root());
            let peaks: Vec<Vec<u8>> = frontier.peaks().iter().map(|peak| peak.to_vec()).collect();
            statements.push(say!(APPEND, index(first)?, entries));
            statements.push(say!(PLANT, index(tree::places(first))?, hashes));
            statements.push(say!(SEAL, index(frontier.size())?, peaks, note));
        }
        let changed: Vec<&str> = changed.iter().map(|id| id.as_str()).collect();
        statements.extend(changed.chunks(TOLD_AT_ONCE).map(|ids| say!(TELL, ids.join(" "))));
        // The commit goes out with the rest: where something before it failed, it is a rollback.
        let asked = statements.iter().map(|statement| self.ask(statement)).chain([self.simple("COMMIT")]);
        for answer in in_order(asked.collect()).await {
            answer.map_err(|error| Failure::after(&error))?;
        }
        Ok(())
    }

    pub(super) async fn prepare(&mut self, every: BTreeSet<&'static str>) -> Result<(), Error> {
        for sql in every {
            if !self.prepared.contains_key(sql) {
                self.prepared.insert(sql, self.connection.client.prepare(sql).await?);
            }
        }
        Ok(())
    }

    /// Sends a prepared statement once this is first polled.
    pub(super) fn ask<'a>(&'a self, statement: &'a Statement) -> Answering<'a> {
        let client = &self.connection.client;
        Box::pin(async move {
            let values: Vec<_> =
                statement.values.iter().map(|value| &**value as &(dyn tokio_postgres::types::ToSql + Sync)).collect();
            match self.prepared.get(statement.sql) {
                Some(prepared) => client.query(prepared, &values).await,
                None => client.query(statement.sql, &values).await,
            }
        })
    }

    fn simple<'a>(&'a self, sql: &'a str) -> Answering<'a> {
        Box::pin(async move { self.connection.client.batch_execute(sql).await.map(|()| Vec::new()) })
    }
}

/// Polls all, always in order: so they are sent in order, and all before the first answer is there.
pub(super) async fn in_order(mut asked: Vec<Answering<'_>>) -> Vec<Result<Vec<Row>, Error>> {
    let mut answers: Vec<Option<Result<Vec<Row>, Error>>> = asked.iter().map(|_| None).collect();
    poll_fn(|context| {
        let mut all = true;
        for (future, answer) in asked.iter_mut().zip(&mut answers) {
            if answer.is_none() {
                match future.as_mut().poll(context) {
                    Poll::Ready(done) => *answer = Some(done),
                    Poll::Pending => all = false,
                }
            }
        }
        if all { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    answers.into_iter().flatten().collect()
}

/// The right edge of the tree, from the head's row.
pub(super) fn frontier(rows: &[Row]) -> Result<Frontier, StoreError> {
    let wrong = || StoreError("the head of the audit log is not whole: see `ca-server audit verify`".to_owned());
    let row = rows.first().ok_or_else(wrong)?;
    let peaks: Vec<Vec<u8>> = column(row, 1)?;
    let peaks = peaks.into_iter().map(|peak| Hash::try_from(peak.as_slice()).map_err(|_length| wrong()));
    Frontier::new(number(column(row, 0)?)?, peaks.collect::<Result<_, _>>()?).ok_or_else(wrong)
}
