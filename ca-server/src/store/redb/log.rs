//! The audit log in the file. The entries of one commit share rows, and so do the hashes that they add to the tree: a row
//! for each would cost the writing thread more than all the rest of a commit.

use crate::audit::{
    Entry,
    checkpoint::Seal,
    tree::{self, Frontier, Hash},
};
use ::redb::{AccessGuard, Error, ReadableTable, StorageError, Table, TableDefinition, WriteTransaction};
use std::convert::Infallible;

/// Index of the first → entries, each after its length (32 bits, little endian). Never changed, never removed.
pub(super) const ENTRIES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("audit_entries");
/// Place of the first → hashes of the tree over the entries: see [`crate::audit::tree`]. Never changed, never removed.
pub(super) const HASHES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("audit_hashes");
/// `latest` → the signed checkpoint of exactly these entries.
pub(super) const CHECKPOINT: TableDefinition<'_, &str, &str> = TableDefinition::new("audit_checkpoint");
/// The one key in [`CHECKPOINT`].
pub(super) const LATEST: &str = "latest";

/// The most that shares a row, in bytes. redb gives a row whole powers of two: with its own bytes this nearly fills 64 KiB.
const ROW: usize = 65_000;
/// The bytes of an entry's length.
const LENGTH: usize = 4;
const HASH: usize = size_of::<Hash>();

/// The log, open for appending in one transaction. What was appended is in the tables once it is sealed.
pub(super) struct Log<'t> {
    entries: Table<'t, u64, &'static [u8]>,
    hashes: Table<'t, u64, &'static [u8]>,
    checkpoint: Table<'t, &'static str, &'static str>,
    frontier: Frontier,
    /// The row that is being filled, and how large the tree was before it.
    row: Vec<u8>,
    added: Vec<u8>,
    before: u64,
    grown: bool,
}

impl<'t> Log<'t> {
    /// `frontier` is that of the tree as it was last committed; read from the file where it is not known.
    pub(super) fn open(transaction: &'t WriteTransaction, frontier: Option<Frontier>) -> Result<Self, Error> {
        let (entries, hashes) = (transaction.open_table(ENTRIES)?, transaction.open_table(HASHES)?);
        let frontier = match frontier {
            Some(frontier) => frontier,
            None => self::frontier(&hashes, end(&entries)?)?,
        };
        Ok(Self {
            entries,
            hashes,
            checkpoint: transaction.open_table(CHECKPOINT)?,
            before: frontier.size(),
            frontier,
            row: Vec::new(),
            added: Vec::new(),
            grown: false,
        })
    }

    /// The index of the next entry. Entries are never removed, so it is their number.
    pub(super) fn next(&self) -> u64 {
        self.frontier.size()
    }

    /// Appends an entry, to the log and to the tree over it.
    pub(super) fn append(&mut self, entry: &Entry) -> Result<(), Error> {
        let bytes = entry.as_bytes();
        let length = u32::try_from(bytes.len()).map_err(|_huge| corrupt("an entry is too long"))?;
        if self.row.len() + LENGTH + bytes.len() > ROW {
            self.put()?;
        }
        self.row.extend_from_slice(&length.to_le_bytes());
        self.row.extend_from_slice(bytes);
        let Self { frontier, added, .. } = self;
        let Ok(()) = frontier.push(tree::leaf(bytes), |_place, hash| {
            added.extend_from_slice(hash);
            Ok::<(), Infallible>(())
        });
        self.grown = true;
        Ok(())
    }

    /// Signs what was appended, so that it is never durable without a signature. Answers the frontier from here on, once this
    /// is committed.
    pub(super) fn seal(mut self, seal: &Seal) -> Result<Frontier, Error> {
        if self.grown {
            self.sign(seal)?;
        }
        Ok(self.frontier)
    }

    /// Signs the log as it is.
    pub(super) fn sign(&mut self, seal: &Seal) -> Result<(), Error> {
        self.put()?;
        let note = seal.checkpoint(self.frontier.size(), self.frontier.root());
        self.checkpoint.insert(LATEST, note.as_str())?;
        Ok(())
    }

    /// Puts the row that is being filled into the tables. Answers the tree as it then is.
    pub(super) fn put(&mut self) -> Result<&Frontier, Error> {
        if !self.row.is_empty() {
            let entries = self.entries.insert(self.before, self.row.as_slice())?.is_some();
            let hashes = self.hashes.insert(tree::places(self.before), self.added.as_slice())?.is_some();
            if entries || hashes {
                return Err(corrupt("the audit log goes on past its own end").into());
            }
            self.row.clear();
            self.added.clear();
        }
        self.before = self.frontier.size();
        Ok(&self.frontier)
    }
}

/// The index after the last entry.
pub(super) fn end(entries: &impl ReadableTable<u64, &'static [u8]>) -> Result<u64, Error> {
    let last = entries.last()?;
    Ok(last.map_or(0, |(first, row)| {
        (first.value()..=u64::MAX).zip(Row(row.value())).last().map_or(0, |(last, _)| last.saturating_add(1))
    }))
}

/// Up to `most` entries from index `from` on, each with its index. In a log that was tampered with, one may be missing: a
/// row is read up to where it makes no sense, and never past the beginning of the next, so that an entry is the same
/// wherever one begins to read.
pub(super) fn entries(
    table: &impl ReadableTable<u64, &'static [u8]>,
    from: u64,
    most: usize,
) -> Result<Vec<(u64, Entry)>, Error> {
    let start = table.range(..=from)?.next_back().transpose()?.map_or(from, |(first, _)| first.value());
    let (mut found, mut rows) = (Vec::new(), table.range(start..)?.peekable());
    while let Some(row) = rows.next() {
        let (first, row) = row?;
        for (index, entry) in (first.value()..following(rows.peek())).zip(Row(row.value())) {
            if found.len() >= most {
                return Ok(found);
            }
            if index >= from {
                found.push((index, Entry::from_bytes(entry.to_vec())));
            }
        }
        if found.len() >= most {
            break;
        }
    }
    Ok(found)
}

type Guarded<'g> = (AccessGuard<'g, u64>, AccessGuard<'g, &'static [u8]>);

/// Where the row that follows begins.
fn following(next: Option<&Result<Guarded<'_>, StorageError>>) -> u64 {
    next.and_then(|next| next.as_ref().ok()).map_or(u64::MAX, |(first, _)| first.value())
}

/// The entries in a row.
struct Row<'r>(&'r [u8]);

impl<'r> Iterator for Row<'r> {
    type Item = &'r [u8];

    fn next(&mut self) -> Option<&'r [u8]> {
        let (length, rest) = self.0.split_first_chunk::<LENGTH>()?;
        let (entry, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
        self.0 = rest;
        Some(entry)
    }
}

/// The place after the last hash.
pub(super) fn places(hashes: &impl ReadableTable<u64, &'static [u8]>) -> Result<u64, Error> {
    let last = hashes.last()?;
    Ok(last
        .map_or(0, |(first, row)| first.value().saturating_add(u64::try_from(row.value().len() / HASH).unwrap_or(0))))
}

/// The hash at `place`.
pub(super) fn hash(hashes: &impl ReadableTable<u64, &'static [u8]>, place: u64) -> Result<Option<Hash>, Error> {
    let Some((first, row)) = hashes.range(..=place)?.next_back().transpose()? else { return Ok(None) };
    let before = usize::try_from(place - first.value()).unwrap_or(usize::MAX);
    let hash = row.value().get(before.saturating_mul(HASH)..).and_then(|rest| rest.first_chunk::<HASH>());
    Ok(hash.copied())
}

/// The hashes from place `from` to before `to`, each with its place: those that [`hash`] finds there.
pub(super) fn hashes(
    table: &impl ReadableTable<u64, &'static [u8]>,
    from: u64,
    to: u64,
) -> Result<Vec<(u64, Hash)>, Error> {
    let start = table.range(..=from)?.next_back().transpose()?.map_or(from, |(first, _)| first.value());
    let (mut found, mut rows) = (Vec::new(), table.range(start..to)?.peekable());
    while let Some(row) = rows.next() {
        let (first, row) = row?;
        let places = first.value()..following(rows.peek()).min(to);
        let here = places.zip(row.value().as_chunks::<HASH>().0).map(|(place, hash)| (place, *hash));
        found.extend(here.filter(|(place, _)| *place >= from));
    }
    Ok(found)
}

/// The frontier of the tree over `size` entries.
pub(super) fn frontier(hashes: &impl ReadableTable<u64, &'static [u8]>, size: u64) -> Result<Frontier, Error> {
    let mut peaks = Vec::new();
    for place in Frontier::kept_at(size) {
        peaks.extend(hash(hashes, place)?);
    }
    Ok(Frontier::new(size, peaks).ok_or_else(|| corrupt("the tree of the audit log is not whole"))?)
}

fn corrupt(what: &str) -> StorageError {
    StorageError::Corrupted(what.to_owned())
}
