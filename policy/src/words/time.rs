//! Instants, spans and the validity of a certificate, in whole seconds.

use super::WordError;
use std::{fmt, str::FromStr};

/// Seconds since 1970-01-01T00:00:00Z, leap seconds not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct UnixTime(u64);

impl UnixTime {
    /// The instant `seconds` after the epoch.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds)
    }

    /// Seconds since the epoch.
    pub const fn as_secs(self) -> u64 {
        self.0
    }

    /// The instant `span` later; stays at the end of time rather than wrap.
    pub const fn plus(self, span: Seconds) -> Self {
        Self(self.0.saturating_add(span.0 as u64))
    }

    /// The instant `span` earlier; stays at the epoch rather than wrap.
    pub const fn minus(self, span: Seconds) -> Self {
        Self(self.0.saturating_sub(span.0 as u64))
    }

    /// How long since `earlier`; nothing if `earlier` is later.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A span of whole seconds, 0 to 365 days. Read and shown as `90s`, `30m`, `8h`, `7d` or sums such as `1h30m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Seconds(u32);

impl Seconds {
    /// The longest span there is: 365 days.
    pub const MAX: Self = Self(365 * 86_400);

    /// A span of `seconds`, cut at [`Self::MAX`].
    pub const fn new(seconds: u32) -> Self {
        if seconds > Self::MAX.0 { Self::MAX } else { Self(seconds) }
    }

    /// The span in seconds.
    pub const fn as_secs(self) -> u64 {
        self.0 as u64
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = self.0;
        if left == 0 {
            return f.write_str("0s");
        }
        for (unit, name) in [(86_400, 'd'), (3_600, 'h'), (60, 'm'), (1, 's')] {
            if left >= unit {
                write!(f, "{}{name}", left / unit)?;
                left %= unit;
            }
        }
        Ok(())
    }
}

impl FromStr for Seconds {
    type Err = WordError;
    fn from_str(text: &str) -> Result<Self, WordError> {
        const RULE: WordError = WordError::new("duration", "write it like 90s, 30m, 8h, 7d or 1h30m, at most 365d");
        let (mut total, mut digits, mut last_unit) = (0u64, String::new(), u64::MAX);
        if text.is_empty() || text.len() > 32 {
            return Err(RULE);
        }
        for c in text.chars() {
            let unit = match c {
                '0'..='9' => {
                    digits.push(c);
                    continue;
                }
                'd' => 86_400,
                'h' => 3_600,
                'm' => 60,
                's' => 1,
                _ => return Err(RULE),
            };
            let count: u64 = digits.parse().map_err(|_not_a_number| RULE)?;
            // Units fall from left to right, so `30m1h` and `1h1h` are typing errors, not sums.
            if unit >= last_unit {
                return Err(RULE);
            }
            last_unit = unit;
            total = count.checked_mul(unit).and_then(|more| total.checked_add(more)).ok_or(RULE)?;
            digits.clear();
        }
        let whole = u32::try_from(total).map_err(|_too_long| RULE)?;
        (digits.is_empty() && whole <= Self::MAX.0).then_some(Self(whole)).ok_or(RULE)
    }
}

impl TryFrom<String> for Seconds {
    type Error = WordError;
    fn try_from(text: String) -> Result<Self, WordError> {
        text.parse()
    }
}

impl From<Seconds> for String {
    fn from(span: Seconds) -> Self {
        span.to_string()
    }
}

/// When a certificate holds: from `after` (inclusive) to `before` (exclusive), as in PROTOCOL.certkeys. Ordered, and
/// never longer than [`Validity::CAP`] counted from the moment of issue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Validity {
    after: UnixTime,
    before: UnixTime,
}

impl Validity {
    /// No certificate lives longer than this, whatever a policy says.
    pub const CAP: Seconds = Seconds::new(86_400);
    /// How far the start is put back, for hosts whose clock is behind ours.
    pub const SKEW: Seconds = Seconds::new(60);

    /// From `now` less the skew until `ttl` after `now`, or until `end` if that is sooner. The life counts from `now`,
    /// never from the start that was put back.
    ///
    /// # Errors
    /// If that leaves no second of life.
    pub fn starting(now: UnixTime, ttl: Seconds, end: UnixTime) -> Result<Self, WordError> {
        let before = now.plus(ttl.min(Self::CAP)).min(end);
        if before <= now {
            return Err(WordError::new("validity", "it would end before it starts"));
        }
        Ok(Self { after: now.minus(Self::SKEW), before })
    }

    /// `valid_after`: the first second it holds.
    pub const fn after(self) -> UnixTime {
        self.after
    }

    /// `valid_before`: the first second it no longer holds.
    pub const fn before(self) -> UnixTime {
        self.before
    }
}
