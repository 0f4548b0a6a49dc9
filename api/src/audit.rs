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
