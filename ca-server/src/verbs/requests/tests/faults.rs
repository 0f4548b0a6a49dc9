//! Each call of the store fails once, in both ways, while a request lives its whole life; whoever asked tries again, as
//! `jit-ssh` does. Afterwards there is one request, each person approved once, the clock was started once, and every
//! certificate that left is on record.

use super::*;
use crate::{
    store::Which,
    verbs::{
        agenda::attend,
        authenticate::Caller,
        issue::tests::{Fault, Faulty},
    },
};
use std::sync::atomic::{AtomicUsize, Ordering};

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fails_anywhere_in_a_life_leaves_one_life() {
    for fault in [Fault::Failed, Fault::FailedButPersisted] {
        let mut at = 0;
        // Until a life comes to its end without meeting the fault.
        while live(at, fault).await {
            at += 1;
        }
        assert!(at > 20, "faults were met: {at}");
    }
}

/// One life; whether it met the fault at call `at`.
async fn live(at: usize, fault: Fault) -> bool {
    let home = tempfile::tempdir().unwrap();
    // Each backend in its turn: what a disk or a database costs is not paid for every call.
    let backend = match at % 5 {
        0 => Backend::Redb,
        1 => Backend::Postgres,
        _ => Backend::Memory,
    };
    let inner = backend.open(home.path()).await.remove(0);
    let store = Arc::new(Faulty { inner, at: usize::MAX, fault, calls: AtomicUsize::new(0) });
    let mut house = House::on(Arc::clone(&store) as _, POLICY).await;
    let callers = [house.0.caller(ANN).await, house.0.caller(LEA).await, house.0.caller(SAM).await];
    let armed = Arc::new(Faulty { inner: Arc::clone(&store.inner), at, fault, calls: AtomicUsize::new(0) });
    house.0.app.store = Arc::clone(&armed) as _;
    let (released, body) = life(&house, &callers).await;
    let what = format!("{backend:?}, call {at}, {fault:?}");

    let kept = store.inner.requests(&Which::All, None, 9).await.unwrap();
    assert_eq!(kept.len(), 1, "{what}: filed once");
    let entries: Vec<Value> = store.inner.entries(0, 1_000).await.unwrap().iter().map(parsed).collect();
    in_order(&entries, &body);
    let count = |code: &str| entries.iter().filter(|entry| entry["code"] == code).count();
    assert_eq!((count("request.filed"), count("request.approved"), count("request.claimed")), (1, 2, 1), "{what}");
    assert_eq!(count("grant.finished"), 1, "{what}");
    let recorded: Vec<u64> = entries.iter().filter_map(|entry| entry["serial"].as_u64()).collect();
    assert!(released.iter().all(|serial| recorded.contains(serial)), "{what}: I1");
    armed.calls.load(Ordering::SeqCst) > at
}

fn parsed(entry: &crate::audit::Entry) -> Value {
    serde_json::from_slice(entry.as_bytes()).unwrap()
}

/// Asks, is approved, uses it twice, and lets its time run out; the serials of what was released.
async fn life(house: &House, [ann, lea, sam]: &[Caller; 3]) -> (Vec<u64>, RequestBody) {
    let app = &house.0.app;
    let filed = again(async || requests::file(app, ann, ask(&["root@web-1"]), Some("k")).await).await;
    let (Outcome::Filed(shown) | Outcome::AsBefore(shown)) = filed;
    let body = shown.body;
    for who in [lea, sam] {
        again(async || reviews::approve(app, who, id(&body), None, yes(&body)).await).await;
    }
    let mut released = Vec::new();
    for proof in [Some(ANN), None] {
        let request = || certificate_request("root@web-1", &user_key(10), proof);
        released.push(again(async || issue(app, ann, request()).await).await.serial.get());
    }
    house.pass(1_800);
    again(async || attend(app).await).await;
    (released, body)
}

/// Once more where the store failed. No other refusal is to be met.
async fn again<T>(attempt: impl AsyncFn() -> Result<T, Refusal>) -> T {
    match attempt().await {
        Err(refusal) if refusal.code == Code::StoreUnavailable => attempt().await.unwrap(),
        Err(refusal) => panic!("{refusal:?}"),
        Ok(done) => done,
    }
}
