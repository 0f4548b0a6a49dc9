//! The head of the audit log: entries, tree and signed checkpoint have to agree there before anything is appended.

use super::{
    file::{OpenError, RESTORE},
    log::{self, CHECKPOINT, ENTRIES, HASHES, LATEST, Log},
    tables::{META, ROW_EACH, SCHEMA},
};
use crate::audit::{
    Entry,
    checkpoint::{Checkpoint, Seal},
    note::NoteError,
    tree::{self, Frontier},
};
use ::redb::{Database, Error, ReadTransaction, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use std::path::Path;

/// How the log was kept before [`SCHEMA`]: index → an entry.
const ENTRY_EACH: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("audit");
/// How its tree was kept: place → a hash.
const HASH_EACH: TableDefinition<'_, u64, &[u8; 32]> = TableDefinition::new("audit_tree");

/// How many of the last entries are hashed again at each start. All of them are `ca-server audit verify`'s to check.
const LOOKED_AT: u64 = 256;

/// `seal` under the name that this log has.
pub(super) fn check(path: &Path, database: &Database, seal: &Seal) -> Result<Seal, OpenError> {
    look(database, seal).map_err(|fault| refusal(path, fault))
}

/// Brings a log of an older `schema` up to date, in one transaction; its tree has to be the one that was signed.
pub(super) fn upgrade(path: &Path, database: &Database, seal: &Seal, schema: u64) -> Result<(), OpenError> {
    repack(database, seal, schema).map_err(|fault| refusal(path, fault))
}

fn refusal(path: &Path, fault: Fault) -> OpenError {
    let (problem, remedy) = match fault {
        Fault::OtherKey(found) => (
            format!("another key than keys.log signed this audit log, or somebody changed its checkpoint ({found})"),
            "restore the log's key from the backup; if that is not it, treat this as an intrusion: docs/AUDIT.md"
                .to_owned(),
        ),
        Fault::Disagree(what) => (
            format!("the audit log does not agree with its own tree: {what}"),
            format!(
                "keep this file, find out more with `ca-server audit verify --store {}`, and see docs/AUDIT.md",
                path.display()
            ),
        ),
        Fault::Unreadable(error) => (error.to_string(), RESTORE.to_owned()),
    };
    OpenError::new(path, problem, remedy)
}

enum Fault {
    OtherKey(NoteError),
    Disagree(String),
    Unreadable(Error),
}

impl<E: Into<Error>> From<E> for Fault {
    fn from(error: E) -> Self {
        Self::Unreadable(error.into())
    }
}

fn look(database: &Database, seal: &Seal) -> Result<Seal, Fault> {
    let disagree = |what: String| Err(Fault::Disagree(what));
    let read = database.begin_read()?;
    let (seal, Checkpoint { size, root, .. }) = signed(&read, seal)?;
    let (entries, hashes) = (read.open_table(ENTRIES)?, read.open_table(HASHES)?);
    let (end, places) = (log::end(&entries)?, log::places(&hashes)?);
    if end != size {
        return disagree(format!("{size} entries are signed for, {end} are there"));
    }
    if places != tree::places(size) {
        return disagree(format!("{} hashes belong to {size} entries, {places} are there", tree::places(size)));
    }
    let from = size.saturating_sub(LOOKED_AT);
    let mut last = log::entries(&entries, from, usize::MAX)?.into_iter();
    for index in from..size {
        let entry = last.next().filter(|(found, _)| *found == index);
        let kept = log::hash(&hashes, tree::places(index))?;
        if entry.is_none() || kept != entry.map(|(_, entry)| tree::leaf(entry.as_bytes())) {
            return disagree(format!("entry {index} is not the one that was written"));
        }
    }
    if log::frontier(&hashes, size)?.root() != root {
        return disagree("its root is not the one that was signed".to_owned());
    }
    Ok(seal)
}

/// What was signed last, and `seal` under the name that the log has: it keeps that when the server's URL changes.
fn signed(read: &ReadTransaction, seal: &Seal) -> Result<(Seal, Checkpoint), Fault> {
    let note = read.open_table(CHECKPOINT)?.get(LATEST)?.map(|note| note.value().to_owned());
    let Some(note) = note else { return Err(Fault::Disagree("there is no checkpoint".to_owned())) };
    let origin = Checkpoint::unverified(&note).map_err(Fault::OtherKey)?.origin;
    let seal = seal.of(&origin).map_err(Fault::OtherKey)?;
    let checkpoint = Checkpoint::verify(&note, seal.verifier()).map_err(Fault::OtherKey)?;
    Ok((seal, checkpoint))
}

fn repack(database: &Database, seal: &Seal, schema: u64) -> Result<(), Fault> {
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    {
        let read = database.begin_read()?;
        let mut log = Log::open(&transaction, Some(Frontier::default()))?;
        for row in read.open_table(ENTRY_EACH)?.iter()? {
            log.append(&Entry::from_bytes(row?.1.value().to_vec()))?;
        }
        if schema == ROW_EACH {
            let tree = log.put()?;
            let (_, checkpoint) = signed(&read, seal)?;
            if (tree.size(), tree.root()) != (checkpoint.size, checkpoint.root) {
                return Err(Fault::Disagree("its root is not the one that was signed".to_owned()));
            }
        } else {
            log.sign(seal)?;
        }
    }
    transaction.delete_table(ENTRY_EACH)?;
    transaction.delete_table(HASH_EACH)?;
    transaction.open_table(META)?.insert("schema", SCHEMA)?;
    transaction.commit()?;
    Ok(())
}
