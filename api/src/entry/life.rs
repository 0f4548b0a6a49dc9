//! A request, and what every step of its life has.

use super::Who;
use policy::{Incident, Now, PolicyId, Reason, Request, RequestId, SessionId, Target, UnixTime};
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
    /// What the entry of an emergency says beside the request.
    #[serde(flatten)]
    pub beside: Beside,
}

/// What of emergency access stands in its entry a second time, for whoever looks at entries and not into requests. Nothing in
/// the entry of another request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Beside {
    /// For what.
    #[serde(default)]
    pub target: Option<Target>,
    /// The permit that grants it.
    #[serde(default)]
    pub policy: Option<PolicyId>,
    /// For which incident.
    #[serde(default)]
    pub incident: Option<Incident>,
    /// Why.
    #[serde(default)]
    pub reason: Option<Reason>,
    /// To be reviewed by then.
    #[serde(default)]
    pub review_by: Option<UnixTime>,
}

impl Beside {
    /// What has to stand beside `request`.
    pub fn of(request: &Request) -> Self {
        let Some(glass) = &request.break_glass else { return Self::default() };
        Self {
            target: request.targets.first().cloned(),
            policy: request.under.clone(),
            incident: Some(glass.incident.clone()),
            reason: request.reason.clone(),
            review_by: Some(glass.review_by),
        }
    }
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
