//! The audit log in a store's file, read by another process than the server, while that one runs or not. Nothing is believed
//! and nothing is changed: `audit verify` has to see what is there.

use super::{
    file::{OpenError, builder, refused, up_to_date},
    log::{self, CHECKPOINT, ENTRIES, HASHES, LATEST},
};
use crate::{
    audit::{Entry, tree::Hash},
    store::StoreError,
};
use ::redb::{DatabaseError, ReadOnlyDatabase, ReadTransaction, ReadableDatabase as _};
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
        let opened = match builder().open_read_only(path) {
            Err(DatabaseError::RepairAborted) => {
                drop(builder().open(path).map_err(|error| refused(path, error))?);
                builder().open_read_only(path)
            }
            opened => opened,
        };
        let database = opened.map_err(|error| refused(path, error))?;
        up_to_date(path, &database)?;
        Ok(Self(database))
    }

    /// The latest checkpoint, if there is one, and the index after the last entry: of one moment.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn head(&self) -> Result<(Option<String>, u64), StoreError> {
        let read = self.read()?;
        let checkpoints = read.open_table(CHECKPOINT).map_err(failed)?;
        let note = checkpoints.get(LATEST).map_err(failed)?.map(|note| note.value().to_owned());
        let end = log::end(&read.open_table(ENTRIES).map_err(failed)?).map_err(failed)?;
        Ok((note, end))
    }

    /// Up to `most` entries from index `from` on, each with its index: in a log that was tampered with, one may be missing.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn entries(&self, from: u64, most: usize) -> Result<Vec<(u64, Entry)>, StoreError> {
        log::entries(&self.read()?.open_table(ENTRIES).map_err(failed)?, from, most).map_err(failed)
    }

    /// The hashes of the tree from `from` to before `to`, each with its place.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn hashes(&self, from: u64, to: u64) -> Result<Vec<(u64, Hash)>, StoreError> {
        log::hashes(&self.read()?.open_table(HASHES).map_err(failed)?, from, to).map_err(failed)
    }

    /// The hashes at these places of the tree.
    ///
    /// # Errors
    /// If one is not there, or the file cannot be read.
    pub fn hashes_at(&self, places: &[u64]) -> Result<Vec<Hash>, StoreError> {
        let hashes = self.read()?.open_table(HASHES).map_err(failed)?;
        let hash = |place: &u64| {
            let kept = log::hash(&hashes, *place).map_err(failed)?;
            kept.ok_or_else(|| failed("the tree of the audit log has holes: see `ca-server audit verify`"))
        };
        places.iter().map(hash).collect()
    }

    /// Each call reads a state of its own, so that a reader that takes its time keeps no old pages alive.
    fn read(&self) -> Result<ReadTransaction, StoreError> {
        self.0.begin_read().map_err(failed)
    }
}

fn failed(error: impl std::fmt::Display) -> StoreError {
    StoreError(error.to_string())
}
