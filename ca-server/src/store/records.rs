//! What a store keeps, as types.

use crate::audit::Entry;
use policy::{Identity, Issuer, Seconds, SessionId, Subject, UnixTime, What};
use sha2::{Digest as _, Sha256};
use std::net::IpAddr;

/// For how long a store remembers whose a user key is, counted from its last proof. Longer than any certificate lives.
pub const KEY_MEMORY: Seconds = Seconds::new(90 * 86_400);

/// What stands for an identity in an index: a digest of issuer and subject, of equal length for all.
pub(crate) fn owner(issuer: &Issuer, subject: &Subject) -> [u8; 32] {
    // Neither holds a newline, so no two pairs read alike.
    let digest = Sha256::new().chain_update(issuer.as_str()).chain_update(b"\n").chain_update(subject.as_str());
    digest.finalize().into()
}

/// A login session: proof of a recent login, bound to a session key.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LoginSession {
    /// Its id.
    pub id: SessionId,
    /// Whose it is.
    pub identity: Identity,
    /// The Ed25519 public key that signs its requests.
    pub key: [u8; 32],
    /// When it began.
    pub started: UnixTime,
    /// When it was last used.
    pub used: UnixTime,
    /// It ends then.
    pub expires: UnixTime,
    /// It ends after so many seconds without use.
    pub idle_seconds: u64,
    /// Where it was opened from.
    pub source: IpAddr,
}

impl LoginSession {
    /// Whether it is alive at `now`: neither run out nor idle for too long.
    pub fn alive(&self, now: UnixTime) -> bool {
        now < self.expires && now.since(self.used) < self.idle_seconds
    }
}

/// A token that is about to be used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenUse {
    /// What identifies it: a digest of issuer and `jti`, or of the token's signed part.
    pub digest: [u8; 32],
    /// It is refused for its age from then on, so it may be forgotten.
    pub forget: UnixTime,
}

/// The answer to opening a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// It is open.
    Yes,
    /// The token was used before.
    TokenUsed,
}

/// A user key whose possession was proven, to be bound to session and identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyBinding {
    /// SHA-256 of the key's wire form.
    pub key: [u8; 32],
    /// When it was proven.
    pub at: UnixTime,
}

/// The answer to recording an issue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It is recorded: from here on it counts as issued.
    Yes,
    /// The key belongs to somebody else.
    KeyTaken,
    /// The login session was ended in between.
    SessionEnded,
    /// Something happened to the request, or to one that prolongs it, since it was decided.
    RequestChanged,
    /// Something was frozen or thawed since it was decided.
    FreezesChanged,
}

/// A request with all that happened to it. Its version is the number of its steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptRequest {
    /// The request.
    pub request: policy::Request,
    /// What happened to it, in order.
    pub steps: Vec<policy::Step>,
}

/// Which requests to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// Those of one identity.
    Of(policy::Issuer, policy::Subject),
    /// Those that may wait for people at this instant, by anybody: not expired, and no step has ended them.
    Waiting(UnixTime),
    /// Emergency access, by anybody, that no step has reviewed. Neither time nor an end takes it from this list.
    Unreviewed,
    /// All that are kept.
    All,
}

/// What makes filing again the same as filing once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// Digest of the key that the requester chose. Another requester's equal key is another key.
    pub key: [u8; 32],
    /// Digest of what was sent with it.
    pub body: [u8; 32],
}

/// The answer to filing a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filed {
    /// It is filed.
    Yes,
    /// The same key filed this one before, with the same body.
    Before(policy::RequestId),
    /// The same key was used before with another body.
    Mismatch,
}

/// The answer to a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stepped {
    /// It is taken.
    Yes,
    /// Somebody else's step came first; look again.
    Changed,
}

/// The first use of a request's grant, to be recorded with the certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The request.
    pub request: policy::RequestId,
    /// How many steps it had when it was decided. If it has more by now, nothing is recorded.
    pub seen: usize,
    /// The step to add, and the entry about it, which comes before the certificate's; none where it was claimed before.
    pub step: Option<(policy::Step, Entry)>,
    /// When the certificate expires.
    pub expires: UnixTime,
    /// Requests that prolong it, with the number of steps that each had.
    pub extensions: Vec<(policy::RequestId, usize)>,
}

/// Whether `step` reviews emergency access.
pub(super) fn reviews(step: &policy::Step) -> bool {
    matches!(step.what, What::Reviewed { .. })
}

/// Whether `step` ends a request for good, whatever policy says.
pub(super) fn ends(step: &policy::Step) -> bool {
    matches!(step.what, What::Denied { .. } | What::Cancelled | What::Ended { .. })
}
