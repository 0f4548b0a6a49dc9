//! The audit log's entries: one fact each, in their final shape. The exact bytes kept here are what a Merkle leaf hashes.

pub mod checkpoint;
mod glass;
pub mod note;
mod severity;
pub mod tree;
pub mod verify;
pub mod witness;

use api::{Code, DecisionBody};
pub use glass::Glass;
use policy::{Approval, EndReason, GrantId, Identity, Kind, PolicyId, Request, RequestId, SessionId, Target, UnixTime};
pub use severity::Severity;
use std::net::IpAddr;

/// The version of the shape below.
pub const VERSION: u8 = 1;

/// One fact as it is kept: a JSON object on one line, UTF-8, without a newline. Never changed once written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry(Vec<u8>);

impl Entry {
    /// The entry for `event` at `time_ms`, for the request `request_id`.
    ///
    /// # Errors
    /// If it cannot be written as JSON; then nothing may happen.
    pub fn new(time_ms: u64, request_id: &str, event: &Event<'_>) -> Result<Self, serde_json::Error> {
        Self::notifying(time_ms, request_id, event, &[])
    }

    /// As [`Self::new`], for sinks that choose by these channels: the `@notify` of what it is about.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn notifying(
        time_ms: u64,
        request_id: &str,
        event: &Event<'_>,
        notify: &[String],
    ) -> Result<Self, serde_json::Error> {
        let severity = Severity::of(event);
        serde_json::to_vec(&Line { v: VERSION, time_ms, request: request_id, severity, notify, event }).map(Self)
    }

    /// An entry read back from a store.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The exact bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[derive(serde::Serialize)]
struct Line<'a> {
    v: u8,
    time_ms: u64,
    request: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    severity: Option<Severity>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    notify: &'a [String],
    #[serde(flatten)]
    event: &'a Event<'a>,
}

/// Who did it.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct Actor<'a> {
    kind: Kind,
    issuer: &'a str,
    subject: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
}

impl<'a> From<&'a Identity> for Actor<'a> {
    fn from(identity: &'a Identity) -> Self {
        Self {
            kind: identity.kind,
            issuer: identity.issuer.as_str(),
            subject: identity.subject.as_str(),
            email: identity.email.as_ref().map(policy::Email::as_str),
        }
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
    /// A policy set took the place of another.
    #[serde(rename = "policy.loaded")]
    PolicyLoaded {
        /// SHA-256 of the former set, hex.
        from: &'a str,
        /// SHA-256 of the new set, hex.
        to: &'a str,
        /// How many policies it holds.
        policies: usize,
    },
    /// A login session was opened.
    #[serde(rename = "login.opened")]
    LoginOpened {
        /// Who.
        actor: Actor<'a>,
        /// The session.
        session: &'a SessionId,
        /// Groups as policies see them.
        groups: &'a [policy::Group],
        /// More than one factor.
        mfa: bool,
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
        /// The exact to-be-signed bytes, standard base64. Ed25519 being deterministic, they and the CA key make the
        /// certificate.
        to_be_signed: &'a str,
    },
    /// Somebody asked for access that others must approve, or that begins later.
    #[serde(rename = "request.filed")]
    RequestFiled {
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
        /// SHA-256 of the policy set, hex.
        policy_digest: &'a str,
    },
    /// A reviewer approved.
    #[serde(rename = "request.approved")]
    RequestApproved {
        /// Who.
        actor: Actor<'a>,
        /// Under which login session.
        session: &'a SessionId,
        /// The request.
        id: &'a RequestId,
        /// The approval, with the digest that was approved.
        approval: &'a Approval,
        /// SHA-256 of the policy set, hex.
        policy_digest: &'a str,
        /// From where.
        source: IpAddr,
    },
    /// A reviewer said no: a veto, before or after approval.
    #[serde(rename = "request.denied")]
    RequestDenied {
        /// Who.
        actor: Actor<'a>,
        /// Under which login session.
        session: &'a SessionId,
        /// The request.
        id: &'a RequestId,
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
    RequestRefused {
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
    RequestCancelled {
        /// Who.
        actor: Actor<'a>,
        /// Under which login session.
        session: &'a SessionId,
        /// The request.
        id: &'a RequestId,
        /// From where.
        source: IpAddr,
    },
    /// The first certificate under a request is on record: the work window runs.
    #[serde(rename = "request.claimed")]
    RequestClaimed {
        /// Who.
        actor: Actor<'a>,
        /// Under which login session.
        session: &'a SessionId,
        /// The request.
        id: &'a RequestId,
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
        /// From where.
        source: IpAddr,
    },
    /// Emergency access.
    #[serde(untagged)]
    Glass(Glass<'a>),
}
