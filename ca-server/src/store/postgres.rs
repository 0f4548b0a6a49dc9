//! The store in a PostgreSQL database, which several servers may share. Every write of a server goes through one task that
//! commits many at once; reads are single statements, each of which sees whole commits.

mod agenda;
mod change;
mod connect;
mod exchange;
mod failure;
mod head;
mod hints;
pub(in crate::store) mod load;
mod log;
mod nonces;
mod outbox;
mod policies;
mod requests;
mod revocations;
mod schema;
mod sealed;
mod sessions;
mod writer;

pub use log::Log;
pub use schema::{LATEST, OpenError, grants, script};

use super::{
    Claim, Hint, Issued, KeyBinding, LoginSession, Opened, Recorded, Spent, Store, StoreError, TokenUse, made_room,
    records, run_out, used::LastUse,
};
use crate::{
    audit::{Entry, checkpoint::Seal, tree::Hash},
    config::store::Postgres,
};
use async_trait::async_trait;
use change::{Effect, bound, column, number, say};
use connect::{Connector, told};
use deadpool_postgres::{Object, Pool, PoolError};
use policy::{Issuer, SessionId, Subject, UnixTime};
use sealed::Sealed;
use std::collections::HashMap;
use tokio::sync::broadcast;
use tokio_postgres::{Row, types::ToSql};
use writer::Writer;

/// A store in the database that [`PostgresStore::open`] was given.
pub struct PostgresStore {
    pool: Pool,
    connector: Connector,
    writer: Writer,
    used: LastUse,
    hints: hints::Hints,
    held: outbox::Held,
    sealed: Sealed,
}

/// What a look at a database found, without changing anything.
#[derive(Debug)]
pub struct Examined {
    /// Tables are missing or old, and the server's start makes them, or says that it may not.
    pub outdated: bool,
    /// Settings of the database with which it may lose what it has committed.
    pub forgetful: Vec<String>,
}

impl PostgresStore {
    /// Opens the store in this database, and makes its tables if there are none. `seal` signs the audit log; a log that is
    /// there keeps the name it has.
    ///
    /// # Errors
    /// If the database cannot be reached or used; if the audit log, its tree and its signed checkpoint do not agree at their
    /// head, or another key signed it. Nothing is overwritten.
    pub async fn open(settings: &Postgres, seal: &Seal) -> Result<Self, OpenError> {
        let connector = Connector::new(settings).map_err(OpenError::unreachable)?;
        schema::complete(&connector).await?;
        let seal = head::check(&connector, seal).await?;
        let pool = connector.pool(settings.pool.get()).map_err(OpenError::unreachable)?;
        let held = outbox::Held::new().map_err(OpenError::unreachable)?;
        let hints = hints::Hints::start(connector.clone());
        let sealed = Sealed::new(&seal);
        let writer = Writer::start(connector.clone(), seal);
        Ok(Self { pool, connector, writer, used: LastUse::default(), hints, held, sealed })
    }

    /// The rows that one statement answers. Where its connection turns out to be dead it is asked once more, by a new one:
    /// what ended one ended those that are idle too.
    async fn rows(&self, sql: &'static str, values: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, StoreError> {
        match self.rows_once(sql, values).await {
            Err((true, _dead)) => {
                self.pool.retain(|_idle, _metrics| false);
                self.rows_once(sql, values).await.map_err(|(_, error)| error)
            }
            answer => answer.map_err(|(_, error)| error),
        }
    }

    /// As [`Self::rows`]; an error says whether another connection may do better.
    async fn rows_once(
        &self,
        sql: &'static str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, (bool, StoreError)> {
        let connection = self.pool.get().await.map_err(|error| {
            let text = match error {
                PoolError::Backend(error) => told(&error),
                PoolError::Timeout(_) => "no connection to the database came free in time".to_owned(),
                other => other.to_string(),
            };
            (false, StoreError(text))
        })?;
        let query = async {
            let prepared = connection.prepare_cached(sql).await?;
            connection.query(&prepared, values).await
        };
        let failure = match tokio::time::timeout(self.connector.patience, query).await {
            Ok(Ok(rows)) => return Ok(rows),
            Ok(Err(error)) => {
                let ended = error.is_closed() || connection.is_closed() || error.code().is_some_and(failure::ended);
                (ended, StoreError(told(&error)))
            }
            Err(_late) => {
                (false, StoreError(format!("the database did not answer within {:?}", self.connector.patience)))
            }
        };
        // Whatever it is in the middle of: nobody else gets this connection.
        drop(Object::take(connection));
        Err(failure)
    }

    /// The one row of a statement that always answers one.
    async fn row(&self, sql: &'static str, values: &[&(dyn ToSql + Sync)]) -> Result<Row, StoreError> {
        let absent = || StoreError("the audit log has no head: see `ca-server audit verify`".to_owned());
        self.rows(sql, values).await?.into_iter().next().ok_or_else(absent)
    }
}

/// Looks at the database: reachable, new enough, and the head of its log whole if there is one.
///
/// # Errors
/// What is wrong and what to do. Nothing is changed.
pub async fn examine(settings: &Postgres, seal: Option<&Seal>) -> Result<Examined, OpenError> {
    let connector = Connector::new(settings).map_err(OpenError::unreachable)?;
    let connection = connector.connect().await.map_err(OpenError::unreachable)?;
    let found = schema::look(&connection).await?;
    let outdated = schema::outdated(&found);
    if let Some(seal) = seal.filter(|_| !outdated) {
        let begun = connection.client.query_one("SELECT EXISTS (SELECT FROM audit_head)", &[]).await;
        let begun: Result<bool, _> = begun.and_then(|row| row.try_get(0));
        if begun.map_err(|error| OpenError::new(told(&error), "see docs/OPERATIONS.md, \"PostgreSQL\""))? {
            head::examine(connection, seal).await?;
        }
    }
    Ok(Examined { outdated, forgetful: found.forgetful })
}

#[async_trait]
impl Store for PostgresStore {
    async fn open_session(
        &self,
        session: LoginSession,
        token: TokenUse,
        most: usize,
        entry: Entry,
    ) -> Result<Opened, StoreError> {
        let (sealed, statements) = (self.sealed.clone(), sessions::open(&session, token, most, &self.sealed)?);
        self.writer.write(statements, move |rows| sessions::opened(rows, &session, &entry, &sealed)).await
    }

    async fn session(&self, id: &SessionId) -> Result<Option<LoginSession>, StoreError> {
        let rows = self.rows("SELECT session, used FROM sessions WHERE id = $1", &[&id.as_str()]).await?;
        let session = rows.first().map(|row| self.read_session(row)).transpose()?.flatten();
        Ok(session.filter(|session| session.id == *id))
    }

    async fn sessions_of(&self, issuer: &Issuer, subject: &Subject) -> Result<Vec<LoginSession>, StoreError> {
        let owner = records::owner(issuer, subject);
        let sql = "SELECT session, used FROM sessions WHERE owner = $1 ORDER BY started DESC, id DESC";
        let rows = self.rows(sql, &[&owner.as_slice()]).await?;
        rows.iter().filter_map(|row| self.read_session(row).transpose()).collect()
    }

    async fn touch_session(&self, id: &SessionId, at: UnixTime) -> Result<(), StoreError> {
        if self.used.touch(id, at) {
            // Whoever used the session does not wait for this, and a queue that is full tries again at the next use.
            self.writer.write_later(sessions::note_uses(&[(id.clone(), at)]));
        }
        Ok(())
    }

    async fn end_session(&self, id: &SessionId, entry: Entry) -> Result<bool, StoreError> {
        let statement = say!(sessions::END, id.as_str().to_owned());
        let ended = self.writer.write(vec![statement], move |rows| {
            let ended = rows.iter().any(|rows| !rows.is_empty());
            let entries = if ended { vec![entry.clone()] } else { Vec::new() };
            Ok(Effect::on_record(ended, entries))
        });
        let was_there = ended.await?;
        self.used.forget(id);
        Ok(was_there)
    }

    async fn record_issue(
        &self,
        session: &SessionId,
        key: Option<KeyBinding>,
        claim: Option<Claim>,
        issued: Issued,
        entry: Entry,
    ) -> Result<Recorded, StoreError> {
        let statement = sessions::record(session, key, claim.as_ref(), &issued)?;
        self.writer.write(vec![statement], move |rows| sessions::recorded(rows, claim.as_ref(), &entry)).await
    }

    async fn key_proven(&self, session: &SessionId, key: &[u8; 32]) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM proofs WHERE session = $1 AND key = $2";
        Ok(!self.rows(sql, &[&session.as_str(), &key.as_slice()]).await?.is_empty())
    }

    async fn append(&self, entry: Entry) -> Result<(), StoreError> {
        self.writer.write(Vec::new(), move |_rows| Ok(Effect::on_record((), vec![entry.clone()]))).await
    }

    async fn entries(&self, from: u64, most: usize) -> Result<Vec<Entry>, StoreError> {
        let most = bound(u64::try_from(most).unwrap_or(u64::MAX));
        let sql = "SELECT entry FROM audit WHERE idx >= $1 ORDER BY idx LIMIT $2";
        let rows = self.rows(sql, &[&bound(from), &most]).await?;
        rows.iter().map(|row| column(row, 0).map(Entry::from_bytes)).collect()
    }

    async fn entry_count(&self) -> Result<u64, StoreError> {
        number(column(&self.row("SELECT size FROM audit_head", &[]).await?, 0)?)
    }

    async fn checkpoint(&self) -> Result<String, StoreError> {
        column(&self.row("SELECT checkpoint FROM audit_head", &[]).await?, 0)
    }

    async fn tree_hashes(&self, places: &[u64]) -> Result<Vec<Hash>, StoreError> {
        let wanted: Vec<i64> = places.iter().copied().map(bound).collect();
        let rows = self.rows("SELECT place, hash FROM audit_tree WHERE place = ANY($1)", &[&wanted]).await?;
        let kept = log::hashes(&rows)?.into_iter().collect::<HashMap<_, _>>();
        let hash = |place: &u64| kept.get(place).copied();
        let all = places.iter().map(hash).collect::<Option<_>>();
        all.ok_or_else(|| StoreError("the tree of the audit log has no such place".to_owned()))
    }

    async fn prune(&self, now: UnixTime) -> Result<(), StoreError> {
        self.prune_all(now).await
    }

    async fn ready(&self) -> Result<(), StoreError> {
        self.writer.write(Vec::new(), |_rows| Ok(Effect::only(()))).await
    }

    async fn spend_nonce(
        &self,
        session: &SessionId,
        nonce: &[u8; 16],
        time_ms: u64,
        now_ms: u64,
    ) -> Result<Spent, StoreError> {
        self.spend(session, nonce, time_ms, now_ms).await
    }

    fn hints(&self) -> Option<broadcast::Receiver<Hint>> {
        Some(self.hints.subscribe())
    }
}

#[cfg(test)]
mod tests;
