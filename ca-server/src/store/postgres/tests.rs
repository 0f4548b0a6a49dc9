//! The promises, on a real PostgreSQL server that the tests start themselves.

#[path = "../../../../tests/src/kit/postgres.rs"]
mod cluster;

use super::{PostgresStore, examine};
use crate::{
    config::{Config, StoreConfig, store::Postgres},
    fixture::seal,
    store::{
        Hint, Recorded, Spent, Store as _,
        conformance::{self, NOW, entry, open, session},
        migrate::migrate,
        redb::RedbStore,
    },
};
use cluster::Cluster;
use std::{path::Path, sync::Arc};

/// A database of a test.
struct Place {
    cluster: &'static Cluster,
    name: String,
}

impl Place {
    fn new() -> Self {
        let cluster = Cluster::shared().unwrap();
        Self { cluster, name: cluster.database().unwrap() }
    }

    fn settings(&self) -> Postgres {
        self.with(&format!("host = \"{}\"", self.cluster.home.display()))
    }

    fn with(&self, more: &str) -> Postgres {
        let text = format!(
            "audience = \"https://ca.example.com\"\n[store]\nkind = \"postgres\"\nuser = \"postgres\"\nport = {}\n\
             database = \"{}\"\n{more}\n",
            self.cluster.port, self.name
        );
        match Config::parse("c", &text, Path::new("/")).unwrap().store {
            StoreConfig::Postgres(settings) => settings,
            StoreConfig::Redb(_) => panic!("{text}"),
        }
    }

    async fn open(&self) -> Arc<PostgresStore> {
        Arc::new(PostgresStore::open(&self.settings(), &seal()).await.unwrap())
    }

    fn psql(&self, sql: &str) -> String {
        self.cluster.psql(&self.name, sql).unwrap()
    }

    async fn refusal(&self) -> String {
        PostgresStore::open(&self.settings(), &seal()).await.err().unwrap().to_string()
    }
}

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
    ] {
        let refused = place.cluster.psql(&place.name, &format!("SET ROLE {role}; {sql}")).unwrap_err().to_string();
        assert!(refused.contains("permission denied"), "{sql}: {refused}");
    }
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
    assert_eq!(spend(&other, 1, later).await, Spent::Forgotten);
    assert_eq!(spend(&one, 1, now + 999).await, Spent::Forgotten);
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
    assert_eq!(there.revoked(None).await.unwrap(), file.revoked(None).await.unwrap());
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
