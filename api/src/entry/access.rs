//! Logins, and what was answered to who asked for a certificate.

use super::Who;
use policy::{
    GrantId, Identity, Incident, Now, PolicyId, Reason, RequestId, Seconds, Serial, SessionId, Target, Ticket, UnixTime,
};
use serde::Deserialize;
use std::net::IpAddr;

/// A login.
#[derive(Clone, Debug, Deserialize)]
pub struct Login {
    /// Who.
    pub actor: Who,
    /// The session.
    pub session: SessionId,
    /// All that policies may ask of them; none in entries from before it was recorded.
    #[serde(default)]
    pub identity: Option<Identity>,
    /// The session ends then.
    pub expires: UnixTime,
}

/// A no.
#[derive(Clone, Debug, Deserialize)]
pub struct Refused {
    /// Who asked.
    pub actor: Who,
    /// Under which login session.
    pub session: SessionId,
    /// For what.
    pub target: Target,
    /// Why, in the asker's words.
    #[serde(default)]
    pub reason: Option<Reason>,
    /// Under which ticket.
    #[serde(default)]
    pub ticket: Option<Ticket>,
    /// For how long.
    #[serde(default)]
    pub duration: Option<Seconds>,
    /// The request that was named.
    #[serde(default)]
    pub under: Option<RequestId>,
    /// The moment of the decision; none in entries from before it was recorded.
    #[serde(default)]
    pub decided: Option<Now>,
    /// The decision.
    pub decision: crate::DecisionBody,
    /// From where.
    pub source: IpAddr,
}

/// A no to emergency access.
#[derive(Clone, Debug, Deserialize)]
pub struct GlassRefused {
    /// Who tried.
    pub actor: Who,
    /// Under which login session.
    pub session: SessionId,
    /// For what.
    pub target: Target,
    /// For which incident.
    pub incident: Incident,
    /// Why, in the asker's words.
    #[serde(default)]
    pub reason: Option<Reason>,
    /// Under which ticket.
    #[serde(default)]
    pub ticket: Option<Ticket>,
    /// For how long.
    #[serde(default)]
    pub duration: Option<Seconds>,
    /// The moment of the decision; none in entries from before it was recorded.
    #[serde(default)]
    pub decided: Option<Now>,
    /// The decision, where policy made it.
    #[serde(default)]
    pub decision: Option<crate::DecisionBody>,
    /// From where.
    pub source: IpAddr,
}

/// A certificate that was issued.
#[derive(Clone, Debug, Deserialize)]
pub struct Certificate {
    /// For whom.
    pub actor: Who,
    /// Under which login session.
    pub session: SessionId,
    /// For what.
    pub target: Target,
    /// The grant.
    pub grant: GrantId,
    /// When the grant ends.
    pub until: UnixTime,
    /// The permit.
    pub policy: PolicyId,
    /// The policy set, hex.
    pub policy_digest: String,
    /// Why.
    #[serde(default)]
    pub reason: Option<Reason>,
    /// Under which ticket.
    #[serde(default)]
    pub ticket: Option<Ticket>,
    /// From where.
    pub source: IpAddr,
    /// The serial.
    pub serial: Serial,
    /// SHA-256 fingerprint of the user key.
    pub user_key: String,
    /// `valid_before`.
    pub expires: UnixTime,
    /// The request; none for standing access.
    #[serde(default)]
    pub under: Option<RequestId>,
    /// For how long it was asked for.
    #[serde(default)]
    pub duration: Option<Seconds>,
    /// The moment of the decision; none in entries from before it was recorded.
    #[serde(default)]
    pub decided: Option<Now>,
    /// How many steps the request, and each that prolongs it, had with this.
    #[serde(default)]
    pub pinned: Vec<Pinned>,
    /// The to-be-signed bytes, standard base64.
    pub to_be_signed: String,
}

/// How many steps a request had.
#[derive(Clone, Debug, Deserialize)]
pub struct Pinned {
    /// The request.
    pub id: RequestId,
    /// So many.
    pub steps: usize,
}
