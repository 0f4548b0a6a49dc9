//! Cases that were put together lately, for certificates that are issued under them again and again. They are kept for as long
//! as the store can tell that nothing happened to any request and that nobody logged in; where a case stands is computed anew
//! each time all the same.

use crate::{
    app::App,
    refusal::Refusal,
    store::{KeptRequest, Which, records},
    verbs::case::Case,
};
use policy::{Identity, Request, RequestId, Step};
use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// About how many KiB are kept, then all are forgotten.
const MOST: usize = 8_192;
/// So many requests of one person are read at a time.
pub(super) const PAGE: usize = 16;

/// What is kept.
#[derive(Default)]
pub struct Cases(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    /// See [`crate::store::Requests::changes`].
    changes: u64,
    /// So many KiB.
    weight: usize,
    cases: HashMap<RequestId, Option<Arc<Case>>>,
    /// Requester → their latest requests.
    latest: HashMap<[u8; 32], Arc<[KeptRequest]>>,
}

/// The case of `id`, if there is one.
pub(super) async fn of(app: &App, id: &RequestId) -> Result<Option<Arc<Case>>, Refusal> {
    let read = async || Ok(Case::load(app, id).await?.map(Arc::new));
    or_read(app, app.store.changes(), |kept| &mut kept.cases, weight, id.clone(), read).await
}

/// The case of a request that was read after the store had counted so many changes.
pub(super) async fn of_read(app: &App, kept: &KeptRequest, changes: Option<u64>) -> Result<Option<Arc<Case>>, Refusal> {
    let read = async || Ok(Some(Arc::new(Case::of(app, kept.clone()).await?)));
    or_read(app, changes, |kept| &mut kept.cases, weight, kept.request.id.clone(), read).await
}

fn weight(case: &Option<Arc<Case>>) -> usize {
    case.as_ref().map_or(1, |case| case.weight())
}

/// About how many KiB these take: most of it is groups.
pub(super) fn weight_of(request: &Request, steps: &[Step]) -> usize {
    let people = std::iter::once(&request.requester).chain(steps.iter().map(|step| &step.by));
    people.map(|who| 1 + who.groups.len() / 16).sum()
}

/// The latest requests of this account, up to [`PAGE`].
pub(super) async fn latest(app: &App, identity: &Identity) -> Result<Arc<[KeptRequest]>, Refusal> {
    let Identity { issuer, subject, .. } = identity;
    let which = Which::Of(issuer.clone(), subject.clone());
    let read = async || Ok(app.store.requests(&which, None, PAGE).await?.into());
    let weight =
        |page: &Arc<[KeptRequest]>| 1 + page.iter().map(|kept| weight_of(&kept.request, &kept.steps)).sum::<usize>();
    or_read(app, app.store.changes(), |kept| &mut kept.latest, weight, records::owner(issuer, subject), read).await
}

/// What is kept under `key`, else what `read` finds by what was read since `changes`.
async fn or_read<K: Eq + Hash, V: Clone>(
    app: &App,
    changes: Option<u64>,
    kind: impl Fn(&mut Kept) -> &mut HashMap<K, V>,
    weight: impl Fn(&V) -> usize,
    key: K,
    read: impl AsyncFnOnce() -> Result<V, Refusal>,
) -> Result<V, Refusal> {
    let Some(before) = changes else { return read().await };
    if let Some(known) = kind(&mut app.cases.as_of(before)).get(&key) {
        return Ok(known.clone());
    }
    let found = read().await?;
    let weight = weight(&found);
    // What was read before a change must not be kept after it.
    if weight <= MOST && app.store.changes() == Some(before) {
        let mut kept = app.cases.as_of(before);
        if kept.weight + weight > MOST {
            *kept = Kept { changes: before, ..Kept::default() };
        }
        kept.weight += weight;
        kind(&mut kept).insert(key, found.clone());
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
        audit::Entry,
        fixture::{NOW, Stage, identity, origin, seal},
        store::memory::MemoryStore,
    };
    use policy::{Approval, Digest, Seconds, What};

    fn request(subject: &str) -> Request {
        Request {
            id: RequestId::from_random([1; 12]),
            requester: identity(subject),
            targets: vec!["root@web-1".parse().unwrap()],
            duration: Seconds::new(600),
            reason: None,
            ticket: None,
            start: None,
            under: None,
            source: origin().source,
            filed: NOW,
            expires: NOW.plus(Seconds::new(600)),
            extends: None,
            break_glass: None,
        }
    }

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
            assert!(
                or_read(&stage.app, stage.app.store.changes(), |kept| &mut kept.cases, weight, id, reading)
                    .await
                    .unwrap()
                    .is_none()
            );
            read
        };
        assert!(look(None).await);
        assert!(!look(None).await, "it is kept");
        stage.login(1, "ann").await;
        assert!(look(Some(2)).await, "somebody logged in since");
        assert!(look(None).await, "somebody logged in meanwhile");
        assert!(!look(None).await, "it is kept");
    }

    /// Else whoever it is of would be told for as long as nothing else happens that it still waits.
    #[tokio::test]
    async fn a_request_that_was_read_before_a_change_is_not_kept_after_it() {
        let stage = Stage::new(Arc::new(MemoryStore::new(seal())));
        let (app, ann, entry) = (&stage.app, identity("ann"), || Entry::from_bytes(b"{}".to_vec()));
        let id = request("ann").id;
        app.store.file_request(request("ann"), None, entry()).await.unwrap();
        let (before, page) = (app.store.changes(), latest(app, &ann).await.unwrap());
        let cancelled = Step { at: NOW, by: ann, what: What::Cancelled };
        app.store.add_step(&id, 0, cancelled, entry()).await.unwrap();
        assert!(of_read(app, &page[0], before).await.unwrap().unwrap().steps.is_empty(), "as it was read");
        assert_eq!(of(app, &id).await.unwrap().unwrap().steps.len(), 1, "as it is");
    }

    #[tokio::test]
    async fn people_in_many_groups_weigh_more() {
        let stage = Stage::new(Arc::new(MemoryStore::new(seal())));
        let mut lea = identity("lea");
        lea.groups = (0..800).map(|n| format!("group-{n}").parse().unwrap()).collect();
        stage.login_as(1, lea.clone()).await;
        let request = request("ann");
        let approval = Approval { digest: Digest([1; 32]), duration: None, only: Vec::new(), reason: None };
        let approved = Step { at: NOW, by: lea, what: What::Approved(approval) };
        let kept = KeptRequest { request, steps: vec![approved] };
        let case = Case::of(&stage.app, kept).await.unwrap();
        assert_eq!(case.joined.len(), 800);
        assert!((100..300).contains(&case.weight()), "{}", case.weight());
    }

    #[tokio::test]
    async fn what_is_kept_stays_small() {
        let stage = Stage::new(Arc::new(MemoryStore::new(seal())));
        let keep = async |n: u8, weight: usize| {
            let read = async || Ok(None);
            or_read(
                &stage.app,
                stage.app.store.changes(),
                |kept| &mut kept.cases,
                |_| weight,
                RequestId::from_random([n; 12]),
                read,
            )
            .await
            .unwrap();
            let kept = stage.app.cases.as_of(stage.app.store.changes().unwrap());
            (kept.cases.len(), kept.weight)
        };
        assert_eq!(keep(1, MOST + 1).await, (0, 0), "too large by itself");
        assert_eq!(keep(2, MOST - 2).await, (1, MOST - 2));
        assert_eq!(keep(3, 2).await, (2, MOST));
        assert_eq!(keep(4, 1).await, (1, 1), "all are forgotten");
    }
}
