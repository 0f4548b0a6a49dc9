//! A decision as it is told and compared.

use policy::{Cause, Decision, PolicyId, Terms};
use serde::Serialize;
use std::fmt;

/// A decision, in so far as one may differ from another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub(in super::super) enum Told {
    /// Yes.
    Granted {
        /// By this permit, on these terms.
        terms: Box<Terms>,
    },
    /// Yes, once people have approved.
    NeedsApproval {
        /// By this permit, on these terms.
        terms: Box<Terms>,
    },
    /// No.
    Denied {
        /// What kind of no.
        cause: Cause,
        /// The policies that made it.
        policies: Vec<PolicyId>,
    },
}

/// What was decided then.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    Granted,
    NeedsApproval,
    Denied,
    /// A request was filed: anything but a no.
    NotDenied,
}

impl Told {
    pub(super) fn outcome(&self) -> Then {
        match self {
            Self::Granted { .. } => Then::Granted,
            Self::NeedsApproval { .. } => Then::NeedsApproval,
            Self::Denied { .. } => Then::Denied,
        }
    }

    pub(super) fn policies(&self) -> impl Iterator<Item = &PolicyId> {
        let (one, many): (_, &[PolicyId]) = match self {
            Self::Granted { terms } | Self::NeedsApproval { terms } => (Some(&terms.policy), &[]),
            Self::Denied { policies, .. } => (None, policies),
        };
        one.into_iter().chain(many)
    }
}

impl From<Decision> for Told {
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::Granted(grant) => Self::Granted { terms: Box::new(grant.terms().clone()) },
            Decision::NeedsApproval(needs) => Self::NeedsApproval { terms: Box::new(needs.terms) },
            Decision::Denied(denied) => Self::Denied { cause: denied.cause, policies: denied.policies },
        }
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Granted { terms } => write!(f, "granted by {} for at most {}", terms.policy, terms.max_duration),
            Self::NeedsApproval { terms } => write!(f, "needs {} approval(s) by {}", terms.approvals, terms.policy),
            Self::Denied { cause, policies } => {
                let why = match cause {
                    Cause::Forbidden => "forbidden",
                    Cause::NoPermit => "no permit matches",
                    Cause::TermsUnmet => "terms unmet",
                    Cause::UnknownTarget => "no such host or account",
                    Cause::EvaluationFailed => "not evaluable",
                    Cause::NotRequested | Cause::NotYet | Cause::RequestOver => "the request does not cover it",
                };
                write!(f, "denied, {why}")?;
                let ids: Vec<&str> = policies.iter().map(PolicyId::as_str).collect();
                if ids.is_empty() { Ok(()) } else { write!(f, " ({})", ids.join(", ")) }
            }
        }
    }
}
