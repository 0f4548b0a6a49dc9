//! The tables of the file, and how keys are laid out in them.

use super::{head, requests::Asked, revocations::Ended};
use crate::{
    audit::{Entry, checkpoint::Seal, tree, tree::Frontier},
    store::StoreError,
};
use ::redb::{Error, ReadableTableMetadata as _, StorageError, Table, TableDefinition, WriteTransaction};
use std::ops::RangeInclusive;

/// The version of everything below.
pub(super) const SCHEMA: u64 = 2;
/// The version before: the audit log had no tree.
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
/// Index → the exact bytes of an audit entry. Never changed, never removed.
pub(super) const AUDIT: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("audit");
/// Place → a hash of the tree over the entries: see [`crate::audit::tree`]. Never changed, never removed.
pub(super) const TREE: TableDefinition<'_, u64, &[u8; 32]> = TableDefinition::new("audit_tree");
/// `latest` → the signed checkpoint of exactly these entries.
pub(super) const CHECKPOINT: TableDefinition<'_, &str, &str> = TableDefinition::new("audit_checkpoint");
/// The one key in [`CHECKPOINT`].
pub(super) const LATEST: &str = "latest";

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
    audit: Table<'t, u64, &'static [u8]>,
    tree: Table<'t, u64, &'static [u8; 32]>,
    checkpoint: Table<'t, &'static str, &'static str>,
    frontier: Frontier,
    grown: bool,
}

impl<'t> Tables<'t> {
    /// `frontier` is that of the tree as it was last committed; read from the file where it is not known.
    pub(super) fn open(transaction: &'t WriteTransaction, frontier: Option<Frontier>) -> Result<Self, Error> {
        let (audit, tree) = (transaction.open_table(AUDIT)?, transaction.open_table(TREE)?);
        let frontier = match frontier {
            Some(frontier) => frontier,
            None => head::frontier(&tree, audit.len()?)?,
        };
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
            audit,
            tree,
            checkpoint: transaction.open_table(CHECKPOINT)?,
            frontier,
            grown: false,
        })
    }

    /// Appends an entry, to the log and to the tree over it. Entries are never removed, so their number is the next index.
    pub(super) fn append(&mut self, entry: &Entry) -> Result<(), Error> {
        let next = self.audit.len()?;
        if next != self.frontier.size() {
            return Err(StorageError::Corrupted("the audit log and its tree disagree".to_owned()).into());
        }
        self.audit.insert(next, entry.as_bytes())?;
        self.grown = true;
        self.plant(entry)
    }

    /// Appends entries, if they could be made.
    pub(super) fn append_all(&mut self, entries: Result<Vec<Entry>, StoreError>) -> Result<(), Error> {
        let entries = entries.map_err(|error| StorageError::Io(std::io::Error::other(error)))?;
        entries.iter().try_for_each(|entry| self.append(entry))
    }

    /// Puts an entry that is in the log into the tree.
    pub(super) fn plant(&mut self, entry: &Entry) -> Result<(), Error> {
        let Self { tree, frontier, .. } = self;
        Ok(frontier.push(tree::leaf(entry.as_bytes()), |place, hash| tree.insert(place, hash).map(drop))?)
    }

    /// Signs what was appended, so that it is never durable without a signature. Answers the frontier from here on, once this
    /// is committed.
    pub(super) fn seal(mut self, seal: &Seal) -> Result<Frontier, Error> {
        if self.grown {
            self.sign(seal)?;
        }
        Ok(self.frontier)
    }

    /// Signs the tree as it is.
    pub(super) fn sign(&mut self, seal: &Seal) -> Result<(), Error> {
        let note = seal.checkpoint(self.frontier.size(), self.frontier.root());
        self.checkpoint.insert(LATEST, note.as_str())?;
        Ok(())
    }
}
