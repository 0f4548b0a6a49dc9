//! What every store promises about live certificates and revoked ones.

use super::{NOW, entry, open, session};
use crate::store::{
    Claim, Issued, LiveCertificate, Recorded, Revoked, Selection, Stepped, Store, StoreError,
    revocations::{AFTER_EXPIRY, Account},
};
use policy::{EndReason, GrantId, Request, RequestId, Seconds, Serial, Step, UnixTime, What};
use std::sync::{Arc, Mutex};

pub(super) fn host(name: &str) -> Selection {
    Selection::Hosts(vec!["elsewhere".parse().unwrap(), name.parse().unwrap()])
}

/// All of it.
pub(super) async fn run(store: &Arc<dyn Store>) {
    what_lives_is_found_by_each_selection(&**store).await;
    what_is_revoked_is_in_the_list_from_the_next_version_on(&**store).await;
    an_entry_that_cannot_be_made_revokes_nothing(&**store).await;
    an_end_revokes_what_was_recorded_under_it(&**store).await;
    what_has_long_expired_leaves(&**store).await;
    of_an_issue_and_an_end_the_certificate_is_dead_either_way(store).await;
}

/// A certificate of `subject` for `host` that lives for an hour from [`NOW`], if nothing is frozen.
pub(in crate::store) fn issued(serial: u64, subject: &str, host: &str) -> Issued {
    let identity = session(1, subject).identity;
    Issued {
        serial: Serial::try_from(serial).unwrap(),
        expires: NOW.plus(Seconds::new(3_600)),
        holder: (identity.issuer, identity.subject),
        host: host.parse().unwrap(),
        policy: "ops".parse().unwrap(),
        grant: GrantId::from_random(std::array::from_fn(|n| u8::try_from(serial >> (8 * (n % 4)) & 0xff).unwrap())),
        freezes: 0,
    }
}

async fn issue(store: &dyn Store, n: u8, issued: Issued) -> Recorded {
    let id = session(n, "x").id;
    let issued = Issued { freezes: store.freezes().await.unwrap().version, ..issued };
    store.record_issue(&id, None, None, issued, entry("issued")).await.unwrap()
}

pub(super) async fn live(store: &dyn Store, which: Selection, now: UnixTime) -> Vec<u64> {
    store.live(&which, now).await.unwrap().iter().map(|one| one.serial.get()).collect()
}

fn silent() -> Account {
    Arc::new(|_, _| Ok(Vec::new()))
}

async fn revoke(store: &dyn Store, which: Selection, now: UnixTime) -> Vec<(u64, bool)> {
    let revoked = store.revoke(which, now, silent()).await.unwrap();
    revoked.iter().map(|one| (one.serial.get(), one.revoked)).collect()
}

async fn krl(store: &dyn Store) -> Revoked {
    store.revoked(None).await.unwrap().unwrap()
}

fn numbers(serials: &[Serial]) -> Vec<u64> {
    serials.iter().map(|serial| serial.get()).collect()
}

async fn what_lives_is_found_by_each_selection(store: &dyn Store) {
    open(store, session(150, "rex"), 150).await;
    let other = Issued {
        holder: ("https://id.example.org".parse().unwrap(), "rex".parse().unwrap()),
        policy: "else".parse().unwrap(),
        expires: NOW.plus(Seconds::new(60)),
        ..issued(1_002, "rex", "r-2")
    };
    assert_eq!(issue(store, 150, issued(1_003, "rex", "r-1")).await, Recorded::Yes);
    assert_eq!(issue(store, 150, issued(1_001, "rob", "r-1")).await, Recorded::Yes);
    assert_eq!(issue(store, 150, other.clone()).await, Recorded::Yes);
    let rex = |issuer: &str| (issuer.parse().unwrap(), "rex".parse().unwrap());
    let (here, there) = (rex("https://id.example.com"), rex("https://id.example.org"));
    let rows = [
        (Selection::Grant(other.grant.clone()), vec![1_002]),
        (Selection::Grant(GrantId::from_random([77; 12])), vec![]),
        (Selection::Holders(vec![here.clone()]), vec![1_003]),
        (Selection::Holders(vec![here, there]), vec![1_002, 1_003]),
        (Selection::Holders(vec![]), vec![]),
        (host("r-1"), vec![1_001, 1_003]),
        (host("r"), vec![]),
        (Selection::Policy("else".parse().unwrap()), vec![1_002]),
        (Selection::Serial(Serial::try_from(1_003).unwrap()), vec![1_003]),
        (Selection::Serial(Serial::try_from(9_999).unwrap()), vec![]),
        (Selection::Issuer("https://id.example.org".parse().unwrap()), vec![1_002]),
    ];
    for (which, expect) in rows {
        assert_eq!(live(store, which.clone(), NOW).await, expect, "{which:?}");
    }
    let ours = |serials: Vec<u64>| serials.into_iter().filter(|n| (1_001..=1_003).contains(n)).collect::<Vec<_>>();
    assert_eq!(ours(live(store, Selection::All, NOW).await), [1_002, 1_001, 1_003], "by expiry, then serial");
    assert_eq!(live(store, Selection::Policy("else".parse().unwrap()), other.expires).await, [0; 0], "expired");
    let all = store.live(&host("r-1"), NOW).await.unwrap();
    let expires = NOW.plus(Seconds::new(3_600));
    assert_eq!(all[0], LiveCertificate { expires, serial: Serial::try_from(1_001).unwrap(), revoked: false });
}

async fn what_is_revoked_is_in_the_list_from_the_next_version_on(store: &dyn Store) {
    let Revoked { edition, serials, .. } = krl(store).await;
    let version = edition.version;
    assert_eq!(serials, []);
    assert_eq!(store.revoked(Some(&edition)).await.unwrap(), None);
    let before = store.entry_count().await.unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let account: Account = {
        let told = Arc::clone(&told);
        Arc::new(move |revoked, krl| {
            *told.lock().unwrap() = vec![(revoked.to_vec(), krl)];
            Ok(vec![entry("revoked 1"), entry("revoked 2")])
        })
    };
    let which = host("r-1");
    let at = NOW.plus(Seconds::new(5));
    let revoked = store.revoke(which.clone(), at, account).await.unwrap();
    assert_eq!(*told.lock().unwrap(), [(revoked.clone(), version + 1)]);
    assert_eq!(
        revoked.iter().map(|one| (one.serial.get(), one.revoked)).collect::<Vec<_>>(),
        [(1_001, false), (1_003, false)]
    );
    assert_eq!(store.entries(before, 9).await.unwrap(), ["revoked 1", "revoked 2"].map(entry));
    let now = krl(store).await;
    assert_eq!((now.edition.version, now.changed, numbers(&now.serials)), (version + 1, at, vec![1_001, 1_003]));
    assert_eq!(store.revoked(Some(&edition)).await.unwrap().as_ref(), Some(&now));

    assert_eq!(revoke(store, which, at).await, [(1_001, true), (1_003, true)], "again");
    assert_eq!(krl(store).await, now, "changes nothing");
    assert_eq!(revoke(store, Selection::Serial(Serial::try_from(1_002).unwrap()), NOW).await, [(1_002, false)]);
    assert_eq!(numbers(&krl(store).await.serials), [1_001, 1_002, 1_003], "in order");
    assert_eq!(krl(store).await.edition.version, version + 2);
}

async fn an_entry_that_cannot_be_made_revokes_nothing(store: &dyn Store) {
    issue(store, 150, issued(1_004, "rex", "r-4")).await;
    let before = krl(store).await;
    let broken: Account = Arc::new(|_, _| Err(StoreError("no words".to_owned())));
    store.revoke(host("r-4"), NOW, broken).await.unwrap_err();
    assert_eq!(krl(store).await, before);
}

fn id(n: u8) -> RequestId {
    RequestId::from_random([n; 12])
}

async fn file(store: &dyn Store, n: u8) {
    let request = Request { id: id(n), ..super::requests::request(n, "rex", 2_000 + u64::from(n)) };
    store.file_request(request, None, entry("filed")).await.unwrap();
}

fn step(what: What, after: u32) -> Step {
    Step { at: NOW.plus(Seconds::new(after)), by: session(1, "rita").identity, what }
}

fn claim(n: u8, seen: usize) -> Option<Claim> {
    let expires = NOW.plus(Seconds::new(3_600));
    Some(Claim { request: id(n), seen, step: None, expires, extensions: Vec::new() })
}

async fn an_end_revokes_what_was_recorded_under_it(store: &dyn Store) {
    let rex = session(150, "rex").id;
    let freezes = store.freezes().await.unwrap().version;
    for n in [231, 232] {
        file(store, n).await;
        for serial in [u64::from(n) * 10, u64::from(n) * 10 + 1] {
            let mut issued = Issued { grant: id(n).grant(), freezes, ..issued(serial, "rex", "r-5") };
            if serial % 10 == 1 {
                issued.expires = NOW.plus(Seconds::new(30));
            }
            let recorded = store.record_issue(&rex, None, claim(n, 0), issued, entry("issued")).await;
            assert_eq!(recorded.unwrap(), Recorded::Yes);
        }
    }
    let before = (store.entry_count().await.unwrap(), krl(store).await);
    let approved = What::Approved(policy::Approval {
        digest: policy::Digest([7; 32]),
        duration: None,
        only: Vec::new(),
        reason: None,
    });
    assert_eq!(store.add_step(&id(231), 0, step(approved, 0), entry("approved")).await.unwrap(), Stepped::Yes);
    assert_eq!(krl(store).await, before.1, "no end");
    let denied = What::Denied { reason: "no".parse().unwrap() };
    assert_eq!(store.add_step(&id(231), 0, step(denied.clone(), 30), entry("x")).await.unwrap(), Stepped::Changed);
    assert_eq!(krl(store).await, before.1, "not taken");
    assert_eq!(store.add_step(&id(231), 1, step(denied, 30), entry("denied")).await.unwrap(), Stepped::Yes);
    let after = krl(store).await;
    let grown: Vec<u64> =
        numbers(&after.serials).into_iter().filter(|n| !numbers(&before.1.serials).contains(n)).collect();
    assert_eq!(
        (grown, after.edition.version),
        (vec![2_310], before.1.edition.version + 1),
        "what lived then, and nobody else's"
    );
    let entries = store.entries(before.0, 9).await.unwrap();
    assert_eq!(entries[..2], ["approved", "denied"].map(entry));
    let told: serde_json::Value = serde_json::from_slice(entries[2].as_bytes()).unwrap();
    assert_eq!((&told["code"], &told["serials"]), (&"certificates.revoked".into(), &serde_json::json!([2_310])));
    assert_eq!((&told["grant"], &told["krl"]), (&id(231).grant().as_str().into(), &after.edition.version.into()));
    assert_eq!((&told["actor"]["subject"], entries.len()), (&"rita".into(), 3));
    let done = What::Ended { why: EndReason::Done, reason: None };
    assert_eq!(store.add_step(&id(232), 0, step(done, 60), entry("done")).await.unwrap(), Stepped::Yes);
    assert!(numbers(&krl(store).await.serials).contains(&2_320));
    assert_eq!(live(store, Selection::Grant(id(232).grant()), NOW).await, [2_321, 2_320]);
}

async fn what_has_long_expired_leaves(store: &dyn Store) {
    let before = krl(store).await;
    assert!(numbers(&before.serials).contains(&1_002));
    let gone = NOW.plus(Seconds::new(60)).plus(AFTER_EXPIRY);
    store.prune(gone.minus(Seconds::new(1))).await.unwrap();
    assert_eq!(krl(store).await.serials, before.serials, "for hosts whose clocks are behind");
    let version = krl(store).await.edition.version;
    store.prune(gone).await.unwrap();
    let after = krl(store).await;
    assert!(!numbers(&after.serials).contains(&1_002) && numbers(&after.serials).contains(&1_001));
    assert_eq!((after.edition.version, after.changed), (version + 1, gone));
    store.prune(gone).await.unwrap();
    assert_eq!(krl(store).await, after);
    assert_eq!(live(store, Selection::Serial(Serial::try_from(1_002).unwrap()), NOW).await, [0; 0]);
}

async fn of_an_issue_and_an_end_the_certificate_is_dead_either_way(store: &Arc<dyn Store>) {
    let rex = session(150, "rex").id;
    let freezes = store.freezes().await.unwrap().version;
    for n in 240..250 {
        file(&**store, n).await;
        let racers: Vec<_> = (0..8u64)
            .map(|racer| {
                let (store, rex) = (Arc::clone(store), rex.clone());
                tokio::spawn(async move {
                    if racer == 4 {
                        let end = step(What::Cancelled, 0);
                        store.add_step(&id(n), 0, end, entry("end")).await.unwrap();
                        return;
                    }
                    let serial = u64::from(n) * 100 + racer;
                    let issued = Issued { grant: id(n).grant(), freezes, ..issued(serial, "rex", "r-6") };
                    store.record_issue(&rex, None, claim(n, 0), issued, entry("issued")).await.unwrap();
                })
            })
            .collect();
        for racer in racers {
            racer.await.unwrap();
        }
        let under = store.live(&Selection::Grant(id(n).grant()), NOW).await.unwrap();
        assert!(under.iter().all(|one| one.revoked), "recorded before the end, so revoked by it: {under:?}");
    }
}
