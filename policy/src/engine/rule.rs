//! One policy, read: its id, its scope, its terms, where it stands.

use super::{
    annotations::{Carrier, Complaint, read},
    names::BREAK_GLASS,
};
use crate::{Finding, PolicyId, Source, Terms, source::suggestion};
use cedar_policy::{
    ActionConstraint, Effect, EntityTypeName, EntityUid, Policy, PrincipalConstraint, ResourceConstraint,
};
use std::sync::Arc;

/// A policy of the set.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) id: PolicyId,
    pub(crate) permits: bool,
    /// Of a permit that can grant access.
    pub(crate) terms: Option<Terms>,
    /// Of a forbid.
    pub(crate) advice: Option<String>,
    pub(crate) principal: Scope,
    pub(crate) resource: Scope,
    /// Actions it speaks of; none means all.
    pub(crate) actions: Option<Vec<EntityUid>>,
    /// Under its own `@id`, so that Cedar's answers name it as people do.
    pub(crate) cedar: Policy,
    pub(crate) place: Place,
}

/// What the scope says of principal or resource.
#[derive(Debug, Default)]
pub(crate) struct Scope {
    /// `is Type`.
    pub(crate) kind: Option<EntityTypeName>,
    /// `== entity` or `in entity`.
    pub(crate) within: Option<EntityUid>,
}

/// Where a policy stands.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) source: Arc<Source>,
    pub(crate) start: usize,
}

impl Place {
    pub(super) fn finding(&self, message: impl Into<String>, hint: impl Into<String>) -> Finding {
        self.source.finding(self.start, message, hint)
    }
}

impl Rule {
    pub(super) fn read(source: &Arc<Source>, policy: &Policy) -> Result<Self, Vec<Finding>> {
        let place = Place { source: Arc::clone(source), start: start_of(policy) };
        let id = id(policy).map_err(|(message, hint)| vec![place.finding(message, hint)])?;
        let actions = match policy.action_constraint() {
            ActionConstraint::Any => None,
            ActionConstraint::In(all) => Some(all),
            ActionConstraint::Eq(one) => Some(vec![one]),
        };
        let permits = policy.effect() == Effect::Permit;
        let grants = |action: &EntityUid| ["connect", "elevate"].contains(&action.id().unescaped());
        let breaks_glass = |action: &EntityUid| action.id().unescaped() == BREAK_GLASS;
        let carrier = match permits {
            false => Carrier::Forbid,
            true if actions.as_deref().unwrap_or_default().iter().any(breaks_glass) => {
                if actions.as_ref().is_some_and(|all| all.len() > 1) {
                    let message = format!("policy `{id}`: break-glass is permitted together with other actions");
                    return Err(vec![place.finding(message, "give emergency access a permit of its own")]);
                }
                Carrier::BreakGlass
            }
            true if actions.as_ref().is_none_or(|all| all.iter().any(grants)) => Carrier::Access,
            true => Carrier::Other,
        };
        let (terms, advice) = read(&id, carrier, policy.annotations()).map_err(|complaints| {
            let finding = |Complaint { annotation, message, hint }| {
                let start = annotation_start(policy, &annotation).unwrap_or(place.start);
                source.finding(start, format!("policy `{id}`: {message}"), hint)
            };
            complaints.into_iter().map(finding).collect::<Vec<_>>()
        })?;
        let principal = match policy.principal_constraint() {
            PrincipalConstraint::Any => Scope::default(),
            PrincipalConstraint::In(within) | PrincipalConstraint::Eq(within) => Scope::within(None, within),
            PrincipalConstraint::Is(kind) => Scope { kind: Some(kind), within: None },
            PrincipalConstraint::IsIn(kind, within) => Scope::within(Some(kind), within),
        };
        let resource = match policy.resource_constraint() {
            ResourceConstraint::Any => Scope::default(),
            ResourceConstraint::In(within) | ResourceConstraint::Eq(within) => Scope::within(None, within),
            ResourceConstraint::Is(kind) => Scope { kind: Some(kind), within: None },
            ResourceConstraint::IsIn(kind, within) => Scope::within(Some(kind), within),
        };
        let cedar = policy.new_id(cedar_policy::PolicyId::new(id.as_str()));
        Ok(Self { id, permits, terms, advice, principal, resource, actions, cedar, place })
    }

    /// Whether it names its actions: a permit of any action whatever is no permit of emergency access.
    pub(crate) fn names_actions(&self) -> bool {
        self.actions.is_some()
    }

    /// Whether it permits emergency access.
    pub(crate) fn breaks_glass(&self) -> bool {
        let named = |all: &Vec<EntityUid>| all.iter().any(|action| action.id().unescaped() == BREAK_GLASS);
        self.permits && self.actions.as_ref().is_some_and(named)
    }

    /// Whether it speaks of `action`.
    pub(crate) fn speaks_of(&self, action: &EntityUid) -> bool {
        self.actions.as_ref().is_none_or(|all| all.contains(action))
    }
}

impl Scope {
    fn within(kind: Option<EntityTypeName>, within: EntityUid) -> Self {
        Self { kind, within: Some(within) }
    }
}

fn id(policy: &Policy) -> Result<PolicyId, (String, String)> {
    let form = "write @id(\"prod/oncall\") before it: it names the policy in every decision and in the audit log";
    let Some(text) = policy.annotation("id") else {
        let names: Vec<&str> = policy.annotations().map(|(name, _)| name).collect();
        let near = names.iter().map(|name| suggestion(name, ["id"])).find(|hint| hint.starts_with("did you mean"));
        return Err(("this policy has no @id".to_owned(), near.unwrap_or_else(|| form.to_owned())));
    };
    text.parse().map_err(|error: crate::WordError| (format!("@id(\"{text}\") is {error}"), form.to_owned()))
}

// Cedar's public interface keeps positions to itself; these two lines are all we take from below it.
fn start_of(policy: &Policy) -> usize {
    policy.as_ref().loc().map_or(0, |loc| loc.start())
}

fn annotation_start(policy: &Policy, name: &str) -> Option<usize> {
    let (_, annotation) = policy.as_ref().annotations().find(|(key, _)| AsRef::<str>::as_ref(key) == name)?;
    annotation.loc.as_ref().map(|loc| loc.start())
}
