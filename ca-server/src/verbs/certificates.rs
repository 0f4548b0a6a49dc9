//! How many certificates an identity may have in a minute. Each is a durable line, so a job that asks without end must not
//! fill the disk in a night.

use crate::{refusal::Refusal, store::records::owner};
use api::Code;
use policy::Identity;
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The time in which an allowance that was used up is whole again.
const PERIOD: Duration = Duration::from_secs(60);
/// The most identities that are remembered, about 4 MiB. Each has logged in.
const MOST_IDENTITIES: usize = 1 << 16;

/// The allowances of all identities.
pub struct Certificates {
    began: Instant,
    /// What one costs; nothing where there is no bound.
    cost: Option<Duration>,
    /// When each identity will have paid for what it had.
    paid: Mutex<HashMap<[u8; 32], Duration>>,
}

impl Certificates {
    /// So many in a minute, at once or spread; as many as are asked for if that is 0.
    pub fn per_minute(most: u32) -> Self {
        Self { began: Instant::now(), cost: PERIOD.checked_div(most), paid: Mutex::default() }
    }

    /// Takes one from the allowance of `identity`.
    ///
    /// # Errors
    /// `rate_limited` if nothing is left of it.
    pub(super) fn take(&self, identity: &Identity) -> Result<(), Refusal> {
        if self.take_at(identity, self.began.elapsed()) {
            return Ok(());
        }
        Err(Refusal::new(Code::RateLimited, "too many certificates for you within a minute")
            .hint("use the one you have while it lives, or wait; limits.certificates_per_minute is the bound"))
    }

    fn take_at(&self, identity: &Identity, now: Duration) -> bool {
        let Some(cost) = self.cost else { return true };
        let mut identities = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
        if identities.len() >= MOST_IDENTITIES {
            // Who has paid by now is as good as new.
            identities.retain(|_, paid| *paid > now);
        }
        let paid = identities.entry(owner(&identity.issuer, &identity.subject)).or_default();
        let due = (*paid).max(now) + cost;
        let left = due - now <= PERIOD;
        if left {
            *paid = due;
        }
        left
    }
}

#[cfg(test)]
mod tests {
    use super::Certificates;
    use crate::fixture::identity;
    use std::time::Duration;

    #[test]
    fn an_allowance_comes_back_by_and_by_and_is_nobody_elses() {
        let (ann, bob) = (identity("ann"), identity("bob"));
        for most in [1, 7, 600, 10_000] {
            let certificates = Certificates::per_minute(most);
            let had = |who, second| {
                let tries = 0..=most;
                tries.take_while(|_| certificates.take_at(who, Duration::from_secs(second))).fold(0, |had, _| had + 1)
            };
            assert_eq!(had(&ann, 9), most);
            assert_eq!(had(&ann, 9), 0);
            assert_eq!(had(&ann, 39), most / 2);
            assert_eq!(had(&bob, 39), most);
            assert_eq!(had(&ann, 200), most);
        }
        let unbounded = Certificates::per_minute(0);
        assert!((0..10_000).all(|_| unbounded.take_at(&ann, Duration::ZERO)));
    }
}
