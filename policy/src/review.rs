//! Who may review whose request. Policy says who may approve what; that nobody approves their own is not for it to say.

use crate::{
    Ask, Host, Identity, Kind, Now, Policies, Request, Target,
    decision::resolve,
    engine::{
        facts::{Facts, Question},
        names::Action,
    },
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
    let may = |target: &&Target| {
        let ask = Ask::of(request, target, &request.requester, request.source);
        let host = resolve(policies, target).map(|(host, _)| host);
        host.and_then(|host| entitled(policies, &ask, host, reviewer, now)).is_some()
    };
    let targets: Vec<Target> = request.targets.iter().filter(may).cloned().collect();
    if targets.is_empty() { Err(MayNot::NoPolicy) } else { Ok(targets) }
}

/// The groups by which policy lets `reviewer` approve `ask`: those that the scopes of the matching permits name. None if
/// policy does not let them, or cannot tell.
pub(crate) fn entitled(
    policies: &Policies,
    ask: &Ask,
    host: &Host,
    reviewer: &Identity,
    now: Now,
) -> Option<BTreeSet<String>> {
    let question =
        Question::new(&Facts { who: reviewer, ask, host, now, also_in: None }, Action::Approve, policies.named());
    let verdict = policies.ask(&question.ok()?).ok()?;
    if verdict.permits.is_empty() || !verdict.forbids.is_empty() || !verdict.failed.is_empty() {
        return None;
    }
    let scopes = verdict.permits.iter().filter_map(|rule| rule.principal.within.as_ref());
    let groups = scopes.filter(|named| named.type_name().basename() == "Group");
    Some(groups.map(|named| named.id().unescaped().to_owned()).collect())
}
