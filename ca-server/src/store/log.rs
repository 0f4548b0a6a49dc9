//! The audit log of a store, read by another process than the server, while that one runs or not. Nothing is believed and
//! nothing is changed.

use super::{StoreError, postgres, redb};
use crate::{
    audit::{Entry, tree::Hash},
    config::StoreConfig,
};
use std::path::Path;

/// A store's audit log, for reading. Each call sees a state of its own.
pub enum LogReader {
    /// In a file.
    File(redb::LogReader),
    /// In a database.
    Database(postgres::Log),
}

impl LogReader {
    /// Opens the store's file at `path`.
    ///
    /// # Errors
    /// If there is none, or it cannot be read.
    pub fn open(path: &Path) -> Result<Self, redb::OpenError> {
        redb::LogReader::open(path).map(Self::File)
    }

    /// Opens the store of a server that is configured so.
    ///
    /// # Errors
    /// If there is none, or it cannot be read.
    pub fn of(store: &StoreConfig) -> Result<Self, StoreError> {
        match store {
            StoreConfig::Redb(path) => Self::open(path).map_err(|error| StoreError(error.to_string())),
            StoreConfig::Postgres(settings) => {
                postgres::Log::open(settings).map(Self::Database).map_err(|error| StoreError(error.to_string()))
            }
        }
    }

    /// The latest checkpoint, if there is one, and the index after the last entry: of one moment.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn head(&self) -> Result<(Option<String>, u64), StoreError> {
        match self {
            Self::File(log) => log.head(),
            Self::Database(log) => log.head(),
        }
    }

    /// Up to `most` entries from index `from` on, each with its index: in a log that was tampered with, one may be missing.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn entries(&self, from: u64, most: usize) -> Result<Vec<(u64, Entry)>, StoreError> {
        match self {
            Self::File(log) => log.entries(from, most),
            Self::Database(log) => log.entries(from, most),
        }
    }

    /// The hashes of the tree from `from` to before `to`, each with its place.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn hashes(&self, from: u64, to: u64) -> Result<Vec<(u64, Hash)>, StoreError> {
        match self {
            Self::File(log) => log.hashes(from, to),
            Self::Database(log) => log.hashes(from, to),
        }
    }

    /// The hashes at these places of the tree.
    ///
    /// # Errors
    /// If one is not there, or it cannot be read.
    pub fn hashes_at(&self, places: &[u64]) -> Result<Vec<Hash>, StoreError> {
        match self {
            Self::File(log) => log.hashes_at(places),
            Self::Database(log) => log.hashes_at(places),
        }
    }
}
