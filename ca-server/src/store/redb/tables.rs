//! The tables of the file, and how keys are laid out in them.

use super::{log::Log, requests::Asked, revocations::Ended};
use crate::{
    audit::{Entry, checkpoint::Seal, tree::Frontier},
    store::StoreError,
};
use ::redb::{Error, StorageError, Table, TableDefinition, WriteTransaction};
use std::ops::RangeInclusive;

/// The version of everything below.
pub(super) const SCHEMA: u64 = 3;
/// The version before: each entry of the audit log, and each hash of its tree, had a row of its own.
pub(super) const ROW_EACH: u64 = 2;
/// The version before that: the audit log had no tree.
pub(super) const WITHOUT_TREE: u64 = 1;

/// An owner of sessions and keys: see [`crate::store::records`].
pub(super) type Owner = [u8; 32];
type OwnedKey = (&'static Owner, u64, &'static str);

/// Facts about the file itself: `schema`.
pub(super) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
/// Session id → the session as JSON.
pub(super) const SESSIONS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("sessions");
/// Owner, start, session id: the sessions of one identity in order.
pub(super) const OWNED: TableDefinition<'_, OwnedKey, ()> = TableDefinition::new("sessions_by_owner");
/// End, session id: what to look at when pruning.
pub(super) const ENDING: TableDefinition<'_, (u64, &str), ()> = TableDefinition::new("sessions_by_end");
/// Digest of a used token → when to forget it.
pub(super) const TOKENS: TableDefinition<'_, &[u8; 32], u64> = TableDefinition::new("tokens");
/// When to forget it, digest.
pub(super) const FORGETTING: TableDefinition<'_, (u64, &[u8; 32]), ()> = TableDefinition::new("tokens_by_time");
/// Digest of a user key → its owner and when possession was last proven.
pub(super) const KEYS: TableDefinition<'_, &[u8; 32], (&Owner, u64)> = TableDefinition::new("keys");
/// Time of the last proof, digest of the key.
pub(super) const PROVEN: TableDefinition<'_, (u64, &[u8; 32]), ()> = TableDefinition::new("keys_by_time");
/// Session id, digest of a key that it has proven.
pub(super) const PROOFS: TableDefinition<'_, (&str, &[u8; 32]), ()> = TableDefinition::new("proofs");

/// The keys in [`OWNED`] of one owner.
pub(super) fn owned_by(owner: &Owner) -> RangeInclusive<(&Owner, u64, &str)> {
    // No id sorts after this: they are `s-` and hex digits.
    (owner, 0, "")..=(owner, u64::MAX, "\u{7f}")
}

/// The keys in [`PROOFS`] of one session.
pub(super) fn proofs_of(session: &str) -> RangeInclusive<(&str, &'static [u8; 32])> {
    (session, &[0; 32])..=(session, &[0xff; 32])
}

/// All tables, open for writing in one transaction.
pub(super) struct Tables<'t> {
    /// The transaction itself, for tables that few writes touch.
    pub transaction: &'t WriteTransaction,
    pub sessions: Table<'t, &'static str, &'static [u8]>,
    pub owned: Table<'t, OwnedKey, ()>,
    pub ending: Table<'t, (u64, &'static str), ()>,
    pub tokens: Table<'t, &'static [u8; 32], u64>,
    pub forgetting: Table<'t, (u64, &'static [u8; 32]), ()>,
    pub keys: Table<'t, &'static [u8; 32], (&'static Owner, u64)>,
    pub proven: Table<'t, (u64, &'static [u8; 32]), ()>,
    pub proofs: Table<'t, (&'static str, &'static [u8; 32]), ()>,
    pub asked: Asked<'t>,
    pub ended: Ended<'t>,
    log: Log<'t>,
}

impl<'t> Tables<'t> {
    /// `frontier` is that of the tree as it was last committed; read from the file where it is not known.
    pub(super) fn open(transaction: &'t WriteTransaction, frontier: Option<Frontier>) -> Result<Self, Error> {
        Ok(Self {
            transaction,
            sessions: transaction.open_table(SESSIONS)?,
            owned: transaction.open_table(OWNED)?,
            ending: transaction.open_table(ENDING)?,
            tokens: transaction.open_table(TOKENS)?,
            forgetting: transaction.open_table(FORGETTING)?,
            keys: transaction.open_table(KEYS)?,
            proven: transaction.open_table(PROVEN)?,
            proofs: transaction.open_table(PROOFS)?,
            asked: Asked::open(transaction)?,
            ended: Ended::open(transaction)?,
            log: Log::open(transaction, frontier)?,
        })
    }

    /// The index that the next entry of the audit log will have.
    pub(super) fn next_index(&self) -> u64 {
        self.log.next()
    }

    /// Appends an entry to the audit log.
    pub(super) fn append(&mut self, entry: &Entry) -> Result<(), Error> {
        self.log.append(entry)
    }

    /// Appends entries, if they could be made.
    pub(super) fn append_all(&mut self, entries: Result<Vec<Entry>, StoreError>) -> Result<(), Error> {
        let entries = entries.map_err(|error| StorageError::Io(std::io::Error::other(error)))?;
        entries.iter().try_for_each(|entry| self.append(entry))
    }

    /// Signs what was appended: see [`Log::seal`].
    pub(super) fn seal(self, seal: &Seal) -> Result<Frontier, Error> {
        self.log.seal(seal)
    }

    /// Signs the log as it is.
    pub(super) fn sign(&mut self, seal: &Seal) -> Result<(), Error> {
        self.log.sign(seal)
    }
}
