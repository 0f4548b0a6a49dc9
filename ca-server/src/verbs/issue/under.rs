//! The grant that approvals made: which of the caller's requests covers the target now, decided anew.

use crate::{
    app::App,
    audit::{Actor, Entry, RequestEvent},
    policies::Loaded,
    refusal::Refusal,
    store::{Claim, KeptRequest, Which},
    verbs::{
        authenticate::Caller,
        case::{self, Case, not_found},
        cases::{self, PAGE},
    },
};
use policy::{Ask, Decision, Grant, Now, RequestId, Step, Target, UnixTime, What};
use std::sync::Arc;

/// The most of the caller's latest requests that are looked at, [`PAGE`] at a time.
const PAGES: usize = 4;

/// A grant and the request it is from.
pub(super) struct Under {
    pub(super) grant: Box<Grant>,
    case: Arc<Case>,
    active: bool,
}

/// What is to be said where no request grants: the decision, and the request that still waits if one does.
pub(super) enum Found {
    Granted(Box<Under>),
    No(Decision, Option<RequestId>),
}

/// The grant under the request that the caller names.
pub(super) async fn named(
    app: &App,
    caller: &Caller,
    loaded: &Loaded,
    ask: &Ask,
    id: &RequestId,
    now: Now,
) -> Result<Found, Refusal> {
    let case = cases::of(app, id).await?.filter(|case| case.is_of(&caller.session.identity)).ok_or_else(not_found)?;
    Ok(match decide(loaded, ask, case, now) {
        Ok(under) => Found::Granted(Box::new(under)),
        Err(no) => {
            let waits = matches!(no, Decision::NeedsApproval(_)).then(|| id.clone());
            Found::No(no, waits)
        }
    })
}

/// The grant under whichever of the caller's requests covers the target: one in use before one that is not, so that no
/// clock is started without need; then the latest. Where none does the answer is what the one that waits still needs, or
/// what policy says without any.
pub(super) async fn any(app: &App, caller: &Caller, loaded: &Loaded, ask: &Ask, now: Now) -> Result<Found, Refusal> {
    let identity = &caller.session.identity;
    let nothing = || Found::No(policy::decide(&loaded.policies, ask, now), None);
    let Some(host) = loaded.policies.inventory().host(ask.target.host()) else { return Ok(nothing()) };
    let target = Target::new(ask.target.account().clone(), host.name().clone());
    let which = Which::Of(identity.issuer.clone(), identity.subject.clone());
    let (mut best, mut waits): (Option<Under>, Option<(Decision, RequestId)>) = Default::default();
    let before = app.store.changes();
    let mut page = cases::latest(app, identity).await?;
    for _ in 0..PAGES {
        for kept in page.iter().filter(|kept| may_cover(kept, &target)) {
            let Some(case) = cases::of_read(app, kept, before).await? else { continue };
            match decide(loaded, ask, case, now) {
                Ok(under) if under.active => return Ok(Found::Granted(Box::new(under))),
                Ok(under) => best = best.or(Some(under)),
                Err(needs @ Decision::NeedsApproval(_)) => {
                    waits = waits.or_else(|| Some((needs, kept.request.id.clone())));
                }
                Err(_) => {}
            }
        }
        let Some(last) = page.last().filter(|_| page.len() == PAGE) else { break };
        page = app.store.requests(&which, Some(&last.request.id), PAGE).await?.into();
    }
    Ok(match (best, waits) {
        (Some(under), _) => Found::Granted(Box::new(under)),
        (None, Some((needs, id))) => Found::No(needs, Some(id)),
        (None, None) => nothing(),
    })
}

/// Whether a request is worth a decision: it names the target and is not over for good. Behind broken glass nobody comes by
/// chance: only who names it.
fn may_cover(kept: &KeptRequest, target: &Target) -> bool {
    let KeptRequest { request, steps } = kept;
    request.targets.contains(target)
        && request.extends.is_none()
        && request.break_glass.is_none()
        && case::ending(steps).is_none()
}

fn decide(loaded: &Loaded, ask: &Ask, case: Arc<Case>, now: Now) -> Result<Under, Decision> {
    match policy::decide_under(&loaded.policies, ask, &case.life(), now) {
        Decision::Granted(grant) => {
            // It grants, so it is either in use or still to be claimed: its stage need not be found out once more.
            let active = case.steps.iter().any(|step| step.what == What::Claimed);
            Ok(Under { grant, case, active })
        }
        no => Err(no),
    }
}

impl Under {
    pub(super) fn request(&self) -> &policy::Request {
        &self.case.request
    }

    /// What is recorded with the certificate: the state that was decided on, and the first use if this is it.
    pub(super) fn claim(&self, app: &App, caller: &Caller, expires: UnixTime, now: Now) -> Result<Claim, Refusal> {
        let claimed = self.case.steps.iter().any(|step| step.what == What::Claimed);
        if claimed {
            return Ok(self.case.claim(None, expires));
        }
        let request = self.request();
        let event = RequestEvent::Claimed {
            actor: Actor::from(&caller.session.identity),
            session: &caller.session.id,
            id: &request.id,
            step: self.case.taken(now),
            digest: &case::hex(&self.case.digest),
            grant: &request.id.grant(),
            policy: self.grant.policy(),
            until: self.grant.end(),
            source: caller.origin.source,
        };
        let notify = &self.grant.terms().notify;
        let entry = Entry::notifying(app.clock.now_ms(), &caller.origin.request_id, &event, notify);
        let entry = entry.map_err(Refusal::internal)?;
        let step = Step { at: now.time, by: caller.session.identity.clone(), what: What::Claimed };
        Ok(self.case.claim(Some((step, entry)), expires))
    }
}

/// How it is said that people must approve, to somebody whose request waits already or who has none.
pub(super) fn refusal(refusal: Refusal, ask: &Ask, waits: Option<&RequestId>) -> Refusal {
    if refusal.code != api::Code::NeedsApproval {
        return refusal;
    }
    refusal.hint(match waits {
        Some(id) => format!("request {id} waits for approval: `jit-ssh show {id}`"),
        None => format!("ask for it: `jit-ssh request {}{}`", ask.target, said(ask)),
    })
}

/// What was said, as it is said again: it has met every term of whatever people may approve.
fn said(ask: &Ask) -> String {
    let Ask { duration, reason, ticket, .. } = ask;
    let span = duration.map(|span| format!(" --for {span}")).unwrap_or_default();
    let why = reason.as_ref().map(|reason| format!(" --reason {}", reason.quoted())).unwrap_or_default();
    let ticket = ticket.as_ref().map(|ticket| format!(" --ticket {ticket}")).unwrap_or_default();
    format!("{span}{why}{ticket}")
}
