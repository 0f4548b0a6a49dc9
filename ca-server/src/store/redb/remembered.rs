//! What was read of requests and of people lately, as it is in the file. The file has one writer, so it is known when that
//! may have changed: with every write that does not say that it leaves them alone.

use crate::store::{KeptRequest, StoreError};
use policy::{Group, Identity, RequestId, UnixTime};
use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The most answers of a kind that are kept: a few MiB.
const MOST: usize = 256;

#[derive(Default)]
pub(super) struct Remembered(Mutex<Kept>);

#[derive(Default)]
pub(super) struct Kept {
    /// How often they changed. What was read before a change must not be kept after it.
    changes: u64,
    /// Requester, how many → so many of their latest requests.
    pub latest: HashMap<([u8; 32], usize), Vec<KeptRequest>>,
    pub extensions: HashMap<RequestId, Vec<KeptRequest>>,
    pub identities: HashMap<[u8; 32], Option<Identity>>,
    pub since: HashMap<[u8; 32], Vec<(Group, UnixTime)>>,
}

impl Remembered {
    /// What is kept under `key`, else what `read` finds.
    pub(super) fn or_read<K: Eq + Hash, V: Clone>(
        &self,
        kind: impl Fn(&mut Kept) -> &mut HashMap<K, V>,
        key: K,
        read: impl FnOnce() -> Result<V, StoreError>,
    ) -> Result<V, StoreError> {
        let before = {
            let mut kept = self.kept();
            if let Some(known) = kind(&mut kept).get(&key) {
                return Ok(known.clone());
            }
            kept.changes
        };
        let found = read()?;
        let mut kept = self.kept();
        if kept.changes == before {
            let known = kind(&mut kept);
            if known.len() >= MOST {
                known.clear();
            }
            known.insert(key, found.clone());
        }
        Ok(found)
    }

    /// Some request or somebody's identity changed, or may have.
    pub(super) fn change(&self) {
        let mut kept = self.kept();
        *kept = Kept { changes: kept.changes.wrapping_add(1), ..Kept::default() };
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::Remembered;

    #[test]
    fn what_was_read_before_a_change_is_not_kept_after_it() {
        let remembered = Remembered::default();
        let look = |meanwhile: fn(&Remembered)| {
            let mut read = false;
            let found = remembered.or_read(
                |kept| &mut kept.identities,
                [1; 32],
                || {
                    read = true;
                    meanwhile(&remembered);
                    Ok(None)
                },
            );
            assert_eq!(found.unwrap(), None);
            read
        };
        assert!(look(|_| ()));
        assert!(!look(|_| ()), "it is kept");
        remembered.change();
        assert!(look(Remembered::change));
        assert!(look(|_| ()), "it was read before the change");
    }
}
