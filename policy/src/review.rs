//! Who may review whose request. Policy says who may approve what; that nobody approves their own is not for it to say.

use crate::{
    Ask, Group, Host, Identity, Joined, Kind, Now, Policies, Request, Target,
    decision::resolve,
    engine::{facts::Facts, names::Action, rule::Rule},
    life::people,
};
use std::collections::BTreeSet;

/// Why somebody may not review a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MayNot {
    /// It is their own, by this account or by another with the same verified e-mail address.
    #[error("nobody reviews their own request")]
    Own,
    /// It is a workload's whose sponsor they are.
    #[error("nobody reviews a request of a workload they sponsor")]
    Sponsor,
    /// They are a machine.
    #[error("only people review requests")]
    Machine,
    /// No policy lets them approve any of its targets.
    #[error("no policy lets you approve any target of this request")]
    NoPolicy,
    /// Policy would let them by a group that they joined only after it was filed.
    #[error("you are known to be in the groups that may approve this only since after it was filed")]
    Newcomer,
}

/// Which targets of `request` `reviewer` may approve. Who may approve any may deny all.
///
/// # Errors
/// If there is none, why.
pub fn may_review(
    policies: &Policies,
    request: &Request,
    reviewer: &Identity,
    now: Now,
) -> Result<Vec<Target>, MayNot> {
    if reviewer.kind != Kind::User {
        return Err(MayNot::Machine);
    }
    if people::same_person(&request.requester, reviewer) {
        return Err(MayNot::Own);
    }
    if people::sponsors(reviewer, &request.requester) {
        return Err(MayNot::Sponsor);
    }
    let targets = approvable(policies, request, reviewer, &[], now);
    if targets.is_empty() { Err(MayNot::NoPolicy) } else { Ok(targets) }
}

/// Which targets of `request` `reviewer` may approve, `joined` being since when they are in their groups: those that
/// they may review, without the help of a group that they joined after it was filed.
///
/// # Errors
/// If there is none, why.
pub fn may_approve(
    policies: &Policies,
    request: &Request,
    reviewer: &Identity,
    joined: &[Joined],
    now: Now,
) -> Result<Vec<Target>, MayNot> {
    may_review(policies, request, reviewer, now)?;
    let late = people::late(reviewer, joined, request.filed);
    let targets = approvable(policies, request, reviewer, &late, now);
    if targets.is_empty() { Err(MayNot::Newcomer) } else { Ok(targets) }
}

fn approvable(policies: &Policies, request: &Request, reviewer: &Identity, late: &[Group], now: Now) -> Vec<Target> {
    let may = |target: &&Target| {
        let ask = Ask::of(request, target, &request.requester, request.source);
        let host = resolve(policies, target).map(|(host, _)| host);
        host.and_then(|host| entitled(policies, &ask, host, reviewer, late, now)).is_some()
    };
    request.targets.iter().filter(may).cloned().collect()
}

/// The groups by which policy lets `reviewer` approve `ask`: those that the scopes of the matching permits name. None if
/// policy does not let them, or cannot tell. `late` are groups that give them nothing, and still keep them from what
/// policy forbids.
pub(crate) fn entitled(
    policies: &Policies,
    ask: &Ask,
    host: &Host,
    reviewer: &Identity,
    late: &[Group],
    now: Now,
) -> Option<BTreeSet<String>> {
    let mut permits = permits(policies, ask, host, reviewer, now)?;
    if !late.is_empty() {
        let mut before = reviewer.clone();
        before.groups.retain(|group| !late.contains(group));
        let held = self::permits(policies, ask, host, &before, now)?;
        permits.retain(|rule| held.iter().any(|other| other.id == rule.id));
    }
    if permits.is_empty() {
        return None;
    }
    let scopes = permits.iter().filter_map(|rule| rule.principal.within.as_ref());
    let groups = scopes.filter(|named| named.type_name().basename() == "Group");
    Some(groups.map(|named| named.id().unescaped().to_owned()).collect())
}

/// The permits by which policy lets `reviewer` approve `ask`; none if it forbids it, or cannot tell.
fn permits<'p>(policies: &'p Policies, ask: &Ask, host: &Host, reviewer: &Identity, now: Now) -> Option<Vec<&'p Rule>> {
    let facts = Facts { who: reviewer, ask, host, now, also_in: None };
    let verdict = policies.ask(&facts, Action::Approve).ok()?;
    (verdict.forbids.is_empty() && verdict.failed.is_empty()).then_some(verdict.permits)
}
