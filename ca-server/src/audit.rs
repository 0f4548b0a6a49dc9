//! The audit log's entries: one fact each, in their final shape. The exact bytes kept here are what a Merkle leaf hashes.

mod event;
mod severity;
pub mod verify;
pub mod witness;

pub use api::proof::{checkpoint, note, tree};
pub use event::{
    BreakGlassEvent, CODES, ClockEvent, Event, Fact, Listed, Pinned, PolicyEvent, RequestEvent, RevocationEvent, Taken,
    policy,
};

use ::policy::{Identity, Kind};
pub use severity::Severity;

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
    pub fn new(time_ms: u64, request_id: &str, event: &impl Fact) -> Result<Self, serde_json::Error> {
        Self::notifying(time_ms, request_id, event, &[])
    }

    /// As [`Self::new`], for sinks that choose by these channels: the `@notify` of what it is about.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn notifying(
        time_ms: u64,
        request_id: &str,
        event: &impl Fact,
        notify: &[String],
    ) -> Result<Self, serde_json::Error> {
        let severity = event.severity();
        serde_json::to_vec(&Line { v: VERSION, time_ms, request: request_id, severity, notify, event }).map(Self)
    }

    /// An entry read back from a store.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Its time, and what stands for the request that caused it; none where it is no entry of ours.
    pub fn cause(&self) -> Option<(u64, String)> {
        #[derive(serde::Deserialize)]
        struct Cause {
            time_ms: u64,
            request: String,
        }
        serde_json::from_slice(&self.0).ok().map(|Cause { time_ms, request }| (time_ms, request))
    }

    /// The exact bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[derive(serde::Serialize)]
struct Line<'a, F> {
    v: u8,
    time_ms: u64,
    request: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    severity: Option<Severity>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    notify: &'a [String],
    #[serde(flatten)]
    event: &'a F,
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
            email: identity.email.as_ref().map(::policy::Email::as_str),
        }
    }
}
