//! What every store promises about requests.

use super::{NOW, entry, session};
use crate::store::{Filed, Idempotency, KeptRequest, Stepped, Store, Which, Word};
use policy::{Approval, BreakGlass, Digest, EndReason, Request, RequestId, Seconds, Step, UnixTime, Verdict, What};
use std::{net::IpAddr, sync::Arc};

/// All of it, on a store that holds no request.
pub(super) async fn run(store: &Arc<dyn Store>) {
    a_request_is_kept_as_it_was_filed(&**store).await;
    filing_twice_with_one_key_is_filing_once(&**store).await;
    one_key_files_once_however_many_race(store).await;
    lists_are_newest_first_and_go_on_where_they_ended(&**store).await;
    steps_are_taken_in_order_and_one_at_a_time(&**store).await;
    one_of_many_racing_steps_wins(store).await;
    what_has_ended_or_expired_does_not_wait(&**store).await;
    emergency_access_stays_listed_until_it_is_reviewed(&**store).await;
    requests_are_found_by_their_words(&**store).await;
}

pub(crate) fn request(id: u8, subject: &str, filed: u64) -> Request {
    let filed = UnixTime::from_secs(NOW.as_secs() + filed);
    Request {
        id: RequestId::from_random([id; 12]),
        requester: session(1, subject).identity,
        targets: vec!["root@db-1".parse().unwrap(), "root@db-2".parse().unwrap()],
        duration: Seconds::new(1_800),
        reason: Some("größer".parse().unwrap()),
        ticket: Some("OPS-17".parse().unwrap()),
        start: Some(filed),
        under: Some("root-by-two".parse().unwrap()),
        source: IpAddr::from([192, 0, 2, 1]),
        filed,
        expires: filed.plus(Seconds::new(600)),
        extends: None,
        break_glass: None,
    }
}

pub(in crate::store) fn id(n: u8) -> RequestId {
    RequestId::from_random([n; 12])
}

pub(in crate::store) fn step(what: What) -> Step {
    Step { at: NOW, by: session(1, "rita").identity, what }
}

pub(super) fn approved() -> Step {
    step(What::Approved(Approval {
        digest: Digest([7; 32]),
        duration: Some(Seconds::new(60)),
        only: vec!["db-1".parse().unwrap()],
        reason: None,
    }))
}

fn of(subject: &str) -> Which {
    let identity = session(1, subject).identity;
    Which::Of(identity.issuer, identity.subject)
}

pub(in crate::store) async fn file(store: &dyn Store, request: Request) -> Filed {
    store.file_request(request, None, entry("filed")).await.unwrap()
}

pub(in crate::store) async fn listed(
    store: &dyn Store,
    which: &Which,
    after: Option<u8>,
    most: usize,
) -> Vec<RequestId> {
    let after = after.map(id);
    let kept = store.requests(which, after.as_ref(), most).await.unwrap();
    kept.into_iter().map(|kept| kept.request.id).collect()
}

async fn a_request_is_kept_as_it_was_filed(store: &dyn Store) {
    let before = store.entry_count().await.unwrap();
    let given = request(1, "ann", 0);
    assert_eq!(store.request(&given.id).await.unwrap(), None);
    assert_eq!(file(store, given.clone()).await, Filed::Yes);
    let kept = KeptRequest { request: given.clone(), steps: Vec::new() };
    assert_eq!(store.request(&given.id).await.unwrap(), Some(kept));
    assert_eq!(store.entry_count().await.unwrap(), before + 1);
}

async fn filing_twice_with_one_key_is_filing_once(store: &dyn Store) {
    let key = |key: u8, body: u8| Some(Idempotency { key: [key; 32], body: [body; 32] });
    let filed = async |n, who, key| store.file_request(request(n, who, 1), key, entry("filed")).await.unwrap();
    assert_eq!(filed(2, "ann", key(1, 1)).await, Filed::Yes);
    let before = store.entry_count().await.unwrap();
    assert_eq!(filed(3, "ann", key(1, 1)).await, Filed::Before(id(2)));
    assert_eq!(filed(3, "ann", key(1, 2)).await, Filed::Mismatch);
    assert_eq!(store.request(&id(3)).await.unwrap(), None);
    assert_eq!(store.entry_count().await.unwrap(), before, "nothing changed");
    assert_eq!(filed(3, "bob", key(1, 1)).await, Filed::Yes, "another's equal key is another key");
    let with = async |who: &str, key: u8| {
        let issuer = session(1, who).identity.issuer;
        store.filed_with(&issuer, &who.parse().unwrap(), &[key; 32]).await.unwrap()
    };
    assert_eq!(with("ann", 1).await, Some(([1; 32], id(2))));
    assert_eq!(with("bob", 1).await, Some(([1; 32], id(3))));
    assert_eq!(with("ann", 7).await, None);
    assert_eq!(filed(4, "ann", key(2, 1)).await, Filed::Yes);
}

async fn one_key_files_once_however_many_race(store: &Arc<dyn Store>) {
    let key = Some(Idempotency { key: [9; 32], body: [1; 32] });
    let racers: Vec<_> = (0..32)
        .map(|n| {
            let store = Arc::clone(store);
            tokio::spawn(
                async move { store.file_request(request(100 + n, "race", 2), key, entry("filed")).await.unwrap() },
            )
        })
        .collect();
    let mut filed = Vec::new();
    for racer in racers {
        filed.push(racer.await.unwrap());
    }
    assert_eq!(filed.iter().filter(|filed| **filed == Filed::Yes).count(), 1);
    let kept = listed(&**store, &of("race"), None, 99).await;
    assert_eq!(kept.len(), 1);
    let before = Filed::Before(kept[0].clone());
    assert_eq!(filed.iter().filter(|filed| **filed == before).count(), 31, "all others learn which one it is");
}

async fn lists_are_newest_first_and_go_on_where_they_ended(store: &dyn Store) {
    // Two of one second: the id orders them.
    for (n, filed) in [(13, 12), (11, 10), (14, 12), (12, 11)] {
        file(store, request(n, "lister", filed)).await;
    }
    file(store, request(15, "listerine", 13)).await;
    let all = [14, 13, 12, 11].map(id);
    assert_eq!(listed(store, &of("lister"), None, 99).await, all);
    assert_eq!(listed(store, &of("lister"), None, 2).await, all[..2]);
    assert_eq!(listed(store, &of("lister"), Some(13), 2).await, all[2..]);
    assert_eq!(listed(store, &of("lister"), Some(11), 2).await, []);
    assert_eq!(listed(store, &of("lister"), Some(99), 2).await, [], "nothing follows what is not kept");
    assert_eq!(listed(store, &of("nobody"), None, 2).await, []);
    assert_eq!(listed(store, &Which::All, None, 3).await, [15, 14, 13].map(id));
    assert_eq!(listed(store, &Which::All, Some(12), 1).await, [id(11)]);
}

async fn steps_are_taken_in_order_and_one_at_a_time(store: &dyn Store) {
    file(store, request(20, "ann", 20)).await;
    let before = store.entry_count().await.unwrap();
    let add = async |n, seen, step| store.add_step(&id(n), seen, step, entry("step")).await.unwrap();
    assert_eq!(add(20, 1, approved()).await, Stepped::Changed);
    assert_eq!(add(20, 0, approved()).await, Stepped::Yes);
    assert_eq!(add(20, 0, step(What::Cancelled)).await, Stepped::Changed);
    assert_eq!(add(20, 1, step(What::Claimed)).await, Stepped::Yes);
    let denied = step(What::Denied { reason: "no".parse().unwrap() });
    assert_eq!(add(20, 2, denied.clone()).await, Stepped::Yes);
    assert_eq!(add(99, 0, approved()).await, Stepped::Changed, "there is no such request");
    let steps = store.request(&id(20)).await.unwrap().unwrap().steps;
    assert_eq!(steps, [approved(), step(What::Claimed), denied]);
    assert_eq!(store.entry_count().await.unwrap(), before + 3, "one entry a step");
}

async fn one_of_many_racing_steps_wins(store: &Arc<dyn Store>) {
    file(&**store, request(21, "ann", 21)).await;
    let steps = [
        approved(),
        step(What::Denied { reason: "no".parse().unwrap() }),
        step(What::Cancelled),
        step(What::Ended { why: EndReason::Revoked, reason: None }),
    ];
    let racers: Vec<_> = (0..32)
        .map(|n: usize| {
            let (store, step) = (Arc::clone(store), steps[n % 4].clone());
            tokio::spawn(async move { store.add_step(&id(21), 0, step, entry("step")).await.unwrap() })
        })
        .collect();
    let mut taken = 0;
    for racer in racers {
        taken += usize::from(racer.await.unwrap() == Stepped::Yes);
    }
    assert_eq!(taken, 1);
    assert_eq!(store.request(&id(21)).await.unwrap().unwrap().steps.len(), 1);
}

async fn what_has_ended_or_expired_does_not_wait(store: &dyn Store) {
    let ends = [
        step(What::Denied { reason: "no".parse().unwrap() }),
        step(What::Cancelled),
        step(What::Ended { why: EndReason::Done, reason: None }),
    ];
    for (n, end) in (31..).zip(ends) {
        file(store, request(n, "waiter", 1_000)).await;
        assert_eq!(store.add_step(&id(n), 0, end, entry("end")).await.unwrap(), Stepped::Yes);
    }
    for n in [35, 36] {
        file(store, request(n, "waiter", 1_000 + u64::from(n))).await;
    }
    store.add_step(&id(35), 0, approved(), entry("step")).await.unwrap();
    let at = |seconds| Which::Waiting(UnixTime::from_secs(NOW.as_secs() + seconds));
    assert_eq!(listed(store, &at(1_000), None, 99).await, [36, 35].map(id));
    assert_eq!(listed(store, &at(1_000), None, 1).await, [id(36)]);
    assert_eq!(listed(store, &at(1_000), Some(36), 9).await, [id(35)]);
    assert_eq!(listed(store, &at(1_635), None, 99).await, [id(36)], "an expired one waits for nobody");
    assert_eq!(listed(store, &at(1_636), None, 99).await, []);
}

/// The lists of two requests, one broken glass each, whatever else ends or expires.
async fn emergency_access_stays_listed_until_it_is_reviewed(store: &dyn Store) {
    assert_eq!(listed(store, &Which::Unreviewed, None, 9).await, []);
    let glass = |n, filed| Request {
        break_glass: Some(BreakGlass { incident: "INC-7".parse().unwrap(), review_by: NOW }),
        ..request(n, "eve", filed)
    };
    for (n, filed) in [(90, 2_000), (91, 2_001), (92, 2_001)] {
        assert_eq!(file(store, glass(n, filed)).await, Filed::Yes);
    }
    file(store, request(93, "eve", 2_002)).await;
    assert_eq!(store.request(&id(90)).await.unwrap().unwrap().request, glass(90, 2_000), "kept whole");
    assert_eq!(listed(store, &Which::Unreviewed, None, 9).await, [92, 91, 90].map(id), "newest first, and no other");
    assert_eq!(listed(store, &Which::Unreviewed, None, 1).await, [id(92)]);
    assert_eq!(listed(store, &Which::Unreviewed, Some(92), 9).await, [91, 90].map(id));
    let done = step(What::Ended { why: EndReason::Done, reason: None });
    assert_eq!(store.add_step(&id(91), 0, done, entry("end")).await.unwrap(), Stepped::Yes);
    store.prune(UnixTime::from_secs(NOW.as_secs() + 900_000)).await.unwrap();
    assert_eq!(
        listed(store, &Which::Unreviewed, None, 9).await,
        [92, 91, 90].map(id),
        "neither an end nor time is a review"
    );
    let reviewed = || step(What::Reviewed { verdict: Verdict::Concern, reason: "why root?".parse().unwrap() });
    assert_eq!(store.add_step(&id(91), 0, reviewed(), entry("review")).await.unwrap(), Stepped::Changed);
    assert_eq!(listed(store, &Which::Unreviewed, None, 9).await.len(), 3, "a review that came second is none");
    assert_eq!(store.add_step(&id(91), 1, reviewed(), entry("review")).await.unwrap(), Stepped::Yes);
    assert_eq!(store.request(&id(91)).await.unwrap().unwrap().steps[1], reviewed());
    assert_eq!(listed(store, &Which::Unreviewed, None, 9).await, [92, 90].map(id));
    assert_eq!(listed(store, &Which::Unreviewed, Some(91), 9).await, [id(90)], "goes on after one that left the list");
    for n in [90, 92] {
        assert_eq!(store.add_step(&id(n), 0, reviewed(), entry("review")).await.unwrap(), Stepped::Yes);
    }
    assert_eq!(listed(store, &Which::Unreviewed, None, 9).await, []);
}

async fn requests_are_found_by_their_words(store: &dyn Store) {
    let mut asked = request(140, "Finn", 90);
    asked.requester.email = Some("Finn@Example.com".parse().unwrap());
    asked.targets = vec!["root@web-9".parse().unwrap(), "deploy@web-9".parse().unwrap()];
    asked.ticket = Some("FIND-1".parse().unwrap());
    file(store, asked.clone()).await;
    let later = Request { id: id(141), filed: asked.filed.plus(Seconds::new(1)), ticket: None, ..asked };
    file(store, later).await;
    let both = [141, 140].map(id);
    for word in [Word::user("finn@example.com"), Word::user("FINN"), Word::host(&"web-9".parse().unwrap())] {
        let with = Which::With(word);
        assert_eq!(listed(store, &with, None, 9).await, both, "{with:?}");
        assert_eq!(listed(store, &with, None, 1).await, both[..1], "{with:?}");
        assert_eq!(listed(store, &with, Some(141), 9).await, both[1..], "{with:?}");
    }
    assert_eq!(listed(store, &Which::With(Word::ticket(&"find-1".parse().unwrap())), None, 9).await, both[1..]);
    assert_eq!(listed(store, &Which::With(Word::user("fin")), None, 9).await, [], "whole words only");
    assert_eq!(listed(store, &Which::With(Word::host(&"web".parse().unwrap())), None, 9).await, []);
}
