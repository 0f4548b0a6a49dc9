//! How fast a sink goes, and how long it rests after a failure.

use std::{sync::Arc, time::Duration};

/// The pace of all sinks.
#[derive(Clone)]
pub struct Pace {
    /// How often a sink that has nothing to do looks at the log.
    pub look: Duration,
    /// The rest after the first failure; it doubles with each further one.
    pub first: Duration,
    /// The longest rest.
    pub longest: Duration,
    /// Chance, so that servers and sinks that failed together do not come back together.
    pub dice: Arc<dyn Fn() -> u64 + Send + Sync>,
}

impl Pace {
    /// The usual pace, with chance from the operating system.
    pub fn usual() -> Self {
        let dice = || crate::clock::random().map_or(0, u64::from_ne_bytes);
        Self {
            look: Duration::from_millis(500),
            first: Duration::from_secs(1),
            longest: Duration::from_secs(300),
            dice: Arc::new(dice),
        }
    }

    /// The rest after `failures` failures in a row: between half and all of the doubled time.
    pub(super) fn rest(&self, failures: u32) -> Duration {
        let doubled = self.first.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1)));
        let most = doubled.min(self.longest);
        let half = most / 2;
        let span = u64::try_from(half.as_micros()).unwrap_or(u64::MAX).max(1);
        half + Duration::from_micros((self.dice)() % span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_double_up_to_the_longest_and_spread() {
        let pace = |dice: u64| Pace { dice: Arc::new(move || dice), ..Pace::usual() };
        let seconds = [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300].map(Duration::from_secs);
        for (failures, most) in (1..).zip(seconds) {
            assert_eq!(pace(0).rest(failures), most / 2);
            let rest = pace(u64::MAX).rest(failures);
            assert!(most / 2 <= rest && rest <= most, "{failures}: {rest:?}");
        }
        assert!(pace(1).rest(u32::MAX) <= Duration::from_secs(300));
        assert_ne!(pace(1).rest(5), pace(999_999).rest(5));
    }
}
