//! The entries about emergency access.

use super::Actor;
use api::DecisionBody;
use policy::{Incident, PolicyId, Request, RequestId, SessionId, Target, UnixTime, Verdict};
use std::net::IpAddr;

/// What happened to the glass.
#[derive(Debug, serde::Serialize)]
#[serde(tag = "code")]
pub enum Glass<'a> {
    /// Somebody broke it: access without anybody's approval, to be reviewed afterwards. It stands in the place of
    /// `request.filed` and has all of its fields.
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
        /// Why, in the asker's words.
        reason: Option<&'a str>,
        /// Somebody else must have reviewed it by then.
        review_by: UnixTime,
        /// SHA-256 of the policy set, hex.
        policy_digest: &'a str,
        /// From where.
        source: IpAddr,
    },
    /// Somebody tried to break it and may not.
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
    /// Somebody else looked at what was done behind it.
    #[serde(rename = "break-glass.reviewed")]
    Reviewed {
        /// Who reviewed.
        actor: Actor<'a>,
        /// Under which login session.
        session: &'a SessionId,
        /// The request.
        id: &'a RequestId,
        /// Its digest, hex.
        digest: &'a str,
        /// What they found.
        verdict: Verdict,
        /// In their words.
        reason: &'a str,
        /// SHA-256 of the policy set, hex.
        policy_digest: &'a str,
        /// From where.
        source: IpAddr,
    },
}
