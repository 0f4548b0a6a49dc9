//! The life of a request: one state machine, pure. Facts in, stage out; nothing that permits is ever stored.

use crate::{Digest, Group, Now, Policies, PolicyId, Request, Step, Target, UnixTime};

/// Everything that is known of a request.
#[derive(Clone, Copy, Debug)]
pub struct Life<'a> {
    /// The request.
    pub request: &'a Request,
    /// Its digest.
    pub digest: Digest,
    /// What happened to it, in order.
    pub steps: &'a [Step],
    /// Requests that prolong it, each with its digest and steps.
    pub extensions: &'a [(Request, Digest, Vec<Step>)],
}

/// Where a request stands.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "stage", rename_all = "kebab-case")]
pub enum Stage {
    /// It waits for people.
    Pending {
        /// What each target still lacks.
        needs: Vec<Need>,
        /// Until then.
        until: UnixTime,
    },
    /// Approved, to begin at `from`.
    Scheduled {
        /// When its claim window opens.
        from: UnixTime,
    },
    /// Approved and not used yet.
    Claimable {
        /// The first use must come before then.
        until: UnixTime,
    },
    /// In use.
    Active {
        /// Since the first use.
        since: UnixTime,
        /// Until then.
        until: UnixTime,
    },
    /// A request that prolongs another: approved, its time is added to the other's grant.
    Added {
        /// Since its quorum was full.
        at: UnixTime,
    },
    /// Over.
    Over {
        /// How it ended.
        how: Over,
    },
}

/// What one target of a pending request still lacks.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Need {
    /// The target.
    pub target: Target,
    /// The permit that would grant it.
    pub policy: PolicyId,
    /// Approvals it wants.
    pub approvals: u8,
    /// Approvals that count so far.
    pub have: u8,
    /// From how many distinct groups they must come.
    pub from_groups: u8,
    /// Groups whose members may approve.
    pub approver_groups: Vec<String>,
    /// The group whose turn it is, where the policy wants one after the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<Group>,
}

/// How a request ended. All but [`Self::Forbidden`] and an [`Self::Expired`] that came of a quorum lost are for good:
/// what people said and the clock are final, what today's policy and groups make of it is judged anew each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Over {
    /// A reviewer said no.
    Denied,
    /// Policy says no, whoever approves.
    Forbidden,
    /// The requester withdrew it.
    Cancelled,
    /// Nobody decided in time.
    Expired,
    /// Approved, never used within the claim window.
    Unclaimed,
    /// Its time was up.
    Finished,
    /// Its holder gave it back.
    Done,
    /// Security took it.
    Revoked,
}

/// Where the request stands at `now`.
pub fn stage(policies: &Policies, life: &Life<'_>, now: Now) -> Stage {
    let _ = (policies, life, now);
    Stage::Over { how: Over::Forbidden }
}
