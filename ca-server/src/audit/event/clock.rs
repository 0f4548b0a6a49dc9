//! What the clock alone does to requests.

use super::Fact;
use crate::audit::Actor;
use policy::{GrantId, Need, Over, RequestId, Target, UnixTime};

/// What the time made of a request, or of the grant that came of it. The actor is whoever asked.
#[derive(Debug, serde::Serialize)]
#[serde(tag = "code")]
pub enum ClockEvent<'a> {
    /// It still waits for people, and will not for long. Once for each request at most.
    #[serde(rename = "request.reminded")]
    Reminded {
        /// Whose it is.
        actor: Actor<'a>,
        /// The request.
        id: &'a RequestId,
        /// What was asked for.
        targets: &'a [Target],
        /// What each target still lacks, and who may give it.
        needs: &'a [Need],
        /// Its digest, hex: what an approval names.
        digest: &'a str,
        /// It expires then.
        until: UnixTime,
    },
    /// It is over without ever having been used: not enough people approved in time, or policy forbade it until then.
    #[serde(rename = "request.expired")]
    Expired {
        /// Whose it is.
        actor: Actor<'a>,
        /// The request.
        id: &'a RequestId,
        /// Its digest, hex.
        digest: &'a str,
        /// `expired` or `forbidden`.
        how: Over,
    },
    /// It was approved and not used within the time for that.
    #[serde(rename = "request.unclaimed")]
    Unclaimed {
        /// Whose it is.
        actor: Actor<'a>,
        /// The request.
        id: &'a RequestId,
        /// Its digest, hex.
        digest: &'a str,
    },
    /// Approvals together left nothing of it, though none of them denied it.
    #[serde(rename = "request.emptied")]
    Emptied {
        /// Whose it is.
        actor: Actor<'a>,
        /// The request.
        id: &'a RequestId,
        /// Its digest, hex.
        digest: &'a str,
    },
    /// The time of a grant was up.
    #[serde(rename = "grant.finished")]
    Finished {
        /// Whose it is.
        actor: Actor<'a>,
        /// The request.
        id: &'a RequestId,
        /// The grant.
        grant: &'a GrantId,
        /// Since its first use.
        #[serde(skip_serializing_if = "Option::is_none")]
        since: Option<UnixTime>,
    },
}

impl Fact for ClockEvent<'_> {}
