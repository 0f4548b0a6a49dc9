//! The audit log as an outsider sees it: hashes only.

use serde::{Deserialize, Serialize};

/// The proof that the tree of `to` entries begins with that of `from` (RFC 9162 section 2.1.4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsistencyResponse {
    /// The size of the older tree.
    pub from: u64,
    /// The size of the newer tree.
    pub to: u64,
    /// The hashes, standard base64.
    pub proof: Vec<String>,
}

/// The proof that entry number `index` is in the tree of `size` entries (RFC 9162 section 2.1.3). Hashes only: who has the entry
/// can check it, who has not learns nothing of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InclusionResponse {
    /// The entry's number, from 0.
    pub index: u64,
    /// The size of the tree.
    pub size: u64,
    /// The leaf hash of the entry, standard base64.
    pub leaf: String,
    /// The hashes, standard base64.
    pub proof: Vec<String>,
}
