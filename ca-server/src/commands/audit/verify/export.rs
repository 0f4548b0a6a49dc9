//! An export held against a checkpoint that was kept from before.

use anyhow::ensure;
use ca_server::audit::{
    checkpoint::Checkpoint,
    tree::{Frontier, Hash},
    verify::Fault,
};

/// What was seen before, and the tree of the export's entries as far as they follow each other from the first one on.
pub(super) struct Remembered {
    seen: Checkpoint,
    /// The size of the tree that the export is of.
    size: u64,
    frontier: Frontier,
    root: Option<Hash>,
}

impl Remembered {
    pub(super) fn new(seen: Checkpoint, signed: &Checkpoint) -> Self {
        let frontier = Frontier::default();
        // Of one size, the roots alone tell, whatever part of the log the export is.
        let root = match seen.size {
            0 => Some(frontier.root()),
            size if size == signed.size => Some(signed.root),
            _ => None,
        };
        Self { seen, size: signed.size, frontier, root }
    }

    pub(super) fn entry(&mut self, index: u64, leaf: Hash) {
        if self.root.is_some() || index != self.frontier.size() {
            return;
        }
        let Ok(()) = self.frontier.push(leaf, |_, _| Ok::<(), std::convert::Infallible>(()));
        if self.frontier.size() == self.seen.size {
            self.root = Some(self.frontier.root());
        }
    }

    /// What is wrong, if anything is.
    ///
    /// # Errors
    /// If the export does not hold what the checkpoint is of.
    pub(super) fn finish(self) -> anyhow::Result<Option<Fault>> {
        let (size, seen) = (self.size, self.seen.size);
        if size < seen {
            return Ok(Some(Fault::RolledBack(size, seen)));
        }
        ensure!(
            self.root.is_some(),
            "the checkpoint is of the first {seen} entries, and this file does not hold all of them: export from 0"
        );
        Ok(self.root.filter(|root| *root != self.seen.root).map(|_| Fault::Forked(seen)))
    }
}
