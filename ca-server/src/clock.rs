//! The one place that reads the machine's clock and its randomness. Everything else takes them as parameters.

use jiff::{Timestamp, tz::TimeZone};
use policy::{Now, UnixTime};
use std::sync::atomic::{AtomicU64, Ordering};

/// Where the time comes from.
pub trait Clock: Send + Sync {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    fn now_ms(&self) -> u64;

    /// Whole seconds since 1970-01-01T00:00:00Z.
    fn now(&self) -> UnixTime {
        UnixTime::from_secs(self.now_ms() / 1000)
    }
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn now_ms(&self) -> u64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}

/// A clock that stands where it was put, for tests.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    /// A clock that stands at `ms`.
    pub fn at(ms: u64) -> Self {
        Self(AtomicU64::new(ms))
    }

    /// Puts it at `ms`.
    pub fn set(&self, ms: u64) {
        self.0.store(ms, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now_ms(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// The moment of a decision: the instant, and the local weekday and minute that policies speak of.
pub fn moment(time: UnixTime, zone: &TimeZone) -> Now {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    let local = Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX).to_zoned(zone.clone());
    let weekday = u8::try_from(local.weekday().to_monday_one_offset()).unwrap_or(0);
    let minute = u16::try_from(local.hour()).unwrap_or(0) * 60 + u16::try_from(local.minute()).unwrap_or(0);
    Now { time, weekday, minute }
}

/// `N` bytes from the operating system's generator.
///
/// # Errors
/// If the operating system has none to give; nothing may be issued then.
pub fn random<const N: usize>() -> Result<[u8; N], getrandom::Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}
