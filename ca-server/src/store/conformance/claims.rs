//! What every store promises about certificates under requests: with the request as it was decided on, or not at all.

use super::{
    NOW, entry, open,
    requests::{approved, file, id, request, step},
    revocations::issued,
    session,
};
use crate::store::{Claim, KeyBinding, Recorded, Stepped, Store};
use policy::{EndReason, Request, Seconds, What};
use std::sync::Arc;

/// All of it, on a store that holds none of them.
pub(super) async fn run(store: &Arc<dyn Store>) {
    a_claim_is_recorded_with_its_certificate_or_not_at_all(&**store).await;
    a_claim_and_an_end_never_both_win(store).await;
    what_prolongs_is_found_and_pinned(&**store).await;
    whatever_makes_others_of_what_was_read_is_a_change(&**store).await;
}

pub(super) fn claim(n: u8, seen: usize) -> Claim {
    Claim {
        request: id(n),
        seen,
        step: Some((step(What::Claimed), entry("claimed"))),
        expires: NOW,
        extensions: Vec::new(),
    }
}

async fn a_claim_is_recorded_with_its_certificate_or_not_at_all(store: &dyn Store) {
    open(store, session(60, "cleo"), 60).await;
    let cleo = session(60, "cleo").id;
    file(store, request(40, "cleo", 40)).await;
    store.add_step(&id(40), 0, approved(), entry("step")).await.unwrap();
    let before = store.entry_count().await.unwrap();
    let key = Some(KeyBinding { key: [60; 32], at: NOW });
    let issue = async |key, claim| {
        store.record_issue(&cleo, key, Some(claim), issued(9, "x", "x"), entry("issued")).await.unwrap()
    };
    for seen in [0, 2] {
        assert_eq!(issue(key, claim(40, seen)).await, Recorded::RequestChanged);
    }
    assert_eq!(issue(key, claim(99, 0)).await, Recorded::RequestChanged, "there is no such request");
    assert!(!store.key_proven(&cleo, &[60; 32]).await.unwrap(), "refused means nothing changed");
    assert_eq!(store.last_expiry(&id(40)).await.unwrap(), None);
    assert_eq!(store.entry_count().await.unwrap(), before);
    assert_eq!(issue(key, claim(40, 1)).await, Recorded::Yes);
    assert_eq!(store.request(&id(40)).await.unwrap().unwrap().steps, [approved(), step(What::Claimed)]);
    assert_eq!(store.last_expiry(&id(40)).await.unwrap(), Some(NOW));
    for (after, latest) in [(60, 60), (30, 60)] {
        let again = Claim { step: None, expires: NOW.plus(Seconds::new(after)), ..claim(40, 2) };
        assert_eq!(issue(None, again).await, Recorded::Yes);
        assert_eq!(store.last_expiry(&id(40)).await.unwrap(), Some(NOW.plus(Seconds::new(latest))));
    }
    let again = Claim { step: None, ..claim(40, 2) };
    assert_eq!(issue(None, again.clone()).await, Recorded::Yes);
    assert_eq!(store.request(&id(40)).await.unwrap().unwrap().steps.len(), 2, "claimed once");
    let entries = store.entries(before, 9).await.unwrap();
    assert_eq!(entries, ["claimed", "issued", "issued", "issued", "issued"].map(entry));
    let done = step(What::Ended { why: EndReason::Done, reason: None });
    assert_eq!(store.add_step(&id(40), 2, done, entry("end")).await.unwrap(), Stepped::Yes);
    assert_eq!(issue(None, again).await, Recorded::RequestChanged, "nothing is issued after an end");
}

async fn a_claim_and_an_end_never_both_win(store: &Arc<dyn Store>) {
    let cleo = session(60, "cleo").id;
    for n in 41..57 {
        file(&**store, request(n, "cleo", 41)).await;
        let racers: Vec<_> = (0..8)
            .map(|racer| {
                let (store, cleo) = (Arc::clone(store), cleo.clone());
                tokio::spawn(async move {
                    if racer % 2 == 0 {
                        let recorded = store
                            .record_issue(&cleo, None, Some(claim(n, 0)), issued(13, "x", "x"), entry("issued"))
                            .await;
                        recorded.unwrap() == Recorded::Yes
                    } else {
                        store.add_step(&id(n), 0, step(What::Cancelled), entry("end")).await.unwrap() == Stepped::Yes
                    }
                })
            })
            .collect();
        let mut won = 0;
        for racer in racers {
            won += usize::from(racer.await.unwrap());
        }
        assert_eq!(won, 1);
        assert_eq!(store.request(&id(n)).await.unwrap().unwrap().steps.len(), 1);
    }
}

/// Where a store counts changes, none goes by uncounted: a case that was read before it would be issued under.
async fn whatever_makes_others_of_what_was_read_is_a_change(store: &dyn Store) {
    let mut before = store.changes();
    let mut changed = |what: &str| {
        let now = store.changes();
        assert!(now.is_none() || now != before, "{what}");
        before = now;
    };
    open(store, session(61, "cleo"), 61).await;
    changed("somebody logged in");
    let cleo = session(61, "cleo").id;
    file(store, request(80, "cleo", 80)).await;
    changed("a request was filed");
    store.add_step(&id(80), 0, approved(), entry("step")).await.unwrap();
    changed("a step was taken");
    let issue = async |claim| {
        store.record_issue(&cleo, None, Some(claim), issued(80, "x", "x"), entry("issued")).await.unwrap()
    };
    assert_eq!(issue(claim(80, 1)).await, Recorded::Yes);
    changed("a first use");
    let same = store.changes();
    assert_eq!(issue(Claim { step: None, ..claim(80, 2) }).await, Recorded::Yes);
    assert_eq!(store.changes(), same, "a further certificate changes neither requests nor people");
    let done = step(What::Ended { why: EndReason::Done, reason: None });
    store.add_step(&id(80), 2, done, entry("end")).await.unwrap();
    changed("an end");
}

async fn what_prolongs_is_found_and_pinned(store: &dyn Store) {
    file(store, request(70, "cleo", 70)).await;
    for n in [72, 71] {
        let longer = Request { extends: Some(id(70)), ..request(n, "cleo", u64::from(n)) };
        file(store, longer).await;
    }
    let found = store.extensions_of(&id(70)).await.unwrap();
    assert_eq!(found.into_iter().map(|kept| kept.request.id).collect::<Vec<_>>(), [71, 72].map(id), "oldest first");
    assert_eq!(store.extensions_of(&id(71)).await.unwrap(), []);
    store.add_step(&id(71), 0, approved(), entry("step")).await.unwrap();
    let cleo = session(60, "cleo").id;
    let pinned = |seen| Claim { extensions: vec![(id(71), seen), (id(72), 0)], ..claim(70, 0) };
    let issue = async |claim| {
        store.record_issue(&cleo, None, Some(claim), issued(10, "x", "x"), entry("issued")).await.unwrap()
    };
    assert_eq!(issue(pinned(0)).await, Recorded::RequestChanged);
    assert_eq!(issue(pinned(1)).await, Recorded::Yes);
}
