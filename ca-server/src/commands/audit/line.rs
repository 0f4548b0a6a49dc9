//! One line of an export.

use anyhow::{Context as _, bail};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use ca_server::audit::tree::Hash;
use serde::{Deserialize, Serialize};

/// An entry with the proof that it is in the tree of the checkpoint at the end; or that checkpoint.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub(super) enum Line {
    /// An entry.
    #[serde(rename_all = "snake_case")]
    Entry {
        /// Its number, from 0.
        index: u64,
        /// Its exact bytes, which are UTF-8.
        entry: String,
        /// Its leaf hash, standard base64.
        leaf: String,
        /// Its inclusion proof, standard base64.
        proof: Vec<String>,
    },
    /// The last line.
    Checkpoint {
        /// The signed note.
        checkpoint: String,
    },
}

/// `hash` as it stands in lines and answers.
pub(super) fn text(hash: &Hash) -> String {
    STANDARD.encode(hash)
}

/// The hash in `text`.
pub(super) fn hash(text: &str) -> anyhow::Result<Hash> {
    let bytes = STANDARD.decode(text).context("a hash is not base64")?;
    match bytes.try_into() {
        Ok(hash) => Ok(hash),
        Err(_) => bail!("a hash has not 32 bytes"),
    }
}
