//! How often strangers may make us ask an issuer: any token may name any key id, so asking has a price.

/// So many fetches may be made in a row; honest rotations come one at a time.
const MOST: u64 = 4;
/// One more is allowed after so long.
const EACH_MS: u64 = 15_000;

/// A bucket of fetches.
pub(super) struct Allowance {
    left: u64,
    since_ms: u64,
}

impl Allowance {
    pub(super) fn full(now_ms: u64) -> Self {
        Self { left: MOST, since_ms: now_ms }
    }

    /// Takes one fetch, if there is one left.
    pub(super) fn take(&mut self, now_ms: u64) -> bool {
        if now_ms < self.since_ms {
            // The clock was put back: the time until it has caught up must not be one without fetches.
            self.since_ms = now_ms;
        }
        let earned = (now_ms - self.since_ms) / EACH_MS;
        self.left = self.left.saturating_add(earned).min(MOST);
        self.since_ms = if self.left == MOST { now_ms } else { self.since_ms.saturating_add(earned * EACH_MS) };
        let any = self.left > 0;
        self.left = self.left.saturating_sub(1);
        any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_one_at_a_time() {
        let mut allowance = Allowance::full(1_000_000);
        let taken = (0..100).filter(|_| allowance.take(1_000_000)).count();
        assert_eq!(taken, 4);
        assert!(!allowance.take(1_014_999));
        assert!(allowance.take(1_015_000));
        assert!(!allowance.take(1_015_000));
        let taken = (0..100).filter(|_| allowance.take(9_000_000)).count();
        assert_eq!(taken, 4);
    }

    #[test]
    fn a_clock_put_back_does_not_stop_it_for_long() {
        let mut allowance = Allowance::full(10_000_000);
        while allowance.take(10_000_000) {}
        assert!(!allowance.take(1_000));
        assert!(allowance.take(16_000));
    }
}
