//! The list of revoked certificates, in the form that sshd reads (OpenSSH, PROTOCOL.krl), and the statement that signs it.
//!
//! `ssh-keygen -k` writes serials that lie close together as one bitmap, which sshd refuses to read where it spans more than
//! 16,384: it then lets nobody in. Here there are lists and ranges alone.

use super::CaError;
use crate::custody::CaKey;
use policy::{Seconds, Serial, UnixTime};
use sha2::{Digest as _, Sha256};
use ssh_key::{HashAlg, LineEnding, PublicKey, SshSig};
use std::fmt::Write as _;

/// The namespace of the signature (PROTOCOL.sshsig): a signature for anything else is none of these.
pub const NAMESPACE: &str = "krl@jit-ssh";
/// A host that has heard nothing newer for so long is to take what it hears for a replay.
pub const FRESH_FOR: Seconds = Seconds::new(3_600);
/// What is stated is stated anew this often.
const STATED_EVERY: u64 = 60;

const MAGIC: &[u8; 8] = b"SSHKRL\n\0";
const FORMAT: u32 = 1;
const CERTIFICATES: u8 = 1;
const SERIAL_LIST: u8 = 0x20;
const SERIAL_RANGE: u8 = 0x21;
/// From so many neighbours on a range is shorter than a list.
const RANGE_FROM: u64 = 4;

/// A list as it lies in a file. The same serials, version and time always make the same bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Krl {
    /// Its version.
    pub version: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// SHA-256 of the bytes, 64 lower-case hex digits.
    pub sha256: String,
}

impl Krl {
    /// The list of these serials of `ca`, which are in order and there once each.
    ///
    /// # Errors
    /// If the CA's key cannot be encoded.
    pub fn new(ca: &PublicKey, version: u64, changed: UnixTime, serials: &[Serial]) -> Result<Self, CaError> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&FORMAT.to_be_bytes());
        bytes.extend_from_slice(&version.to_be_bytes());
        bytes.extend_from_slice(&changed.as_secs().to_be_bytes());
        bytes.extend_from_slice(&0_u64.to_be_bytes());
        string(&mut bytes, b"")?;
        string(&mut bytes, b"jit-ssh")?;
        // A list of nothing is a header, never a file of no bytes: that would be one which nobody checks.
        if !serials.is_empty() {
            bytes.push(CERTIFICATES);
            string(&mut bytes, &certificates(&ca.to_bytes()?, serials)?)?;
        }
        let sha256 = Sha256::digest(&bytes).iter().fold(String::with_capacity(64), |mut text, byte| {
            let _infallible = write!(text, "{byte:02x}");
            text
        });
        Ok(Self { version, bytes, sha256 })
    }

    /// The statement at `now` that this is the list, signed with `key`: lines of text, then an SSH signature over them.
    ///
    /// # Errors
    /// If it cannot be encoded.
    pub fn stated(&self, key: &CaKey, now: UnixTime) -> Result<String, CaError> {
        let Self { version, bytes, sha256 } = self;
        let generated = stated_at(now);
        let mut text = format!(
            "jit-ssh krl v1\nversion {version}\ngenerated {generated}\nnext_update {}\nsize {}\nsha256 {sha256}\n",
            generated.saturating_add(FRESH_FOR.as_secs()),
            bytes.len()
        );
        text.push_str(&signature(key, text.as_bytes())?);
        Ok(text)
    }
}

/// The time that a statement made at `now` bears: servers on one store then mostly state the same.
pub fn stated_at(now: UnixTime) -> u64 {
    now.as_secs().saturating_sub(now.as_secs() % STATED_EVERY)
}

fn signature(key: &CaKey, message: &[u8]) -> Result<String, CaError> {
    let data = SshSig::signed_data(NAMESPACE, HashAlg::Sha512, message)?;
    let signature = ssh_key::Signature::new(ssh_key::Algorithm::Ed25519, key.sign(&data))?;
    let public = key.public().key_data().clone();
    Ok(SshSig::new(public, NAMESPACE, HashAlg::Sha512, signature)?.to_pem(LineEnding::LF)?)
}

/// The section of one CA: one list of those that stand alone, then the ranges.
fn certificates(ca: &[u8], serials: &[Serial]) -> Result<Vec<u8>, CaError> {
    let (mut list, mut ranges) = (Vec::new(), Vec::new());
    for (first, last) in runs(serials) {
        if last - first + 1 < RANGE_FROM {
            (first..=last).for_each(|serial| list.extend_from_slice(&serial.to_be_bytes()));
        } else {
            ranges.push((first, last));
        }
    }
    let mut section = Vec::with_capacity(list.len() + 128);
    string(&mut section, ca)?;
    string(&mut section, b"")?;
    if !list.is_empty() {
        section.push(SERIAL_LIST);
        string(&mut section, &list)?;
    }
    for (first, last) in ranges {
        section.push(SERIAL_RANGE);
        string(&mut section, &[first.to_be_bytes(), last.to_be_bytes()].concat())?;
    }
    Ok(section)
}

/// The first and last of each run of neighbours. Serials are below 2^63.
fn runs(serials: &[Serial]) -> Vec<(u64, u64)> {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for serial in serials.iter().map(|serial| serial.get()) {
        match runs.last_mut() {
            Some((_, last)) if serial == *last + 1 => *last = serial,
            _ => runs.push((serial, serial)),
        }
    }
    runs
}

fn string(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), CaError> {
    let length = u32::try_from(bytes.len()).map_err(|_too_long| CaError::Encoding(ssh_key::Error::FormatEncoding))?;
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(bytes);
    Ok(())
}

#[cfg(test)]
mod tests;
