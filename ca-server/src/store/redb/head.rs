//! The head of the audit log: entries, tree and signed checkpoint have to agree there before anything is appended.

use super::{
    file::{OpenError, RESTORE},
    tables::{AUDIT, CHECKPOINT, LATEST, META, SCHEMA, TREE, Tables},
};
use crate::audit::{
    Entry,
    checkpoint::{Checkpoint, Seal},
    note::NoteError,
    tree::{self, Frontier},
};
use ::redb::{Database, Error, ReadableDatabase as _, ReadableTable, ReadableTableMetadata as _, StorageError};
use std::path::Path;

/// How many of the last entries are hashed again at each start. All of them are `ca-server audit verify`'s to check.
const LOOKED_AT: u64 = 256;

/// `seal` under the name that this log has.
pub(super) fn check(path: &Path, database: &Database, seal: &Seal) -> Result<Seal, OpenError> {
    look(database, seal).map_err(|fault| {
        let (problem, remedy) = match fault {
            Fault::OtherKey(found) => (
                format!(
                    "another key than keys.log signed this audit log, or somebody changed its checkpoint ({found})"
                ),
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
    })
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
    let (audit, hashes) = (read.open_table(AUDIT)?, read.open_table(TREE)?);
    let note = read.open_table(CHECKPOINT)?.get(LATEST)?.map(|note| note.value().to_owned());
    let Some(note) = note else { return disagree("there is no checkpoint".to_owned()) };
    // The log keeps its name when the server's URL changes.
    let origin = Checkpoint::unverified(&note).map_err(Fault::OtherKey)?.origin;
    let seal = seal.of(&origin).map_err(Fault::OtherKey)?;
    let Checkpoint { size, root, .. } = Checkpoint::verify(&note, seal.verifier()).map_err(Fault::OtherKey)?;
    if audit.len()? != size || audit.last()?.is_some_and(|(last, _)| last.value() + 1 != size) {
        return disagree(format!("{size} entries are signed for, {} are there", audit.len()?));
    }
    if hashes.len()? != tree::places(size) {
        return disagree(format!(
            "{} hashes belong to {size} entries, {} are there",
            tree::places(size),
            hashes.len()?
        ));
    }
    for row in audit.range(size.saturating_sub(LOOKED_AT)..)? {
        let (index, entry) = row?;
        let kept = hashes.get(tree::places(index.value()))?.map(|hash| *hash.value());
        if kept != Some(tree::leaf(entry.value())) {
            return disagree(format!("entry {} is not the one that was written", index.value()));
        }
    }
    if frontier(&hashes, size)?.root() != root {
        return disagree("its root is not the one that was signed".to_owned());
    }
    Ok(seal)
}

/// The frontier of the tree over `size` entries.
pub(super) fn frontier(hashes: &impl ReadableTable<u64, &'static [u8; 32]>, size: u64) -> Result<Frontier, Error> {
    let mut peaks = Vec::new();
    for place in Frontier::kept_at(size) {
        peaks.extend(hashes.get(place)?.map(|hash| *hash.value()));
    }
    let incomplete = || StorageError::Corrupted("the tree of the audit log is not whole".to_owned());
    Ok(Frontier::new(size, peaks).ok_or_else(incomplete)?)
}

/// Gives a tree to a log that is older than it, in one transaction.
pub(super) fn plant(database: &Database, seal: &Seal) -> Result<(), Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    {
        let read = database.begin_read()?;
        let mut tables = Tables::open(&transaction, Some(Frontier::default()))?;
        for row in read.open_table(AUDIT)?.iter()? {
            tables.plant(&Entry::from_bytes(row?.1.value().to_vec()))?;
        }
        tables.sign(seal)?;
    }
    transaction.open_table(META)?.insert("schema", SCHEMA)?;
    transaction.commit()?;
    Ok(())
}
