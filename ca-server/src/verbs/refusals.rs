//! How many refusals may be put on record. Each is a durable line, so whoever is refused without end must not fill the
//! disk: an identity has an allowance, and beyond it nothing is decided, so that no decision goes unrecorded.

use super::authenticate::Caller;
use crate::{app::App, audit::Entry, refusal::Refusal, store::records::owner};
use policy::Identity;
use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Refusals of one identity that are recorded at once, and then in each [`PERIOD`].
pub const MOST: u32 = 30;
/// The time in which an allowance that was used up is whole again.
pub const PERIOD: Duration = Duration::from_secs(60);
/// The most identities that are remembered, about 5 MiB. Each has logged in.
const MOST_IDENTITIES: usize = 1 << 16;
/// The most refused tokens that are remembered.
const MOST_TOKENS: usize = 4_096;

/// The allowances of all identities, and the tokens whose refusal is on record.
pub struct Refusals {
    began: Instant,
    accounts: Mutex<HashMap<[u8; 32], Account>>,
    tokens: Mutex<Tokens>,
}

/// Times since the beginning.
#[derive(Clone, Copy, Default)]
struct Account {
    /// When what was recorded will be paid.
    paid: Duration,
    /// That more was asked is on record until then.
    noted: Duration,
}

#[derive(Default)]
struct Tokens {
    known: HashSet<[u8; 32]>,
    order: VecDeque<[u8; 32]>,
}

/// What an identity may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowance {
    /// A decision.
    Left,
    /// None: and this is the first time within [`PERIOD`], so that is to be recorded.
    JustUsedUp,
    /// None.
    UsedUp,
}

impl Refusals {
    /// Whether a decision for `identity` may be made, that is, recorded if it is a no.
    pub fn allowance(&self, identity: &Identity) -> Allowance {
        self.allowance_at(identity, self.began.elapsed())
    }

    /// Takes one refusal from the allowance. Those that raced are paid for later.
    pub fn charge(&self, identity: &Identity) {
        self.charge_at(identity, self.began.elapsed());
    }

    /// Whether the refusal of what has this digest was not seen lately; it is from now on.
    pub fn first(&self, digest: [u8; 32]) -> bool {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if !tokens.known.insert(digest) {
            return false;
        }
        tokens.order.push_back(digest);
        if tokens.order.len() > MOST_TOKENS
            && let Some(oldest) = tokens.order.pop_front()
        {
            tokens.known.remove(&oldest);
        }
        true
    }

    fn allowance_at(&self, identity: &Identity, now: Duration) -> Allowance {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(account) = accounts.get_mut(&key(identity)) else { return Allowance::Left };
        if account.paid.saturating_sub(now) <= PERIOD - cost() {
            Allowance::Left
        } else if account.noted > now {
            Allowance::UsedUp
        } else {
            account.noted = now + PERIOD;
            Allowance::JustUsedUp
        }
    }

    fn charge_at(&self, identity: &Identity, now: Duration) {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if accounts.len() >= MOST_IDENTITIES {
            accounts.retain(|_, account| account.paid.max(account.noted) > now);
        }
        let account = accounts.entry(key(identity)).or_default();
        account.paid = account.paid.max(now) + cost();
    }
}

impl Default for Refusals {
    fn default() -> Self {
        Self { began: Instant::now(), accounts: Mutex::default(), tokens: Mutex::default() }
    }
}

fn key(identity: &Identity) -> [u8; 32] {
    owner(&identity.issuer, &identity.subject)
}

fn cost() -> Duration {
    PERIOD / MOST
}

/// Puts the refusal on record and takes it from the caller's allowance; answers it, or that it cannot be recorded.
pub(super) async fn on_record(
    app: &App,
    caller: &Caller,
    entry: Result<Entry, serde_json::Error>,
    refusal: Refusal,
) -> Refusal {
    app.refusals.charge(&caller.session.identity);
    let entry = match entry {
        Ok(entry) => entry,
        Err(error) => return Refusal::internal(error),
    };
    match app.store.append(entry).await {
        Ok(()) => refusal,
        Err(error) => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Allowance, MOST, MOST_TOKENS, PERIOD, Refusals};
    use crate::fixture::identity;

    #[test]
    fn an_allowance_comes_back_and_its_end_is_told_once_a_period() {
        let (refusals, ann) = (Refusals::default(), identity("ann"));
        let at = |second: u64| std::time::Duration::from_secs(second);
        for _ in 0..MOST {
            assert_eq!(refusals.allowance_at(&ann, at(0)), Allowance::Left);
            refusals.charge_at(&ann, at(0));
        }
        assert_eq!(refusals.allowance_at(&ann, at(0)), Allowance::JustUsedUp);
        assert_eq!(refusals.allowance_at(&ann, at(1)), Allowance::UsedUp);
        assert_eq!(refusals.allowance_at(&identity("bob"), at(1)), Allowance::Left);
        assert_eq!(refusals.allowance_at(&ann, at(2)), Allowance::Left);
        // Ever so many in an hour: so many in each minute, and one line about the rest.
        let (mut decided, mut told) = (0, 0);
        for second in 100..3_700 {
            for _ in 0..5 {
                match refusals.allowance_at(&ann, at(second)) {
                    Allowance::Left => refusals.charge_at(&ann, at(second)),
                    Allowance::JustUsedUp => {
                        told += 1;
                        continue;
                    }
                    Allowance::UsedUp => continue,
                }
                decided += 1;
            }
        }
        assert!(decided <= 61 * MOST && told <= 61 && told > 50, "{decided} {told}");
        assert_eq!(refusals.allowance_at(&ann, at(3_700) + 2 * PERIOD), Allowance::Left);
    }

    #[test]
    fn a_token_is_known_for_long_but_not_for_ever() {
        let refusals = Refusals::default();
        let digest = |n: usize| {
            let mut digest = [0; 32];
            digest[..8].copy_from_slice(&n.to_be_bytes());
            digest
        };
        assert!((0..=MOST_TOKENS).all(|n| refusals.first(digest(n))));
        assert!(!refusals.first(digest(1)) && !refusals.first(digest(MOST_TOKENS)));
        assert!(refusals.first(digest(0)), "the oldest went");
        assert_eq!(refusals.tokens.lock().unwrap().known.len(), MOST_TOKENS);
    }
}
