//! What the delivery of audit entries must remember: how far each sink has come, and which entries it could not deliver.
//! The entries themselves stay in the log; nothing here holds a copy.

use super::{Store, StoreError};
use async_trait::async_trait;

/// An entry that a sink gave up on.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DeadLetter {
    /// The entry's index in the log.
    pub index: u64,
    /// Its code.
    pub code: String,
    /// When it was given up, milliseconds.
    pub at_ms: u64,
    /// Why, on one line, without secrets.
    pub reason: String,
}

/// A store that also remembers for sinks. As in [`Store`], what was answered with `Ok` is durable.
#[async_trait]
pub trait Outbox: Store {
    /// Whether this server is the one that delivers for this sink just now; to be asked again before each delivery. Of
    /// several servers on one store one is told yes, and another some seconds after that one asked for the last time. Only
    /// so that a sink is not given everything several times: the promise stays at least once.
    async fn hold_sink(&self, name: &str) -> Result<bool, StoreError> {
        let _only_here = name;
        Ok(true)
    }

    /// The index of the first entry that this sink has not dealt with, or nothing for a sink that was never seen.
    async fn sink_cursor(&self, name: &str) -> Result<Option<u64>, StoreError>;

    /// Everything before `next` is dealt with. A cursor never goes back: a lower `next` changes nothing, so a retry is
    /// harmless.
    async fn advance_sink(&self, name: &str, next: u64) -> Result<(), StoreError>;

    /// Keeps the letters and advances the cursor, in one transaction: an entry is either still to be delivered or
    /// visible as dead, never neither. A letter with an index that is kept already takes its place.
    async fn dead_letter(&self, name: &str, letters: Vec<DeadLetter>, next: u64) -> Result<(), StoreError>;

    /// Up to `most` dead letters of a sink, from index `from` on, in order.
    async fn dead_letters(&self, name: &str, from: u64, most: usize) -> Result<Vec<DeadLetter>, StoreError>;

    /// How many dead letters a sink has.
    async fn dead_letter_count(&self, name: &str) -> Result<u64, StoreError>;

    /// Forgets the letters with these indices, because they were delivered after all. Those not there are passed over.
    async fn forget_dead_letters(&self, name: &str, indices: Vec<u64>) -> Result<(), StoreError>;
}
