//! What the verbs work with, wired once at start.

use crate::{
    ca::Authority,
    clock::Clock,
    oidc::Issuers,
    policies::LivePolicies,
    sinks::Sinks,
    store::Store,
    verbs::{
        cases::Cases, certificates::Certificates, krl::Lists, refusals::Refusals, replay::Replay, waiting::Waiting,
    },
};
use policy::Seconds;
use std::{net::IpAddr, sync::Arc};

/// Everything a verb may touch.
pub struct App {
    /// The server's name in every signature: its public URL without a trailing slash.
    pub audience: String,
    /// The time zone of policies.
    pub zone: jiff::tz::TimeZone,
    /// How login sessions live.
    pub sessions: SessionRules,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The store.
    pub store: Arc<dyn Store>,
    /// The user CA.
    pub authority: Authority,
    /// The host CA's public key, OpenSSH form: shown, not used to sign yet.
    pub host_ca: String,
    /// The lists of revoked certificates that hosts fetch.
    pub krl: Lists,
    /// The policy set in force.
    pub policies: LivePolicies,
    /// The issuers.
    pub issuers: Issuers,
    /// Where audit entries go.
    pub sinks: Sinks,
    /// Requests seen within the window.
    pub replay: Replay,
    /// Who waits for something to happen to a request.
    pub waiting: Waiting,
    /// Cases that were put together lately.
    pub cases: Cases,
    /// How many refusals may be put on record.
    pub refusals: Refusals,
    /// How many certificates there may be.
    pub certificates: Certificates,
}

/// How login sessions live.
#[derive(Clone, Copy, Debug)]
pub struct SessionRules {
    /// The longest life.
    pub lifetime: Seconds,
    /// The longest time without use.
    pub idle: Seconds,
    /// The most live sessions of one identity.
    pub most_per_identity: usize,
}

/// What the door knows about a request before anybody is asked who sent it.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The address it came from.
    pub source: IpAddr,
    /// The request's id, in every log line and audit entry.
    pub request_id: String,
}
