//! Requests and what happens to them, as facts. What they amount to is computed anew each time: see [`crate::stage`].

use crate::{HostName, Identity, Incident, PolicyId, Reason, RequestId, Seconds, Target, Ticket, UnixTime};
use std::net::IpAddr;

/// SHA-256 over a request's canonical bytes: what an approver approves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(pub [u8; 32]);

/// A request, as filed. Never changed: an edited request is a new one with another digest.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Request {
    /// Its id.
    pub id: RequestId,
    /// Who asks, as of the moment of filing.
    pub requester: Identity,
    /// What is to be reached: 1 to [`Request::MOST_TARGETS`], by the names of the inventory, sorted, each once.
    pub targets: Vec<Target>,
    /// For how long, counted from the first use.
    pub duration: Seconds,
    /// Why.
    pub reason: Option<Reason>,
    /// Under which ticket.
    pub ticket: Option<Ticket>,
    /// Not to be used before then.
    pub start: Option<UnixTime>,
    /// The permit that the requester picked, where several would do.
    pub under: Option<PolicyId>,
    /// Where it was asked from.
    pub source: IpAddr,
    /// When it was filed.
    pub filed: UnixTime,
    /// Without a full quorum by then it is over.
    pub expires: UnixTime,
    /// The request whose grant this one prolongs by `duration`.
    pub extends: Option<RequestId>,
    /// Emergency access: granted at once by a permit of `Action::"break-glass"`, reviewed afterwards. Absent from the bytes of
    /// every other request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_glass: Option<BreakGlass>,
}

/// What makes a request emergency access.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct BreakGlass {
    /// The incident that it is for.
    pub incident: Incident,
    /// Somebody else must have reviewed it by then. Fixed when the glass is broken: no later policy puts it off.
    pub review_by: UnixTime,
}

impl Request {
    /// The most targets of one request.
    pub const MOST_TARGETS: usize = 32;
    /// The most steps that one request may see; what comes after is refused.
    pub const MOST_STEPS: usize = 100;
}

/// Something that happened to a request. Appended, never changed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Step {
    /// When.
    pub at: UnixTime,
    /// By whom, as of then. Before a decision the server puts what it last learnt of that person in its place, so that a
    /// reviewer who lost a group no longer counts.
    pub by: Identity,
    /// What.
    pub what: What,
}

impl Step {
    /// Takes over what was last learnt of the person: groups, e-mail addresses, claims. How and when the person had
    /// authenticated stays as it was at the step, and is judged as of then.
    pub fn learn(&mut self, latest: &Identity) {
        self.by = self.by.learnt(latest);
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum What {
    /// A reviewer approved.
    Approved(Approval),
    /// A reviewer said no: a veto, before or after approval.
    Denied {
        /// Why.
        reason: Reason,
    },
    /// The requester withdrew it.
    Cancelled,
    /// The first certificate under it was recorded: the work window runs from here.
    Claimed,
    /// It was ended before its time.
    Ended {
        /// Which kind of end.
        why: EndReason,
        /// In somebody's words.
        reason: Option<Reason>,
    },
    /// Somebody looked at an emergency access after the fact. It changes nothing of what was granted.
    Reviewed {
        /// What they found.
        verdict: Verdict,
        /// In their words.
        reason: Reason,
    },
}

/// What the review of an emergency access found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It was right.
    Fine,
    /// Somebody should look further.
    Concern,
}

/// A reviewer's yes to one exact request, perhaps to less of it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Approval {
    /// The digest that was approved, hex on the wire. An approval of any other request counts for nothing.
    #[serde(with = "digest_hex")]
    pub digest: Digest,
    /// For no longer than this.
    pub duration: Option<Seconds>,
    /// On these hosts only; empty means on all that were asked for.
    #[serde(default)]
    pub only: Vec<HostName>,
    /// In the reviewer's words.
    pub reason: Option<Reason>,
}

/// Why a grant ended before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndReason {
    /// Its holder gave it back.
    Done,
    /// Security took it.
    Revoked,
}

mod digest_hex {
    use super::Digest;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};
    use std::fmt::Write as _;

    pub(super) fn serialize<S: Serializer>(digest: &Digest, out: S) -> Result<S::Ok, S::Error> {
        let text = digest.0.iter().fold(String::with_capacity(64), |mut text, byte| {
            let _infallible = write!(text, "{byte:02x}");
            text
        });
        out.serialize_str(&text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Digest, D::Error> {
        let text = String::deserialize(input)?;
        let plain = text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        let byte = |at: usize| text.get(2 * at..2 * at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
        let mut digest = [0; 32];
        for (at, out) in digest.iter_mut().enumerate() {
            *out =
                byte(at).filter(|_| plain).ok_or_else(|| D::Error::custom("a digest is 64 lower-case hex digits"))?;
        }
        Ok(Digest(digest))
    }
}
