//! The audit log in a store's file, read by another process than the server, while that one runs or not. Nothing is believed
//! and nothing is changed: `audit verify` has to see what is there.

use super::{
    file::{OpenError, builder, refused},
    tables::{AUDIT, CHECKPOINT, LATEST, TREE},
};
use crate::{audit::{Entry, tree::Hash}, store::StoreError};
use ::redb::{DatabaseError, ReadOnlyDatabase, ReadTransaction, ReadableDatabase as _, ReadableTableMetadata as _};
use std::path::Path;

/// A store's audit log, for reading.
pub struct LogReader(ReadOnlyDatabase);

impl LogReader {
    /// Opens the store at `path`. A store whose server was killed is first closed properly, as its next start would: no fact
    /// in it changes.
    ///
    /// # Errors
    /// If there is none, or it cannot be read.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        match builder().open_read_only(path) {
            Err(DatabaseError::RepairAborted) => {
                drop(builder().open(path).map_err(|error| refused(path, error))?);
                builder().open_read_only(path).map(Self).map_err(|error| refused(path, error))
            }
            opened => opened.map(Self).map_err(|error| refused(path, error)),
        }
    }

    /// How many entries there are.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn len(&self) -> Result<u64, StoreError> {
        self.read()?.open_table(AUDIT).map_err(failed)?.len().map_err(failed)
    }

    /// Up to `most` entries from index `from` on, each with its index: in a log that was tampered with, one may be missing.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn entries(&self, from: u64, most: usize) -> Result<Vec<(u64, Entry)>, StoreError> {
        let audit = self.read()?.open_table(AUDIT).map_err(failed)?;
        let rows = audit.range(from..).map_err(failed)?.take(most);
        let entry = |(index, bytes): (::redb::AccessGuard<'_, u64>, ::redb::AccessGuard<'_, &[u8]>)| {
            (index.value(), Entry::from_bytes(bytes.value().to_vec()))
        };
        rows.map(|row| row.map(entry).map_err(failed)).collect()
    }

    /// The hashes of the tree from `from` to before `to`, each with its place.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn hashes(&self, from: u64, to: u64) -> Result<Vec<(u64, Hash)>, StoreError> {
        let tree = self.read()?.open_table(TREE).map_err(failed)?;
        let rows = tree.range(from..to).map_err(failed)?;
        rows.map(|row| row.map(|(place, hash)| (place.value(), *hash.value())).map_err(failed)).collect()
    }

    /// The latest checkpoint, if there is one.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn checkpoint(&self) -> Result<Option<String>, StoreError> {
        let table = self.read()?.open_table(CHECKPOINT).map_err(failed)?;
        Ok(table.get(LATEST).map_err(failed)?.map(|note| note.value().to_owned()))
    }

    /// Each call reads a state of its own, so that a reader that takes its time keeps no old pages alive.
    fn read(&self) -> Result<ReadTransaction, StoreError> {
        self.0.begin_read().map_err(failed)
    }
}

fn failed(error: impl std::fmt::Display) -> StoreError {
    StoreError(error.to_string())
}
