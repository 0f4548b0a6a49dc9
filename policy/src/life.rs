//! The life of a request: one state machine, pure. Facts in, stage out; nothing that permits is ever stored.

pub(crate) mod course;
mod glass;
pub(crate) mod people;
mod quorum;
mod said;

use crate::{
    Ask, Digest, Group, Identity, Issuer, Now, Policies, PolicyId, Request, Seconds, Step, Subject, Target, UnixTime,
};
use course::{Course, Standing};
pub use glass::{Review, barred, reviewed};
use said::Said;

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
    /// Since when reviewers are in their groups. One that is not listed counts as held for ever, so all must be.
    pub joined: &'a [Joined],
}

impl Life<'_> {
    /// The shortest duration that anybody left of the one that was asked for.
    pub fn duration(&self) -> Seconds {
        Said::of(self.request, &self.request.requester, self.digest, self.steps).duration
    }
}

/// Since when somebody is known to be in a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// Whose account: the issuer.
    pub issuer: Issuer,
    /// And the subject.
    pub subject: Subject,
    /// The group.
    pub group: Group,
    /// Since then.
    pub since: UnixTime,
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

/// How a request ended. What people said is final, and so is the end of what was in use; what today's policy and groups make
/// of it is judged anew each time ([`Self::may_turn`]).
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

impl Over {
    /// Whether another hour, policy or group can still make something of it: a quorum lost is found again, a forbid is lifted,
    /// a claim window is as long as the permit of the day says.
    pub fn may_turn(self) -> bool {
        matches!(self, Self::Forbidden | Self::Expired | Self::Unclaimed)
    }
}

impl Stage {
    /// Whether it is over and stays so.
    pub fn is_over_for_good(&self) -> bool {
        matches!(self, Self::Over { how } if !how.may_turn())
    }
}

/// Where the request stands at `now`.
///
/// [`Step::by`] and the requester should be what is known of these people today.
pub fn stage(policies: &Policies, life: &Life<'_>, now: Now) -> Stage {
    let asker = as_filed(life.request, now);
    stage_of(&Course::new(policies, life, &asker, life.request.source, now))
}

/// The state machine: docs/REQUESTS.md has it as a table, row by row.
pub(crate) fn stage_of(course: &Course<'_>) -> Stage {
    let over = |how| Stage::Over { how };
    if let Some(how) = course.said.over {
        return over(how);
    }
    let standings: Vec<(&Target, Standing<'_>)> = course.standings().collect();
    match course.said.claimed {
        Some(since) => in_use(course, &standings, since),
        None => waiting(course, &standings),
    }
}

/// Nobody has used it yet: it is approved as a whole or not at all.
fn waiting(course: &Course<'_>, standings: &[(&Target, Standing<'_>)]) -> Stage {
    let over = |how| Stage::Over { how };
    let request = course.life.request;
    if standings.iter().all(|(_, standing)| matches!(standing, Standing::Dropped | Standing::No(_))) {
        return over(nothing_left(standings));
    }
    let needs = needs(course, standings);
    if !needs.is_empty() {
        return if course.may_still_be_approved() {
            Stage::Pending { needs, until: request.expires }
        } else {
            over(Over::Expired)
        };
    }
    let full = standings.iter().filter_map(|(_, standing)| standing.full());
    let Some((approved, window)) = full.fold(None, |so_far, (at, terms)| {
        let (last, shortest) = so_far.unwrap_or((at, terms.claim_within));
        Some((at.max(last), terms.claim_within.min(shortest)))
    }) else {
        return over(Over::Forbidden);
    };
    if request.extends.is_some() {
        return Stage::Added { at: approved };
    }
    let from = request.start.map_or(approved, |start| start.max(approved));
    let until = from.plus(window);
    match course.now.time {
        now if now < from && request.start.is_some() => Stage::Scheduled { from },
        now if now < until => Stage::Claimable { until },
        _ => over(Over::Unclaimed),
    }
}

/// It is in use since its first certificate: each target is judged by itself.
fn in_use(course: &Course<'_>, standings: &[(&Target, Standing<'_>)], since: UnixTime) -> Stage {
    let over = |how| Stage::Over { how };
    let end = |(target, standing): &(&Target, Standing<'_>)| match standing {
        Standing::Full { offered, .. } | Standing::Waiting { offered, .. } => {
            Some(course.end(target, offered.terms, since))
        }
        Standing::No(_) => Some(since.plus(course.said.duration)),
        Standing::Dropped => None,
    };
    match standings.iter().filter_map(end).max() {
        None => return over(Over::Denied),
        Some(end) if end <= course.now.time => return over(Over::Finished),
        Some(_) => {}
    }
    let full = standings.iter().filter(|(_, standing)| standing.full().is_some());
    if let Some(until) = full.filter_map(end).max() {
        return if until <= course.now.time { over(Over::Finished) } else { Stage::Active { since, until } };
    }
    let needs = needs(course, standings);
    match (needs.is_empty(), course.may_still_be_approved()) {
        (true, _) => over(nothing_left(standings)),
        (false, true) => Stage::Pending { needs, until: course.life.request.expires },
        (false, false) => over(Over::Expired),
    }
}

/// Why no target is left: policy's word where it said any, else the reviewers'.
fn nothing_left(standings: &[(&Target, Standing<'_>)]) -> Over {
    let forbidden = standings.iter().any(|(_, standing)| matches!(standing, Standing::No(_)));
    if forbidden { Over::Forbidden } else { Over::Denied }
}

fn needs(course: &Course<'_>, standings: &[(&Target, Standing<'_>)]) -> Vec<Need> {
    let need = |(target, standing): &(&Target, Standing<'_>)| match standing {
        Standing::Waiting { offered, have, turn } => Some(Need {
            target: (*target).clone(),
            policy: offered.terms.policy.clone(),
            approvals: offered.terms.approvals,
            have: *have,
            from_groups: offered.terms.approvers_from_groups,
            approver_groups: course.approver_groups(target),
            turn: turn.clone(),
        }),
        _ => None,
    };
    standings.iter().filter_map(need).collect()
}

/// What `request` asks of policy for `target`, by its requester as of then: as fresh as when it was filed.
pub fn asked(request: &Request, target: &Target, now: Now) -> Ask {
    Ask::of(request, target, &as_filed(request, now), request.source)
}

/// The requester as fresh as when the request was filed: it must not fail for waiting. At the first use it counts how
/// fresh they are then.
fn as_filed(request: &Request, now: Now) -> Identity {
    let mut identity = request.requester.clone();
    let moment = request.start.map_or(now.time, |start| start.max(now.time));
    let age = identity.auth_time.filter(|typed| *typed <= request.filed).map(|typed| request.filed.since(typed));
    if let Some(age) = age {
        identity.auth_time = Some(UnixTime::from_secs(moment.as_secs().saturating_sub(age)));
    }
    identity
}
