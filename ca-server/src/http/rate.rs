//! How fast one client may ask. Bounded in memory, whoever asks.

use super::client::Client;
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

const SHARDS: usize = 16;
/// The most clients that one shard remembers; about 3 MiB over all shards.
const MOST_CLIENTS: usize = 4096;

/// A rate that each client is held to (the generic cell rate algorithm: one number a client).
pub struct Rate {
    /// What one request costs, in nanoseconds.
    cost: u64,
    /// How far ahead of the clock a client may be.
    tolerance: u64,
    shards: [Mutex<Shard>; SHARDS],
}

#[derive(Default)]
struct Shard {
    /// When each client will have paid for what it asked, in nanoseconds of the limiter's clock.
    paid: HashMap<Client, u64>,
    /// What clients share that there was no room for.
    strangers: u64,
}

impl Rate {
    /// `count` requests in each `period`, and `burst` at once.
    pub fn new(count: u32, period: Duration, burst: u32) -> Self {
        let cost = (nanos(period) / u64::from(count.max(1))).max(1);
        let tolerance = cost.saturating_mul(u64::from(burst.max(1) - 1));
        Self { cost, tolerance, shards: std::array::from_fn(|_| Mutex::default()) }
    }

    /// Whether `client` may ask at `now` (since any fixed moment). If so, it has paid.
    pub fn allows(&self, client: Client, now: Duration) -> bool {
        let now = nanos(now);
        let place = usize::try_from(client.spread() >> 60).unwrap_or(0) % SHARDS;
        let Some(shard) = self.shards.get(place) else { return false };
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let paid = shard.account(client, now);
        let due = (*paid).max(now);
        if due - now > self.tolerance {
            return false;
        }
        *paid = due.saturating_add(self.cost);
        true
    }

    /// How many clients are remembered.
    pub fn clients(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).paid.len()).sum()
    }
}

impl Shard {
    fn account(&mut self, client: Client, now: u64) -> &mut u64 {
        if self.paid.len() >= MOST_CLIENTS && !self.paid.contains_key(&client) {
            // Who has paid by now is as good as new.
            self.paid.retain(|_, paid| *paid > now);
            if self.paid.len() >= MOST_CLIENTS {
                // A flood from many addresses: newcomers share one allowance, known clients keep theirs.
                return &mut self.strangers;
            }
        }
        self.paid.entry(client).or_insert(now)
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
