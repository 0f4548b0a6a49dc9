//! What an error of the database means for whoever waits: do it again, by another connection, or not at all.

use super::connect::told;
use crate::store::StoreError;
use tokio_postgres::{Error, error::SqlState};

/// Why a transaction did not end well.
pub(super) enum Failure {
    /// Another server came first; nothing of this one is kept.
    Again(String),
    /// The connection broke before the commit was sent; nothing is kept.
    Lost(String),
    /// The database refuses what is in it; nothing is kept.
    Refused(String),
    /// The database could not do it just now, whatever was in it: too slow, too full. Nothing is kept.
    Busy(String),
    /// The commit was sent, and nobody knows what became of it.
    Unknown(String),
}

impl Failure {
    /// What an error means before the commit was sent.
    pub(super) fn before(error: &Error) -> Self {
        let text = told(error);
        match error.code() {
            Some(code) if again(code) => Self::Again(text),
            Some(code) if ended(code) => Self::Lost(text),
            Some(code) if busy(code) => Self::Busy(text),
            Some(_) => Self::Refused(text),
            None => Self::Lost(text),
        }
    }

    /// What an error means once it was.
    pub(super) fn after(error: &Error) -> Self {
        let text = told(error);
        match error.code() {
            Some(code) if again(code) => Self::Again(text),
            Some(code) if busy(code) => Self::Busy(text),
            Some(code) if !ended(code) => Self::Refused(text),
            _ => Self::Unknown(text),
        }
    }

    pub(super) fn error(self) -> StoreError {
        match self {
            Self::Again(text) | Self::Lost(text) | Self::Refused(text) | Self::Busy(text) => StoreError(text),
            Self::Unknown(text) => StoreError(format!("it is not known whether this was committed: {text}")),
        }
    }
}

fn again(code: &SqlState) -> bool {
    [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED].contains(code)
}

/// Whether the connection is of no use any more: the database stops or became a standby, or a newer ca-server changed the
/// tables that statements were prepared for.
pub(super) fn ended(code: &SqlState) -> bool {
    let classes = ["08", "57P", "25P03", "25006", "0A000"];
    classes.iter().any(|class| code.code().starts_with(class))
}

/// Out of time, of space, of memory.
fn busy(code: &SqlState) -> bool {
    ["57014", "55P03", "53"].iter().any(|class| code.code().starts_with(class))
}
