//! The two exchanges of a batch: the statements of all its writes go out together; once their answers are known, the entries,
//! the tree, the signed checkpoint and the COMMIT do.

use super::{
    change::{Change, Statement, Wanted, big, column, number, say},
    connect::{Connection, Connector},
    failure::Failure,
};
use crate::{
    audit::{
        checkpoint::Seal,
        tree::{self, Frontier, Hash},
    },
    store::StoreError,
};
use std::{
    collections::{BTreeSet, HashMap},
    convert::Infallible,
    future::poll_fn,
    pin::Pin,
    task::Poll,
};
use tokio_postgres::{Error, Row};

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

/// A connection, and what was prepared on it.
pub(super) struct Open {
    pub(super) connection: Connection,
    prepared: HashMap<&'static str, tokio_postgres::Statement>,
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
    pub(super) async fn decide(&mut self, batch: &[Change]) -> Result<(Frontier, Vec<Wanted>), Failure> {
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
    pub(super) async fn commit(&self, mut frontier: Frontier, wanted: Vec<Wanted>, seal: &Seal) -> Result<(), Failure> {
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
