//! What sinks remember, in memory.

use super::MemoryStore;
use crate::store::{
    StoreError,
    outbox::{DeadLetter, Outbox},
};
use async_trait::async_trait;
use std::collections::BTreeMap;

#[derive(Default)]
pub(super) struct Sinks {
    cursors: BTreeMap<String, u64>,
    letters: BTreeMap<(String, u64), DeadLetter>,
}

impl Sinks {
    fn advance(&mut self, name: &str, next: u64) {
        let cursor = self.cursors.entry(name.to_owned()).or_insert(next);
        *cursor = next.max(*cursor);
    }
}

#[async_trait]
impl Outbox for MemoryStore {
    async fn sink_cursor(&self, name: &str) -> Result<Option<u64>, StoreError> {
        Ok(self.facts()?.sinks.cursors.get(name).copied())
    }

    async fn advance_sink(&self, name: &str, next: u64) -> Result<(), StoreError> {
        self.facts()?.sinks.advance(name, next);
        Ok(())
    }

    async fn dead_letter(&self, name: &str, letters: Vec<DeadLetter>, next: u64) -> Result<(), StoreError> {
        let sinks = &mut self.facts()?.sinks;
        sinks.letters.extend(letters.into_iter().map(|letter| ((name.to_owned(), letter.index), letter)));
        sinks.advance(name, next);
        Ok(())
    }

    async fn dead_letters(&self, name: &str, from: u64, most: usize) -> Result<Vec<DeadLetter>, StoreError> {
        let facts = self.facts()?;
        let theirs = facts.sinks.letters.range((name.to_owned(), from)..=(name.to_owned(), u64::MAX));
        Ok(theirs.take(most).map(|(_, letter)| letter.clone()).collect())
    }

    async fn dead_letter_count(&self, name: &str) -> Result<u64, StoreError> {
        let facts = self.facts()?;
        let count = facts.sinks.letters.range((name.to_owned(), 0)..=(name.to_owned(), u64::MAX)).count();
        Ok(u64::try_from(count).unwrap_or(u64::MAX))
    }

    async fn forget_dead_letters(&self, name: &str, indices: Vec<u64>) -> Result<(), StoreError> {
        let mut facts = self.facts()?;
        for index in indices {
            facts.sinks.letters.remove(&(name.to_owned(), index));
        }
        Ok(())
    }
}
