//! The store in one file. One thread writes; many callers share one commit and none is answered before it.
//!
//! Reading happens on the caller's thread: what the hot path reads is small and in the page cache.

mod agenda;
pub(in crate::store) mod dump;
mod file;
mod head;
mod live;
mod log;
mod operations;
mod outbox;
mod overlay;
mod policies;
mod queue;
mod reader;
mod recent;
mod requests;
mod revocations;
mod tables;
mod writer;

pub use file::{OpenError, examine};
pub use reader::LogReader;

use super::{Claim, Issued, KeyBinding, LoginSession, Opened, Recorded, Store, StoreError, TokenUse, used::LastUse};
use crate::audit::{Entry, checkpoint::Seal, tree::Hash};
use async_trait::async_trait;
use live::Live;
use log::{CHECKPOINT, ENTRIES, HASHES, LATEST};
use policy::{Issuer, SessionId, Subject, UnixTime};
use recent::Recent;
use revocations::RecentFreezes;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{Arc, atomic::AtomicU64},
};
use tables::{OWNED, PROOFS, SESSIONS, Tables};
use writer::Writer;

/// A store in the file that [`RedbStore::open`] was given.
pub struct RedbStore {
    live: Arc<Live>,
    writer: Writer,
    used: LastUse,
    recent: Arc<Recent>,
    /// How often requests or identities may have changed.
    changes: Arc<AtomicU64>,
    freezes: Arc<RecentFreezes>,
}

impl RedbStore {
    /// Opens the store at `path`, or makes one if there is no such file. `seal` signs the audit log; a log that is there keeps
    /// the name it has.
    ///
    /// # Errors
    /// If the file is damaged, of a newer version, open in another process, or readable by others; if the audit log, its tree
    /// and its signed checkpoint do not agree at their head, or another key signed it. It is not touched.
    pub fn open(path: &Path, seal: &Seal) -> Result<Self, OpenError> {
        if path.try_exists().unwrap_or(true) {
            // Every page, before anything is written: redb trusts what was closed well, and would find damage when a
            // request meets it.
            file::examine(path)?;
        }
        let seal = file::prepare(path, seal)?;
        let again = path.to_owned();
        // From here on a file that is gone is an error, not a reason to begin a new one.
        Self::around(path, Live::open(move || file::open_existing(&again))?, seal)
    }

    fn around(path: &Path, live: Live, seal: Seal) -> Result<Self, OpenError> {
        let live = Arc::new(live);
        let changes = Arc::default();
        let writer = Writer::start(Arc::clone(&live), seal, Arc::clone(&changes));
        let writer = writer.map_err(|error| OpenError::thread(path, &error))?;
        Ok(Self { live, writer, used: LastUse::default(), recent: Arc::default(), changes, freezes: Arc::default() })
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

/// Reads; redb panics at pages that make no sense, and then there is no answer rather than no server.
fn reading<T>(read: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_panic| Err(StoreError(DAMAGED.to_owned())))
}

/// Found while serving: the start saw every page, so it happened since.
const DAMAGED: &str = "the store is damaged: a page makes no sense; stop the server, then `ca-server check`";

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
        reading(|| {
            let sessions = self.live.read()?.open_table(SESSIONS).map_err(failed)?;
            let Some(json) = sessions.get(id.as_str()).map_err(failed)? else { return Ok(None) };
            let session = self.decode(json.value())?;
            self.recent.keep(&session, before);
            Ok(Some(session))
        })
    }

    async fn sessions_of(&self, issuer: &Issuer, subject: &Subject) -> Result<Vec<LoginSession>, StoreError> {
        reading(|| {
            let read = self.live.read()?;
            let (sessions, owned) =
                (read.open_table(SESSIONS).map_err(failed)?, read.open_table(OWNED).map_err(failed)?);
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
        })
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
        claim: Option<Claim>,
        issued: Issued,
        entry: Entry,
    ) -> Result<Recorded, StoreError> {
        let (session, row) = (session.clone(), issued.into());
        let claims = claim.as_ref().is_some_and(|claim| claim.step.is_some());
        let operation = move |tables: &mut Tables<'_>| {
            operations::record_issue(tables, &session, key, claim.as_ref(), &row, &entry)
        };
        if claims { self.writer.write(operation).await } else { self.writer.write_quietly(operation).await }
    }

    async fn key_proven(&self, session: &SessionId, key: &[u8; 32]) -> Result<bool, StoreError> {
        let Some(before) = self.recent.unproven(session, key) else { return Ok(true) };
        reading(|| {
            let proofs = self.live.read()?.open_table(PROOFS).map_err(failed)?;
            let proven = proofs.get((session.as_str(), key)).map_err(failed)?.is_some();
            if proven {
                self.recent.keep_proof(session, key, before);
            }
            Ok(proven)
        })
    }

    async fn append(&self, entry: Entry) -> Result<(), StoreError> {
        self.writer.write_quietly(move |tables| operations::append(tables, &entry)).await
    }

    async fn entries(&self, from: u64, most: usize) -> Result<Vec<Entry>, StoreError> {
        reading(|| {
            let found = log::entries(&self.live.read()?.open_table(ENTRIES).map_err(failed)?, from, most);
            let whole = |((found, entry), index)| if found == index { Ok(entry) } else { Err(failed(DAMAGED)) };
            found.map_err(failed)?.into_iter().zip(from..).map(whole).collect()
        })
    }

    async fn entry_count(&self) -> Result<u64, StoreError> {
        reading(|| log::end(&self.live.read()?.open_table(ENTRIES).map_err(failed)?).map_err(failed))
    }

    async fn checkpoint(&self) -> Result<String, StoreError> {
        let table = self.live.read()?.open_table(CHECKPOINT).map_err(failed)?;
        let note = table.get(LATEST).map_err(failed)?.map(|note| note.value().to_owned());
        note.ok_or_else(|| failed("the audit log has no checkpoint"))
    }

    async fn tree_hashes(&self, places: &[u64]) -> Result<Vec<Hash>, StoreError> {
        let hashes = self.live.read()?.open_table(HASHES).map_err(failed)?;
        let hash = |place: &u64| {
            let kept = log::hash(&hashes, *place).map_err(failed)?;
            kept.ok_or_else(|| failed("the tree of the audit log has no such place"))
        };
        places.iter().map(hash).collect()
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
        self.writer.write_quietly(|_tables| Ok(())).await
    }
}

#[cfg(test)]
mod tests;
