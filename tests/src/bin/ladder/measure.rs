//! Measuring: for how long, on how many threads, and what the slow ones took.

use anyhow::{Result, anyhow};
use std::{
    thread,
    time::{Duration, Instant},
};

/// How much of it.
pub struct Effort {
    /// For each step that runs for a time.
    pub time: Duration,
    /// Requests for the steps that are signed beforehand.
    pub requests: usize,
    /// Records in the store before (e).
    pub records: u64,
    /// Starts of the client.
    pub starts: u32,
}

impl Effort {
    pub fn full() -> Self {
        Self { time: Duration::from_secs(5), requests: 60_000, records: 1_000_000, starts: 60 }
    }

    pub fn quick() -> Self {
        Self { time: Duration::from_secs(1), requests: 12_000, records: 30_000, starts: 15 }
    }
}

/// The cores of this machine.
pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Runs `work` over and over on a thread per core; answers how often a second all of them did.
pub fn on_all_cores<W: FnMut() -> Result<()>>(time: Duration, worker: impl Fn() -> Result<W> + Sync) -> Result<f64> {
    let counts: Vec<Result<f64>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..cores())
            .map(|_| {
                scope.spawn(|| {
                    let mut work = worker()?;
                    let (started, mut count) = (Instant::now(), 0u32);
                    while started.elapsed() < time {
                        for _ in 0..32 {
                            work()?;
                        }
                        count += 32;
                    }
                    Ok(f64::from(count) / started.elapsed().as_secs_f64())
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().map_err(|_panic| anyhow!("a thread panicked"))?).collect()
    });
    counts.into_iter().sum()
}

/// How long requests took.
#[derive(Default)]
pub struct Latencies(Vec<Duration>);

impl Latencies {
    pub fn add(&mut self, one: Duration) {
        self.0.push(one);
    }

    pub fn join(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The latency that `part` of a hundred stay under.
    pub fn percentile(&mut self, part: usize) -> Duration {
        self.0.sort_unstable();
        let last = self.0.len().saturating_sub(1);
        self.0.get(last * part / 100).copied().unwrap_or_default()
    }
}
