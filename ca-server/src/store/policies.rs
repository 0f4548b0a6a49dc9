//! The policy set that was recorded last, so that a start knows whether the log has the texts of the one it serves.

use super::{Stepped, StoreError};
use crate::audit::Entry;
use async_trait::async_trait;

/// A policy set as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PolicySet {
    /// Its digest, hex: what entries call `policy_digest`.
    pub digest: String,
    /// Its files, sorted by name.
    pub files: Vec<PolicyFile>,
}

/// One file of a policy set.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PolicyFile {
    /// Its name in the policy directory.
    pub name: String,
    /// Its text: at most 8 MiB, and 64 MiB for all files of a set together.
    pub text: String,
}

/// A place for the policy set that was recorded last. The promises of [`super::Store`] hold for each verb.
#[async_trait]
pub trait PolicyRecord {
    /// The set that was recorded last; none where none ever was.
    async fn recorded_policies(&self) -> Result<Option<PolicySet>, StoreError>;

    /// Keeps `set` as the one that was recorded last and appends the entries about it in this order, in one transaction, if
    /// the digest of the one before it is `was` (none: there was none). Else nothing changes and the answer is
    /// [`Stepped::Changed`].
    async fn record_policies(
        &self,
        was: Option<&str>,
        set: PolicySet,
        entries: Vec<Entry>,
    ) -> Result<Stepped, StoreError>;
}
