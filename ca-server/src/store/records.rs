//! What a store keeps, as types.

use policy::{Identity, Issuer, Seconds, SessionId, Subject, UnixTime};
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
}
