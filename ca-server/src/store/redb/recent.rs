//! Sessions that were read lately and the keys that they have proven, as they are in the file. The file has one writer, so
//! it is known when they change.

use crate::store::LoginSession;
use policy::SessionId;
use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The most that are kept: a few MiB.
const MOST: usize = 4_096;

#[derive(Default)]
pub(super) struct Recent(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    /// How often sessions changed. What was read before a change must not be kept after it.
    changes: u64,
    sessions: HashMap<SessionId, LoginSession>,
    /// Session, digest of a key that it has proven. What is proven stays so until the session ends.
    proofs: HashSet<(SessionId, [u8; 32])>,
}

/// The state of the file that a reading began with.
#[derive(Clone, Copy)]
pub(super) struct Before(u64);

impl Recent {
    /// The session, if it is kept; else what to hand in with it once it was read.
    pub(super) fn look(&self, id: &SessionId) -> Result<LoginSession, Before> {
        let kept = self.kept();
        kept.sessions.get(id).cloned().ok_or(Before(kept.changes))
    }

    pub(super) fn keep(&self, session: &LoginSession, before: Before) {
        let mut kept = self.kept();
        if kept.changes != before.0 {
            return;
        }
        if kept.sessions.len() >= MOST {
            kept.sessions.clear();
        }
        kept.sessions.insert(session.id.clone(), session.clone());
    }

    /// Nothing where it is known that this session has proven the key with this digest; else what to hand in once it was read.
    pub(super) fn unproven(&self, session: &SessionId, key: &[u8; 32]) -> Option<Before> {
        let kept = self.kept();
        let known = kept.proofs.contains(&(session.clone(), *key));
        (!known).then_some(Before(kept.changes))
    }

    pub(super) fn keep_proof(&self, session: &SessionId, key: &[u8; 32], before: Before) {
        let mut kept = self.kept();
        if kept.changes != before.0 {
            return;
        }
        if kept.proofs.len() >= MOST {
            kept.proofs.clear();
        }
        kept.proofs.insert((session.clone(), *key));
    }

    /// Some session began or ended, or may have.
    pub(super) fn change(&self) {
        let mut kept = self.kept();
        kept.changes += 1;
        kept.sessions.clear();
        kept.proofs.clear();
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
