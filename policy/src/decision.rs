//! The decision, as a value that is proof. Only [`decide`], [`standing`], [`decide_under`] and [`decide_break_glass`] can
//! make a [`Grant`]: its fields are private to this room.

mod answer;
pub(crate) mod approvers;
mod asked;
#[cfg(test)]
mod tests;
mod under;

use crate::{
    Binding, Host, Identity, Network, Policies, PolicyId, Principal, Principals, RequestId, SourceAddress, Target,
    Terms, UnixTime, Validity, WordError,
    engine::{facts::Facts, names::Action, rule::Rule},
};
pub use answer::{Cause, Decision, Denied, NeedsApproval, Unmet, UnmetTerm};
pub use asked::{Ask, Now};
use std::net::IpAddr;
pub use under::decide_under;

/// Decides whether `ask` is granted, now, and on which terms.
///
/// One permit grants, never a mix of several: among those that match and whose terms the request meets, the one with
/// the fewest approvals, then the shortest certificate, then the first id. A forbid wins over every permit, and
/// whatever cannot be evaluated is a no.
pub fn decide(policies: &Policies, ask: &Ask, now: Now) -> Decision {
    match offered(policies, ask, Action::Connect, now) {
        Ok(offered) if offered.terms.approvals > 0 => needs_approval(policies, ask, &offered, now),
        Ok(offered) => Decision::Granted(at_once(ask, &offered, now)),
        Err(denied) => Decision::Denied(denied),
    }
}

/// The grant that policy gives at once, without anybody's approval, if it does: what [`decide`] would answer, without a word about
/// what else would have to be.
pub fn standing(policies: &Policies, ask: &Ask, now: Now) -> Option<Box<Grant>> {
    let offered = offered(policies, ask, Action::Connect, now).ok().filter(|offered| offered.terms.approvals == 0)?;
    Some(at_once(ask, &offered, now))
}

/// Decides on emergency access: granted at once, by a permit of `Action::"break-glass"` alone, or not at all.
pub fn decide_break_glass(policies: &Policies, ask: &Ask, now: Now) -> Decision {
    match offered(policies, ask, Action::BreakGlass, now) {
        Ok(offered) => Decision::Granted(at_once(ask, &offered, now)),
        Err(denied) => Decision::Denied(denied),
    }
}

/// Every permit that would do for `ask`, the one that [`decide`] would take first. None where the answer is no.
pub fn offers(policies: &Policies, ask: &Ask, now: Now) -> Vec<Terms> {
    all_of(offered(policies, ask, Action::Connect, now))
}

/// What each permit that matches and would not do for `ask` lacks. Nothing where the answer is no for another reason.
pub fn unmet(policies: &Policies, ask: &Ask, now: Now) -> Vec<Unmet> {
    match permits(policies, ask, Action::Connect, now) {
        Ok((_, _, permits)) => Denied::unmet(&permits, ask).unmet,
        Err(_) => Vec::new(),
    }
}

/// The terms of the permits of which [`unmet`] tells what they lack, best first.
pub fn further(policies: &Policies, ask: &Ask, now: Now) -> Vec<Terms> {
    let mut further =
        permits(policies, ask, Action::Connect, now).map_or_else(|_| Vec::new(), |(_, _, permits)| permits);
    further.retain(|terms| terms.unmet(ask).next().is_some());
    best_first(&mut further);
    further.into_iter().cloned().collect()
}

/// As [`offers`], of emergency access.
pub fn break_glass_offers(policies: &Policies, ask: &Ask, now: Now) -> Vec<Terms> {
    if !policies.knows_emergencies() {
        return Vec::new();
    }
    all_of(offered(policies, ask, Action::BreakGlass, now))
}

fn all_of(offered: Result<Offered<'_>, Denied>) -> Vec<Terms> {
    offered.map_or_else(|_| Vec::new(), |all| std::iter::once(all.terms).chain(all.others).cloned().collect())
}

/// Groups whose members may approve `ask`, as far as the approve policies name groups.
pub fn approver_groups(policies: &Policies, ask: &Ask, now: Now) -> Vec<String> {
    let Some((host, _)) = resolve(policies, &ask.target) else { return Vec::new() };
    approvers::groups(policies, &Facts { who: &ask.identity, ask, host, now, also_in: None })
}

/// The permit that grants, once its approvals are there, and what it would do so for.
pub(crate) struct Offered<'a> {
    pub(crate) terms: &'a Terms,
    pub(crate) others: Vec<&'a Terms>,
    pub(crate) host: &'a Host,
    /// Under its name in the inventory.
    pub(crate) target: Target,
}

/// The permits that would do, best first; at least one.
pub(crate) fn offered<'a>(policies: &'a Policies, ask: &Ask, action: Action, now: Now) -> Result<Offered<'a>, Denied> {
    let (host, target, permits) = permits(policies, ask, action, now)?;
    let mut covering: Vec<&Terms> = permits.iter().copied().filter(|terms| terms.unmet(ask).next().is_none()).collect();
    best_first(&mut covering);
    match covering.split_first() {
        Some((&terms, others)) => Ok(Offered { terms, others: others.to_vec(), host, target }),
        None => Err(Denied::unmet(&permits, ask)),
    }
}

fn best_first(permits: &mut [&Terms]) {
    permits.sort_by_key(|terms| (terms.approvals, terms.approvers_from_groups, terms.cert_ttl, &terms.policy));
}

/// The permits that match, whatever their terms; at least one.
fn permits<'a>(
    policies: &'a Policies,
    ask: &Ask,
    action: Action,
    now: Now,
) -> Result<(&'a Host, Target, Vec<&'a Terms>), Denied> {
    let nobody = |cause| Denied::because(cause, Vec::new());
    let (host, target) = resolve(policies, &ask.target).ok_or_else(|| nobody(Cause::UnknownTarget))?;
    let facts = Facts { who: &ask.identity, ask, host, now, also_in: None };
    let mut verdict = policies.ask(&facts, action).map_err(|_untellable| nobody(Cause::EvaluationFailed))?;
    if !verdict.failed.is_empty() {
        return Err(Denied::because(Cause::EvaluationFailed, verdict.failed));
    }
    if !verdict.forbids.is_empty() {
        return Err(Denied::forbidden(&verdict.forbids));
    }
    // A permit of any action whatever demands neither a record nor a review, and opens no emergency door.
    verdict.permits.retain(|rule| action != Action::BreakGlass || rule.names_actions());
    let permits: Vec<&Terms> = verdict.permits.iter().filter_map(|rule: &&'a Rule| rule.terms.as_ref()).collect();
    if permits.is_empty() { Err(nobody(Cause::NoPermit)) } else { Ok((host, target, permits)) }
}

/// The host asked for and the target under its name in the inventory: aliases end here.
pub(crate) fn resolve<'a>(policies: &'a Policies, target: &Target) -> Option<(&'a Host, Target)> {
    let host = policies.inventory().host(target.host())?;
    let account = host.accounts().iter().find(|known| *known == target.account())?;
    Some((host, Target::new(account.clone(), host.name().clone())))
}

fn needs_approval(policies: &Policies, ask: &Ask, offered: &Offered<'_>, now: Now) -> Decision {
    // What people are asked to approve has a duration: the one that was asked for, or the longest that the permit gives.
    let asked = Ask { duration: Some(ask.duration.unwrap_or(offered.terms.max_duration)), ..ask.clone() };
    let facts = Facts { who: &ask.identity, ask: &asked, host: offered.host, now, also_in: None };
    Decision::NeedsApproval(Box::new(NeedsApproval {
        terms: offered.terms.clone(),
        others: offered.other_ids(),
        approver_groups: approvers::groups(policies, &facts),
    }))
}

fn at_once(ask: &Ask, offered: &Offered<'_>, now: Now) -> Box<Grant> {
    let end = now.time.plus(ask.duration.unwrap_or(offered.terms.max_duration));
    Box::new(Grant::of(&ask.identity, ask.source, offered, now.time, end, None))
}

impl<'a> Offered<'a> {
    /// The same with `policy` first, if it is among them.
    pub(crate) fn under(mut self, policy: &PolicyId) -> Option<Self> {
        if self.terms.policy != *policy {
            let picked = self.others.iter_mut().find(|terms| terms.policy == *policy)?;
            std::mem::swap(&mut self.terms, picked);
        }
        Some(self)
    }

    fn other_ids(&self) -> Vec<PolicyId> {
        self.others.iter().map(|terms| terms.policy.clone()).collect()
    }
}

/// What may be used, until when, on which terms. Proof that a decision said yes: nothing outside this room can make one.
#[derive(Debug, PartialEq, Eq)]
pub struct Grant {
    identity: Identity,
    target: Target,
    principals: Principals,
    terms: Terms,
    sources: Option<Vec<Network>>,
    start: UnixTime,
    end: UnixTime,
    others: Vec<PolicyId>,
    request: Option<RequestId>,
}

impl Grant {
    fn of(
        identity: &Identity,
        source: IpAddr,
        offered: &Offered<'_>,
        start: UnixTime,
        end: UnixTime,
        request: Option<RequestId>,
    ) -> Self {
        let (terms, target) = (offered.terms, offered.target.clone());
        Self {
            identity: identity.clone(),
            principals: Principals::one(match offered.host.binding() {
                Binding::Host => Principal::on_host(&target),
                Binding::Account => Principal::bare(target.account()),
            }),
            target,
            terms: terms.clone(),
            sources: terms.source_address.as_ref().map(|allowed| match allowed {
                SourceAddress::Request => vec![Network::host(source)],
                SourceAddress::Networks(networks) => networks.clone(),
            }),
            start,
            end,
            others: offered.other_ids(),
            request,
        }
    }

    /// Who it is for.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What it reaches.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// What its certificates may carry as principals.
    pub fn principals(&self) -> &Principals {
        &self.principals
    }

    /// The terms of the one permit that granted it.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Where its certificates may be used from; none means anywhere.
    pub fn sources(&self) -> Option<&[Network]> {
        self.sources.as_deref()
    }

    /// When it began.
    pub fn start(&self) -> UnixTime {
        self.start
    }

    /// When it ends: nothing under it lives longer.
    pub fn end(&self) -> UnixTime {
        self.end
    }

    /// The permit that granted it.
    pub fn policy(&self) -> &PolicyId {
        &self.terms.policy
    }

    /// Other permits that would have granted it too.
    pub fn others(&self) -> &[PolicyId] {
        &self.others
    }

    /// The request it came from; none for standing access.
    pub fn request(&self) -> Option<&RequestId> {
        self.request.as_ref()
    }

    /// The validity of a certificate issued under it at `now`.
    ///
    /// # Errors
    /// If the grant is over.
    pub fn validity(&self, now: UnixTime) -> Result<Validity, WordError> {
        Validity::starting(now, self.terms.cert_ttl, self.end)
    }
}
