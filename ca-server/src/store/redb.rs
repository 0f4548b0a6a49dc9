//! The store in one file. One thread writes; many callers share one commit and none is answered before it.
//!
//! Reading happens on the caller's thread: what the hot path reads is small and in the page cache.

mod file;
mod live;
mod operations;
mod outbox;
mod recent;
mod tables;
mod used;
mod writer;

pub use file::OpenError;

use super::{KeyBinding, LoginSession, Opened, Recorded, Store, StoreError, TokenUse};
use crate::audit::Entry;
use ::redb::ReadableTableMetadata as _;
use async_trait::async_trait;
use live::Live;
use policy::{Issuer, SessionId, Subject, UnixTime};
use recent::Recent;
use std::{path::Path, sync::Arc};
use tables::{AUDIT, OWNED, PROOFS, SESSIONS, Tables};
use used::LastUse;
use writer::Writer;

/// A store in the file that [`RedbStore::open`] was given.
pub struct RedbStore {
    live: Arc<Live>,
    writer: Writer,
    used: LastUse,
    recent: Arc<Recent>,
}

impl RedbStore {
    /// Opens the store at `path`, or makes one if there is no such file.
    ///
    /// # Errors
    /// If the file is damaged, of a newer version, open in another process, or readable by others. It is not touched.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        drop(file::open(path)?);
        let again = path.to_owned();
        // From here on a file that is gone is an error, not a reason to begin a new one.
        Self::around(path, Live::open(move || file::open_existing(&again))?)
    }

    fn around(path: &Path, live: Live) -> Result<Self, OpenError> {
        let live = Arc::new(live);
        let writer = Writer::start(Arc::clone(&live)).map_err(|error| OpenError::thread(path, &error))?;
        Ok(Self { live, writer, used: LastUse::default(), recent: Arc::default() })
    }

    /// A write after which sessions may be others than before.
    async fn change_sessions<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut Tables<'_>) -> Result<T, ::redb::Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        let recent = Arc::clone(&self.recent);
        // On the writing thread, so that it happens even if the caller has gone away, and whether or not it failed.
        self.writer.write_then(operation, move || recent.change()).await
    }

    fn decode(&self, json: &[u8]) -> Result<LoginSession, StoreError> {
        let mut session: LoginSession = serde_json::from_slice(json).map_err(failed)?;
        self.used.merge(&mut session);
        Ok(session)
    }
}

fn failed(error: impl std::fmt::Display) -> StoreError {
    StoreError(error.to_string())
}

#[async_trait]
impl Store for RedbStore {
    async fn open_session(
        &self,
        session: LoginSession,
        token: TokenUse,
        most: usize,
        entry: Entry,
    ) -> Result<Opened, StoreError> {
        self.change_sessions(move |tables| operations::open_session(tables, &session, token, most, &entry)).await
    }

    async fn session(&self, id: &SessionId) -> Result<Option<LoginSession>, StoreError> {
        let before = match self.recent.look(id) {
            Ok(mut session) => {
                self.used.merge(&mut session);
                return Ok(Some(session));
            }
            Err(before) => before,
        };
        let sessions = self.live.read()?.open_table(SESSIONS).map_err(failed)?;
        let Some(json) = sessions.get(id.as_str()).map_err(failed)? else { return Ok(None) };
        let session = self.decode(json.value())?;
        self.recent.keep(&session, before);
        Ok(Some(session))
    }

    async fn sessions_of(&self, issuer: &Issuer, subject: &Subject) -> Result<Vec<LoginSession>, StoreError> {
        let read = self.live.read()?;
        let (sessions, owned) = (read.open_table(SESSIONS).map_err(failed)?, read.open_table(OWNED).map_err(failed)?);
        let owner = super::records::owner(issuer, subject);
        let mut theirs = Vec::new();
        for row in owned.range(tables::owned_by(&owner)).map_err(failed)?.rev() {
            let (key, _) = row.map_err(failed)?;
            let (_, _, id) = key.value();
            if let Some(json) = sessions.get(id).map_err(failed)? {
                theirs.push(self.decode(json.value())?);
            }
        }
        Ok(theirs)
    }

    async fn touch_session(&self, id: &SessionId, at: UnixTime) -> Result<(), StoreError> {
        if self.used.touch(id, at) {
            let id = id.clone();
            // Whoever used the session does not wait for this, and a queue that is full tries again at the next use.
            self.writer.write_later(move |tables| operations::note_use(tables, &id, at));
        }
        Ok(())
    }

    async fn end_session(&self, id: &SessionId, entry: Entry) -> Result<bool, StoreError> {
        let ended = id.clone();
        let was_there = self.change_sessions(move |tables| operations::end_session(tables, &ended, &entry)).await?;
        self.used.forget(id);
        Ok(was_there)
    }

    async fn record_issue(
        &self,
        session: &SessionId,
        key: Option<KeyBinding>,
        entry: Entry,
    ) -> Result<Recorded, StoreError> {
        let session = session.clone();
        self.writer.write(move |tables| operations::record_issue(tables, &session, key, &entry)).await
    }

    async fn key_proven(&self, session: &SessionId, key: &[u8; 32]) -> Result<bool, StoreError> {
        let proofs = self.live.read()?.open_table(PROOFS).map_err(failed)?;
        Ok(proofs.get((session.as_str(), key)).map_err(failed)?.is_some())
    }

    async fn append(&self, entry: Entry) -> Result<(), StoreError> {
        self.writer.write(move |tables| operations::append(tables, &entry)).await
    }

    async fn entries(&self, from: u64, most: usize) -> Result<Vec<Entry>, StoreError> {
        let audit = self.live.read()?.open_table(AUDIT).map_err(failed)?;
        let rows = audit.range(from..).map_err(failed)?.take(most);
        rows.map(|row| row.map(|(_, bytes)| Entry::from_bytes(bytes.value().to_vec())).map_err(failed)).collect()
    }

    async fn entry_count(&self) -> Result<u64, StoreError> {
        self.live.read()?.open_table(AUDIT).map_err(failed)?.len().map_err(failed)
    }

    async fn prune(&self, now: UnixTime) -> Result<(), StoreError> {
        let last_used = self.used.snapshot();
        self.writer.write(move |tables| operations::note_uses(tables, &last_used)).await?;
        // In small steps, so that others' writes get in between.
        while self.change_sessions(move |tables| operations::prune(tables, now)).await? {}
        self.used.forget_before(now);
        Ok(())
    }

    async fn ready(&self) -> Result<(), StoreError> {
        self.writer.write(|_tables| Ok(())).await
    }
}

#[cfg(test)]
mod tests;
