//! A request, and what every step of its life has.

use super::Who;
use policy::{Now, Request, RequestId, SessionId};
use serde::Deserialize;

/// A request that was filed.
#[derive(Clone, Debug, Deserialize)]
pub struct Filed {
    /// Who asks.
    pub actor: Who,
    /// Under which login session.
    pub session: SessionId,
    /// The request.
    pub id: RequestId,
    /// All of it.
    pub filed: Request,
    /// Its digest, hex.
    pub digest: String,
    /// The moment of the decision; none in entries from before it was recorded.
    #[serde(default)]
    pub decided: Option<Now>,
    /// The policy set, hex.
    pub policy_digest: String,
}

/// What every step has.
#[derive(Clone, Debug, Deserialize)]
pub struct Step {
    /// Who took it.
    pub actor: Who,
    /// Under which login session.
    pub session: SessionId,
    /// Of which request.
    pub id: RequestId,
    /// How many came before it; none in entries from before it was recorded.
    #[serde(default)]
    pub step: Option<usize>,
    /// The moment; likewise.
    #[serde(default)]
    pub decided: Option<Now>,
    /// The policy set, hex, where policy was asked.
    #[serde(default)]
    pub policy_digest: Option<String>,
}
