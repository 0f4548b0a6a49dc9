//! One line of an export, and of a bundle.

use crate::proof::tree::Hash;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

/// An entry with the proof that it is in the tree of the checkpoint at the end; or that checkpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum Line {
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
pub fn text(hash: &Hash) -> String {
    STANDARD.encode(hash)
}

/// The hash in `text`.
pub fn hash(text: &str) -> Option<Hash> {
    STANDARD.decode(text).ok()?.try_into().ok()
}
