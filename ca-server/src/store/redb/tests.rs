use super::{LogReader, RedbStore, file, live::Live};
use crate::{
    audit::checkpoint::{Checkpoint, Seal},
    fixture::seal,
    store::{
        Issued, KeyBinding, Opened, Recorded, Store as _,
        conformance::{self, NOW, entry, open, revocations::issued, session},
    },
};
use ::redb::{Builder, Database, StorageBackend, TableDefinition, backends::FileBackend};
use std::{
    fs::{self, File, Permissions},
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

fn place() -> (tempfile::TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("jit-ssh.redb");
    (home, path)
}

fn refusal(path: &Path) -> String {
    RedbStore::open(path, &seal()).err().unwrap().to_string()
}

#[tokio::test]
async fn the_promises_hold() {
    let (_home, path) = place();
    conformance::run(Arc::new(RedbStore::open(&path, &seal()).unwrap())).await;
}

#[tokio::test]
async fn what_was_written_is_there_after_reopening() {
    let (_home, path) = place();
    let ann = session(1, "ann");
    {
        let store = RedbStore::open(&path, &seal()).unwrap();
        open(&store, ann.clone(), 1).await;
        let binding = Some(KeyBinding { key: [9; 32], at: NOW });
        assert_eq!(
            store.record_issue(&ann.id, binding, None, issued(11, "x", "x"), entry("one")).await.unwrap(),
            Recorded::Yes
        );
    }
    let store = RedbStore::open(&path, &seal()).unwrap();
    assert_eq!(store.session(&ann.id).await.unwrap(), Some(ann.clone()));
    assert!(store.key_proven(&ann.id, &[9; 32]).await.unwrap());
    assert_eq!(open(&store, session(2, "ann"), 1).await, Opened::TokenUsed);
    assert_eq!(store.entries(0, 9).await.unwrap(), [entry("opened"), entry("one")]);
    store.append(entry("two")).await.unwrap();
    assert_eq!(store.entries(2, 9).await.unwrap(), [entry("two")]);
}

/// The file as it lies on the disk after each answer, opened elsewhere as after a power cut: what was answered is there.
#[tokio::test]
async fn what_was_answered_survives_a_crash_right_after() {
    let (home, path) = place();
    let store = RedbStore::open(&path, &seal()).unwrap();
    open(&store, session(1, "ann"), 1).await;
    for n in 0..20 {
        assert_eq!(
            store
                .record_issue(&session(1, "ann").id, None, None, issued(12, "x", "x"), entry(&format!("{n}")))
                .await
                .unwrap(),
            Recorded::Yes
        );
        let crashed = home.path().join(format!("crashed-{n}.redb"));
        fs::copy(&path, &crashed).unwrap();
        let found = RedbStore::open(&crashed, &seal()).unwrap();
        assert_eq!(found.entry_count().await.unwrap(), n + 2);
        assert_eq!(found.entries(n + 1, 1).await.unwrap(), [entry(&format!("{n}"))]);
        assert!(found.session(&session(1, "ann").id).await.unwrap().is_some());
        found.append(entry("after")).await.unwrap();
    }
}

#[tokio::test]
async fn the_file_is_its_owners_alone() {
    let (_home, path) = place();
    drop(RedbStore::open(&path, &seal()).unwrap());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    assert!(refusal(&path).contains("chmod 600"));
}

#[tokio::test]
async fn a_second_process_is_told_so() {
    let (_home, path) = place();
    let _held = RedbStore::open(&path, &seal()).unwrap();
    assert!(refusal(&path).contains("stop the other ca-server first"), "{}", refusal(&path));
}

#[tokio::test]
async fn a_damaged_file_is_refused_and_left_as_it_is() {
    for damage in [b"".as_slice(), b"not a database at all", &[0; 8_192]] {
        let (_home, path) = place();
        fs::write(&path, damage).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert!(refusal(&path).contains("backup"), "{}", refusal(&path));
        assert!(damage.len() != 21 || refusal(&path).contains("this is no store, or"), "{}", refusal(&path));
        assert_eq!(fs::read(&path).unwrap(), damage);
    }
    let (_home, path) = place();
    drop(RedbStore::open(&path, &seal()).unwrap());
    let mut bytes = fs::read(&path).unwrap();
    bytes.truncate(bytes.len() / 2);
    fs::write(&path, &bytes).unwrap();
    assert!(RedbStore::open(&path, &seal()).is_err());
}

#[tokio::test]
async fn a_newer_schema_and_a_strange_database_are_refused() {
    let (_home, path) = place();
    drop(RedbStore::open(&path, &seal()).unwrap());
    let database = Database::open(&path).unwrap();
    let write = database.begin_write().unwrap();
    write.open_table(super::tables::META).unwrap().insert("schema", 4).unwrap();
    write.commit().unwrap();
    drop(database);
    assert!(refusal(&path).contains("newer ca-server"), "{}", refusal(&path));

    let (_home, path) = place();
    let database = Database::create(&path).unwrap();
    let write = database.begin_write().unwrap();
    write.open_table(TableDefinition::<u64, u64>::new("theirs")).unwrap();
    write.commit().unwrap();
    drop(database);
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    assert!(refusal(&path).contains("not a store of ours"), "{}", refusal(&path));
}

/// An operation that fails inside a batch ends the batch: nobody is told yes, and nothing of it is kept.
#[tokio::test]
async fn a_write_that_fails_leaves_nothing_and_the_store_goes_on() {
    let (_home, path) = place();
    let store = RedbStore::open(&path, &seal()).unwrap();
    let failing = store.writer.write(|tables| {
        tables.append(&entry("half"))?;
        Err::<(), _>(::redb::StorageError::Corrupted("for the test".to_owned()).into())
    });
    let (failed, _other) = tokio::join!(failing, store.append(entry("other")));
    assert!(failed.unwrap_err().to_string().contains("for the test"));
    let halves = store.entries(0, 9).await.unwrap().into_iter().filter(|kept| *kept == entry("half"));
    assert_eq!(halves.count(), 0);
    store.append(entry("later")).await.unwrap();
    assert!(store.entries(0, 9).await.unwrap().contains(&entry("later")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_is_full_refuses_at_once() {
    let (_home, path) = place();
    let store = Arc::new(RedbStore::open(&path, &seal()).unwrap());
    let (release, held) = std::sync::mpsc::channel::<()>();
    let (entered, inside) = tokio::sync::oneshot::channel();
    let blocked = tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            let write = store.writer.write(move |_tables| {
                entered.send(()).unwrap();
                held.recv().unwrap();
                Ok(())
            });
            write.await
        }
    });
    inside.await.unwrap();
    let mut waiting = tokio::task::JoinSet::new();
    for n in 0..5_000 {
        let store = Arc::clone(&store);
        waiting.spawn(async move { store.append(entry(&n.to_string())).await });
    }
    let refused = waiting.join_next().await.unwrap().unwrap();
    assert!(refused.unwrap_err().to_string().contains("too many writes"), "only a refusal can come first");
    release.send(()).unwrap();
    blocked.await.unwrap().unwrap();
    let mut written = 0;
    while let Some(outcome) = waiting.join_next().await {
        written += u64::from(outcome.unwrap().is_ok());
    }
    assert_eq!(store.entry_count().await.unwrap(), written, "yes means kept, no means not");
}

#[tokio::test]
async fn a_use_is_in_the_file_a_minute_later() {
    let (_home, path) = place();
    let later = NOW.plus(policy::Seconds::new(30));
    {
        let store = RedbStore::open(&path, &seal()).unwrap();
        open(&store, session(1, "ann"), 1).await;
        store.touch_session(&session(1, "ann").id, NOW).await.unwrap();
        store.touch_session(&session(1, "ann").id, later).await.unwrap();
        store.prune(NOW).await.unwrap();
    }
    let store = RedbStore::open(&path, &seal()).unwrap();
    assert_eq!(store.session(&session(1, "ann").id).await.unwrap().unwrap().used, later);
}

/// A disk on which, while told so, writing, growing or syncing fails.
#[derive(Debug)]
struct Disk {
    file: FileBackend,
    broken: Arc<AtomicU8>,
}

const WRITING: u8 = 1;
const SYNCING: u8 = 2;

impl Disk {
    fn check(&self, what: u8) -> io::Result<()> {
        let broken = self.broken.load(Ordering::SeqCst) & what != 0;
        if broken { Err(io::Error::from(io::ErrorKind::StorageFull)) } else { Ok(()) }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check(WRITING)?;
        self.file.set_len(len)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.check(SYNCING)?;
        self.file.sync_data()
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.check(WRITING)?;
        self.file.write(offset, data)
    }
}

/// A disk that is full, or cannot sync, for a while: no is the answer, and once it works again so is yes, without a
/// restart; what was answered with yes is there.
#[tokio::test]
async fn a_disk_that_fails_for_a_while_costs_answers_but_no_facts() {
    for fault in [WRITING, SYNCING, WRITING | SYNCING] {
        let (_home, path) = place();
        let seal = file::prepare(&path, &seal()).unwrap();
        let broken = Arc::new(AtomicU8::new(0));
        let (again, switch) = (path.clone(), Arc::clone(&broken));
        let live = Live::open(move || {
            let file = File::options().read(true).write(true).open(&again).unwrap();
            let disk = Disk { file: FileBackend::new(file).unwrap(), broken: Arc::clone(&switch) };
            Builder::new().create_with_backend(disk).map_err(|error| file::refused(&again, error))
        });
        let store = RedbStore::around(&path, live.unwrap(), seal).unwrap();
        open(&store, session(1, "ann"), 1).await;
        for round in 0..3 {
            broken.store(fault, Ordering::SeqCst);
            store.append(entry("refused")).await.unwrap_err();
            store.ready().await.unwrap_err();
            broken.store(0, Ordering::SeqCst);
            store.append(entry(&format!("kept {round}"))).await.unwrap();
            store.ready().await.unwrap();
        }
        let kept = store.entries(0, 99).await.unwrap();
        for round in 0..3 {
            assert!(kept.contains(&entry(&format!("kept {round}"))), "fault {fault}");
        }
        assert!(store.session(&session(1, "ann").id).await.unwrap().is_some());
        drop(store);
        assert_eq!(RedbStore::open(&path, &crate::fixture::seal()).unwrap().entries(0, 99).await.unwrap(), kept);
    }
}

/// The file as servers of older schemas left it: a row for each entry, and for each hash where there was a tree.
fn make_older(path: &Path, schema: u64, tampered: bool) {
    use super::{log, tables::META};
    let database = Database::open(path).unwrap();
    let write = database.begin_write().unwrap();
    {
        let (kept, tree) = (write.open_table(log::ENTRIES).unwrap(), write.open_table(log::HASHES).unwrap());
        let mut entries = write.open_table(TableDefinition::<u64, &[u8]>::new("audit")).unwrap();
        for (index, kept) in log::entries(&kept, 0, usize::MAX).unwrap() {
            let bytes = if tampered && index == 3 { b"{}" } else { kept.as_bytes() };
            entries.insert(index, bytes).unwrap();
        }
        if schema == 2 {
            let mut hashes = write.open_table(TableDefinition::<u64, &[u8; 32]>::new("audit_tree")).unwrap();
            for (place, hash) in log::hashes(&tree, 0, u64::MAX).unwrap() {
                hashes.insert(place, &hash).unwrap();
            }
        }
    }
    write.delete_table(log::ENTRIES).unwrap();
    write.delete_table(log::HASHES).unwrap();
    if schema == 1 {
        write.delete_table(log::CHECKPOINT).unwrap();
    }
    write.open_table(META).unwrap().insert("schema", schema).unwrap();
    write.commit().unwrap();
}

/// A store of an older schema is brought up to date, once, and its log is the same as before.
#[tokio::test]
async fn an_older_log_is_brought_up_to_date() {
    for schema in [1, 2] {
        let (_home, path) = place();
        let (before, checkpoint) = {
            let store = RedbStore::open(&path, &seal()).unwrap();
            for n in 0..11 {
                store.append(entry(&n.to_string())).await.unwrap();
            }
            (store.entries(0, 99).await.unwrap(), store.checkpoint().await.unwrap())
        };
        make_older(&path, schema, false);
        let refused = LogReader::open(&path).err().unwrap().to_string();
        assert!(refused.contains("start ca-server on it"), "{refused}");
        let store = RedbStore::open(&path, &seal()).unwrap();
        assert_eq!(store.checkpoint().await.unwrap(), checkpoint, "the same entries, the same tree");
        assert_eq!(store.entries(0, 99).await.unwrap(), before);
        store.append(entry("11")).await.unwrap();
        drop(store);
        RedbStore::open(&path, &seal()).unwrap();
    }
}

/// What was signed is what counts: an older log that is not that is left as it is.
#[tokio::test]
async fn an_older_log_that_was_changed_is_not_brought_up_to_date() {
    let (_home, path) = place();
    {
        let store = RedbStore::open(&path, &seal()).unwrap();
        for n in 0..11 {
            store.append(entry(&n.to_string())).await.unwrap();
        }
    }
    make_older(&path, 2, true);
    for _again in 0..2 {
        assert!(refusal(&path).contains("not the one that was signed"), "{}", refusal(&path));
    }
}

/// A file whose index of certificates by grant is of an older kind: an end still revokes what was issued under it.
#[tokio::test]
async fn an_older_index_of_certificates_is_brought_up_to_date() {
    use crate::store::{Claim, Requests as _, Revocations as _, Selection};
    const BY_GRANT: TableDefinition<'_, (&str, u64, u64), ()> = TableDefinition::new("certificates_by_grant");
    const UNDER: TableDefinition<'_, (u64, u64), &str> = TableDefinition::new("certificates_under_requests");
    let (_home, path) = place();
    let (id, expires) = (conformance::requests::id(1), issued(1, "x", "x").expires);
    let ann = session(1, "ann");
    {
        let store = RedbStore::open(&path, &seal()).unwrap();
        open(&store, ann.clone(), 1).await;
        conformance::requests::file(&store, conformance::requests::request(1, "ann", 1)).await;
        for serial in 1..=3_u64 {
            let under = Claim { request: id.clone(), seen: 0, step: None, expires, extensions: Vec::new() };
            let claim = (serial != 2).then_some(under);
            let issued = Issued { grant: id.grant(), ..issued(serial, "ann", "web-1") };
            let recorded = store.record_issue(&ann.id, None, claim, issued, entry("issued")).await.unwrap();
            assert_eq!(recorded, Recorded::Yes);
        }
    }
    let database = Database::open(&path).unwrap();
    let write = database.begin_write().unwrap();
    for serial in [1, 3] {
        let grant = id.grant();
        write.open_table(BY_GRANT).unwrap().insert((grant.as_str(), expires.as_secs(), serial), ()).unwrap();
    }
    write.delete_table(UNDER).unwrap();
    write.commit().unwrap();
    drop(database);
    for again in [false, true] {
        let store = RedbStore::open(&path, &seal()).unwrap();
        let live = store.live(&Selection::Grant(id.grant()), NOW).await.unwrap();
        assert_eq!(live.iter().map(|one| one.serial.get()).collect::<Vec<_>>(), [1, 3]);
        let read = store.live.read().unwrap();
        assert!(read.list_tables().unwrap().all(|table| ::redb::TableHandle::name(&table) != "certificates_by_grant"));
        if again {
            let denied = conformance::requests::step(policy::What::Cancelled);
            store.add_step(&id, 0, denied, entry("end")).await.unwrap();
            assert_eq!(store.revoked(None).await.unwrap().unwrap().serials.len(), 2);
        }
    }
}

/// Entries that share a commit share a row, as many as fit; each is found by its index, and so is each hash.
#[tokio::test]
async fn entries_that_share_a_row_are_found_each() {
    use crate::audit::tree::{self, Frontier};
    let (_home, path) = place();
    let store = RedbStore::open(&path, &seal()).unwrap();
    let long = |n: u64| crate::audit::Entry::from_bytes(vec![b'a' + u8::try_from(n % 26).unwrap(); 7_000]);
    let huge = crate::audit::Entry::from_bytes(vec![b'!'; 100_000]);
    let mut all = Vec::new();
    for commit in [1, 20, 0, 3, 31] {
        let more: Vec<_> = (0..commit).map(long).chain((commit == 20).then(|| huge.clone())).collect();
        all.extend(more.iter().cloned());
        let write = store.writer.write(move |tables| more.iter().try_for_each(|entry| tables.append(entry)));
        write.await.unwrap();
    }
    assert_eq!(store.entry_count().await.unwrap(), 56);
    let rows = store.live.read().unwrap().open_table(super::log::ENTRIES).unwrap();
    assert!(::redb::ReadableTableMetadata::len(&rows).unwrap() < 12, "each has a row of its own");
    let mut frontier = Frontier::default();
    for (index, entry) in (0..).zip(&all) {
        let at = usize::try_from(index).unwrap();
        assert_eq!(store.entries(index, 3).await.unwrap(), all[at..all.len().min(at + 3)]);
        let mut hashes = Vec::new();
        let Ok(()) = frontier.push(tree::leaf(entry.as_bytes()), |place, hash| {
            hashes.push((place, *hash));
            Ok::<(), std::convert::Infallible>(())
        });
        for (place, hash) in hashes {
            assert_eq!(store.tree_hashes(&[place]).await.unwrap(), [hash]);
        }
    }
    let signed = Checkpoint::verify(&store.checkpoint().await.unwrap(), seal().verifier()).unwrap();
    assert_eq!((signed.size, signed.root), (56, frontier.root()));
    assert!(store.tree_hashes(&[tree::places(56)]).await.is_err());
    drop(store);
    let log = LogReader::open(&path).unwrap();
    let found = log.entries(5, 40).unwrap();
    assert!(found.iter().map(|(index, _)| *index).eq(5..45) && found.iter().map(|(_, entry)| entry).eq(&all[5..45]));
    let hashes = log.hashes(tree::places(7), tree::places(50)).unwrap();
    assert!(hashes.iter().map(|(place, _)| *place).eq(tree::places(7)..tree::places(50)));
}

#[tokio::test]
async fn a_log_of_another_key_is_refused_and_a_moved_server_keeps_its_log() {
    let (_home, path) = place();
    RedbStore::open(&path, &seal()).unwrap().append(entry("one")).await.unwrap();
    let other = Seal::new("ssh-ca.example.com", Arc::new(crate::fixture::ca_key(4))).unwrap();
    let error = RedbStore::open(&path, &other).err().unwrap().to_string();
    assert!(error.contains("another key than keys.log"), "{error}");
    assert_eq!(LogReader::open(&path).unwrap().head().unwrap().1, 1, "nothing was appended");

    let moved = seal().of("new.example.com").unwrap();
    let store = RedbStore::open(&path, &moved).unwrap();
    store.append(entry("two")).await.unwrap();
    let checkpoint = Checkpoint::verify(&store.checkpoint().await.unwrap(), seal().verifier()).unwrap();
    assert_eq!((checkpoint.origin.as_str(), checkpoint.size), ("ssh-ca.example.com", 2));
}

/// Another process reads while the server writes, and sees what was committed; a second writer is still refused.
#[tokio::test]
async fn the_log_can_be_read_while_the_server_writes() {
    let (_home, path) = place();
    let store = RedbStore::open(&path, &seal()).unwrap();
    let reader = LogReader::open(&path).unwrap();
    for n in 0..5 {
        store.append(entry(&n.to_string())).await.unwrap();
        let (note, end) = reader.head().unwrap();
        assert_eq!((note.unwrap(), end), (store.checkpoint().await.unwrap(), n + 1));
        assert_eq!(reader.entries(n, 9).unwrap(), [(n, entry(&n.to_string()))]);
    }
    assert!(refusal(&path).contains("stop the other ca-server first"), "{}", refusal(&path));
}

/// Sessions read lately are kept in memory; one that ended is gone from there too, even if whoever ended it has left.
#[tokio::test]
async fn an_ended_session_is_gone_even_if_nobody_waits_for_its_end() {
    let (_home, path) = place();
    let store = RedbStore::open(&path, &seal()).unwrap();
    open(&store, session(1, "ann"), 1).await;
    assert!(store.session(&session(1, "ann").id).await.unwrap().is_some());
    let id = session(1, "ann").id;
    tokio::select! {
        biased;
        _ended = store.end_session(&id, entry("ended")) => panic!("it waits for the commit"),
        () = std::future::ready(()) => {}
    }
    store.append(entry("after")).await.unwrap();
    assert_eq!(store.session(&id).await.unwrap(), None);
}

/// Pruning forgets in memory what the file has; nothing that was read before may then stand for the file.
#[tokio::test]
async fn a_last_use_outlives_being_forgotten_in_memory() {
    let (_home, path) = place();
    let store = RedbStore::open(&path, &crate::fixture::seal()).unwrap();
    let ann = crate::store::LoginSession {
        expires: NOW.plus(policy::Seconds::new(43_200)),
        idle_seconds: 7_200,
        ..session(1, "ann")
    };
    open(&store, ann.clone(), 1).await;
    let at = |seconds: u64| NOW.plus(policy::Seconds::new(u32::try_from(seconds).unwrap()));
    for used in [10, 40, 3_000, 3_030] {
        assert!(store.session(&ann.id).await.unwrap().is_some());
        store.touch_session(&ann.id, at(used)).await.unwrap();
    }
    for now in [3_040, 6_640, 6_820] {
        store.prune(at(now)).await.unwrap();
        assert_eq!(store.session(&ann.id).await.unwrap().unwrap().used, at(3_030), "at {now}");
    }
}
