//! What every store promises, as one suite that runs on each.

mod agenda;
mod claims;
mod freezes;
pub(crate) mod outbox;
mod people;
pub(crate) mod policies;
pub(in crate::store) mod requests;
pub(crate) mod revocations;

use super::{KeyBinding, LoginSession, Opened, Recorded, Store, TokenUse, records::KEY_MEMORY};
use crate::{
    audit::{
        Entry,
        checkpoint::Checkpoint,
        tree::{self, Frontier, Plan},
    },
    fixture::seal,
};
use policy::{Identity, Kind, Seconds, SessionId, UnixTime};
use revocations::issued;
use std::{convert::Infallible, net::IpAddr, sync::Arc};

pub(super) const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);

/// All of it, on a store that is empty.
pub(super) async fn run(store: Arc<dyn Store>) {
    a_session_is_kept_as_it_was_given(&*store).await;
    a_token_opens_one_session(&*store).await;
    a_token_opens_one_session_however_many_race(&store).await;
    the_oldest_sessions_end_when_there_are_too_many(&*store).await;
    an_ended_session_is_gone_and_ends_once(&*store).await;
    a_key_belongs_to_who_proved_it_first(&*store).await;
    a_proof_counts_for_its_session_only(&*store).await;
    nothing_is_recorded_for_a_session_that_ended(&*store).await;
    entries_come_in_order_and_whole(&store).await;
    a_use_is_seen_and_never_goes_back(&*store).await;
    pruning_forgets_what_is_over_and_nothing_else(&*store).await;
    policies::run(&store).await;
    requests::run(&store).await;
    claims::run(&store).await;
    people::run(&store).await;
    agenda::run(&store).await;
    revocations::run(&store).await;
    freezes::run(&store).await;
    what_ends_by_itself_is_on_record(&*store).await;
    the_tree_is_over_the_entries_and_signed(&*store).await;
    store.ready().await.unwrap();
}

pub(super) fn entry(text: &str) -> Entry {
    Entry::from_bytes(text.as_bytes().to_vec())
}

pub(super) fn session(id: u8, subject: &str) -> LoginSession {
    LoginSession {
        id: SessionId::from_random([id; 12]),
        identity: Identity {
            kind: Kind::User,
            issuer: "https://id.example.com".parse().unwrap(),
            subject: subject.parse().unwrap(),
            email: Some("ann@example.com".parse().unwrap()),
            groups: vec!["ops".parse().unwrap(), "größe 1".parse().unwrap()],
            amr: vec!["pwd".to_owned(), "otp".to_owned()],
            acr: Some("urn:x".to_owned()),
            mfa: true,
            auth_time: Some(NOW),
            claims: vec![("repository".to_owned(), "a/b".to_owned())],
        },
        key: [id; 32],
        started: NOW,
        used: NOW,
        expires: NOW.plus(Seconds::new(3_600)),
        idle_seconds: 600,
        source: IpAddr::from([192, 0, 2, 1]),
    }
}

pub(super) fn token(digest: u8) -> TokenUse {
    TokenUse { digest: [digest; 32], forget: NOW.plus(Seconds::new(900)) }
}

pub(super) async fn open(store: &dyn Store, session: LoginSession, digest: u8) -> Opened {
    store.open_session(session, token(digest), 20, entry("opened")).await.unwrap()
}

async fn a_session_is_kept_as_it_was_given(store: &dyn Store) {
    let given = session(1, "ann");
    assert_eq!(store.session(&given.id).await.unwrap(), None);
    assert_eq!(open(store, given.clone(), 1).await, Opened::Yes);
    assert_eq!(store.session(&given.id).await.unwrap(), Some(given.clone()));
    let Identity { issuer, subject, .. } = &given.identity;
    assert_eq!(store.sessions_of(issuer, subject).await.unwrap(), std::slice::from_ref(&given));
    assert_eq!(store.sessions_of(issuer, &"ann2".parse().unwrap()).await.unwrap(), []);
    assert_eq!(store.sessions_of(&"https://id.example.org".parse().unwrap(), subject).await.unwrap(), []);
}

async fn a_token_opens_one_session(store: &dyn Store) {
    let before = store.entry_count().await.unwrap();
    assert_eq!(open(store, session(2, "bob"), 2).await, Opened::Yes);
    assert_eq!(open(store, session(3, "bob"), 2).await, Opened::TokenUsed);
    assert_eq!(store.session(&session(3, "bob").id).await.unwrap(), None, "refused means nothing changed");
    assert_eq!(store.entry_count().await.unwrap(), before + 1);
}

async fn a_token_opens_one_session_however_many_race(store: &Arc<dyn Store>) {
    let racers: Vec<_> = (0..32u8)
        .map(|n| {
            let store = Arc::clone(store);
            tokio::spawn(async move { open(&*store, session(100 + n, "race"), 3).await })
        })
        .collect();
    let mut opened = 0;
    for racer in racers {
        opened += usize::from(racer.await.unwrap() == Opened::Yes);
    }
    assert_eq!(opened, 1);
    let (issuer, subject) = ("https://id.example.com".parse().unwrap(), "race".parse().unwrap());
    assert_eq!(store.sessions_of(&issuer, &subject).await.unwrap().len(), 1);
}

async fn the_oldest_sessions_end_when_there_are_too_many(store: &dyn Store) {
    for n in 0..5u8 {
        let mut later = session(10 + n, "many");
        later.started = NOW.plus(Seconds::new(u32::from(n)));
        store.open_session(later, token(10 + n), 3, entry("opened")).await.unwrap();
    }
    let theirs = store.sessions_of(&session(10, "many").identity.issuer, &"many".parse().unwrap()).await.unwrap();
    let ids: Vec<SessionId> = theirs.into_iter().map(|session| session.id).collect();
    assert_eq!(ids, [14, 13, 12].map(|n| SessionId::from_random([n; 12])), "newest first");
    assert_eq!(store.session(&SessionId::from_random([10; 12])).await.unwrap(), None);
    assert!(store.session(&session(1, "ann").id).await.unwrap().is_some(), "others' sessions stay");
}

async fn an_ended_session_is_gone_and_ends_once(store: &dyn Store) {
    let given = session(20, "eve");
    open(store, given.clone(), 20).await;
    let before = store.entry_count().await.unwrap();
    assert!(store.end_session(&given.id, entry("ended")).await.unwrap());
    assert_eq!(store.session(&given.id).await.unwrap(), None);
    assert_eq!(store.sessions_of(&given.identity.issuer, &given.identity.subject).await.unwrap(), []);
    assert!(!store.end_session(&given.id, entry("ended")).await.unwrap());
    assert_eq!(store.entry_count().await.unwrap(), before + 1, "ending twice is one fact");
}

async fn a_key_belongs_to_who_proved_it_first(store: &dyn Store) {
    open(store, session(30, "kim"), 30).await;
    open(store, session(31, "lee"), 31).await;
    let (kim, lee) = (session(30, "kim").id, session(31, "lee").id);
    let binding = Some(KeyBinding { key: [9; 32], at: NOW });
    assert_eq!(
        store.record_issue(&kim, binding, None, issued(1, "x", "x"), entry("kim's")).await.unwrap(),
        Recorded::Yes
    );
    let before = store.entry_count().await.unwrap();
    assert_eq!(
        store.record_issue(&lee, binding, None, issued(2, "x", "x"), entry("lee's")).await.unwrap(),
        Recorded::KeyTaken
    );
    assert!(!store.key_proven(&lee, &[9; 32]).await.unwrap());
    assert_eq!(store.entry_count().await.unwrap(), before, "refused means nothing changed");
    assert_eq!(
        store.record_issue(&kim, binding, None, issued(3, "x", "x"), entry("again")).await.unwrap(),
        Recorded::Yes
    );
}

async fn a_proof_counts_for_its_session_only(store: &dyn Store) {
    let (first, second) = (session(30, "kim").id, session(32, "kim").id);
    open(store, session(32, "kim"), 32).await;
    assert!(store.key_proven(&first, &[9; 32]).await.unwrap());
    assert!(!store.key_proven(&second, &[9; 32]).await.unwrap());
    assert!(!store.key_proven(&first, &[8; 32]).await.unwrap());
    let binding = Some(KeyBinding { key: [9; 32], at: NOW });
    assert_eq!(
        store.record_issue(&second, binding, None, issued(4, "x", "x"), entry("kim's second")).await.unwrap(),
        Recorded::Yes
    );
    assert!(store.key_proven(&second, &[9; 32]).await.unwrap() && store.key_proven(&first, &[9; 32]).await.unwrap());
}

async fn nothing_is_recorded_for_a_session_that_ended(store: &dyn Store) {
    let before = store.entry_count().await.unwrap();
    let nobody = SessionId::from_random([99; 12]);
    assert_eq!(
        store.record_issue(&nobody, None, None, issued(5, "x", "x"), entry("x")).await.unwrap(),
        Recorded::SessionEnded
    );
    let binding = Some(KeyBinding { key: [99; 32], at: NOW });
    assert_eq!(
        store.record_issue(&nobody, binding, None, issued(6, "x", "x"), entry("x")).await.unwrap(),
        Recorded::SessionEnded
    );
    assert!(!store.key_proven(&nobody, &[99; 32]).await.unwrap());
    assert_eq!(store.entry_count().await.unwrap(), before);
}

async fn entries_come_in_order_and_whole(store: &Arc<dyn Store>) {
    let before = store.entry_count().await.unwrap();
    for n in 0..10 {
        store.append(entry(&format!("{{\"n\":{n}}}"))).await.unwrap();
    }
    assert_eq!(store.entry_count().await.unwrap(), before + 10);
    let read = store.entries(before + 2, 3).await.unwrap();
    assert_eq!(read, [2, 3, 4].map(|n| entry(&format!("{{\"n\":{n}}}"))));
    assert_eq!(store.entries(before + 10, 5).await.unwrap(), []);
    assert_eq!(store.entries(before, usize::MAX).await.unwrap().len(), 10);

    let writers: Vec<_> = (0..400)
        .map(|n| {
            let store = Arc::clone(store);
            tokio::spawn(async move { store.append(entry(&format!("w{n}"))).await.unwrap() })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let mut all: Vec<Vec<u8>> =
        store.entries(before + 10, 1_000).await.unwrap().iter().map(|entry| entry.as_bytes().to_vec()).collect();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 400, "each exactly once");
}

async fn a_use_is_seen_and_never_goes_back(store: &dyn Store) {
    let id = session(1, "ann").id;
    let later = NOW.plus(Seconds::new(120));
    store.touch_session(&id, later).await.unwrap();
    store.touch_session(&id, NOW).await.unwrap();
    assert_eq!(store.session(&id).await.unwrap().unwrap().used, later);
    store.touch_session(&SessionId::from_random([98; 12]), later).await.unwrap();
    assert_eq!(store.session(&SessionId::from_random([98; 12])).await.unwrap(), None);
}

async fn pruning_forgets_what_is_over_and_nothing_else(store: &dyn Store) {
    let entries = store.entry_count().await.unwrap();
    store.prune(NOW).await.unwrap();
    assert!(store.session(&session(1, "ann").id).await.unwrap().is_some());
    assert_eq!(open(store, session(40, "ann"), 1).await, Opened::TokenUsed, "the token is still remembered");

    let after = NOW.plus(Seconds::new(3_601));
    let mut alive = session(41, "zoe");
    (alive.used, alive.expires) = (after, after.plus(Seconds::new(3_600)));
    open(store, alive, 41).await;
    store.prune(after).await.unwrap();
    assert_eq!(store.session(&session(1, "ann").id).await.unwrap(), None);
    assert!(store.session(&session(41, "zoe").id).await.unwrap().is_some());
    assert_eq!(open(store, session(42, "ann"), 1).await, Opened::Yes, "the token would be refused for its age by now");

    let binding = Some(KeyBinding { key: [9; 32], at: NOW });
    let zoe = session(41, "zoe").id;
    assert_eq!(
        store.record_issue(&zoe, binding, None, issued(7, "x", "x"), entry("x")).await.unwrap(),
        Recorded::KeyTaken
    );
    store.prune(NOW.plus(KEY_MEMORY)).await.unwrap();
    let mut zoe = session(43, "zoe");
    (zoe.used, zoe.expires) = (NOW.plus(KEY_MEMORY), NOW.plus(KEY_MEMORY).plus(Seconds::new(60)));
    open(store, zoe.clone(), 43).await;
    assert_eq!(
        store.record_issue(&zoe.id, binding, None, issued(8, "x", "x"), entry("x")).await.unwrap(),
        Recorded::Yes,
        "forgotten by now"
    );
    assert!(store.entry_count().await.unwrap() > entries, "no entry is ever forgotten");
}

/// The entries with this code about this session, in order.
async fn about(store: &dyn Store, code: &str, session: &SessionId) -> Vec<serde_json::Value> {
    let entries = store.entries(0, usize::MAX).await.unwrap();
    let values = entries.iter().filter_map(|entry| serde_json::from_slice::<serde_json::Value>(entry.as_bytes()).ok());
    values.filter(|value| value["code"] == code && value["session"] == session.as_str()).collect()
}

async fn what_ends_by_itself_is_on_record(store: &dyn Store) {
    for (n, reason) in [(10, "too-many"), (11, "too-many"), (1, "idle")] {
        let ended = about(store, "login.ended", &SessionId::from_random([n; 12])).await;
        assert_eq!(ended.len(), 1, "{n}: {ended:?}");
        assert_eq!(ended[0]["reason"], reason, "{n}");
        assert_eq!(ended[0]["actor"]["issuer"], "https://id.example.com");
    }
    let end = NOW.plus(KEY_MEMORY).plus(Seconds::new(60));
    store.touch_session(&SessionId::from_random([43; 12]), end.minus(Seconds::new(1))).await.unwrap();
    store.prune(end).await.unwrap();
    let ended = about(store, "login.ended", &SessionId::from_random([43; 12])).await;
    assert_eq!((ended.len(), &ended[0]["reason"]), (1, &"expired".into()));
    assert_eq!(ended[0]["time_ms"], end.as_secs() * 1000);
}

async fn the_tree_is_over_the_entries_and_signed(store: &dyn Store) {
    let mut roots = vec![Frontier::default().root()];
    let mut frontier = Frontier::default();
    for entry in store.entries(0, usize::MAX).await.unwrap() {
        let Ok(()) = frontier.push(tree::leaf(entry.as_bytes()), |_place, _hash| Ok::<(), Infallible>(()));
        roots.push(frontier.root());
    }
    let size = store.entry_count().await.unwrap();
    let signed = Checkpoint::verify(&store.checkpoint().await.unwrap(), seal().verifier()).unwrap();
    assert_eq!((signed.size, signed.root), (size, frontier.root()));
    for from in [1, 2, size / 3, size - 1, size] {
        let plan = Plan::consistency(from, size).unwrap();
        let proof = plan.proof(&store.tree_hashes(&plan.places()).await.unwrap()).unwrap();
        let old = &roots[usize::try_from(from).unwrap()];
        assert!(tree::consistent(from, old, size, &signed.root, &proof), "{from} to {size}");
        let plan = Plan::inclusion(from - 1, size).unwrap();
        let proof = plan.proof(&store.tree_hashes(&plan.places()).await.unwrap()).unwrap();
        let leaf = tree::leaf(store.entries(from - 1, 1).await.unwrap()[0].as_bytes());
        assert!(tree::included(&leaf, from - 1, size, &proof, &signed.root), "{from} of {size}");
    }
    store.tree_hashes(&[tree::places(size)]).await.unwrap_err();
}
