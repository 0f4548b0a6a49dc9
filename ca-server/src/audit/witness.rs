//! What a witness makes of a checkpoint, given the last one that it saw.

use super::{
    checkpoint::Checkpoint,
    tree::{self, Hash},
};

/// A log that is not the one it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Breach {
    /// It is another log altogether.
    #[error("this is the log {found}, and the one that was seen before is {known}")]
    OtherLog {
        /// Its name now.
        found: String,
        /// Its name then.
        known: String,
    },
    /// It is shorter.
    #[error("the log was rolled back: it had {seen} entries when it was last seen, and has {size} now")]
    RolledBack {
        /// How many entries it had.
        seen: u64,
        /// How many it has.
        size: u64,
    },
    /// It does not begin with what was there.
    #[error("the log was forked: its first {0} entries are others than when it was last seen")]
    Forked(u64),
}

/// Whether `found` continues `known`: what has to be proven for that, if anything.
///
/// # Errors
/// If it cannot, whatever anybody proves.
pub fn needs_proof(known: &Checkpoint, found: &Checkpoint) -> Result<bool, Breach> {
    if found.origin != known.origin {
        return Err(Breach::OtherLog { found: found.origin.clone(), known: known.origin.clone() });
    }
    if found.size < known.size {
        return Err(Breach::RolledBack { seen: known.size, size: found.size });
    }
    if found.size == known.size && found.root != known.root {
        return Err(Breach::Forked(known.size));
    }
    Ok(found.size > known.size)
}

/// Whether `proof` shows that `found` continues `known`.
///
/// # Errors
/// If it does not.
pub fn continues(known: &Checkpoint, found: &Checkpoint, proof: &[Hash]) -> Result<(), Breach> {
    let shown =
        !needs_proof(known, found)? || tree::consistent(known.size, &known.root, found.size, &found.root, proof);
    if shown { Ok(()) } else { Err(Breach::Forked(known.size)) }
}
