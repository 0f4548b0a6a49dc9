//! The answer, and why.

use super::Grant;
use crate::{Ask, PolicyId, Seconds, Terms, engine::rule::Rule};

/// The answer to an [`Ask`], with the ids of the policies that made it.
#[derive(Debug, PartialEq, Eq)]
pub enum Decision {
    /// Yes, on these terms.
    Granted(Box<Grant>),
    /// Yes, once people have approved.
    NeedsApproval(Box<NeedsApproval>),
    /// No.
    Denied(Denied),
}

/// What must be approved before there is a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeedsApproval {
    /// The terms it would be granted on.
    pub terms: Terms,
    /// Other permits that would do, each with its own terms.
    pub others: Vec<PolicyId>,
    /// Groups whose members may approve this target, as far as the approve policies name groups.
    pub approver_groups: Vec<String>,
}

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// What kind of no.
    pub cause: Cause,
    /// The forbids that matched, or the permits whose terms were not met. Empty where nothing matched at all.
    pub policies: Vec<PolicyId>,
    /// `@advice` of the forbids that matched, in the order of `policies`.
    pub advice: Vec<String>,
    /// What each matching permit still lacks.
    pub unmet: Vec<Unmet>,
}

/// What kind of no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// A forbid matched.
    Forbidden,
    /// No permit matched.
    NoPermit,
    /// A permit matched, but the request does not meet its terms.
    TermsUnmet,
    /// The inventory has no such host, or no such account on it.
    UnknownTarget,
    /// A policy could not be evaluated; any doubt is a no.
    EvaluationFailed,
    /// The request is somebody else's, does not hold this target (any more), or only prolongs another.
    NotRequested,
    /// The request begins later.
    NotYet,
    /// The request is over.
    RequestOver,
}

/// What one permit lacks.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Unmet {
    /// The permit.
    pub policy: PolicyId,
    /// Its term.
    pub term: UnmetTerm,
}

/// A term that a request does not meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnmetTerm {
    /// `@reason("required")` and none was given.
    Reason,
    /// `@ticket("required")` and none was given.
    Ticket,
    /// Longer than `@max_duration`, or nothing at all.
    Duration(Seconds),
}

impl Denied {
    pub(super) fn because(cause: Cause, policies: Vec<PolicyId>) -> Self {
        Self { cause, policies, advice: Vec::new(), unmet: Vec::new() }
    }

    /// The permit that was picked does not match, or does not cover what is asked.
    pub(crate) fn no_permit() -> Self {
        Self::because(Cause::NoPermit, Vec::new())
    }

    pub(super) fn forbidden(forbids: &[&Rule]) -> Self {
        Self {
            advice: forbids.iter().filter_map(|rule| rule.advice.clone()).collect(),
            ..Self::because(Cause::Forbidden, forbids.iter().map(|rule| rule.id.clone()).collect())
        }
    }

    pub(super) fn unmet(permits: &[&Terms], ask: &Ask) -> Self {
        let lacks = |terms: &&Terms| {
            let policy = terms.policy.clone();
            terms.unmet(ask).map(move |term| Unmet { policy: policy.clone(), term }).collect::<Vec<_>>()
        };
        Self {
            unmet: permits.iter().flat_map(lacks).collect(),
            ..Self::because(Cause::TermsUnmet, permits.iter().map(|terms| terms.policy.clone()).collect())
        }
    }
}
