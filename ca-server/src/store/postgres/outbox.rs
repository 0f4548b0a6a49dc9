//! What sinks remember, in the database. A sink's name is kept as bytes.

use super::{
    PostgresStore,
    change::{Effect, big, bound, column, decode, encode, number, say},
};
use crate::store::{
    StoreError,
    outbox::{DeadLetter, Outbox},
};
use async_trait::async_trait;
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

const ADVANCE: &str = "
INSERT INTO sink_cursors (sink, next) VALUES ($1, $2)
    ON CONFLICT (sink) DO UPDATE SET next = greatest(sink_cursors.next, excluded.next)";
const BURY: &str = "
INSERT INTO sink_dead_letters (sink, idx, letter) SELECT $1, idx, letter FROM unnest($2::bigint[], $3::bytea[]) AS dead (idx, letter)
    ON CONFLICT (sink, idx) DO UPDATE SET letter = excluded.letter";

/// By the database's clock, so that the servers' need not agree.
const HOLD: &str = "
INSERT INTO sink_holders (sink, holder, until) VALUES ($1, $2, clock_timestamp() + interval '15 seconds')
    ON CONFLICT (sink) DO UPDATE SET holder = excluded.holder, until = excluded.until
    WHERE sink_holders.holder = excluded.holder OR sink_holders.until < clock_timestamp() RETURNING 1";
/// So long what was said of a sink is taken as said, well within the time above.
const SAID: Duration = Duration::from_secs(4);

/// Which sinks this server delivers for.
pub(super) struct Held {
    /// Another one for each server and each of its starts.
    holder: Vec<u8>,
    since: Mutex<HashMap<String, Instant>>,
}

impl Held {
    pub(super) fn new() -> Result<Self, StoreError> {
        let holder = crate::clock::random::<16>().map_err(|error| StoreError(format!("no randomness: {error}")))?;
        Ok(Self { holder: holder.to_vec(), since: Mutex::default() })
    }

    fn since(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Outbox for PostgresStore {
    async fn hold_sink(&self, name: &str) -> Result<bool, StoreError> {
        if self.held.since().get(name).is_some_and(|since| since.elapsed() < SAID) {
            return Ok(true);
        }
        let asked = Instant::now();
        let holds = !self.rows(HOLD, &[&name.as_bytes(), &self.held.holder]).await?.is_empty();
        if holds {
            self.held.since().insert(name.to_owned(), asked);
        } else {
            self.held.since().remove(name);
        }
        Ok(holds)
    }

    async fn sink_cursor(&self, name: &str) -> Result<Option<u64>, StoreError> {
        let rows = self.rows("SELECT next FROM sink_cursors WHERE sink = $1", &[&name.as_bytes()]).await?;
        rows.first().map(|row| number(column(row, 0)?)).transpose()
    }

    async fn advance_sink(&self, name: &str, next: u64) -> Result<(), StoreError> {
        let statement = say!(ADVANCE, name.as_bytes().to_vec(), big(next)?);
        self.writer.write(vec![statement], |_rows| Ok(Effect::only(()))).await
    }

    async fn dead_letter(&self, name: &str, letters: Vec<DeadLetter>, next: u64) -> Result<(), StoreError> {
        let (mut indices, mut texts) = (Vec::new(), Vec::new());
        for letter in letters {
            indices.push(big(letter.index)?);
            texts.push(encode(&letter)?);
        }
        let sink = name.as_bytes().to_vec();
        let statements = vec![say!(BURY, sink.clone(), indices, texts), say!(ADVANCE, sink, big(next)?)];
        self.writer.write(statements, |_rows| Ok(Effect::only(()))).await
    }

    async fn dead_letters(&self, name: &str, from: u64, most: usize) -> Result<Vec<DeadLetter>, StoreError> {
        let most = bound(u64::try_from(most).unwrap_or(u64::MAX));
        let sql = "SELECT letter FROM sink_dead_letters WHERE sink = $1 AND idx >= $2 ORDER BY idx LIMIT $3";
        let rows = self.rows(sql, &[&name.as_bytes(), &bound(from), &most]).await?;
        rows.iter().map(|row| decode(column(row, 0)?)).collect()
    }

    async fn dead_letter_count(&self, name: &str) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM sink_dead_letters WHERE sink = $1";
        let rows = self.rows(sql, &[&name.as_bytes()]).await?;
        rows.first().map_or(Ok(0), |row| number(column(row, 0)?))
    }

    async fn forget_dead_letters(&self, name: &str, indices: Vec<u64>) -> Result<(), StoreError> {
        let indices: Vec<i64> = indices.into_iter().map(bound).collect();
        let sql = "DELETE FROM sink_dead_letters WHERE sink = $1 AND idx = ANY($2)";
        self.writer.write(vec![say!(sql, name.as_bytes().to_vec(), indices)], |_rows| Ok(Effect::only(()))).await
    }
}
