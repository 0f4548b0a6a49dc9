//! The promises, on a real PostgreSQL server that the tests start themselves.

use super::{PostgresStore, examine};
use crate::{
    clock::Clock as _,
    config::store::Postgres,
    fixture::{AUDIENCE, Stage, database::Place, origin, seal, session_key},
    store::{
        Hint, Recorded, Spent, Store as _,
        conformance::{self, NOW, entry, open, session},
        migrate::migrate,
        redb::RedbStore,
    },
    verbs::authenticate::authenticate,
};
use api::{Code, signature::Request};
use std::sync::Arc;

#[tokio::test(flavor = "multi_thread")]
async fn the_promises_hold() {
    conformance::run(Place::new().open().await).await;
    conformance::outbox::run(Place::new().open().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_only_append_to_the_log_is_enough() {
    let place = Place::new();
    let role = format!("role_{}", place.name);
    place.psql(&format!("CREATE ROLE {role} LOGIN"));
    let restricted = || Postgres { user: role.clone(), ..place.settings() };
    let refused = PostgresStore::open(&restricted(), &seal()).await.err().unwrap().to_string();
    assert!(refused.contains("store-schema"), "{refused}");
    place.psql(&super::script(0));
    let refused = PostgresStore::open(&restricted(), &seal()).await.err().unwrap().to_string();
    assert!(refused.contains("docs/OPERATIONS.md"), "{refused}");
    // What an earlier version granted beyond that is taken back.
    place.psql(&format!("GRANT ALL ON ALL TABLES IN SCHEMA jit_ssh TO {role}"));
    place.psql(&super::grants(&role));
    conformance::run(Arc::new(PostgresStore::open(&restricted(), &seal()).await.unwrap())).await;
    conformance::outbox::run(Arc::new(PostgresStore::open(&restricted(), &seal()).await.unwrap())).await;
    for sql in [
        "UPDATE jit_ssh.audit SET entry = ''",
        "DELETE FROM jit_ssh.audit",
        "DELETE FROM jit_ssh.audit_tree",
        "TRUNCATE jit_ssh.audit",
        "DELETE FROM jit_ssh.requests",
        "UPDATE jit_ssh.requests SET request = ''",
        "UPDATE jit_ssh.request_steps SET step = ''",
        "DELETE FROM jit_ssh.audit_head",
        "DELETE FROM jit_ssh.request_steps",
        "UPDATE jit_ssh.audit_tree SET hash = ''",
        "DELETE FROM jit_ssh.request_words",
        "DELETE FROM jit_ssh.request_keys",
        "UPDATE jit_ssh.sessions SET session = ''",
        "UPDATE jit_ssh.sessions SET owner = ''",
        "UPDATE jit_ssh.sessions SET expires = 0",
        "UPDATE jit_ssh.keys SET owner = ''",
        "UPDATE jit_ssh.tokens SET forget = 0",
        "UPDATE jit_ssh.memberships SET since = 0",
        "UPDATE jit_ssh.latest_identities SET subject = ''",
        "DELETE FROM jit_ssh.latest_identities",
        "UPDATE jit_ssh.certificates SET serial = 1",
        "UPDATE jit_ssh.freezes SET id = ''",
        "DELETE FROM jit_ssh.revocation_counts",
        "DELETE FROM jit_ssh.policy_set",
        "UPDATE jit_ssh.schema_version SET version = 9",
        "CREATE TABLE jit_ssh.mine ()",
    ] {
        let refused = place.cluster.psql(&place.name, &format!("SET ROLE {role}; {sql}")).unwrap_err().to_string();
        assert!(refused.contains("permission denied"), "{sql}: {refused}");
    }
}

/// What rights in the database cannot keep: who has the server's password can write approvals that nobody gave. The log, to
/// which the same role can only append, then lacks them: a certificate's entry says how many steps there were.
#[tokio::test(flavor = "multi_thread")]
async fn approvals_that_were_written_past_the_server_are_missing_in_the_log() {
    use crate::{
        fixture::{NOW, POLICY, Stage, certificate_request, identity, user_key},
        verbs::{issue, requests},
    };
    let place = Place::new();
    let store = place.open().await;
    let role = format!("role_{}", place.name);
    place.psql(&format!("CREATE ROLE {role} LOGIN"));
    place.psql(&super::grants(&role));
    let stage = Stage::with(store.clone(), POLICY);
    let lead = |name| policy::Identity { email: None, groups: vec!["leads".parse().unwrap()], ..identity(name) };
    stage.login_as(1, identity("ann")).await;
    stage.login_as(2, lead("lea")).await;
    stage.login_as(3, lead("sam")).await;
    let asked = serde_json::from_str(r#"{"targets":["root@web-1"],"duration":"30m"}"#).unwrap();
    let filed = requests::file(&stage.app, &stage.caller(1).await, asked, None).await.unwrap();
    let requests::Outcome::Filed(shown) = filed else { panic!("it was filed before") };
    let id = shown.body.id.clone().unwrap();
    let digest = policy::Digest(hex(&shown.body.digest));
    for (at, name) in [(0, "lea"), (1, "sam")] {
        let approval = policy::Approval { digest, duration: None, only: vec![], reason: None };
        let step = policy::Step { at: NOW, by: lead(name), what: policy::What::Approved(approval) };
        let json = serde_json::to_string(&step).unwrap();
        let sql = format!(
            "SET ROLE {role}; INSERT INTO jit_ssh.request_steps VALUES ('{id}', {at}, convert_to('{json}', 'UTF8')); \
             UPDATE jit_ssh.requests SET steps = steps + 1 WHERE id = '{id}'"
        );
        place.psql(&sql);
    }
    let mut request = certificate_request("root@web-1", &user_key(10), Some(1));
    request.request = Some(id);
    issue::issue(&stage.app, &stage.caller(1).await, request).await.unwrap();
    let entries = store.entries(0, 100).await.unwrap();
    let entries: Vec<serde_json::Value> =
        entries.iter().map(|entry| serde_json::from_slice(entry.as_bytes()).unwrap()).collect();
    assert!(entries.iter().all(|entry| entry["code"] != "request.approved"));
    let issued = entries.iter().find(|entry| entry["code"] == "certificate.issued").unwrap();
    assert_eq!(issued["pinned"][0]["steps"], 3, "two approvals and this first use: {issued}");
}

/// Who has the server's password can take rows away and write others, and so put a key of their own into somebody's login.
/// That would be on record as if it were theirs: so a login that no server wrote is none.
#[tokio::test(flavor = "multi_thread")]
async fn a_login_with_another_key_is_none() {
    use crate::{
        fixture::{AUDIENCE, Stage, origin, session_key},
        verbs::authenticate::authenticate,
    };
    let place = Place::new();
    let store = place.open().await;
    let role = format!("role_{}", place.name);
    place.psql(&format!("CREATE ROLE {role} LOGIN"));
    place.psql(&super::grants(&role));
    let stage = Stage::new(store.clone());
    let (ann, mut lea) = (stage.login(1, "ann").await, stage.login(2, "lea").await);
    assert_eq!(store.session(&lea.id).await.unwrap(), Some(lea.clone()));
    lea.key = session_key(99).verifying_key().to_bytes();
    let json = serde_json::to_string(&lea).unwrap();
    // As JSON alone, and behind what stands before that of another.
    for forged in [
        format!("convert_to('{json}', 'UTF8')"),
        format!(
            "(SELECT substr(session, 1, 32) FROM jit_ssh.sessions WHERE id = '{}') || convert_to('{json}', 'UTF8')",
            ann.id
        ),
    ] {
        place.psql(&format!(
            "SET ROLE {role}; CREATE TEMP TABLE kept AS SELECT * FROM jit_ssh.sessions WHERE id = '{0}'; \
             DELETE FROM jit_ssh.sessions WHERE id = '{0}'; \
             INSERT INTO jit_ssh.sessions SELECT id, owner, started, expires, used, {forged} FROM kept",
            lea.id
        ));
        let request = api::signature::Request { audience: AUDIENCE, method: "GET", path: "/v1/session", body: b"" };
        let header = request.sign(&session_key(99), &lea.id, stage.app.clock.now_ms(), stage.nonce()).to_string();
        let taken = authenticate(&stage.app, &origin(), "GET", "/v1/session", Some(&header), b"").await;
        assert_eq!(taken.unwrap_err().code, api::Code::LoginRequired, "{forged}");
        assert!(store.sessions_of(&lea.identity.issuer, &lea.identity.subject).await.unwrap().is_empty());
    }
    stage.caller(1).await;
    let entries = store.entry_count().await.unwrap();
    store.prune(lea.expires).await.unwrap();
    assert_eq!(store.entry_count().await.unwrap(), entries + 1, "the end of a login that never was is none");
}

fn hex(text: &str) -> [u8; 32] {
    std::array::from_fn(|n| u8::from_str_radix(&text[2 * n..2 * n + 2], 16).unwrap())
}

/// Two servers, one log: each entry once, one chain, and whatever one did the other sees.
#[tokio::test(flavor = "multi_thread")]
async fn two_servers_append_to_one_tree() {
    let place = Place::new();
    let (one, other) = tokio::join!(place.open(), place.open());
    let writers: Vec<_> = (0..600)
        .map(|n| {
            let store = Arc::clone(if n % 2 == 0 { &one } else { &other });
            tokio::spawn(async move { store.append(entry(&format!("w{n}"))).await.unwrap() })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let mut kept: Vec<_> = one.entries(0, 1_000).await.unwrap().iter().map(|entry| entry.as_bytes().to_vec()).collect();
    assert_eq!(other.entry_count().await.unwrap(), 600);
    kept.sort();
    kept.dedup();
    assert_eq!(kept.len(), 600, "each exactly once");
    // A third start looks at the head as the first did.
    let third = place.open().await;
    assert_eq!(third.checkpoint().await.unwrap(), one.checkpoint().await.unwrap());
    open(&*one, session(1, "ann"), 1).await;
    assert_eq!(open(&*other, session(2, "ann"), 1).await, crate::store::Opened::TokenUsed);
    assert!(other.end_session(&session(1, "ann").id, entry("ended")).await.unwrap());
    assert_eq!(one.session(&session(1, "ann").id).await.unwrap(), None, "no server remembers what another ended");
    assert_eq!(
        one.record_issue(
            &session(1, "ann").id,
            None,
            None,
            conformance::revocations::issued(1, "ann", "web-1"),
            entry("x")
        )
        .await
        .unwrap(),
        Recorded::SessionEnded
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_one_server_took_is_spent_at_the_other() {
    let place = Place::new();
    let (one, other) = (place.open().await, place.open().await);
    let id = session(1, "ann").id;
    let now = NOW.as_secs() * 1_000;
    let spend =
        async |store: &PostgresStore, nonce: u8, time| store.spend_nonce(&id, &[nonce; 16], time, now).await.unwrap();
    let later = now + 1_000;
    assert_eq!(spend(&one, 1, later).await, Spent::First);
    assert_eq!(spend(&other, 1, later).await, Spent::Before);
    assert_eq!(spend(&one, 1, later).await, Spent::Before);
    assert_eq!(spend(&other, 2, later).await, Spent::First);
    let another = session(2, "ann").id;
    assert_eq!(other.spend_nonce(&another, &[1; 16], later, now).await.unwrap(), Spent::First, "another's nonce");
    let racers: Vec<_> = (0..32)
        .map(|n| {
            let (store, id) = (Arc::clone(if n % 2 == 0 { &one } else { &other }), id.clone());
            tokio::spawn(async move { store.spend_nonce(&id, &[9; 16], later, now).await.unwrap() })
        })
        .collect();
    let mut first = 0;
    for racer in racers {
        first += usize::from(racer.await.unwrap() == Spent::First);
    }
    assert_eq!(first, 1, "of many that race one is first");
    one.prune(policy::UnixTime::from_secs(NOW.as_secs() + 500)).await.unwrap();
    assert_eq!(spend(&other, 1, later).await, Spent::Before, "kept well beyond the window");
    // What a crash of the database does to tables that are not logged.
    place.psql("TRUNCATE jit_ssh.nonces, jit_ssh.nonces_known");
    let since_ms = now + 1_000;
    assert_eq!(spend(&other, 1, later).await, Spent::Forgotten { since_ms });
    assert_eq!(spend(&one, 1, now + 999).await, Spent::Forgotten { since_ms });
    assert_eq!(spend(&other, 2, since_ms).await, Spent::First, "signed by the time that the answer names");
}

/// What a client does with that refusal, once, is enough.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_crash_of_the_database_one_retry_by_the_servers_time_is_taken() {
    let place = Place::new();
    let stage = Stage::new(place.open().await);
    let ann = stage.login(1, "ann").await;
    place.psql("TRUNCATE jit_ssh.nonces, jit_ssh.nonces_known");
    let request = Request { audience: AUDIENCE, method: "GET", path: "/v1/session", body: b"" };
    let send = async |time_ms| {
        let header = request.sign(&session_key(1), &ann.id, time_ms, stage.nonce()).to_string();
        authenticate(&stage.app, &origin(), "GET", "/v1/session", Some(&header), b"").await
    };
    let refusal = send(stage.clock.now_ms()).await.unwrap_err();
    assert_eq!(refusal.code, Code::ClockSkew);
    assert!(refusal.message.contains("memory of requests") && !refusal.hint.unwrap().contains("clock"));
    send(refusal.server_time_ms.unwrap()).await.unwrap();
}

/// Of two servers one delivers for a sink, until it is gone.
#[tokio::test(flavor = "multi_thread")]
async fn one_server_delivers_for_a_sink() {
    use crate::store::outbox::Outbox as _;
    let place = Place::new();
    let (one, other) = (place.open().await, place.open().await);
    assert!(one.hold_sink("siem").await.unwrap() && one.hold_sink("siem").await.unwrap());
    assert!(!other.hold_sink("siem").await.unwrap());
    assert!(other.hold_sink("mail").await.unwrap(), "each sink has its own");
    place.psql("UPDATE jit_ssh.sink_holders SET until = clock_timestamp() - interval '1 second'");
    assert!(other.hold_sink("siem").await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_server_does_is_heard_at_the_other() {
    let place = Place::new();
    let (one, other) = (place.open().await, place.open().await);
    let mut heard = other.hints().unwrap();
    let request = conformance::requests::request(1, "ann", 0);
    crate::store::Requests::file_request(&*one, request.clone(), None, entry("filed")).await.unwrap();
    // Listening begins with a hint that anything may have happened, so nothing before it is missed.
    assert_eq!(heard.recv().await.unwrap(), Hint::Anything);
    let end = policy::Step { at: NOW, by: session(1, "ann").identity, what: policy::What::Cancelled };
    crate::store::Requests::add_step(&*one, &request.id, 0, end, entry("end")).await.unwrap();
    assert_eq!(heard.recv().await.unwrap(), Hint::Request(request.id.clone()));
    // Deaf, it says again and again that anything may have happened.
    place.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' OR query = ''");
    assert_eq!(heard.recv().await.unwrap(), Hint::Anything);
}

/// A standby that lacked the last commit took over. The version that was lost comes a second time, with another list.
#[tokio::test(flavor = "multi_thread")]
async fn a_version_of_the_krl_that_comes_a_second_time_is_another_list() {
    use crate::{
        store::{Revocations as _, Selection},
        verbs::krl,
    };
    let place = Place::new();
    let store = place.open().await;
    let stage = crate::fixture::Stage::with(store.clone(), crate::fixture::POLICY);
    open(&*store, session(1, "rex"), 1).await;
    for serial in 1..=3 {
        let issued = conformance::revocations::issued(serial, "rex", "r-1");
        store.record_issue(&session(1, "rex").id, None, None, issued, entry("issued")).await.unwrap();
    }
    let silent = || -> crate::store::revocations::Account { Arc::new(|_, _| Ok(Vec::new())) };
    let revoke = async |serial: u64| {
        store.revoke(Selection::Serial(serial.try_into().unwrap()), NOW, silent()).await.unwrap();
    };
    revoke(1).await;
    revoke(2).await;
    let (before, said) = (krl::list(&stage.app).await.unwrap(), krl::stated(&stage.app).await.unwrap());
    let unchanged = krl::list(&stage.app).await.unwrap();
    assert!(Arc::ptr_eq(&before, &unchanged), "made once for each list");
    place.psql(
        "UPDATE jit_ssh.revocation_counts SET krl = krl - 1; UPDATE jit_ssh.certificates SET revoked = serial = 1",
    );
    revoke(3).await;
    let after = krl::list(&stage.app).await.unwrap();
    assert_eq!(after.version, before.version);
    assert_ne!(after.sha256, before.sha256, "hosts would never learn of serial 3");
    let stated = krl::stated(&stage.app).await.unwrap();
    assert!(stated.contains(&after.sha256) && !said.contains(&after.sha256), "{stated}");
    assert!(Arc::ptr_eq(&after, &krl::list(&stage.app).await.unwrap()), "and this one is kept in its stead");
    // What was lost may be more than one version: the one that is kept is then the newer by its number, and gone.
    revoke(2).await;
    krl::list(&stage.app).await.unwrap();
    place.psql("UPDATE jit_ssh.revocation_counts SET krl = 1, krl_mark = gen_random_uuid(); UPDATE jit_ssh.certificates SET revoked = serial = 1");
    let older = krl::list(&stage.app).await.unwrap();
    assert_eq!(older.version, 1);
    assert!(Arc::ptr_eq(&older, &krl::list(&stage.app).await.unwrap()));
}

/// An error of one write is its own: the others of its batch are kept.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_database_refuses_ends_no_other_write() {
    let place = Place::new();
    let store = place.open().await;
    let mut writes = tokio::task::JoinSet::new();
    for n in 0..40 {
        let store = Arc::clone(&store);
        writes.spawn(async move {
            if n % 10 == 3 {
                let failing = vec![super::say!("SELECT 1 / ($1::integer)", 0)];
                let failed = store.writer.write(failing, |_rows| Ok(super::Effect::on_record((), vec![entry("half")])));
                assert!(failed.await.unwrap_err().to_string().contains("division by zero"));
            } else {
                store.append(entry(&n.to_string())).await.unwrap();
            }
        });
    }
    while let Some(done) = writes.join_next().await {
        done.unwrap();
    }
    assert_eq!(store.entry_count().await.unwrap(), 36);
    assert!(!store.entries(0, 99).await.unwrap().contains(&entry("half")));
    place.open().await;
}

/// The head is held by somebody who stands still: nobody waits for ever, nothing is kept, and then it goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_hangs_is_an_error_and_no_wait() {
    let place = Place::new();
    drop(place.open().await);
    let settings = place.with(&format!("host = \"{}\"\ntimeout = \"1s\"", place.cluster.home.display()));
    let store = PostgresStore::open(&settings, &seal()).await.unwrap();
    let mut holder = place.hold("LOCK TABLE jit_ssh.audit_head").await;
    assert!(store.append(entry("late")).await.is_err());
    assert!(store.entry_count().await.is_err(), "reading does not wait either");
    holder.release().await;
    store.append(entry("kept")).await.unwrap();
    assert_eq!(store.entries(0, 9).await.unwrap(), [entry("kept")]);
}

/// Fault pairs: the connection breaks before the commit is sent, so the write is done again and told; it breaks after, so
/// the caller is told that it is not known, and the state is one of the two.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_before_the_commit_costs_nothing() {
    let place = Place::new();
    let store = place.open().await;
    store.append(entry("first")).await.unwrap();
    let mut holder = place.hold("SELECT FROM jit_ssh.audit_head FOR UPDATE").await;
    let writing = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.append(entry("second")).await }
    });
    place.terminate_waiting().await;
    holder.release().await;
    writing.await.unwrap().unwrap();
    assert_eq!(store.entries(0, 9).await.unwrap(), [entry("first"), entry("second")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_at_the_commit_is_an_error_and_the_state_one_of_two() {
    let place = Place::new();
    let store = place.open().await;
    store.append(entry("first")).await.unwrap();
    let mut holder = place.hold("LOCK TABLE jit_ssh.audit IN SHARE MODE").await;
    let writing = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.append(entry("second")).await }
    });
    place.terminate_waiting().await;
    holder.release().await;
    let told = writing.await.unwrap().unwrap_err().to_string();
    assert!(told.contains("not known"), "{told}");
    assert_eq!(store.entries(0, 9).await.unwrap(), [entry("first")], "ended before its commit");
    store.append(entry("third")).await.unwrap();
    assert_eq!(place.open().await.entries(0, 9).await.unwrap(), [entry("first"), entry("third")]);
}

/// The other half of the pair: the commit took place, and its answer is lost.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_is_an_error_and_what_was_committed_stays() {
    let place = Place::new();
    drop(place.open().await);
    let (port, cut) = proxy(place.cluster.port).await;
    let mut settings = place.with("host = \"127.0.0.1\"");
    settings.port = port;
    let store = PostgresStore::open(&settings, &seal()).await.unwrap();
    store.append(entry("first")).await.unwrap();
    cut.store(true, std::sync::atomic::Ordering::SeqCst);
    let told = store.append(entry("second")).await.unwrap_err().to_string();
    assert!(told.contains("not known"), "{told}");
    cut.store(false, std::sync::atomic::Ordering::SeqCst);
    store.append(entry("third")).await.unwrap();
    assert_eq!(store.entries(0, 9).await.unwrap(), ["first", "second", "third"].map(entry));
    place.open().await;
}

/// Every connection is cut while nobody uses it: nobody notices.
#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_cut_while_idle_are_replaced() {
    let place = Place::new();
    let store = place.open().await;
    open(&*store, session(1, "ann"), 1).await;
    for round in 0..40 {
        let mut all = tokio::task::JoinSet::new();
        for _reader in 0..12 {
            let store = Arc::clone(&store);
            all.spawn(async move { store.session(&session(1, "ann").id).await.unwrap().unwrap() });
        }
        all.join_all().await;
        place.psql(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
             WHERE datname = current_database() AND application_name = 'jit-ssh ca-server'",
        );
        if round % 2 == 0 {
            store.append(entry(&round.to_string())).await.unwrap();
        }
    }
    assert_eq!(store.entry_count().await.unwrap(), 21);
}

/// One is cut while it is used for reading: it is read again. For writing: before the commit it is written again.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_cut_while_it_is_used_is_replaced() {
    let place = Place::new();
    let store = place.open().await;
    open(&*store, session(1, "ann"), 1).await;
    for _round in 0..20 {
        let mut holder = place.hold("LOCK TABLE jit_ssh.sessions").await;
        let reading = tokio::spawn({
            let store = Arc::clone(&store);
            async move { store.session(&session(1, "ann").id).await }
        });
        let ending = tokio::spawn({
            let store = Arc::clone(&store);
            async move { store.end_session(&session(2, "ann").id, entry("nobody's")).await }
        });
        place.terminate_waiting().await;
        holder.release().await;
        assert!(reading.await.unwrap().unwrap().is_some());
        assert!(!ending.await.unwrap().unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_tampered_with_stops_the_start() {
    for (sql, says) in [
        ("UPDATE jit_ssh.audit SET entry = 'other' WHERE idx = 2", "entry 2 is not the one"),
        ("DELETE FROM jit_ssh.audit WHERE idx = 4", "5 entries are signed for, 4 are there"),
        ("DELETE FROM jit_ssh.audit WHERE idx = 3", "is not the one that was written"),
        ("UPDATE jit_ssh.audit_tree SET hash = sha256('x') WHERE place = 6", "root"),
        ("DELETE FROM jit_ssh.audit_tree WHERE place > 6", "hashes belong to"),
        ("UPDATE jit_ssh.audit_head SET size = 4", "the head of the audit log is not whole"),
        (
            "UPDATE jit_ssh.audit_head SET checkpoint = replace(checkpoint, chr(10) || '5' || chr(10), chr(10) || '4' || chr(10))",
            "another key than keys.log",
        ),
        ("DELETE FROM jit_ssh.audit_head", "no checkpoint"),
        ("UPDATE jit_ssh.schema_version SET version = 99", "newer ca-server"),
    ] {
        let place = Place::new();
        let store = place.open().await;
        for n in 0..5 {
            store.append(entry(&n.to_string())).await.unwrap();
        }
        drop(store);
        place.open().await;
        place.psql(sql);
        let refused = place.refusal().await;
        assert!(refused.contains(says), "{sql}: {refused}");
    }
    let place = Place::new();
    place.open().await.append(entry("one")).await.unwrap();
    let other = crate::audit::checkpoint::Seal::new("ssh-ca.example.com", Arc::new(crate::fixture::ca_key(4))).unwrap();
    let refused = PostgresStore::open(&place.settings(), &other).await.err().unwrap().to_string();
    assert!(refused.contains("share the log's key"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_encrypted_and_its_secrets_stay_secret() {
    let place = Place::new();
    place.psql("ALTER ROLE postgres PASSWORD 'correct horse'");
    let home = tempfile::tempdir().unwrap();
    let password = |text: &str| {
        use std::os::unix::fs::PermissionsExt as _;
        let file = home.path().join(text.len().to_string());
        std::fs::write(&file, format!("{text}\n")).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        format!("host = \"127.0.0.1\"\ntls = \"require\"\npassword_file = \"{}\"", file.display())
    };
    let ca_file = format!("ca_file = \"{}\"", place.cluster.home.join("server.crt").display());
    let good = place.with(&format!("{}\n{ca_file}", password("correct horse")));
    let store = PostgresStore::open(&good, &seal()).await.unwrap();
    store.append(entry("one")).await.unwrap();
    let encrypted = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE datname = current_database() \
                     AND application_name LIKE 'jit-ssh%'";
    assert_eq!(place.psql(encrypted), "t");
    assert!(!format!("{good:?}").contains("correct"));
    for (settings, says) in [
        (place.with(&format!("{}\n{ca_file}", password("wrong horse"))), "password authentication failed"),
        (place.with(&password("correct horse")), "certificate"),
        (Postgres { password_file: None, ..good.clone() }, "password missing"),
        (Postgres { password_file: Some("/nowhere".into()), ..good.clone() }, "store.password_file"),
        (Postgres { port: 1, ..place.with("host = \"127.0.0.1\"") }, "check host"),
    ] {
        let refused = examine(&settings, None).await.unwrap_err().to_string();
        assert!(refused.contains(says) && !refused.contains("horse"), "{says}: {refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_another_encoding_is_refused_with_the_way_out() {
    let mut place = Place::new();
    place.name = format!("{}_latin", place.name);
    let sql = format!("CREATE DATABASE {} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0", place.name);
    place.cluster.psql("postgres", &sql).unwrap();
    let refused = place.refusal().await;
    assert!(refused.contains("LATIN1") && refused.contains("ENCODING 'UTF8'"), "{refused}");
}

/// Whatever a file knows a database knows, once it was moved; and a server goes on there.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_moves_from_a_file_to_a_database_whole() {
    use crate::store::{PolicyRecord as _, Requests as _, Revocations as _, Selection, Which, outbox::Outbox as _};
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("store.redb");
    let place = Place::new();
    {
        let file = Arc::new(RedbStore::open(&path, &seal()).unwrap());
        conformance::run(Arc::clone(&file) as _).await;
        conformance::outbox::run(file).await;
    }
    let bytes = std::fs::read(&path).unwrap();
    {
        let _served = RedbStore::open(&path, &seal()).unwrap();
        let refused = migrate(&path, &place.settings(), &seal()).await.unwrap_err().to_string();
        assert!(refused.contains("another process has this store open"), "{refused}");
    }
    std::fs::write(&path, &bytes).unwrap();
    let moved = migrate(&path, &place.settings(), &seal()).await.unwrap();
    assert!(std::fs::read(&path).unwrap() == bytes, "the file is as it was");
    let refused = migrate(&path, &place.settings(), &seal()).await.unwrap_err().to_string();
    assert!(refused.contains("holds something"), "{refused}");

    let (file, there) = (RedbStore::open(&path, &seal()).unwrap(), place.open().await);
    let size = file.entry_count().await.unwrap();
    assert_eq!((moved.size, there.entry_count().await.unwrap()), (size, size));
    assert_eq!(there.checkpoint().await.unwrap(), file.checkpoint().await.unwrap());
    assert_eq!(there.entries(0, 9_999).await.unwrap(), file.entries(0, 9_999).await.unwrap());
    let all = file.requests(&Which::All, None, 999).await.unwrap();
    assert_eq!(there.requests(&Which::All, None, 999).await.unwrap(), all);
    assert_eq!(moved.facts["requests"], u64::try_from(all.len()).unwrap());
    for which in [Which::Open, Which::Unreviewed, Which::Waiting(NOW)] {
        assert_eq!(
            there.requests(&which, None, 999).await.unwrap(),
            file.requests(&which, None, 999).await.unwrap(),
            "{which:?}"
        );
    }
    for kept in &all {
        let id = &kept.request.id;
        assert_eq!(there.last_expiry(id).await.unwrap(), file.last_expiry(id).await.unwrap());
        assert_eq!(there.extensions_of(id).await.unwrap(), file.extensions_of(id).await.unwrap());
        let who = &kept.request.requester;
        let (issuer, subject) = (&who.issuer, &who.subject);
        for key in 0..10 {
            let used = file.filed_with(issuer, subject, &[key; 32]).await.unwrap();
            assert_eq!(there.filed_with(issuer, subject, &[key; 32]).await.unwrap(), used);
        }
    }
    for name in ["ann", "zoe", "rita", "ann@example.com", "nobody"] {
        let named = crate::store::Known::Named(name.to_owned());
        assert_eq!(there.known(&named).await.unwrap(), file.known(&named).await.unwrap(), "{name}");
        let issuer = &session(1, name.split('@').next().unwrap()).identity.issuer;
        let subject = name.parse().unwrap();
        assert_eq!(
            there.sessions_of(issuer, &subject).await.unwrap(),
            file.sessions_of(issuer, &subject).await.unwrap()
        );
    }
    let (there_now, file_now) =
        (there.revoked(None).await.unwrap().unwrap(), file.revoked(None).await.unwrap().unwrap());
    assert_eq!((there_now.edition.version, there_now.changed), (file_now.edition.version, file_now.changed));
    assert_eq!(there_now.serials, file_now.serials);
    assert_eq!(there.freezes().await.unwrap(), file.freezes().await.unwrap());
    assert_eq!(there.live(&Selection::All, NOW).await.unwrap(), file.live(&Selection::All, NOW).await.unwrap());
    assert_eq!(there.recorded_policies().await.unwrap(), file.recorded_policies().await.unwrap());
    assert_eq!(there.dead_letters("one", 0, 9).await.unwrap(), file.dead_letters("one", 0, 9).await.unwrap());
    assert_eq!(there.sink_cursor("one").await.unwrap(), file.sink_cursor("one").await.unwrap());
    there.append(entry("goes on")).await.unwrap();
    place.open().await;

    // A log that is not what was signed is moved nowhere.
    drop(file);
    {
        let database = ::redb::Database::open(&path).unwrap();
        let write = database.begin_write().unwrap();
        let table = ::redb::TableDefinition::<u64, &[u8]>::new("audit_entries");
        write.open_table(table).unwrap().insert(0, b"\x05\0\0\0other".as_slice()).unwrap();
        write.commit().unwrap();
    }
    let other = Place::new();
    let refused = migrate(&path, &other.settings(), &seal()).await.unwrap_err().to_string();
    assert!(refused.contains("entry 0"), "{refused}");
    assert_eq!(other.psql("SELECT count(*) FROM jit_ssh.audit"), "0", "all or nothing");
}

/// Somebody else's transaction that holds something.
struct Holder(super::connect::Connection);

impl Holder {
    async fn release(&mut self) {
        self.0.client.batch_execute("ROLLBACK").await.unwrap();
    }
}

impl Place {
    async fn refusal(&self) -> String {
        PostgresStore::open(&self.settings(), &seal()).await.err().unwrap().to_string()
    }

    async fn hold(&self, sql: &str) -> Holder {
        let connection = super::Connector::new(&self.settings()).unwrap().connect().await.unwrap();
        let begin = "SET idle_in_transaction_session_timeout = 0; SET application_name = 'holder'; BEGIN;";
        connection.client.batch_execute(&format!("{begin} {sql}")).await.unwrap();
        Holder(connection)
    }

    /// Ends the connection that waits for a lock here, once there is one.
    async fn terminate_waiting(&self) {
        let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                   WHERE datname = current_database() AND wait_event_type = 'Lock'";
        while self.psql(sql) == "0" {
            tokio::task::yield_now().await;
        }
    }
}

/// Passes everything on to `port` and back; while told to, it lets a COMMIT through, waits for its answer and then closes.
async fn proxy(port: u16) -> (u16, Arc<std::sync::atomic::AtomicBool>) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let cut = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap().port();
    let told = Arc::clone(&cut);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let cut = Arc::clone(&told);
            tokio::spawn(async move {
                let mut server = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                let (mut up, mut down) = (vec![0; 65_536], vec![0; 65_536]);
                loop {
                    tokio::select! {
                        read = client.read(&mut up) => {
                            let Ok(length @ 1..) = read else { return };
                            server.write_all(&up[..length]).await.unwrap();
                            let commits = up[..length].windows(7).any(|word| word == b"COMMIT\0");
                            if commits && cut.load(std::sync::atomic::Ordering::SeqCst) {
                                // Until the database says that it is done.
                                let mut said = Vec::new();
                                while !said.windows(6).any(|word| word == b"COMMIT") {
                                    let length = server.read(&mut down).await.unwrap();
                                    said.extend_from_slice(&down[..length]);
                                }
                                return;
                            }
                        }
                        read = server.read(&mut down) => {
                            let Ok(length @ 1..) = read else { return };
                            client.write_all(&down[..length]).await.unwrap();
                        }
                    }
                }
            });
        }
    });
    (own, cut)
}
