//! The delivery of audit entries to the outside: to people (mail, chat) and to programs (SIEM, webhooks).
//!
//! Each sink walks the log with a cursor of its own that the store remembers. No request ever waits for one: a request
//! appends its entry, and that is all it knows of sinks. The cursor moves only after a delivery, so a crash delivers
//! again and loses nothing; an entry's index is its id, by which a receiver drops doubles.

mod deliver;
mod file;
mod format;
mod letter;
mod mail;
mod pace;
mod slack;
mod syslog;
mod web;
mod webhook;
mod worker;

use crate::{
    clock::Clock,
    config::sink::{Begin, SinkConfig, SinkKind},
    store::{
        StoreError,
        outbox::{DeadLetter, Outbox},
    },
};
use deliver::Deliver;
pub use pace::Pace;
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};
use tokio::sync::Notify;

/// All sinks. Without a configuration there are none.
#[derive(Default)]
pub struct Sinks(Vec<Arc<Sink>>);

/// How a sink stands.
#[derive(Clone, Debug, serde::Serialize)]
pub struct SinkStatus {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: SinkKind,
    /// Whether its last delivery succeeded, or none was tried yet.
    pub up: bool,
    /// The index of the first entry it has not dealt with.
    pub next: u64,
    /// How many entries of the log lie before it, those it will not take included.
    pub lag_entries: u64,
    /// How old the oldest entry that it tries to deliver is, in milliseconds; 0 if there is none.
    pub lag_ms: u64,
    /// Entries delivered since the start.
    pub delivered: u64,
    /// Deliveries that failed since the start.
    pub failures: u64,
    /// Entries given up and kept.
    pub dead_letters: u64,
    /// What went wrong last, while it is not up.
    pub error: Option<String>,
}

impl Sinks {
    /// Builds what is configured. Nothing is opened or sent yet; `host` is this server's name in what is sent.
    ///
    /// # Errors
    /// If a secret, a certificate or a URL cannot be used.
    pub fn new(
        configured: &[SinkConfig],
        host: &str,
        store: &Arc<dyn Outbox>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, String> {
        let build = |config: &SinkConfig| {
            let named = |error| format!("sink {}: {error}", config.name.get_ref().as_str());
            let way = deliver::build(config, host, clock).map_err(named)?;
            Ok(Arc::new(Sink::new(config.clone(), way, Arc::clone(store), Arc::clone(clock))))
        };
        configured.iter().map(build).collect::<Result<_, String>>().map(Self)
    }

    /// What could not be built of what is configured, a sentence each.
    pub fn faults(configured: &[SinkConfig], host: &str, clock: &Arc<dyn Clock>) -> Vec<String> {
        let fault = |config: &SinkConfig| {
            let error = deliver::build(config, host, clock).err()?;
            Some(format!("sink {}: {error}", config.name.get_ref().as_str()))
        };
        configured.iter().filter_map(fault).collect()
    }

    /// Gives each sink that was never seen its cursor. Before anything else is recorded, so that it misses nothing.
    ///
    /// # Errors
    /// If the store cannot remember it.
    pub async fn begin(&self) -> Result<(), StoreError> {
        for sink in &self.0 {
            sink.begin().await?;
        }
        Ok(())
    }

    /// One endless task for each sink. A sink that hangs holds up itself alone.
    pub fn tasks(&self, pace: &Pace) -> Vec<impl Future<Output = ()> + Send + use<>> {
        self.0.iter().map(|sink| worker::run(Arc::clone(sink), pace.clone())).collect()
    }

    /// How each stands.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn status(&self) -> Result<Vec<SinkStatus>, StoreError> {
        let mut all = Vec::with_capacity(self.0.len());
        for sink in &self.0 {
            all.push(sink.status().await?);
        }
        Ok(all)
    }

    /// Up to `most` dead letters of the sink, or nothing if there is no such sink.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn dead_letters(&self, name: &str, most: usize) -> Result<Option<Vec<DeadLetter>>, StoreError> {
        match self.named(name) {
            Some(sink) => sink.store.dead_letters(name, 0, most).await.map(Some),
            None => Ok(None),
        }
    }

    /// Asks the sink to try its dead letters once more, soon. Answers how many there are, or nothing if there is no such
    /// sink. A restart forgets the wish and keeps the letters.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn retry(&self, name: &str) -> Result<Option<u64>, StoreError> {
        let Some(sink) = self.named(name) else { return Ok(None) };
        let count = sink.store.dead_letter_count(name).await?;
        sink.retry.store(true, Relaxed);
        sink.wake.notify_one();
        Ok(Some(count))
    }

    fn named(&self, name: &str) -> Option<&Arc<Sink>> {
        self.0.iter().find(|sink| sink.name() == name)
    }
}

/// One sink, as its worker and its watchers see it.
struct Sink {
    config: SinkConfig,
    way: tokio::sync::Mutex<Box<dyn Deliver>>,
    store: Arc<dyn Outbox>,
    clock: Arc<dyn Clock>,
    next: AtomicU64,
    /// When the oldest entry under way was written, in milliseconds; 0 if there is none.
    oldest_ms: AtomicU64,
    delivered: AtomicU64,
    failures: AtomicU64,
    error: Mutex<Option<String>>,
    retry: AtomicBool,
    wake: Notify,
}

impl Sink {
    fn new(config: SinkConfig, way: Box<dyn Deliver>, store: Arc<dyn Outbox>, clock: Arc<dyn Clock>) -> Self {
        let zero = AtomicU64::default;
        Self {
            config,
            way: tokio::sync::Mutex::new(way),
            store,
            clock,
            next: zero(),
            oldest_ms: zero(),
            delivered: zero(),
            failures: zero(),
            error: Mutex::default(),
            retry: AtomicBool::default(),
            wake: Notify::new(),
        }
    }

    fn name(&self) -> &str {
        self.config.name.get_ref().as_str()
    }

    async fn begin(&self) -> Result<(), StoreError> {
        let next = match (self.store.sink_cursor(self.name()).await?, self.config.begin) {
            (Some(next), _) => next,
            (None, Begin::First) => 0,
            (None, Begin::Now) => self.store.entry_count().await?,
        };
        self.store.advance_sink(self.name(), next).await?;
        self.next.store(next, Relaxed);
        Ok(())
    }

    async fn status(&self) -> Result<SinkStatus, StoreError> {
        let error = self.error.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let next = self.next.load(Relaxed);
        let oldest = self.oldest_ms.load(Relaxed);
        Ok(SinkStatus {
            name: self.name().to_owned(),
            kind: self.config.kind,
            up: error.is_none(),
            next,
            lag_entries: self.store.entry_count().await?.saturating_sub(next),
            lag_ms: if oldest == 0 { 0 } else { self.clock.now_ms().saturating_sub(oldest) },
            delivered: self.delivered.load(Relaxed),
            failures: self.failures.load(Relaxed),
            dead_letters: self.store.dead_letter_count(self.name()).await?,
            error,
        })
    }

    /// Notes how a delivery ended, and says so in the log when that changes.
    fn note(&self, error: Option<&str>) {
        let mut former = self.error.lock().unwrap_or_else(PoisonError::into_inner);
        if former.as_deref() != error {
            match error {
                Some(error) => tracing::warn!(sink = self.name(), error, "a sink fails; its entries wait in the log"),
                None => tracing::info!(sink = self.name(), "a sink delivers again"),
            }
            *former = error.map(str::to_owned);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
