use crate::IdentityBody;
use policy::{
    EndReason, GrantId, HostName, Incident, PolicyId, Reason, RequestId, Review, Seconds, Serial, Stage, Target, Terms,
    Ticket, UnixTime, Unmet, Verdict,
};

/// What the `stage` of a list of requests may be: where they stand, `open` for all that are not over, or how they ended.
pub const STAGES: [&str; 15] = [
    "open",
    "pending",
    "scheduled",
    "claimable",
    "active",
    "added",
    "over",
    "denied",
    "forbidden",
    "cancelled",
    "expired",
    "unclaimed",
    "finished",
    "done",
    "revoked",
];

/// `POST /v1/requests` (with `Idempotency-Key`): asks for access that people must approve, or that begins later.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRequest {
    /// What to reach: 1 to 32 targets.
    pub targets: Vec<Target>,
    /// For how long, from the first use; absent means as long as the policy allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<Seconds>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// Under which ticket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<Ticket>,
    /// Not before then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<UnixTime>,
    /// Under this policy, where several would do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub under: Option<PolicyId>,
    /// Prolongs this request's grant; `targets` must be empty then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extends: Option<RequestId>,
    /// Breaks the glass, for this incident: granted at once under a policy of emergency access, or not at all. Takes a reason and
    /// no `start`, and somebody else must review it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<Incident>,
    /// Only say what would happen.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// What a target would be, or is, granted on.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Offer {
    /// The target.
    pub target: Target,
    /// The permits that would do, the one that would be taken first.
    pub offers: Vec<Terms>,
    /// Groups whose members may approve.
    pub approver_groups: Vec<String>,
    /// Of a dry run: what further permits would want before they would do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unmet: Vec<Unmet>,
    /// Of a dry run: the terms of these further permits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub further: Vec<Terms>,
}

/// A request, as anybody who may see it sees it. `ETag` is its version.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct RequestBody {
    /// Its id; absent for a dry run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<RequestId>,
    /// The grant it is or may become.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<GrantId>,
    /// What an approval must name: 64 hex digits; empty for a dry run.
    pub digest: String,
    /// How many steps it has seen.
    pub version: u64,
    /// Who asks.
    pub requester: IdentityBody,
    /// What is asked for.
    pub targets: Vec<Target>,
    /// For how long.
    pub duration: Seconds,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// Under which ticket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<Ticket>,
    /// Not before then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<UnixTime>,
    /// The policy the requester picked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub under: Option<PolicyId>,
    /// The request it prolongs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extends: Option<RequestId>,
    /// The requests that prolong its grant. Left out of lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extensions: Vec<Extension>,
    /// The incident, where it is emergency access.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<Incident>,
    /// How the review of emergency access stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review: Option<Review>,
    /// What this person asked for before, the latest first; only for those who may review it or oversee all, and only where one
    /// request is shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub used_before: Vec<Before>,
    /// When it was filed.
    pub filed: UnixTime,
    /// Where it stands now.
    pub stage: Stage,
    /// What each target is, or would be, granted on. Left out of lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub offers: Vec<Offer>,
    /// What happened so far.
    pub steps: Vec<StepBody>,
    /// Whether the caller may approve or deny it now; emergency access: end or review it.
    pub may_review: bool,
}

/// A request that prolongs the grant of another.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Extension {
    /// Which.
    pub id: RequestId,
    /// For how much longer: what was asked for, or less where an approval said less.
    pub duration: Seconds,
    /// Where it stands.
    pub stage: Stage,
}

/// An earlier request of the same person.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Before {
    /// Which.
    pub id: RequestId,
    /// What was asked for.
    pub targets: Vec<Target>,
    /// When it was filed.
    pub filed: UnixTime,
    /// Where it stands.
    pub stage: Stage,
    /// When it was first used; absent where it never was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<UnixTime>,
    /// When the last certificate under it expired, or will.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_expiry: Option<UnixTime>,
    /// The incident, where it was emergency access.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<Incident>,
}

/// One step.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct StepBody {
    /// When.
    pub at: UnixTime,
    /// By whom: e-mail or subject.
    pub by: String,
    /// `approved`, `denied`, `cancelled`, `claimed`, `done`, `revoked`, `reviewed: fine`, `reviewed: concern`.
    pub what: String,
    /// In that person's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// For no longer than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<Seconds>,
    /// On these hosts only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<HostName>,
}

/// `POST /v1/requests/{id}/approvals`.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApproveRequest {
    /// The digest the reviewer saw.
    pub digest: String,
    /// For no longer than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<Seconds>,
    /// On these hosts only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<HostName>,
    /// In the reviewer's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

/// `POST /v1/requests/{id}/denials`: a veto. Denying an approved request ends it everywhere.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DenyRequest {
    /// Why.
    pub reason: Reason,
}

/// `POST /v1/requests/{id}/review`: what somebody else found about emergency access that is over.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReviewRequest {
    /// `fine` or `concern`.
    pub verdict: Verdict,
    /// In the reviewer's words.
    pub reason: Reason,
}

/// `POST /v1/requests/{id}/end`: the holder gives it back or withdraws it, or security takes it.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndRequest {
    /// `done` (its holder) or `revoked` (who may administer).
    pub why: EndReason,
    /// In that person's words; required for `revoked`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

/// What an end did, and what will end when at the latest.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Receipt {
    /// Requests and grants that ended.
    pub requests: Vec<RequestId>,
    /// Login sessions that ended.
    pub sessions: u64,
    /// Certificates that hosts with a fresh KRL refuse from now on.
    pub serials: Vec<Serial>,
    /// When the last of these certificates expires by itself, for hosts without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_expiry: Option<UnixTime>,
    /// The version of the KRL that holds them; absent where there was no certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub krl: Option<u64>,
    /// What this did not end, and what does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// `GET /v1/requests?view=mine|review|unreviewed|all&after=<id>&limit=<n>`: newest first.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct RequestsResponse {
    /// The requests.
    pub requests: Vec<RequestBody>,
    /// Pass it as `after` for the next page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<RequestId>,
}
