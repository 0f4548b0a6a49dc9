//! The decision under a request: the facts of its life, judged anew with today's policies, people and clock.

use super::{Ask, Cause, Decision, Denied, Grant, Now, Offered, needs_approval, resolve};
use crate::{
    Life, Policies, Stage,
    life::{
        course::{Course, Standing},
        people, stage_of,
    },
};

/// Decides whether `ask` is granted under a request, now. The request says for how long, why and under which permit;
/// what `ask` says of that is not looked at.
///
/// [`crate::Step::by`] and the identity of `ask` must be what is known of these people today: who lost a group since
/// counts no longer.
pub fn decide_under(policies: &Policies, ask: &Ask, life: &Life<'_>, now: Now) -> Decision {
    let request = life.request;
    let no = |cause| Decision::Denied(Denied::because(cause, Vec::new()));
    let Some((_, target)) = resolve(policies, &ask.target) else { return no(Cause::UnknownTarget) };
    if !people::same_account(&request.requester, &ask.identity)
        || !request.targets.contains(&target)
        || request.extends.is_some()
    {
        return no(Cause::NotRequested);
    }
    let course = Course::new(policies, life, &ask.identity, ask.source, now);
    let standing = course.standing(&target);
    // The target is judged before the request as a whole: what policy says of it is the better answer.
    let (offered, full) = match standing {
        Standing::Dropped => return no(Cause::NotRequested),
        Standing::No(denied) => return Decision::Denied(denied),
        Standing::Waiting { offered, .. } => (offered, false),
        Standing::Full { offered, .. } => (offered, true),
    };
    let needs_approval = |offered: &Offered<'_>| {
        needs_approval(policies, &Ask::of(request, &target, &ask.identity, ask.source), offered, now)
    };
    let since = match course.said.claimed {
        _ if course.said.over.is_some() => return no(Cause::RequestOver),
        Some(since) if full => since,
        Some(_) if course.may_still_be_approved() => return needs_approval(&offered),
        Some(_) => return no(Cause::RequestOver),
        None => match stage_of(&course) {
            Stage::Claimable { .. } if full => now.time,
            Stage::Pending { .. } => return needs_approval(&offered),
            Stage::Scheduled { .. } => return no(Cause::NotYet),
            _ => return no(Cause::RequestOver),
        },
    };
    let until = course.end(&target, offered.terms, since);
    if until <= now.time {
        return no(Cause::RequestOver);
    }
    Decision::Granted(Box::new(Grant::of(&ask.identity, ask.source, &offered, since, until, Some(request.id.clone()))))
}
