//! Hashes in the lines of an export, and in answers.

use anyhow::Context as _;
use ca_server::audit::tree::Hash;

pub(super) use api::export::{Line, text};

/// The hash in `text`.
pub(super) fn hash(text: &str) -> anyhow::Result<Hash> {
    api::export::hash(text).context("a hash is not 32 bytes in base64")
}
