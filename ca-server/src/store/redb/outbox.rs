//! The tables of sinks. They are opened only when a sink is served: a store that was made before there were any has none.

use super::{RedbStore, failed, tables::Tables};
use crate::store::{
    StoreError,
    outbox::{DeadLetter, Outbox},
};
use ::redb::{Error, ReadTransaction, ReadableTable as _, StorageError, TableDefinition, TableError};
use async_trait::async_trait;
use std::ops::RangeInclusive;

/// Sink → index of the first entry that it has not dealt with.
const CURSORS: TableDefinition<'_, &str, u64> = TableDefinition::new("sink_cursors");
/// Sink, index of the entry → the dead letter as JSON.
const LETTERS: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("sink_dead_letters");
/// Sink → how many dead letters it has, so that metrics need not walk them.
const COUNTS: TableDefinition<'_, &str, u64> = TableDefinition::new("sink_dead_letter_counts");

#[async_trait]
impl Outbox for RedbStore {
    async fn sink_cursor(&self, name: &str) -> Result<Option<u64>, StoreError> {
        number(&self.live.read()?, CURSORS, name)
    }

    async fn advance_sink(&self, name: &str, next: u64) -> Result<(), StoreError> {
        let name = name.to_owned();
        self.writer.write_quietly(move |tables| advance(tables, &name, next)).await
    }

    async fn dead_letter(&self, name: &str, letters: Vec<DeadLetter>, next: u64) -> Result<(), StoreError> {
        let name = name.to_owned();
        self.writer.write_quietly(move |tables| bury(tables, &name, &letters, next)).await
    }

    async fn dead_letters(&self, name: &str, from: u64, most: usize) -> Result<Vec<DeadLetter>, StoreError> {
        let read = self.live.read()?;
        let table = match read.open_table(LETTERS) {
            Ok(table) => table,
            Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let rows = table.range(of(name, from)).map_err(failed)?.take(most);
        rows.map(|row| serde_json::from_slice(row.map_err(failed)?.1.value()).map_err(failed)).collect()
    }

    async fn dead_letter_count(&self, name: &str) -> Result<u64, StoreError> {
        Ok(number(&self.live.read()?, COUNTS, name)?.unwrap_or(0))
    }

    async fn forget_dead_letters(&self, name: &str, indices: Vec<u64>) -> Result<(), StoreError> {
        let name = name.to_owned();
        self.writer.write_quietly(move |tables| forget(tables, &name, &indices)).await
    }
}

fn of(name: &str, from: u64) -> RangeInclusive<(&str, u64)> {
    (name, from)..=(name, u64::MAX)
}

fn number(
    read: &ReadTransaction,
    table: TableDefinition<'_, &'static str, u64>,
    name: &str,
) -> Result<Option<u64>, StoreError> {
    match read.open_table(table) {
        Ok(table) => Ok(table.get(name).map_err(failed)?.map(|number| number.value())),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

fn advance(tables: &mut Tables<'_>, name: &str, next: u64) -> Result<(), Error> {
    let mut cursors = tables.transaction.open_table(CURSORS)?;
    let known = cursors.get(name)?.map(|cursor| cursor.value());
    if known.is_none_or(|known| known < next) {
        cursors.insert(name, next)?;
    }
    Ok(())
}

fn bury(tables: &mut Tables<'_>, name: &str, letters: &[DeadLetter], next: u64) -> Result<(), Error> {
    {
        let mut table = tables.transaction.open_table(LETTERS)?;
        let mut new = 0;
        for letter in letters {
            let json = serde_json::to_vec(letter)
                .map_err(|error| StorageError::Corrupted(format!("a dead letter cannot be written: {error}")))?;
            new += u64::from(table.insert((name, letter.index), json.as_slice())?.is_none());
        }
        let mut counts = tables.transaction.open_table(COUNTS)?;
        let before = counts.get(name)?.map_or(0, |count| count.value());
        counts.insert(name, before.saturating_add(new))?;
    }
    advance(tables, name, next)
}

fn forget(tables: &mut Tables<'_>, name: &str, indices: &[u64]) -> Result<(), Error> {
    let mut table = tables.transaction.open_table(LETTERS)?;
    let mut gone = 0;
    for index in indices {
        gone += u64::from(table.remove((name, *index))?.is_some());
    }
    let mut counts = tables.transaction.open_table(COUNTS)?;
    let before = counts.get(name)?.map_or(0, |count| count.value());
    counts.insert(name, before.saturating_sub(gone))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::store::{conformance, outbox::Outbox as _, redb::RedbStore};
    use std::sync::Arc;

    #[tokio::test]
    async fn the_promises_hold() {
        let directory = tempfile::TempDir::new().unwrap();
        let path = directory.path().join("store.redb");
        conformance::outbox::run(Arc::new(RedbStore::open(&path, &crate::fixture::seal()).unwrap())).await;
        let again = RedbStore::open(&path, &crate::fixture::seal()).unwrap();
        assert_eq!(again.sink_cursor("one").await.unwrap(), Some(9), "it outlives the process");
        assert_eq!(again.dead_letter_count("one").await.unwrap(), 1);
    }
}
