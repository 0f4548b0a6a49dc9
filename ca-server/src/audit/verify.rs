//! Finding out whether a log is what was signed, and if not, where: entries are held against the tree that was kept beside
//! them, the tree against itself, and its root against the signed checkpoint.

use super::{
    checkpoint::Checkpoint,
    note::NoteError,
    tree::{self, Frontier, Hash},
};
use std::{collections::HashMap, fmt, ops::RangeInclusive};

/// The most faults that are told; a log that was rewritten would have millions.
const MOST: usize = 50;

/// Something that is not as it was written and signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The latest checkpoint is not the log's.
    Signature(NoteError),
    /// An entry is not there, and later ones are.
    Missing(u64),
    /// An entry has other bytes than when it was written.
    Changed(u64),
    /// An entry is where another was (the second).
    Moved(u64, u64),
    /// The tree over these entries is not theirs.
    Tree(RangeInclusive<u64>),
    /// Entries at the end are gone: so many were signed (the second).
    CutOff(u64, u64),
    /// Entries from here on were appended without the log's key.
    Unsigned(u64),
    /// Entries and tree were rewritten together; the second is up to where they still agree with the remembered checkpoint.
    Rewritten(u64, Option<u64>),
    /// The log is shorter than one that was seen before (the second).
    RolledBack(u64, u64),
    /// The first so many entries are others than were seen before.
    Forked(u64),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signature(error) => write!(f, "the latest checkpoint is not this log's: {error}"),
            Self::Missing(index) => write!(f, "entry {index}: removed"),
            Self::Changed(index) => write!(f, "entry {index}: changed; its bytes are not those that were written"),
            Self::Moved(index, was) => write!(f, "entry {index}: moved; it was written as entry {was}"),
            Self::Tree(range) if range.start() == range.end() => {
                write!(f, "entry {}: the tree has no hash, or another one, for it", range.start())
            }
            Self::Tree(range) => {
                write!(
                    f,
                    "entries {} to {}: the tree over them was changed, or one of them and its hash",
                    range.start(),
                    range.end()
                )
            }
            Self::CutOff(size, signed) => {
                write!(f, "entry {size}: cut off; {signed} entries were signed, and {size} are there")
            }
            Self::Unsigned(from) => write!(f, "entry {from}: it and what follows were appended without the log's key"),
            Self::Rewritten(size, None) => {
                write!(
                    f,
                    "entries 0 to {}: rewritten together with their tree; this is not the root that was signed",
                    size.saturating_sub(1)
                )
            }
            Self::Rewritten(size, Some(from)) => {
                write!(
                    f,
                    "entries {from} to {}: rewritten together with their tree; the root is not the one that was signed",
                    size.saturating_sub(1)
                )
            }
            Self::RolledBack(size, seen) => {
                write!(f, "the log was rolled back: it had {seen} entries when it was last seen, and has {size} now")
            }
            Self::Forked(seen) => {
                write!(f, "the log was replaced: its first {seen} entries are others than when it was last seen")
            }
        }
    }
}

/// The examination of one log, entry by entry.
pub struct Examination {
    signed: Option<Checkpoint>,
    seen: Option<Checkpoint>,
    frontier: Frontier,
    signed_root: Option<Hash>,
    seen_root: Option<Hash>,
    /// Index, the hash that its bytes have, the hash that the tree has.
    changed: Vec<(u64, Hash, Hash)>,
    faults: Vec<Fault>,
}

impl Examination {
    /// Of a log whose latest checkpoint is `signed`, and which was once seen as `seen`.
    pub fn new(signed: Result<Checkpoint, NoteError>, seen: Option<Checkpoint>) -> Self {
        let faults = signed.as_ref().err().map(|error| Fault::Signature(error.clone()));
        let mut this = Self {
            signed: signed.ok(),
            seen,
            frontier: Frontier::default(),
            signed_root: None,
            seen_root: None,
            changed: Vec::new(),
            faults: faults.into_iter().collect(),
        };
        this.note_roots();
        this
    }

    /// How many entries were looked at.
    pub fn looked_at(&self) -> u64 {
        self.frontier.size()
    }

    /// The next entry (nothing where it is missing) and the hashes that were kept with it: its own, then those of the subtrees
    /// that it completes.
    pub fn entry(&mut self, entry: Option<&[u8]>, kept: &[Hash]) {
        let index = self.frontier.size();
        let found = entry.map(tree::leaf);
        match (found, kept.first()) {
            (None, _) => self.found(Fault::Missing(index)),
            (Some(_), None) => self.found(Fault::Tree(index..=index)),
            (Some(found), Some(kept)) if found != *kept && self.changed.len() < MOST => {
                self.changed.push((index, found, *kept))
            }
            _ => {}
        }
        // What was kept goes on into the tree, so that one changed entry is one fault and not one at every level above it.
        let leaf = kept.first().copied().or(found).unwrap_or_default();
        let mut wrong = None;
        let first = tree::places(index);
        let Ok(()) = self.frontier.push(leaf, |place, hash| {
            let level = place - first;
            let at = usize::try_from(level).ok().and_then(|level| kept.get(level));
            if at != Some(hash) && level > 0 && wrong.is_none() {
                wrong = Some(index + 1 - (1 << level)..=index);
            }
            Ok::<(), std::convert::Infallible>(())
        });
        if let Some(range) = wrong
            && !self.faults.iter().any(|fault| matches!(fault, Fault::Tree(told) if range.contains(told.start())))
        {
            self.found(Fault::Tree(range));
        }
        self.note_roots();
    }

    /// The verdict: the log as it was examined, or every fault.
    ///
    /// # Errors
    /// What is wrong.
    pub fn finish(mut self) -> Result<Checkpoint, Vec<Fault>> {
        let size = self.frontier.size();
        let written: HashMap<Hash, u64> = self.changed.iter().map(|(index, _, kept)| (*kept, *index)).collect();
        for (index, found, _) in std::mem::take(&mut self.changed) {
            self.found(written.get(&found).map_or(Fault::Changed(index), |was| Fault::Moved(index, *was)));
        }
        let mut agreed = None;
        if let Some(seen) = self.seen.take() {
            match self.seen_root {
                None => self.found(Fault::RolledBack(size, seen.size)),
                Some(root) if root != seen.root => self.found(Fault::Forked(seen.size)),
                Some(_) => agreed = Some(seen.size),
            }
        }
        let Some(signed) = self.signed.take() else { return Err(self.faults) };
        match self.signed_root {
            None => self.found(Fault::CutOff(size, signed.size)),
            Some(root) if root != signed.root => self.found(Fault::Rewritten(signed.size, agreed)),
            Some(_) if size > signed.size => self.found(Fault::Unsigned(signed.size)),
            Some(_) => {}
        }
        if self.faults.is_empty() { Ok(signed) } else { Err(self.faults) }
    }

    fn note_roots(&mut self) {
        let size = self.frontier.size();
        let here =
            |checkpoint: &Option<Checkpoint>| checkpoint.as_ref().is_some_and(|checkpoint| checkpoint.size == size);
        if here(&self.signed) {
            self.signed_root = Some(self.frontier.root());
        }
        if here(&self.seen) {
            self.seen_root = Some(self.frontier.root());
        }
    }

    fn found(&mut self, fault: Fault) {
        if self.faults.len() < MOST {
            self.faults.push(fault);
        }
    }
}
