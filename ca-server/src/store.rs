//! What must outlive the process. Each verb is one transaction; what is atomic and durable stands at each.

mod agenda;
#[cfg(test)]
mod conformance;
mod log;
pub mod memory;
pub mod migrate;
pub mod outbox;
mod policies;
pub mod postgres;
pub mod records;
pub mod redb;
mod requests;
pub mod revocations;
mod used;

use crate::audit::{Actor, Entry, Event, tree::Hash};
pub use agenda::Agenda;
use async_trait::async_trait;
pub use log::LogReader;
pub use policies::{PolicyFile, PolicyRecord, PolicySet};
use policy::{Issuer, RequestId, SessionId, Subject, UnixTime};
pub use records::{
    Claim, Due, Filed, Idempotency, KeptRequest, KeyBinding, LoginSession, Look, Opened, Recorded, Stepped, TokenUse,
    Which, Word,
};
pub use requests::Requests;
pub use revocations::{Edition, Freezes, Issued, Known, LiveCertificate, Revocations, Revoked, Selection};
use tokio::sync::broadcast;

/// The store could not do what it was asked. The state is as before, or (only if the commit itself failed) unknown; no
/// caller may release anything.
#[derive(Clone, Debug, thiserror::Error)]
#[error("store: {0}")]
pub struct StoreError(pub String);

/// A place for facts. On `Ok` a write is durable (it survives `kill -9` and power loss) and visible to every later read.
/// Writes of many callers may share one commit; none is answered before it. A write that failed may be tried again.
#[async_trait]
pub trait Store: Requests + Agenda + PolicyRecord + Revocations + Send + Sync {
    /// Opens a login session. One transaction: uses up the token, keeps the session and its identity as the latest of
    /// that person, appends the entry. A token that
    /// was used before changes nothing and answers [`Opened::TokenUsed`]; more than `most` live sessions of that
    /// identity end the oldest, each with an entry.
    async fn open_session(
        &self,
        session: LoginSession,
        token: TokenUse,
        most: usize,
        entry: Entry,
    ) -> Result<Opened, StoreError>;

    /// The session, if it is kept and was not ended. Whether it has run out is for the caller to judge by its clock.
    async fn session(&self, id: &SessionId) -> Result<Option<LoginSession>, StoreError>;

    /// The kept sessions of one identity, newest first.
    async fn sessions_of(&self, issuer: &Issuer, subject: &Subject) -> Result<Vec<LoginSession>, StoreError>;

    /// Notes that a session was used at `at`. Not durable on return: a crash may lose up to a minute of it, which ends
    /// an idle session sooner, never later.
    async fn touch_session(&self, id: &SessionId, at: UnixTime) -> Result<(), StoreError>;

    /// Ends a session and appends the entry, in one transaction. Answers whether it was there; if not, nothing changes.
    async fn end_session(&self, id: &SessionId, entry: Entry) -> Result<bool, StoreError>;

    /// Records that a certificate is about to be released, and binds a user key that was proven with this request. One
    /// transaction. A key bound to another identity changes nothing and answers [`Recorded::KeyTaken`]; a session that
    /// is no longer there changes nothing and answers [`Recorded::SessionEnded`]. With a claim, the request and those that
    /// prolong it must have as many steps as when it was decided, and the claim's step is added; else nothing changes
    /// and the answer is [`Recorded::RequestChanged`]. If the freezes have another version than `issued` was decided with,
    /// nothing changes and the answer is [`Recorded::FreezesChanged`]. Keeps `issued` until it has long expired.
    async fn record_issue(
        &self,
        session: &SessionId,
        key: Option<KeyBinding>,
        claim: Option<Claim>,
        issued: Issued,
        entry: Entry,
    ) -> Result<Recorded, StoreError>;

    /// Whether this session has proven possession of the key with this SHA-256 digest.
    async fn key_proven(&self, session: &SessionId, key: &[u8; 32]) -> Result<bool, StoreError>;

    /// Appends a fact.
    async fn append(&self, entry: Entry) -> Result<(), StoreError>;

    /// Up to `most` entries from index `from` on, in order.
    async fn entries(&self, from: u64, most: usize) -> Result<Vec<Entry>, StoreError>;

    /// How many entries there are.
    async fn entry_count(&self) -> Result<u64, StoreError>;

    /// The latest signed checkpoint of the audit log. It is written in the transaction of the entries that it covers, so no
    /// entry is ever durable without a signature over it, and it covers all there are.
    async fn checkpoint(&self) -> Result<String, StoreError>;

    /// The hashes at these places of the tree over the entries (see [`crate::audit::tree`]), in this order. A place never
    /// changes once it is there; one that is not there is an error.
    async fn tree_hashes(&self, places: &[u64]) -> Result<Vec<Hash>, StoreError>;

    /// Forgets sessions that ran out, used tokens that can no longer be valid, keys bound longer than they are
    /// remembered, and certificates that expired [`revocations::AFTER_EXPIRY`] ago (which is a new version of the KRL where
    /// one of them was in it). Requests are kept. Each session that goes leaves an entry, in the same transaction.
    async fn prune(&self, now: UnixTime) -> Result<(), StoreError>;

    /// Whether the store can be written just now.
    async fn ready(&self) -> Result<(), StoreError>;

    /// Notes that a signed request is taken, so that no other server on this store takes it too. It bears the time `time_ms`
    /// and is refused for its age a minute later. Where only one process can serve from a store, what that process
    /// remembers is enough and there is nothing to note.
    async fn spend_nonce(
        &self,
        session: &SessionId,
        nonce: &[u8; 16],
        time_ms: u64,
        now_ms: u64,
    ) -> Result<Spent, StoreError> {
        let _only_here = (session, nonce, time_ms, now_ms);
        Ok(Spent::First)
    }

    /// What other servers on this store do, while they do it; nothing where there can be none. Hints only: they may come
    /// late, twice or not at all, and whoever is given one looks for themselves.
    fn hints(&self) -> Option<broadcast::Receiver<Hint>> {
        None
    }
}

/// Something another server may have done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    /// Something happened to this request.
    Request(RequestId),
    /// Anything may have happened: for a while nobody could be heard.
    Anything,
}

/// Whether a signed request was taken before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spent {
    /// It was not; it is now.
    First,
    /// It was.
    Before,
    /// Nobody knows any more what was taken at its time.
    Forgotten,
}

/// The entry for a session that ended by itself at `at`: `cause` stands where a request's id would.
fn ended_by_itself(session: &LoginSession, at: UnixTime, cause: &str, reason: &str) -> Result<Entry, StoreError> {
    let event = Event::LoginEnded { actor: Actor::from(&session.identity), session: &session.id, reason };
    let entry = Entry::new(at.as_secs().saturating_mul(1000), cause, &event);
    entry.map_err(|error| StoreError(format!("the end of a session cannot be recorded: {error}")))
}

/// The entry for a session that pruning removes at `now`.
fn run_out(session: &LoginSession, now: UnixTime) -> Result<Entry, StoreError> {
    let idle = session.used.as_secs().saturating_add(session.idle_seconds) < session.expires.as_secs();
    ended_by_itself(session, now, "prune", if idle { "idle" } else { "expired" })
}

/// The entry for a session that had to make room for `newer`.
fn made_room(session: &LoginSession, newer: &LoginSession) -> Result<Entry, StoreError> {
    ended_by_itself(session, newer.started, "session-limit", "too-many")
}

/// Which sessions of one identity end so that at most `most` stay: the oldest.
fn most_sessions(mut theirs: Vec<(UnixTime, SessionId)>, most: usize) -> Vec<SessionId> {
    theirs.sort();
    let surplus = theirs.len().saturating_sub(most.max(1));
    theirs.into_iter().take(surplus).map(|(_, id)| id).collect()
}
