//! Digests that people and entries name: of a request, of a policy set.

use policy::Digest;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

/// The text that stands before a request's bytes in its digest.
const REQUEST_LABEL: &[u8] = b"jit-ssh access request v1\n";

/// The digest of a request, from the bytes that it is written in: what an approval names.
pub fn of_request(json: &[u8]) -> Digest {
    Digest(Sha256::new().chain_update(REQUEST_LABEL).chain_update(json).finalize().into())
}

/// The digest of a policy set: SHA-256 over the names and texts of its files, sorted by name, each with its length in
/// bytes before it, big-endian in eight bytes.
pub fn of_policies<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> [u8; 32] {
    let mut files: Vec<(&str, &str)> = files.into_iter().collect();
    files.sort_unstable();
    let mut hash = Sha256::new();
    for (name, text) in files {
        for part in [name, text] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
    }
    hash.finalize().into()
}

/// SHA-256 of a text.
pub fn of_text(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

/// A digest in lower-case hex.
pub fn hex(digest: &[u8]) -> String {
    digest.iter().fold(String::with_capacity(2 * digest.len()), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}
