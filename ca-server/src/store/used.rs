//! When sessions were last used, in memory; written to the file once a minute each.

use crate::store::LoginSession;
use policy::{SessionId, UnixTime};
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// How much of a session's last use a crash may lose, in seconds.
const LOSS: u64 = 60;
/// What was not used for so long is idle by anybody's rules, or in the file.
const MEMORY: u64 = 3_600;

#[derive(Default)]
pub(super) struct LastUse(Mutex<HashMap<SessionId, Use>>);

#[derive(Clone, Copy)]
struct Use {
    last: UnixTime,
    written: UnixTime,
}

impl LastUse {
    /// Notes a use; answers whether it should be written now.
    pub(super) fn touch(&self, id: &SessionId, at: UnixTime) -> bool {
        let mut uses = self.uses();
        if let Some(known) = uses.get_mut(id) {
            known.last = known.last.max(at);
            if at.since(known.written) < LOSS {
                return false;
            }
            known.written = at;
            return true;
        }
        uses.insert(id.clone(), Use { last: at, written: at });
        true
    }

    /// The session as it was last used.
    pub(super) fn merge(&self, session: &mut LoginSession) {
        if let Some(known) = self.uses().get(&session.id) {
            session.used = session.used.max(known.last);
        }
    }

    /// Every use in memory. Those that were written may not have been: nobody waited for it. The file takes what is newer.
    pub(super) fn snapshot(&self) -> Vec<(SessionId, UnixTime)> {
        let uses = self.uses();
        uses.iter().map(|(id, known)| (id.clone(), known.last)).collect()
    }

    pub(super) fn forget(&self, id: &SessionId) {
        self.uses().remove(id);
    }

    /// Forgets what the file has and nobody used for long.
    pub(super) fn forget_before(&self, now: UnixTime) {
        let mut uses = self.uses();
        uses.retain(|_, known| now.since(known.last) < MEMORY);
        uses.shrink_to_fit();
    }

    fn uses(&self) -> MutexGuard<'_, HashMap<SessionId, Use>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::LastUse;
    use policy::{SessionId, UnixTime};

    /// What is written later may never be written: the queue was full, the disk failed.
    #[test]
    fn what_is_about_to_be_forgotten_is_handed_out_to_be_written_first() {
        let uses = LastUse::default();
        let id = SessionId::from_random([1; 12]);
        assert!(uses.touch(&id, UnixTime::from_secs(100)));
        assert_eq!(uses.snapshot(), [(id.clone(), UnixTime::from_secs(100))]);
        uses.forget_before(UnixTime::from_secs(100 + 3_600));
        assert!(uses.snapshot().is_empty());
    }
}
