//! The store in memory, with the semantics of the real one but durability. For tests and development only.

mod agenda;
mod outbox;
mod policies;
mod requests;
mod revocations;

use super::{
    Claim, Issued, KeyBinding, LoginSession, Opened, Recorded, Store, StoreError, TokenUse, made_room, most_sessions,
    records, run_out,
};
use crate::audit::{
    Entry,
    checkpoint::Seal,
    tree::{self, Frontier, Hash},
};
use async_trait::async_trait;
use policy::{Issuer, SessionId, Subject, UnixTime};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    convert::Infallible,
    sync::{Mutex, MutexGuard},
};

/// A store that forgets everything when dropped.
pub struct MemoryStore(Mutex<Facts>, Seal);

#[derive(Default)]
struct Facts {
    sessions: HashMap<SessionId, LoginSession>,
    tokens: HashMap<[u8; 32], UnixTime>,
    keys: BTreeMap<[u8; 32], ProvenKey>,
    entries: Vec<Entry>,
    asked: requests::Asked,
    hashes: Vec<Hash>,
    frontier: Frontier,
    sinks: outbox::Sinks,
    policies: Option<super::PolicySet>,
    ended: revocations::Ended,
}

impl Facts {
    fn append(&mut self, entry: Entry) {
        let Ok(()) = self.frontier.push(tree::leaf(entry.as_bytes()), |_place, hash| {
            self.hashes.push(*hash);
            Ok::<(), Infallible>(())
        });
        self.entries.push(entry);
    }
}

struct ProvenKey {
    owner: [u8; 32],
    at: UnixTime,
    sessions: HashSet<SessionId>,
}

impl MemoryStore {
    /// An empty one, whose log `seal` signs.
    pub fn new(seal: Seal) -> Self {
        Self(Mutex::default(), seal)
    }

    fn facts(&self) -> Result<MutexGuard<'_, Facts>, StoreError> {
        self.0.lock().map_err(|_poisoned| StoreError("a write panicked half-way".to_owned()))
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn open_session(
        &self,
        session: LoginSession,
        token: TokenUse,
        most: usize,
        entry: Entry,
    ) -> Result<Opened, StoreError> {
        let mut facts = self.facts()?;
        if facts.tokens.contains_key(&token.digest) {
            return Ok(Opened::TokenUsed);
        }
        facts.tokens.insert(token.digest, token.forget);
        facts.asked.met(&session.identity, session.started);
        let owner = records::owner(&session.identity.issuer, &session.identity.subject);
        facts.sessions.insert(session.id.clone(), session.clone());
        let theirs =
            facts.sessions.values().filter(|s| records::owner(&s.identity.issuer, &s.identity.subject) == owner);
        let surplus = most_sessions(theirs.map(|s| (s.started, s.id.clone())).collect(), most);
        facts.append(entry);
        for ended in surplus {
            if let Some(ended) = facts.sessions.remove(&ended) {
                facts.append(made_room(&ended, &session)?);
            }
        }
        Ok(Opened::Yes)
    }

    async fn session(&self, id: &SessionId) -> Result<Option<LoginSession>, StoreError> {
        Ok(self.facts()?.sessions.get(id).cloned())
    }

    async fn sessions_of(&self, issuer: &Issuer, subject: &Subject) -> Result<Vec<LoginSession>, StoreError> {
        let facts = self.facts()?;
        let theirs = |s: &&LoginSession| s.identity.issuer == *issuer && s.identity.subject == *subject;
        let mut sessions: Vec<LoginSession> = facts.sessions.values().filter(theirs).cloned().collect();
        sessions.sort_by(|a, b| (b.started, &b.id).cmp(&(a.started, &a.id)));
        Ok(sessions)
    }

    async fn touch_session(&self, id: &SessionId, at: UnixTime) -> Result<(), StoreError> {
        if let Some(session) = self.facts()?.sessions.get_mut(id) {
            session.used = session.used.max(at);
        }
        Ok(())
    }

    async fn end_session(&self, id: &SessionId, entry: Entry) -> Result<bool, StoreError> {
        let mut facts = self.facts()?;
        if facts.sessions.remove(id).is_none() {
            return Ok(false);
        }
        facts.append(entry);
        Ok(true)
    }

    async fn record_issue(
        &self,
        session: &SessionId,
        key: Option<KeyBinding>,
        claim: Option<Claim>,
        issued: Issued,
        entry: Entry,
    ) -> Result<Recorded, StoreError> {
        let mut facts = self.facts()?;
        let Some(identity) = facts.sessions.get(session).map(|session| &session.identity) else {
            return Ok(Recorded::SessionEnded);
        };
        let owner = records::owner(&identity.issuer, &identity.subject);
        if claim.as_ref().is_some_and(|claim| !facts.asked.stands(claim)) {
            return Ok(Recorded::RequestChanged);
        }
        if facts.ended.freezes.version != issued.freezes {
            return Ok(Recorded::FreezesChanged);
        }
        if let Some(KeyBinding { key, at }) = key {
            let new = || ProvenKey { owner, at, sessions: HashSet::new() };
            let known = facts.keys.entry(key).or_insert_with(new);
            if known.owner != owner {
                return Ok(Recorded::KeyTaken);
            }
            known.at = at;
            known.sessions.insert(session.clone());
        }
        if let Some(claim) = claim
            && let Some(about) = facts.asked.claim(claim)
        {
            facts.append(about);
        }
        facts.ended.issue(issued);
        facts.append(entry);
        Ok(Recorded::Yes)
    }

    async fn key_proven(&self, session: &SessionId, key: &[u8; 32]) -> Result<bool, StoreError> {
        Ok(self.facts()?.keys.get(key).is_some_and(|known| known.sessions.contains(session)))
    }

    async fn append(&self, entry: Entry) -> Result<(), StoreError> {
        self.facts()?.append(entry);
        Ok(())
    }

    async fn entries(&self, from: u64, most: usize) -> Result<Vec<Entry>, StoreError> {
        let skip = usize::try_from(from).unwrap_or(usize::MAX);
        Ok(self.facts()?.entries.iter().skip(skip).take(most).cloned().collect())
    }

    async fn entry_count(&self) -> Result<u64, StoreError> {
        Ok(u64::try_from(self.facts()?.entries.len()).unwrap_or(u64::MAX))
    }

    async fn checkpoint(&self) -> Result<String, StoreError> {
        let facts = self.facts()?;
        Ok(self.1.checkpoint(facts.frontier.size(), facts.frontier.root()))
    }

    async fn tree_hashes(&self, places: &[u64]) -> Result<Vec<Hash>, StoreError> {
        let facts = self.facts()?;
        let hash = |place: &u64| facts.hashes.get(usize::try_from(*place).ok()?).copied();
        let all = places.iter().map(hash).collect::<Option<_>>();
        all.ok_or_else(|| StoreError("the tree of the audit log has no such place".to_owned()))
    }

    async fn prune(&self, now: UnixTime) -> Result<(), StoreError> {
        let mut facts = self.facts()?;
        let mut over: Vec<_> = facts.sessions.values().filter(|session| session.expires <= now).cloned().collect();
        over.sort_by(|a, b| (a.expires, &a.id).cmp(&(b.expires, &b.id)));
        for session in over {
            facts.sessions.remove(&session.id);
            facts.append(run_out(&session, now)?);
        }
        facts.tokens.retain(|_, forget| now < *forget);
        facts.ended.prune(now);
        facts.keys.retain(|_, known| now.since(known.at) < records::KEY_MEMORY.as_secs());
        Ok(())
    }

    async fn ready(&self) -> Result<(), StoreError> {
        self.facts().map(drop)
    }
}

#[cfg(test)]
mod tests {
    use crate::store::{conformance, memory::MemoryStore};
    use std::sync::Arc;

    #[tokio::test]
    async fn the_promises_hold() {
        conformance::run(Arc::new(MemoryStore::new(crate::fixture::seal()))).await;
        conformance::outbox::run(Arc::new(MemoryStore::new(crate::fixture::seal()))).await;
    }
}
