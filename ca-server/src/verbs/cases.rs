//! Cases that were put together lately, for certificates that are issued under them again and again. They are kept for as long
//! as the store can tell that nothing happened to any request and that nobody logged in; where a case stands is computed anew
//! each time all the same.

use crate::{
    app::App,
    refusal::Refusal,
    store::{KeptRequest, Which, records},
    verbs::case::Case,
};
use policy::{Identity, RequestId};
use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The most of a kind that are kept: a few MiB.
const MOST: usize = 256;
/// So many requests of one person are read at a time.
pub(super) const PAGE: usize = 16;

/// What is kept.
#[derive(Default)]
pub struct Cases(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    /// See [`crate::store::Requests::changes`].
    changes: u64,
    cases: HashMap<RequestId, Option<Arc<Case>>>,
    /// Requester → their latest requests.
    latest: HashMap<[u8; 32], Arc<[KeptRequest]>>,
}

/// The case of `id`, if there is one.
pub(super) async fn of(app: &App, id: &RequestId) -> Result<Option<Arc<Case>>, Refusal> {
    let read = async || Ok(Case::load(app, id).await?.map(Arc::new));
    or_read(app, |kept| &mut kept.cases, id.clone(), read).await
}

/// The case of a request that was just read.
pub(super) async fn of_read(app: &App, kept: &KeptRequest) -> Result<Option<Arc<Case>>, Refusal> {
    let read = async || Ok(Some(Arc::new(Case::of(app, kept.clone()).await?)));
    or_read(app, |kept| &mut kept.cases, kept.request.id.clone(), read).await
}

/// The latest requests of this account, up to [`PAGE`].
pub(super) async fn latest(app: &App, identity: &Identity) -> Result<Arc<[KeptRequest]>, Refusal> {
    let Identity { issuer, subject, .. } = identity;
    let which = Which::Of(issuer.clone(), subject.clone());
    let read = async || Ok(app.store.requests(&which, None, PAGE).await?.into());
    or_read(app, |kept| &mut kept.latest, records::owner(issuer, subject), read).await
}

/// What is kept under `key`, else what `read` finds.
async fn or_read<K: Eq + Hash, V: Clone>(
    app: &App,
    kind: impl Fn(&mut Kept) -> &mut HashMap<K, V>,
    key: K,
    read: impl AsyncFnOnce() -> Result<V, Refusal>,
) -> Result<V, Refusal> {
    let Some(before) = app.store.changes() else { return read().await };
    if let Some(known) = kind(&mut app.cases.as_of(before)).get(&key) {
        return Ok(known.clone());
    }
    let found = read().await?;
    // What was read before a change must not be kept after it.
    if app.store.changes() == Some(before) {
        let mut kept = app.cases.as_of(before);
        let known = kind(&mut kept);
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(key, found.clone());
    }
    Ok(found)
}

impl Cases {
    /// What is kept as of so many changes, and of no others.
    fn as_of(&self, changes: u64) -> MutexGuard<'_, Kept> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.changes != changes {
            *kept = Kept { changes, ..Kept::default() };
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fixture::{Stage, seal},
        store::memory::MemoryStore,
    };

    #[tokio::test]
    async fn what_was_read_before_a_change_is_not_kept_after_it() {
        let stage = Stage::new(Arc::new(MemoryStore::new(seal())));
        // Whether it was read; somebody logs in meanwhile if `n` says who.
        let look = async |n: Option<u8>| {
            let mut read = false;
            let reading = async || {
                read = true;
                if let Some(n) = n {
                    stage.login(n, "bob").await;
                }
                Ok(None)
            };
            let id = RequestId::from_random([1; 12]);
            assert!(or_read(&stage.app, |kept| &mut kept.cases, id, reading).await.unwrap().is_none());
            read
        };
        assert!(look(None).await);
        assert!(!look(None).await, "it is kept");
        stage.login(1, "ann").await;
        assert!(look(Some(2)).await, "somebody logged in since");
        assert!(look(None).await, "somebody logged in meanwhile");
        assert!(!look(None).await, "it is kept");
    }
}
