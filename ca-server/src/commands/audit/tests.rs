//! What an intruder with the store's file may do, and what the verifier says to it.

use super::{export, verify};
use ca_server::{
    audit::{
        Entry,
        checkpoint::{Checkpoint, Seal},
        tree::{self, Frontier},
        verify::Fault,
    },
    custody::CaKey,
    store::{LogReader, Store as _, redb::RedbStore},
};
use redb::{Database, ReadableTable as _, TableDefinition, WriteTransaction};
use std::{
    convert::Infallible,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};
use zeroize::Zeroizing;

const AUDIT: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("audit_entries");
const TREE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("audit_hashes");
const CHECKPOINT: TableDefinition<'_, &str, &str> = TableDefinition::new("audit_checkpoint");
const SIZE: u64 = 21;

fn seal(seed: u8) -> Seal {
    Seal::new("ssh-ca.example.com", Arc::new(CaKey::from_seed(Zeroizing::new([seed; 32])))).unwrap()
}

fn entry(n: u64) -> Entry {
    Entry::from_bytes(format!("{{\"v\":1,\"n\":{n}}}").into_bytes())
}

/// A store with entries `0..size`, closed; and its checkpoint.
async fn store(path: &Path, size: u64) -> String {
    let store = RedbStore::open(path, &seal(3)).unwrap();
    for n in 0..size {
        store.append(entry(n)).await.unwrap();
    }
    store.checkpoint().await.unwrap()
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("store");
    (home, path)
}

fn tamper(path: &Path, how: impl FnOnce(&WriteTransaction)) {
    let database = Database::open(path).unwrap();
    let write = database.begin_write().unwrap();
    how(&write);
    write.commit().unwrap();
}

fn verdict(path: &Path, seen: Option<&str>) -> Result<(), Vec<Fault>> {
    let seen = seen.map(|note| Checkpoint::verify(note, seal(3).verifier()).unwrap());
    let found = verify::of_store(&LogReader::open(path).unwrap(), seal(3).verifier(), seen).unwrap();
    found.map(drop)
}

/// Entries and tree as if these had been written, with a checkpoint by `key`.
fn rewrite(write: &WriteTransaction, entries: impl Iterator<Item = Vec<u8>>, key: Option<&Seal>) {
    let (mut audit, mut kept) = (write.open_table(AUDIT).unwrap(), write.open_table(TREE).unwrap());
    audit.retain(|_, _| false).unwrap();
    kept.retain(|_, _| false).unwrap();
    let mut frontier = Frontier::default();
    for (index, entry) in (0..).zip(entries) {
        audit.insert(index, row(&entry).as_slice()).unwrap();
        let Ok(()) = frontier.push(tree::leaf(&entry), |place, hash| {
            kept.insert(place, hash.as_slice()).unwrap();
            Ok::<(), Infallible>(())
        });
    }
    if let Some(key) = key {
        let note = key.checkpoint(frontier.size(), frontier.root());
        write.open_table(CHECKPOINT).unwrap().insert("latest", note.as_str()).unwrap();
    }
}

/// Puts other bytes at `index`.
fn put(write: &WriteTransaction, index: u64) {
    write.open_table(AUDIT).unwrap().insert(index, row(b"{}").as_slice()).unwrap();
}

/// A row with this one entry: each was a commit of its own.
fn row(entry: &[u8]) -> Vec<u8> {
    let length = u32::try_from(entry.len()).unwrap().to_le_bytes();
    [&length, entry].concat()
}

fn bytes(n: u64) -> Vec<u8> {
    entry(n).as_bytes().to_vec()
}

#[tokio::test]
async fn an_honest_log_of_any_size_verifies() {
    for size in [0, 1, 2, 3, 8, 13, 64, 1_001] {
        let (_home, path) = place();
        let early = store(&path, size / 2).await;
        // The first half was written before; the store goes on where it was.
        let opened = RedbStore::open(&path, &seal(3)).unwrap();
        for n in size / 2..size {
            opened.append(entry(n)).await.unwrap();
        }
        assert_eq!(verdict(&path, Some(&early)), Ok(()), "{size}, while the server has it open");
        drop(opened);
        assert_eq!(verdict(&path, Some(&early)), Ok(()), "{size}");
    }
}

#[tokio::test]
async fn every_change_is_found_and_named() {
    type Change = fn(&WriteTransaction);
    let rows: [(&str, Change, Vec<Fault>); 18] = [
        ("edit", |w| put(w, 5), vec![Fault::Changed(5)]),
        ("edit the last", |w| put(w, 20), vec![Fault::Changed(20)]),
        ("delete", |w| drop(w.open_table(AUDIT).unwrap().remove(7).unwrap()), vec![Fault::Missing(7)]),
        (
            "change the length of one",
            |w| {
                let mut audit = w.open_table(AUDIT).unwrap();
                let mut longer = row(&bytes(7));
                longer[0] += 1;
                audit.insert(7, longer.as_slice()).unwrap();
            },
            vec![Fault::Missing(7)],
        ),
        (
            "truncate",
            |w| w.open_table(AUDIT).unwrap().retain(|index, _| index < 15).unwrap(),
            vec![Fault::CutOff(15, SIZE)],
        ),
        ("truncate with its tree", |w| rewrite(w, (0..15).map(bytes), None), vec![Fault::CutOff(15, SIZE)]),
        (
            "swap",
            |w| {
                let mut audit = w.open_table(AUDIT).unwrap();
                audit.insert(3, row(&bytes(11)).as_slice()).unwrap();
                audit.insert(11, row(&bytes(3)).as_slice()).unwrap();
            },
            vec![Fault::Moved(3, 11), Fault::Moved(11, 3)],
        ),
        (
            "delete and close the gap",
            |w| rewrite(w, (0..SIZE).filter(|n| *n != 4).map(bytes), None),
            vec![Fault::CutOff(20, SIZE)],
        ),
        (
            "edit with its leaf",
            |w| {
                put(w, 6);
                drop(w.open_table(TREE).unwrap().insert(tree::places(6), tree::leaf(b"{}").as_slice()).unwrap());
            },
            vec![Fault::Tree(6..=7), Fault::Rewritten(SIZE, None)],
        ),
        (
            "edit with its whole tree",
            |w| rewrite(w, (0..SIZE).map(|n| bytes(if n == 6 { 99 } else { n })), None),
            vec![Fault::Rewritten(SIZE, None)],
        ),
        ("append", |w| rewrite(w, (0..SIZE + 2).map(bytes), None), vec![Fault::Unsigned(SIZE)]),
        (
            "damage the tree",
            |w| {
                let mut tree = w.open_table(TREE).unwrap();
                let mut hashes = tree.get(tree::places(7)).unwrap().unwrap().value().to_vec();
                hashes.splice(3 * 32.., [0; 32]);
                tree.insert(tree::places(7), hashes.as_slice()).unwrap();
            },
            vec![Fault::Tree(0..=7)],
        ),
        (
            "lose a leaf hash",
            |w| drop(w.open_table(TREE).unwrap().remove(tree::places(9)).unwrap()),
            vec![Fault::Tree(9..=9)],
        ),
        (
            "another key over another tail",
            |w| rewrite(w, (0..SIZE).map(|n| bytes(if n > 17 { n + 50 } else { n })), Some(&seal(4))),
            vec![],
        ),
        // Whoever begins to read before it would see the one, whoever begins at it the other.
        (
            "keep an entry, and put another in its place",
            |w| {
                let mut audit = w.open_table(AUDIT).unwrap();
                audit.insert(4, [row(&bytes(4)), row(&bytes(5))].concat().as_slice()).unwrap();
                audit.insert(5, row(b"{}").as_slice()).unwrap();
            },
            vec![Fault::Changed(5)],
        ),
        (
            "keep the hashes of an entry, and put others in their place",
            |w| {
                let mut tree = w.open_table(TREE).unwrap();
                let [four, five] = [4, 5].map(|n| tree.get(tree::places(n)).unwrap().unwrap().value().to_vec());
                tree.insert(tree::places(4), [four, five].concat().as_slice()).unwrap();
                tree.insert(tree::places(5), [0; 64].as_slice()).unwrap();
            },
            vec![Fault::Tree(4..=5), Fault::Changed(5), Fault::Rewritten(SIZE, None)],
        ),
        ("no checkpoint", |w| w.open_table(CHECKPOINT).unwrap().retain(|_, _| false).unwrap(), vec![]),
        ("no entries at all", |w| rewrite(w, std::iter::empty(), None), vec![Fault::CutOff(0, SIZE)]),
    ];
    for (what, change, expected) in rows {
        let (_home, path) = place();
        store(&path, SIZE).await;
        tamper(&path, change);
        let mut found = verdict(&path, None).unwrap_err();
        if expected.is_empty() {
            assert!(matches!(found.remove(0), Fault::Signature(_)), "{what}: {found:?}");
        }
        assert_eq!(found, expected, "{what}");
        // Nor does the server go on with it, but for hashes inside the tree, which only the verifier makes again.
        let starts = RedbStore::open(&path, &seal(3)).is_ok();
        assert_eq!(starts, ["edit with its leaf", "damage the tree"].contains(&what), "{what}");
    }
}

/// Whoever has the log's key can sign another history. What was seen elsewhere still shows it.
#[tokio::test]
async fn a_remembered_checkpoint_finds_what_the_key_signed_again() {
    let (home, path) = place();
    let seen = store(&path, 10).await;
    let old = home.path().join("backup");
    fs::copy(&path, &old).unwrap();
    let more = store_more(&path, SIZE).await;
    assert_eq!(verdict(&path, Some(&seen)), Ok(()));

    assert_eq!(verdict(&old, None), Ok(()), "an old database is a good one to whoever remembers nothing");
    assert_eq!(verdict(&old, Some(&more)), Err(vec![Fault::RolledBack(10, SIZE)]));
    store_more(&old, 40).await;
    let forked = verdict(&old, Some(&more));
    assert_eq!(forked, Ok(()), "the same facts in the same order are the same log");

    tamper(&path, |write| rewrite(write, (0..SIZE).map(|n| bytes(if n == 2 { 99 } else { n })), Some(&seal(3))));
    assert_eq!(verdict(&path, None), Ok(()), "the key signed it");
    assert_eq!(verdict(&path, Some(&seen)), Err(vec![Fault::Forked(10)]));
    tamper(&path, |write| rewrite(write, (0..SIZE).map(|n| bytes(if n == 12 { 99 } else { n })), None));
    assert_eq!(verdict(&path, Some(&seen)), Err(vec![Fault::Rewritten(SIZE, Some(10))]));

    fs::remove_file(&path).unwrap();
    store(&path, 3).await;
    assert_eq!(verdict(&path, Some(&seen)), Err(vec![Fault::RolledBack(3, 10)]), "wiped and begun anew");
}

async fn store_more(path: &Path, size: u64) -> String {
    let store = RedbStore::open(path, &seal(3)).unwrap();
    for n in store.entry_count().await.unwrap()..size {
        store.append(entry(n)).await.unwrap();
    }
    store.checkpoint().await.unwrap()
}

#[tokio::test]
async fn an_export_verifies_by_itself_and_no_line_of_it_can_be_changed() {
    let (home, path) = place();
    store(&path, SIZE).await;
    let file = home.path().join("export");
    let check = |text: &[u8]| {
        fs::write(&file, text).unwrap();
        verify::of_export(&file, seal(3).verifier(), None)
    };
    for (from, to) in [(0, SIZE), (5, 9), (20, SIZE), (4, 4)] {
        let mut text = Vec::new();
        export::write(&LogReader::open(&path).unwrap(), from, Some(to), &mut text).unwrap();
        let range = check(&text).unwrap().unwrap().1;
        assert_eq!(range.end - range.start, to - from);
    }
    assert!(export::write(&LogReader::open(&path).unwrap(), 0, Some(SIZE + 1), &mut Vec::new()).is_err());

    let mut whole = Vec::new();
    export::write(&LogReader::open(&path).unwrap(), 0, None, &mut whole).unwrap();
    let whole = String::from_utf8(whole).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    let changed = whole.replace("\\\"n\\\":7}", "\\\"n\\\":8}");
    assert_eq!(check(changed.as_bytes()).unwrap().unwrap_err(), [Fault::Changed(7)]);
    let without: Vec<&str> = lines.iter().copied().filter(|line| !line.starts_with("{\"index\":7,")).collect();
    assert_eq!(check(without.join("\n").as_bytes()).unwrap().unwrap_err(), [Fault::Missing(7)]);
    let renamed = whole.replace("{\"index\":7,", "{\"index\":8,");
    assert!(check(renamed.as_bytes()).unwrap().is_err());
    assert!(check(lines[..5].join("\n").as_bytes()).is_err(), "no checkpoint");
    // Whoever reads on past a checkpoint would take the rest for verified.
    let (all, last) = (lines.len(), lines.last().unwrap());
    let early = [&[*last][..], &lines[..5], &[&*lines[5].replace("5}", "6}")], &lines[6..all]].concat().join("\n");
    assert!(check(early.as_bytes()).is_err(), "entries after a checkpoint");
    assert!(check(format!("{whole}{last}\n").as_bytes()).is_err(), "two checkpoints");
    let other = seal(4).checkpoint(SIZE, [0; 32]);
    let resigned = format!("{}\n{}", lines[..5].join("\n"), serde_json::json!({ "checkpoint": other }));
    assert!(matches!(check(resigned.as_bytes()).unwrap().unwrap_err()[..], [Fault::Signature(_)]));
    assert!(check(b"").is_err());
}

/// Of a part of the log nothing is said that it does not hold.
#[tokio::test]
async fn an_export_is_held_against_a_remembered_checkpoint_too() {
    let (home, path) = place();
    let seen = store(&path, 10).await;
    let whole = store_more(&path, SIZE).await;
    let file = home.path().join("export");
    let checked = |from: u64, to: u64, seen: &str| {
        let mut text = Vec::new();
        export::write(&LogReader::open(&path).unwrap(), from, Some(to), &mut text).unwrap();
        fs::write(&file, text).unwrap();
        let seen = Checkpoint::verify(seen, seal(3).verifier()).unwrap();
        verify::of_export(&file, seal(3).verifier(), Some(seen)).map(|verdict| verdict.map(drop))
    };
    for (from, to) in [(0, SIZE), (0, 10)] {
        assert_eq!(checked(from, to, &seen).unwrap(), Ok(()));
    }
    for (from, to) in [(1, SIZE), (0, 9)] {
        assert!(checked(from, to, &seen).is_err(), "{from}..{to} does not hold the first 10");
    }
    assert_eq!(checked(5, 9, &whole).unwrap(), Ok(()), "it is of that very tree");

    tamper(&path, |write| rewrite(write, (0..SIZE).map(|n| bytes(if n == 2 { 99 } else { n })), Some(&seal(3))));
    assert_eq!(checked(0, SIZE, &seen).unwrap(), Err(vec![Fault::Forked(10)]));
    assert_eq!(checked(5, 9, &whole).unwrap(), Err(vec![Fault::Forked(SIZE)]));
    fs::remove_file(&path).unwrap();
    store(&path, 3).await;
    assert_eq!(checked(0, 3, &seen).unwrap(), Err(vec![Fault::RolledBack(3, 10)]), "wiped and begun anew");
}
