//! Emergency access, and its review.

use super::Fact;
use crate::audit::{Actor, Severity};
use api::DecisionBody;
use policy::{Incident, Now, PolicyId, Request, RequestId, Seconds, SessionId, Target, UnixTime};
use std::net::IpAddr;

/// What happened to emergency access.
#[derive(Debug, serde::Serialize)]
#[serde(tag = "code")]
pub enum BreakGlassEvent<'a> {
    /// Somebody broke the glass: access without anybody's approval, to be reviewed afterwards. In the place of
    /// `request.filed`, with the same fields.
    #[serde(rename = "break-glass.opened")]
    Opened {
        /// Who.
        actor: Actor<'a>,
        /// Under which login session.
        session: &'a SessionId,
        /// The request.
        id: &'a RequestId,
        /// All of it, in the bytes that its digest is over.
        filed: &'a Request,
        /// Its digest, hex.
        digest: &'a str,
        /// For what.
        target: Option<&'a Target>,
        /// The permit that grants it.
        policy: Option<&'a PolicyId>,
        /// For which incident.
        incident: &'a Incident,
        /// Why.
        reason: Option<&'a str>,
        /// Somebody else must have reviewed it by then.
        review_by: UnixTime,
        /// The moment of the decision.
        decided: Now,
        /// SHA-256 of the policy set, hex.
        policy_digest: &'a str,
        /// From where.
        source: IpAddr,
    },
    /// Somebody tried to break the glass and may not.
    #[serde(rename = "break-glass.refused")]
    Refused {
        /// Who.
        actor: Actor<'a>,
        /// Under which login session.
        session: &'a SessionId,
        /// For what.
        target: &'a Target,
        /// For which incident.
        incident: &'a Incident,
        /// Why, in the asker's words.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<&'a str>,
        /// Under which ticket.
        #[serde(skip_serializing_if = "Option::is_none")]
        ticket: Option<&'a str>,
        /// For how long; absent where it was left open.
        #[serde(skip_serializing_if = "Option::is_none")]
        duration: Option<Seconds>,
        /// The moment that policy was asked about.
        decided: Now,
        /// Why not.
        refusal: &'a str,
        /// The decision, where policy made it.
        #[serde(skip_serializing_if = "Option::is_none")]
        decision: Option<&'a DecisionBody>,
        /// The emergency access whose overdue review is in the way, where one is.
        #[serde(skip_serializing_if = "Option::is_none")]
        overdue: Option<&'a RequestId>,
        /// SHA-256 of the policy set, hex.
        policy_digest: &'a str,
        /// From where.
        source: IpAddr,
    },
}

impl Fact for BreakGlassEvent<'_> {
    fn severity(&self) -> Option<Severity> {
        Some(Severity::High)
    }
}
