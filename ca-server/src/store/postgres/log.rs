//! The audit log in a database, read by another process than a server. Nothing is believed and nothing is changed: `audit
//! verify` has to see what is there.

use super::{
    OpenError, bound,
    change::{column, number},
    connect::{Connection, Connector, told},
};
use crate::{
    audit::{Entry, tree::Hash},
    config::store::Postgres,
    store::StoreError,
};
use std::{sync::Arc, sync::mpsc, thread, time::Duration};
use tokio::{runtime::Runtime, time::timeout};
use tokio_postgres::{Row, types::ToSql};

type Values = Vec<Box<dyn ToSql + Sync + Send>>;

/// A store's audit log, for reading by whoever does nothing else meanwhile: each call blocks.
pub struct Log {
    runtime: Option<Runtime>,
    connection: Option<Arc<Connection>>,
    patience: Duration,
}

impl Log {
    /// Opens the log in this database.
    ///
    /// # Errors
    /// If it cannot be reached, or there is none.
    pub fn open(settings: &Postgres) -> Result<Self, OpenError> {
        let connector = Connector::new(settings).map_err(OpenError::unreachable)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(OpenError::unreachable)?;
        let patience = connector.patience;
        let mut log = Self { runtime: Some(runtime), connection: None, patience };
        let connecting = async move { connector.connect().await };
        let connection = log.wait(connecting).and_then(|connection| connection).map_err(OpenError::unreachable)?;
        log.connection = Some(Arc::new(connection));
        log.head().map_err(OpenError::unreachable)?;
        Ok(log)
    }

    /// The latest checkpoint, if there is one, and the index after the last entry: of one moment.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn head(&self) -> Result<(Option<String>, u64), StoreError> {
        let sql = "SELECT (SELECT checkpoint FROM audit_head LIMIT 1), (SELECT max(idx) + 1 FROM audit)";
        let rows = self.rows(sql, Vec::new())?;
        let row = rows.first().ok_or_else(|| StoreError("a statement has no answer".to_owned()))?;
        Ok((column(row, 0)?, column::<Option<i64>>(row, 1)?.map_or(Ok(0), number)?))
    }

    /// Up to `most` entries from index `from` on, each with its index: in a log that was tampered with, one may be missing.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn entries(&self, from: u64, most: usize) -> Result<Vec<(u64, Entry)>, StoreError> {
        let most = bound(u64::try_from(most).unwrap_or(u64::MAX));
        let sql = "SELECT idx, entry FROM audit WHERE idx >= $1 ORDER BY idx LIMIT $2";
        let rows = self.rows(sql, vec![Box::new(bound(from)), Box::new(most)])?;
        rows.iter().map(|row| Ok((number(column(row, 0)?)?, Entry::from_bytes(column(row, 1)?)))).collect()
    }

    /// The hashes of the tree from `from` to before `to`, each with its place.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn hashes(&self, from: u64, to: u64) -> Result<Vec<(u64, Hash)>, StoreError> {
        let sql = "SELECT place, hash FROM audit_tree WHERE place >= $1 AND place < $2 ORDER BY place";
        hashes(&self.rows(sql, vec![Box::new(bound(from)), Box::new(bound(to))])?)
    }

    /// The hashes at these places of the tree.
    ///
    /// # Errors
    /// If one is not there, or the database cannot be read.
    pub fn hashes_at(&self, places: &[u64]) -> Result<Vec<Hash>, StoreError> {
        let wanted: Vec<i64> = places.iter().copied().map(bound).collect();
        let rows = self.rows("SELECT place, hash FROM audit_tree WHERE place = ANY($1)", vec![Box::new(wanted)])?;
        let kept: std::collections::HashMap<u64, Hash> = hashes(&rows)?.into_iter().collect();
        let all = places.iter().map(|place| kept.get(place).copied()).collect::<Option<_>>();
        all.ok_or_else(|| StoreError("the tree of the audit log has holes: see `ca-server audit verify`".to_owned()))
    }

    fn rows(&self, sql: &'static str, values: Values) -> Result<Vec<Row>, StoreError> {
        let connection = self.connection.clone().ok_or_else(|| StoreError("not connected".to_owned()))?;
        let patience = self.patience;
        self.wait(async move {
            let values: Vec<_> = values.iter().map(|value| &**value as &(dyn ToSql + Sync)).collect();
            match timeout(patience, connection.client.query(sql, &values)).await {
                Ok(answer) => answer.map_err(|error| StoreError(told(&error))),
                Err(_late) => Err(StoreError(format!("the database did not answer within {patience:?}"))),
            }
        })?
    }

    /// Runs `task` on this log's own thread and waits: the caller may itself be a task of another runtime.
    fn wait<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> Result<T, StoreError> {
        let gone = || StoreError("the reading thread ended".to_owned());
        let (send, receive) = mpsc::channel();
        self.runtime.as_ref().ok_or_else(gone)?.spawn(async move {
            let _gone = send.send(task.await).is_err();
        });
        receive.recv().map_err(|_dropped| gone())
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        drop(self.connection.take());
        // A runtime must not be dropped where another one runs.
        if let Some(runtime) = self.runtime.take() {
            let _ended = thread::spawn(move || drop(runtime)).join().is_err();
        }
    }
}

/// Places and hashes, from rows of both.
pub(super) fn hashes(rows: &[Row]) -> Result<Vec<(u64, Hash)>, StoreError> {
    let hash = |row: &Row| {
        let wrong = |_length| StoreError("a hash of the tree has another length".to_owned());
        let hash = Hash::try_from(column::<&[u8]>(row, 1)?).map_err(wrong)?;
        Ok((number(column(row, 0)?)?, hash))
    };
    rows.iter().map(hash).collect()
}
