//! Who could approve: groups that approve policies name for this target. A courtesy to the person who waits; who may
//! really approve is decided when somebody does.

use crate::{
    Identity, Kind, Policies,
    engine::{facts::Facts, names::Action, question::Question, rule::Rule},
};
use cedar_policy::EntityUid;
use std::collections::BTreeMap;

/// More groups than this help nobody to find an approver.
const MOST: usize = 64;

/// The groups, sorted.
pub(crate) fn groups(policies: &Policies, facts: &Facts<'_>) -> Vec<String> {
    let Some(approver) = somebody(facts) else { return Vec::new() };
    let nobody_in_particular = Facts { who: &approver, ..*facts };
    let Ok(Question { resources, .. }) = Question::new(&nobody_in_particular, Action::Approve, policies.named()) else {
        return Vec::new();
    };
    // Where there are many groups, most of them approve for other hosts: each that is asked about costs as much as a decision.
    let here = |rule: &&Rule| rule.resource.within.as_ref().is_none_or(|within| resources.contains(within));
    let named: BTreeMap<&str, &EntityUid> = policies
        .approving()
        .filter(here)
        .filter_map(|rule| rule.principal.within.as_ref())
        .filter(|uid| uid.type_name().basename() == "Group")
        .map(|uid| (uid.id().unescaped(), uid))
        .collect();
    let could = |group: &EntityUid| {
        let facts = Facts { who: &approver, also_in: Some(group), ..*facts };
        let verdict = policies.ask(&facts, Action::Approve).ok()?;
        let by_group = verdict.permits.iter().any(|rule| rule.principal.within.as_ref() == Some(group));
        (by_group && verdict.forbids.is_empty() && verdict.failed.is_empty()).then_some(())
    };
    let could = named.into_iter().filter(|(_, uid)| could(uid).is_some());
    could.map(|(name, _)| name.to_owned()).take(MOST).collect()
}

/// A person who has just logged in with more than one factor, and is nobody we know.
fn somebody(facts: &Facts<'_>) -> Option<Identity> {
    Some(Identity {
        kind: Kind::User,
        issuer: facts.ask.identity.issuer.clone(),
        subject: "some approver".parse().ok()?,
        email: None,
        groups: Vec::new(),
        amr: Vec::new(),
        acr: None,
        mfa: true,
        auth_time: Some(facts.now.time),
        claims: Vec::new(),
        known_as: Vec::new(),
    })
}
