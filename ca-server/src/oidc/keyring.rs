//! One issuer's keys: kept while the issuer is down, fetched anew on a key id that is not known, never more often than
//! the issuer and we can bear.

mod allowance;

use super::{
    Rejected,
    fetch::Way,
    jwks::{Candidates, Keys},
    rejected::{issuer_unavailable, refused},
    token::UnverifiedToken,
};
use crate::{
    clock::Clock,
    config::issuer::{Algorithm, IssuerConfig},
};
use allowance::Allowance;
use policy::{Issuer, UnixTime};
use serde_json::{Map, Value};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Keys are fetched anew this often, so that a withdrawn key stops counting soon.
const EVERY: Duration = Duration::from_secs(15 * 60);
/// Keys this old no longer count. A day lets an issuer be down over night; more would let a key that its owner has
/// withdrawn live on for whoever can keep us from reaching the issuer.
pub(super) const OLDEST_MS: u64 = 24 * 60 * 60 * 1000;
/// The longest pause between two attempts at an issuer that is down.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How an issuer stands.
#[derive(Clone, Debug)]
pub struct IssuerStatus {
    /// Which.
    pub issuer: Issuer,
    /// How many usable keys are known.
    pub keys: usize,
    /// When they were fetched.
    pub fetched: Option<UnixTime>,
    /// What went wrong at the last attempt.
    pub error: Option<String>,
}

impl IssuerStatus {
    /// Whether the last attempt at its keys went well.
    pub fn up(&self) -> bool {
        self.keys > 0 && self.error.is_none()
    }
}

pub(super) struct Keyring {
    issuer: Issuer,
    way: Way,
    clock: Arc<dyn Clock>,
    held: Mutex<Held>,
    /// Held while fetching: all others wait for the same answer.
    fetching: Arc<tokio::sync::Mutex<()>>,
}

struct Held {
    keys: Arc<Keys>,
    fetched_ms: Option<u64>,
    /// Counts attempts, so that one who waited for another's attempt knows that it was made.
    attempts: u64,
    failed: Option<String>,
    allowance: Allowance,
}

impl Keyring {
    pub(super) fn new(config: &IssuerConfig, clock: Arc<dyn Clock>, patience: Duration) -> Result<Self, String> {
        let held = Held {
            keys: Arc::default(),
            fetched_ms: None,
            attempts: 0,
            failed: None,
            allowance: Allowance::full(clock.now_ms()),
        };
        Ok(Self {
            issuer: config.url.clone(),
            way: Way::new(config, patience)?,
            clock,
            held: Mutex::new(held),
            fetching: Arc::default(),
        })
    }

    /// The claims of a token that this issuer signed with one of `algorithms`. Fetches keys at most once.
    pub(super) async fn verify(
        self: &Arc<Self>,
        unverified: &UnverifiedToken<'_>,
        algorithms: &[Algorithm],
    ) -> Result<Map<String, Value>, Rejected> {
        let algorithm = Algorithm::named(unverified.unverified_algorithm())
            .filter(|algorithm| algorithms.contains(algorithm))
            .ok_or_else(|| refused("its algorithm is not one that is allowed for this issuer"))?;
        let (keys, attempts) = self.current();
        match check(&keys, unverified, algorithm) {
            Signature::Holds(claims) => return Ok(claims),
            Signature::Broken => return Err(refused("its signature does not verify")),
            Signature::Ambiguous => return Err(refused("it names no key and the issuer has several")),
            Signature::NoKey => {}
        }
        let failed = self.refresh_after(attempts).await;
        let (keys, _) = self.current();
        match (check(&keys, unverified, algorithm), failed) {
            (Signature::Holds(claims), _) => Ok(claims),
            (Signature::NoKey, Some(failed)) => Err(issuer_unavailable(failed)),
            (Signature::NoKey, None) => Err(refused("it is signed with a key that the issuer does not list")),
            (Signature::Broken | Signature::Ambiguous, _) => Err(refused("its signature does not verify")),
        }
    }

    /// Fetches the keys now.
    pub(super) async fn refresh(&self) {
        let _one_at_a_time = self.fetching.lock().await;
        self.fetch().await;
    }

    pub(super) async fn refresh_forever(&self) {
        let mut failures = 0;
        loop {
            self.refresh().await;
            failures = if self.held().failed.is_none() { 0 } else { failures + 1 };
            #[expect(clippy::disallowed_methods, reason = "the pause between two tries is the event")]
            tokio::time::sleep(pause_after(failures)).await;
        }
    }

    pub(super) fn status(&self) -> IssuerStatus {
        let held = self.held();
        IssuerStatus {
            issuer: self.issuer.clone(),
            keys: held.keys.len(),
            fetched: held.fetched_ms.map(|ms| UnixTime::from_secs(ms / 1000)),
            error: held.failed.clone(),
        }
    }

    /// Fetches the keys unless somebody has tried since `attempts`, or strangers have made us try too often of late. Answers
    /// what went wrong at the last attempt.
    async fn refresh_after(self: &Arc<Self>, attempts: u64) -> Option<String> {
        let one_at_a_time = self.fetching.clone().lock_owned().await;
        let now_ms = self.clock.now_ms();
        let mine = {
            let mut held = self.held();
            held.attempts == attempts && held.allowance.take(now_ms)
        };
        if mine {
            let keyring = self.clone();
            // A task of its own: a caller who hangs up must not take the allowance and leave no keys behind.
            let fetched = tokio::spawn(async move {
                keyring.fetch().await;
                drop(one_at_a_time);
            });
            if let Err(error) = fetched.await {
                tracing::error!(issuer = %self.issuer, %error, "issuer.keys: the attempt ended early");
            }
        }
        self.held().failed.clone()
    }

    async fn fetch(&self) {
        let fetched = self.way.key_set().await.and_then(|bytes| Keys::parse(&bytes));
        let now_ms = self.clock.now_ms();
        let mut held = self.held();
        held.attempts = held.attempts.wrapping_add(1);
        match fetched {
            Ok(keys) => {
                if held.failed.take().is_some() || held.fetched_ms.is_none() {
                    tracing::info!(issuer = %self.issuer, keys = keys.len(), "issuer.keys: fetched");
                }
                held.keys = Arc::new(keys);
                held.fetched_ms = Some(now_ms);
            }
            Err(error) => {
                tracing::warn!(issuer = %self.issuer, error = ?error, "issuer.keys: cannot be fetched; tried again soon");
                held.failed = Some(error);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn attempts(&self) -> u64 {
        self.held().attempts
    }

    /// The keys that count now, and how many attempts were made at them.
    fn current(&self) -> (Arc<Keys>, u64) {
        let now_ms = self.clock.now_ms();
        let held = self.held();
        let fresh = held.fetched_ms.is_some_and(|fetched| now_ms.saturating_sub(fetched) <= OLDEST_MS);
        (if fresh { held.keys.clone() } else { Arc::default() }, held.attempts)
    }

    /// A thread that panicked left nothing half written: every change above is one assignment.
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The pause before the next attempt: longer with each failure in a row, up to a minute.
fn pause_after(failures: u32) -> Duration {
    match failures {
        0 => EVERY,
        1..=6 => Duration::from_secs(1 << (failures - 1)),
        _ => LONGEST_PAUSE,
    }
}

enum Signature {
    Holds(Map<String, Value>),
    Broken,
    NoKey,
    Ambiguous,
}

fn check(keys: &Keys, unverified: &UnverifiedToken<'_>, algorithm: Algorithm) -> Signature {
    let message = unverified.signed_part().as_bytes();
    let verifies = |key: &&jsonwebtoken::DecodingKey| {
        matches!(jsonwebtoken::crypto::verify(unverified.signature(), message, key, algorithm.into()), Ok(true))
    };
    match keys.candidates(algorithm, unverified.unverified_key_id()) {
        Candidates::None => Signature::NoKey,
        Candidates::Ambiguous => Signature::Ambiguous,
        Candidates::Keys(keys) if keys.iter().any(verifies) => Signature::Holds(unverified.unverified_claims().clone()),
        Candidates::Keys(_) => Signature::Broken,
    }
}
