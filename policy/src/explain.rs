//! Why a decision fell as it did, and what would have to change.

mod conditions;

use crate::{
    Ask, Decision, Host, Now, Policies, PolicyId, UnmetTerm, decide,
    decision::resolve,
    engine::{
        facts::Facts,
        names::{self, Action},
        question::Question,
        rule::{Rule, Scope},
        size::on_deep_stack,
    },
};
use cedar_policy::EntityUid;

/// Which policies made a decision and which nearly did.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Explanation {
    /// Permits and forbids that matched.
    pub matched: Vec<PolicyId>,
    /// Policies that nearly matched, nearest first.
    pub nearly: Vec<Near>,
}

/// A policy that nearly matched.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Near {
    /// The policy.
    pub policy: PolicyId,
    /// Whether it permits or forbids.
    pub permits: bool,
    /// What would have to change for it to match, one sentence for people each.
    pub changes: Vec<String>,
}

/// The most policies that are named as near.
const MOST: usize = 10;

/// The most policies whose conditions are looked at to find the nearest; explaining must not become a way to keep a
/// server busy.
const LOOKED_AT: usize = 64;

/// The decision on `ask`, and why it fell so.
///
/// A policy is near if it speaks of connecting and its scope matches in all but one part. What the caller learns: ids,
/// names of groups and hosts in the scope and the text of unmet conditions of at most 10 such policies. What the caller
/// does not learn: who else is named in a policy; anything for a target that the inventory does not hold; which
/// forbids were near to a request that is denied anyway.
pub fn explain(policies: &Policies, ask: &Ask, now: Now) -> (Decision, Explanation) {
    let decision = decide(policies, ask, now);
    let near = on_deep_stack(|| Nearness::new(policies, ask, now).map(|nearness| nearness.explain(&decision)));
    (decision, near.flatten().unwrap_or_default())
}

struct Nearness<'a> {
    policies: &'a Policies,
    ask: &'a Ask,
    host: &'a Host,
    now: Now,
    question: Question,
    connect: EntityUid,
}

impl<'a> Nearness<'a> {
    fn new(policies: &'a Policies, ask: &'a Ask, now: Now) -> Option<Self> {
        let (host, _) = resolve(policies, &ask.target)?;
        let facts = Facts { who: &ask.identity, ask, host, now, also_in: None };
        let question = Question::new(&facts, Action::Connect, policies.named()).ok()?;
        Some(Self { policies, ask, host, now, question, connect: names::action(Action::Connect)? })
    }

    fn explain(&self, decision: &Decision) -> Explanation {
        let Ok(verdict) = self.policies.ask(&self.facts(None), Action::Connect) else { return Explanation::default() };
        let matched: Vec<PolicyId> =
            verdict.forbids.iter().chain(&verdict.permits).map(|rule| rule.id.clone()).collect();
        let forbids_matter = !matches!(decision, Decision::Denied(_));
        let mut candidates: Vec<(usize, &Rule)> = self
            .policies
            .rules()
            .iter()
            .filter(|rule| rule.permits || forbids_matter)
            .filter(|rule| rule.speaks_of(&self.connect) && !matched.contains(&rule.id))
            .filter_map(|rule| self.misses(rule).map(|misses| (misses, rule)))
            .collect();
        candidates.sort_by_key(|(misses, rule)| (*misses, !rule.permits, &rule.id));
        let mut nearly: Vec<Near> = candidates.into_iter().take(LOOKED_AT).map(|(_, rule)| self.near(rule)).collect();
        nearly.retain(|near| !near.changes.is_empty());
        nearly.sort_by(|one, other| {
            let key = |near: &Near| (near.changes.len(), !near.permits);
            key(one).cmp(&key(other)).then_with(|| one.policy.cmp(&other.policy))
        });
        nearly.truncate(MOST);
        Explanation { matched, nearly }
    }

    fn facts<'f>(&'f self, also_in: Option<&'f EntityUid>) -> Facts<'f> {
        Facts { who: &self.ask.identity, ask: self.ask, host: self.host, now: self.now, also_in }
    }

    /// How many parts of the scope do not match; none where that is too far, or nothing a caller could change.
    fn misses(&self, rule: &Rule) -> Option<usize> {
        let kind = |scope: &Scope, uid: &EntityUid| scope.kind.as_ref().is_none_or(|kind| kind == uid.type_name());
        let possible = kind(&rule.principal, &self.question.principal) && kind(&rule.resource, &self.question.resource);
        let misses = usize::from(!self.is_caller(rule)) + usize::from(!self.is_target(rule));
        (possible && misses <= usize::from(rule.permits)).then_some(misses)
    }

    fn is_caller(&self, rule: &Rule) -> bool {
        rule.principal.within.as_ref().is_none_or(|named| self.question.principals.contains(named))
    }

    fn is_target(&self, rule: &Rule) -> bool {
        rule.resource.within.as_ref().is_none_or(|named| self.question.resources.contains(named))
    }

    fn near(&self, rule: &Rule) -> Near {
        let mut changes = Vec::new();
        let group = rule.principal.within.as_ref().filter(|named| named.type_name().basename() == "Group");
        match (self.is_caller(rule), group) {
            (true, _) => {}
            (false, Some(group)) => {
                changes.push(format!("you would have to be in group `{}`", group.id().unescaped().escape_debug()));
            }
            (false, None) => changes.push("it is for one named identity, which is not yours".to_owned()),
        }
        if let Some(named) = rule.resource.within.as_ref().filter(|_| !self.is_target(rule)) {
            let name = named.id().unescaped();
            changes.push(match named.type_name().basename() {
                "HostGroup" => format!("the request would have to be for a host in group `{name}`"),
                "Host" => format!("the request would have to be for host `{name}`"),
                _ => format!("the request would have to be for `{name}`"),
            });
        } else if self.is_caller(rule) || group.is_some() {
            // As if the caller were in the group: a person sent to ask for membership should not come back in vain.
            let also_in = group.filter(|_| !self.is_caller(rule));
            changes.extend(self.unmet(rule, also_in));
        }
        Near { policy: rule.id.clone(), permits: rule.permits, changes }
    }

    /// Conditions and terms that are not met.
    fn unmet(&self, rule: &Rule, also_in: Option<&EntityUid>) -> Vec<String> {
        let question = Question::new(&self.facts(also_in), Action::Connect, self.policies.named());
        let Ok(told) = question.and_then(|question| question.told()) else { return Vec::new() };
        let terms = rule.terms.iter().flat_map(|terms| terms.unmet(self.ask)).map(|term| match term {
            UnmetTerm::Reason => "a reason would have to be given".to_owned(),
            UnmetTerm::Ticket => "a ticket would have to be named".to_owned(),
            UnmetTerm::Duration(most) => format!("the duration would have to be at most {most}"),
        });
        conditions::unmet(self.policies, &rule.cedar, &told).into_iter().chain(terms).collect()
    }
}

#[cfg(test)]
mod tests;
