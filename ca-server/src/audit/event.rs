//! What an entry can say. A family with more than a few facts has a file of its own beside this one.

mod break_glass;
mod clock;
mod codes;
pub mod policy;
mod request;
mod revocation;

pub use break_glass::BreakGlassEvent;
pub use clock::ClockEvent;
pub use codes::CODES;
pub use policy::PolicyEvent;
pub use request::{RequestEvent, Taken};
pub use revocation::RevocationEvent;

use super::{Actor, Severity};
use ::policy::{GrantId, Group, Identity, Now, PolicyId, RequestId, Seconds, SessionId, Target, UnixTime};
use api::{Code, DecisionBody};
use std::net::IpAddr;

/// A family of facts: an enum that serialises as an object whose `code` says which one. Codes are stable, fields only ever added.
pub trait Fact: serde::Serialize {
    /// How loud it is; none where it does not say, which readers take for [`Severity::Info`] unless the code tells more.
    fn severity(&self) -> Option<Severity> {
        None
    }
}

/// What happened. `code` is stable; fields are only ever added.
#[derive(Debug, serde::Serialize)]
#[serde(tag = "code")]
pub enum Event<'a> {
    /// The server began to serve.
    #[serde(rename = "server.started")]
    ServerStarted {
        /// The server's version.
        version: &'a str,
        /// The audience it answers to.
        audience: &'a str,
        /// SHA-256 of the policy set, hex.
        policy_digest: &'a str,
        /// The user CA's public key, OpenSSH form.
        user_ca: &'a str,
    },
    /// A login session was opened.
    #[serde(rename = "login.opened")]
    LoginOpened {
        /// Who.
        actor: Actor<'a>,
        /// The session.
        session: &'a SessionId,
        /// Groups as policies see them.
        groups: &'a [Group],
        /// More than one factor.
        mfa: bool,
        /// All that policies may ask of them, as the token said it.
        identity: &'a Identity,
        /// From where.
        source: IpAddr,
        /// `nonce`, `device` or `workload`: what bound the token to the session key.
        binding: &'a str,
        /// SHA-256 of the token, hex.
        token_digest: &'a str,
        /// The session key, base64url.
        session_key: &'a str,
        /// It ends then.
        expires: UnixTime,
    },
    /// A token whose signature held was refused all the same.
    #[serde(rename = "login.refused")]
    LoginRefused {
        /// The issuer.
        issuer: &'a str,
        /// `sub`, as far as it could be read.
        #[serde(skip_serializing_if = "Option::is_none")]
        subject: Option<&'a str>,
        /// The code that was answered.
        refusal: Code,
        /// Why.
        reason: &'a str,
        /// From where.
        source: IpAddr,
    },
    /// A login session ended.
    #[serde(rename = "login.ended")]
    LoginEnded {
        /// Whose.
        actor: Actor<'a>,
        /// The session.
        session: &'a SessionId,
        /// `logout`, `ended-by-owner`, `too-many`, `idle` or `expired`.
        reason: &'a str,
    },
    /// A decision that issued nothing.
    #[serde(rename = "decision.refused")]
    DecisionRefused {
        /// Who asked.
        actor: Actor<'a>,
        /// Under which login session.
        session: &'a SessionId,
        /// For what.
        target: &'a Target,
        /// Why, in the asker's words.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<&'a str>,
        /// Under which ticket.
        #[serde(skip_serializing_if = "Option::is_none")]
        ticket: Option<&'a str>,
        /// For how long; absent where it was left open.
        #[serde(skip_serializing_if = "Option::is_none")]
        duration: Option<Seconds>,
        /// The request that was named, if one was.
        #[serde(skip_serializing_if = "Option::is_none")]
        under: Option<&'a RequestId>,
        /// The moment of the decision.
        decided: Now,
        /// The decision.
        decision: &'a DecisionBody,
        /// SHA-256 of the policy set, hex.
        policy_digest: &'a str,
        /// From where.
        source: IpAddr,
    },
    /// An identity was refused more often than is recorded: what it asks is answered `rate_limited`, undecided, until its
    /// allowance is back. At most one such entry a minute for each identity.
    #[serde(rename = "decision.limited")]
    DecisionLimited {
        /// Who asks.
        actor: Actor<'a>,
        /// Under which login session.
        session: &'a SessionId,
        /// From where.
        source: IpAddr,
    },
    /// A user key was refused that is another's, or whose possession a proof failed to prove.
    #[serde(rename = "key.refused")]
    KeyRefused {
        /// Who asked.
        actor: Actor<'a>,
        /// Under which login session.
        session: &'a SessionId,
        /// For what.
        target: &'a Target,
        /// SHA-256 fingerprint of the user key.
        user_key: &'a str,
        /// The code that was answered.
        refusal: Code,
        /// From where.
        source: IpAddr,
    },
    /// A certificate is about to be signed and released. It counts as issued from here on.
    #[serde(rename = "certificate.issued")]
    CertificateIssued {
        /// For whom.
        actor: Actor<'a>,
        /// Under which login session.
        session: &'a SessionId,
        /// For what.
        target: &'a Target,
        /// The grant.
        grant: &'a GrantId,
        /// When the grant ends.
        until: UnixTime,
        /// The permit that granted it.
        policy: &'a PolicyId,
        /// SHA-256 of the policy set, hex.
        policy_digest: &'a str,
        /// Why, in the asker's words.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<&'a str>,
        /// Under which ticket.
        #[serde(skip_serializing_if = "Option::is_none")]
        ticket: Option<&'a str>,
        /// From where.
        source: IpAddr,
        /// The serial.
        serial: u64,
        /// SHA-256 fingerprint of the user key.
        user_key: &'a str,
        /// `valid_before`.
        expires: UnixTime,
        /// The request under which it was asked for; none for standing access.
        #[serde(skip_serializing_if = "Option::is_none")]
        under: Option<&'a RequestId>,
        /// For how long it was asked for; absent where it was left open.
        #[serde(skip_serializing_if = "Option::is_none")]
        duration: Option<Seconds>,
        /// The moment of the decision.
        decided: Now,
        /// How many steps the request, and each that prolongs it, has with this entry.
        #[serde(skip_serializing_if = "<[_]>::is_empty")]
        pinned: &'a [Pinned<'a>],
        /// The exact to-be-signed bytes, standard base64. Ed25519 being deterministic, they and the CA key make the
        /// certificate.
        to_be_signed: &'a str,
    },
    /// An operator has a sink try once more what it gave up.
    #[serde(rename = "sink.retried")]
    SinkRetried {
        /// The sink's name.
        sink: &'a str,
        /// From where.
        source: IpAddr,
    },
    /// Somebody read what is not theirs, because policy lets them.
    #[serde(rename = "record.read")]
    RecordRead {
        /// Who.
        actor: Actor<'a>,
        /// Under which login session.
        session: &'a SessionId,
        /// The request that was read; none for a list of them.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a RequestId>,
        /// What of the list was read; none for one request.
        #[serde(skip_serializing_if = "Option::is_none")]
        listed: Option<Listed<'a>>,
        /// From where.
        source: IpAddr,
    },
}

/// A page of a list of requests, by what was asked for.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct Listed<'a> {
    /// Those of whoever has this name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<&'a str>,
    /// Those for this host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<&'a str>,
    /// Those under this ticket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ticket: Option<&'a str>,
    /// Those at this stage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<&'a str>,
    /// Those that follow this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<&'a RequestId>,
    /// At most so many.
    pub limit: usize,
}

impl Fact for Event<'_> {
    fn severity(&self) -> Option<Severity> {
        let refused = matches!(
            self,
            Self::LoginRefused { .. }
                | Self::DecisionRefused { .. }
                | Self::DecisionLimited { .. }
                | Self::KeyRefused { .. }
        );
        refused.then_some(Severity::Warning)
    }
}

/// How many steps a request has.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct Pinned<'a> {
    /// The request.
    pub id: &'a RequestId,
    /// So many.
    pub steps: usize,
}
