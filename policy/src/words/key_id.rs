//! Serial and key id: what sshd logs and our audit joins on.

use super::{GrantId, Identity, WordError};
use std::{fmt, num::NonZeroU64};

/// A certificate's serial: 63 random bits, never 0 (a KRL with serial 0 is refused as a whole by sshd), fits a bigint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Serial(NonZeroU64);

impl Serial {
    /// The serial made of the lower 63 bits of `random`; none where they are all 0.
    pub fn from_random(random: u64) -> Option<Self> {
        NonZeroU64::new(random & (u64::MAX >> 1)).map(Self)
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl TryFrom<u64> for Serial {
    type Error = WordError;
    fn try_from(number: u64) -> Result<Self, WordError> {
        let rule = WordError::new("serial", "it is a whole number from 1 to 2^63 - 1");
        if number > u64::MAX >> 1 { Err(rule) } else { Self::from_random(number).ok_or(rule) }
    }
}

impl From<Serial> for u64 {
    fn from(serial: Serial) -> Self {
        serial.get()
    }
}

/// `jit1 grant=<id> user=<name>`: printable ASCII, at most 200 bytes. Bytes of the name other than
/// `A-Z a-z 0-9 . _ @ + : / | -` are percent-encoded, so a name can add no field; a name too long is cut and ends in `~`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyId(String);

impl KeyId {
    /// The longest key id, in bytes.
    pub const MOST: usize = 200;

    /// The key id for a certificate under `grant` for `identity`.
    pub fn new(grant: &GrantId, identity: &Identity) -> Self {
        let mut text = format!("jit1 grant={grant} user=");
        for byte in identity.name().bytes() {
            let plain = byte.is_ascii_alphanumeric() || b"._@+:/|-".contains(&byte);
            let piece = if plain { char::from(byte).to_string() } else { format!("%{byte:02X}") };
            if text.len() + piece.len() >= Self::MOST {
                text.push('~');
                break;
            }
            text.push_str(&piece);
        }
        Self(text)
    }

    /// The grant and the (still encoded) name in a key id of ours; none in anybody else's.
    pub fn parse(text: &str) -> Option<(GrantId, &str)> {
        let (grant, user) = text.strip_prefix("jit1 grant=")?.split_once(" user=")?;
        let plain = user.bytes().all(|b| b.is_ascii_graphic());
        (plain && text.len() <= Self::MOST).then_some(())?;
        Some((grant.parse().ok()?, user))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
