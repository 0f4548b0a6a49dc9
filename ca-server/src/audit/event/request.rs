//! The life of a request.

use super::Fact;
use crate::audit::{Actor, Severity};
use policy::{Approval, EndReason, GrantId, Now, PolicyId, Request, RequestId, SessionId, UnixTime, Verdict};
use std::net::IpAddr;

/// What happened to a request, or to the grant that came of it.
#[derive(Debug, serde::Serialize)]
#[serde(tag = "code")]
pub enum RequestEvent<'a> {
    /// Somebody asked for access that others must approve, or that begins later.
    #[serde(rename = "request.filed")]
    Filed {
        /// Who asks.
        actor: Actor<'a>,
        /// Under which login session.
        session: &'a SessionId,
        /// The request.
        id: &'a RequestId,
        /// All of it, in the bytes that its digest is over.
        filed: &'a Request,
        /// Its digest, hex: what an approval names.
        digest: &'a str,
        /// The moment of the decision that it may be filed.
        decided: Now,
        /// SHA-256 of the policy set, hex.
        policy_digest: &'a str,
    },
    /// A reviewer approved.
    #[serde(rename = "request.approved")]
    Approved {
        /// Who.
        actor: Actor<'a>,
        /// Under which login session.
        session: &'a SessionId,
        /// The request.
        id: &'a RequestId,
        /// Which step in the request's life this is, and the moment of it.
        #[serde(flatten)]
        step: Taken,
        /// The approval, with the digest that was approved.
        approval: &'a Approval,
        /// SHA-256 of the policy set, hex.
        policy_digest: &'a str,
        /// From where.
        source: IpAddr,
    },
    /// A reviewer said no: a veto, before or after approval.
    #[serde(rename = "request.denied")]
    Denied {
        /// Who.
        actor: Actor<'a>,
        /// Under which login session.
        session: &'a SessionId,
        /// The request.
        id: &'a RequestId,
        /// Which step in the request's life this is, and the moment of it.
        #[serde(flatten)]
        step: Taken,
        /// Its digest, hex.
        digest: &'a str,
        /// Why.
        reason: &'a str,
        /// SHA-256 of the policy set, hex.
        policy_digest: &'a str,
        /// From where.
        source: IpAddr,
    },
    /// Somebody tried to do to a request what they may not: to approve their own, perhaps.
    #[serde(rename = "request.refused")]
    Refused {
        /// Who.
        actor: Actor<'a>,
        /// Under which login session.
        session: &'a SessionId,
        /// The request.
        id: &'a RequestId,
        /// Why not.
        refusal: &'a str,
        /// From where.
        source: IpAddr,
    },
    /// The requester withdrew it.
    #[serde(rename = "request.cancelled")]
    Cancelled {
        /// Who.
        actor: Actor<'a>,
        /// Under which login session.
        session: &'a SessionId,
        /// The request.
        id: &'a RequestId,
        /// Which step in the request's life this is, and the moment of it.
        #[serde(flatten)]
        step: Taken,
        /// From where.
        source: IpAddr,
    },
    /// The first certificate under a request is on record: the work window runs.
    #[serde(rename = "request.claimed")]
    Claimed {
        /// Who.
        actor: Actor<'a>,
        /// Under which login session.
        session: &'a SessionId,
        /// The request.
        id: &'a RequestId,
        /// Which step in the request's life this is, and the moment of it.
        #[serde(flatten)]
        step: Taken,
        /// Its digest, hex.
        digest: &'a str,
        /// The grant.
        grant: &'a GrantId,
        /// The permit that granted it.
        policy: &'a PolicyId,
        /// Until then.
        until: UnixTime,
        /// From where.
        source: IpAddr,
    },
    /// A grant was ended before its time.
    #[serde(rename = "grant.ended")]
    GrantEnded {
        /// Who ended it.
        actor: Actor<'a>,
        /// Under which login session.
        session: &'a SessionId,
        /// The request.
        id: &'a RequestId,
        /// Which step in the request's life this is, and the moment of it.
        #[serde(flatten)]
        step: Taken,
        /// The grant.
        grant: &'a GrantId,
        /// Which kind of end.
        why: EndReason,
        /// In somebody's words.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<&'a str>,
        /// From where.
        source: IpAddr,
    },
    /// Somebody else looked at an emergency access after the fact.
    #[serde(rename = "break-glass.reviewed")]
    Reviewed {
        /// Who reviewed.
        actor: Actor<'a>,
        /// Under which login session.
        session: &'a SessionId,
        /// The request.
        id: &'a RequestId,
        /// Which step in the request's life this is, and the moment of it.
        #[serde(flatten)]
        step: Taken,
        /// Its digest, hex.
        digest: &'a str,
        /// What they found.
        verdict: Verdict,
        /// In their words.
        reason: &'a str,
        /// SHA-256 of the policy set that lets them, hex.
        policy_digest: &'a str,
        /// From where.
        source: IpAddr,
    },
}

impl Fact for RequestEvent<'_> {
    fn severity(&self) -> Option<Severity> {
        match self {
            Self::Reviewed { verdict: Verdict::Concern, .. } => Some(Severity::High),
            Self::Reviewed { verdict: Verdict::Fine, .. } => Some(Severity::Info),
            Self::Refused { .. } | Self::Denied { .. } | Self::GrantEnded { why: EndReason::Revoked, .. } => {
                Some(Severity::Warning)
            }
            _ => None,
        }
    }
}

/// Where a step stands in the life of its request.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct Taken {
    /// How many steps came before it.
    pub step: usize,
    /// The moment that policy judges it with.
    pub decided: Now,
}
