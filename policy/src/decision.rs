//! The decision, as a value that is proof. [`decide`] alone can make a [`Grant`]: its fields are private to this file.

mod approvers;
#[cfg(test)]
mod tests;

use crate::{
    Binding, Host, Identity, Life, Network, Policies, PolicyId, Principal, Principals, Reason, RequestId, Seconds,
    SourceAddress, Target, Terms, Ticket, UnixTime, Validity, WordError,
    engine::{
        facts::{Facts, Question},
        names::Action,
        rule::Rule,
    },
};
use std::net::IpAddr;

/// Decides whether `ask` is granted, now, and on which terms.
///
/// One permit grants, never a mix of several: among those that match and whose terms the request meets, the one with
/// the fewest approvals, then the shortest certificate, then the first id. A forbid wins over every permit, and
/// whatever cannot be evaluated is a no.
pub fn decide(policies: &Policies, ask: &Ask, now: Now) -> Decision {
    let Some((host, target)) = resolve(policies, &ask.target) else { return denied(Cause::UnknownTarget, Vec::new()) };
    let facts = Facts { who: &ask.identity, ask, host, now, also_in: None };
    let question = Question::new(&facts, Action::Connect, policies.named());
    let Ok(verdict) = question.and_then(|question| policies.ask(&question)) else {
        return denied(Cause::EvaluationFailed, Vec::new());
    };
    if !verdict.failed.is_empty() {
        return denied(Cause::EvaluationFailed, verdict.failed);
    }
    if !verdict.forbids.is_empty() {
        return forbidden(&verdict.forbids);
    }
    if verdict.permits.is_empty() {
        return denied(Cause::NoPermit, Vec::new());
    }
    let mut covering: Vec<&Terms> =
        permitted(&verdict.permits).filter(|terms| terms.unmet(ask).next().is_none()).collect();
    covering.sort_by_key(|terms| (terms.approvals, terms.approvers_from_groups, terms.cert_ttl, &terms.policy));
    let Some((&terms, others)) = covering.split_first() else { return unmet(&verdict.permits, ask) };
    let others = others.iter().map(|terms| terms.policy.clone()).collect();
    if terms.approvals > 0 {
        let approver_groups = approvers::groups(policies, &facts);
        return Decision::NeedsApproval(Box::new(NeedsApproval { terms: terms.clone(), others, approver_groups }));
    }
    Decision::Granted(Box::new(Grant {
        identity: ask.identity.clone(),
        principals: Principals::one(match host.binding() {
            Binding::Host => Principal::on_host(&target),
            Binding::Account => Principal::bare(target.account()),
        }),
        target,
        terms: terms.clone(),
        sources: terms.source_address.as_ref().map(|allowed| match allowed {
            SourceAddress::Request => vec![Network::host(ask.source)],
            SourceAddress::Networks(networks) => networks.clone(),
        }),
        start: now.time,
        end: now.time.plus(ask.duration.unwrap_or(terms.max_duration)),
        others,
        request: None,
    }))
}

/// Decides whether `ask` is granted under a request, now. The request says for how long, why and under which permit;
/// what `ask` says of that is not looked at.
pub fn decide_under(policies: &Policies, ask: &Ask, life: &Life<'_>, now: Now) -> Decision {
    let _ = (policies, ask, life, now);
    denied(Cause::NotRequested, Vec::new())
}

/// Decides on emergency access: granted at once by a permit of `Action::"break-glass"`, or not at all.
pub fn decide_break_glass(policies: &Policies, ask: &Ask, now: Now) -> Decision {
    let _ = (policies, ask, now);
    denied(Cause::NoPermit, Vec::new())
}

/// Every permit that would do for `ask`, the one that [`decide`] would take first. None where the answer is no.
pub fn offers(policies: &Policies, ask: &Ask, now: Now) -> Vec<Terms> {
    let _ = (policies, ask, now);
    Vec::new()
}

/// Groups whose members may approve `ask`, as far as the approve policies name groups.
pub fn approver_groups(policies: &Policies, ask: &Ask, now: Now) -> Vec<String> {
    let _ = (policies, ask, now);
    Vec::new()
}

/// The host asked for and the target under its name in the inventory: aliases end here.
pub(crate) fn resolve<'a>(policies: &'a Policies, target: &Target) -> Option<(&'a Host, Target)> {
    let host = policies.inventory().host(target.host())?;
    let account = host.accounts().iter().find(|known| *known == target.account())?;
    Some((host, Target::new(account.clone(), host.name().clone())))
}

fn denied(cause: Cause, policies: Vec<PolicyId>) -> Decision {
    Decision::Denied(Denied { cause, policies, advice: Vec::new(), unmet: Vec::new() })
}

fn forbidden(forbids: &[&Rule]) -> Decision {
    Decision::Denied(Denied {
        cause: Cause::Forbidden,
        policies: forbids.iter().map(|rule| rule.id.clone()).collect(),
        advice: forbids.iter().filter_map(|rule| rule.advice.clone()).collect(),
        unmet: Vec::new(),
    })
}

fn unmet(permits: &[&Rule], ask: &Ask) -> Decision {
    let lacks = |terms: &Terms| {
        let policy = terms.policy.clone();
        terms.unmet(ask).map(move |term| Unmet { policy: policy.clone(), term }).collect::<Vec<_>>()
    };
    Decision::Denied(Denied {
        cause: Cause::TermsUnmet,
        policies: permits.iter().map(|rule| rule.id.clone()).collect(),
        advice: Vec::new(),
        unmet: permitted(permits).flat_map(lacks).collect(),
    })
}

fn permitted<'a>(permits: &'a [&Rule]) -> impl Iterator<Item = &'a Terms> {
    permits.iter().filter_map(|rule| rule.terms.as_ref())
}

/// What is asked: who, for what, for how long, why, from where.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Who asks.
    pub identity: Identity,
    /// For which account on which host.
    pub target: Target,
    /// For how long; absent means as long as the terms allow.
    pub duration: Option<Seconds>,
    /// Why.
    pub reason: Option<Reason>,
    /// Under which ticket.
    pub ticket: Option<Ticket>,
    /// The address the request came from.
    pub source: IpAddr,
}

/// The moment of a decision, with the local time that policies speak of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// The instant.
    pub time: UnixTime,
    /// ISO weekday in the configured time zone: Monday is 1, Sunday 7.
    pub weekday: u8,
    /// Minute of the local day, 0 to 1439.
    pub minute: u16,
}

/// What may be used, until when, on which terms. Proof that [`decide`] said yes: nothing else can make one.
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

    /// The request it came from; none for standing access and break-glass.
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

/// The answer to an [`Ask`], with the ids of the policies that made it.
#[derive(Debug, PartialEq, Eq)]
pub enum Decision {
    /// Yes, on these terms.
    Granted(Box<Grant>),
    /// Yes, once people have approved.
    NeedsApproval(Box<NeedsApproval>),
    /// No.
    Denied(Denied),
}

/// What must be approved before there is a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeedsApproval {
    /// The terms it would be granted on.
    pub terms: Terms,
    /// Other permits that would do, each with its own terms.
    pub others: Vec<PolicyId>,
    /// Groups whose members may approve this target, as far as the approve policies name groups.
    pub approver_groups: Vec<String>,
}

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// What kind of no.
    pub cause: Cause,
    /// The forbids that matched, or the permits whose terms were not met. Empty where nothing matched at all.
    pub policies: Vec<PolicyId>,
    /// `@advice` of the forbids that matched, in the order of `policies`.
    pub advice: Vec<String>,
    /// What each matching permit still lacks.
    pub unmet: Vec<Unmet>,
}

/// What kind of no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// A forbid matched.
    Forbidden,
    /// No permit matched.
    NoPermit,
    /// A permit matched, but the request does not meet its terms.
    TermsUnmet,
    /// The inventory has no such host, or no such account on it.
    UnknownTarget,
    /// A policy could not be evaluated; any doubt is a no.
    EvaluationFailed,
    /// The request is somebody else's, does not hold this target (any more), or only prolongs another.
    NotRequested,
    /// The request begins later.
    NotYet,
    /// The request is over.
    RequestOver,
}

/// What one permit lacks.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Unmet {
    /// The permit.
    pub policy: PolicyId,
    /// Its term.
    pub term: UnmetTerm,
}

/// A term that a request does not meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnmetTerm {
    /// `@reason("required")` and none was given.
    Reason,
    /// `@ticket("required")` and none was given.
    Ticket,
    /// Longer than `@max_duration`, or nothing at all.
    Duration(Seconds),
}
