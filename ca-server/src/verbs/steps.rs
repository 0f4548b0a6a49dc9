//! One step of a request's life: looked at, decided, appended if nobody else's came first, and told to whoever waits.

use super::{
    authenticate::Caller,
    case::{self, Case, Standing, not_found},
    issue::refuse,
    refusals::on_record,
    requests::{Shown, etag, shown},
};
use crate::{
    app::App,
    audit::{Actor, Entry, RequestEvent},
    clock::moment,
    fault,
    policies::Loaded,
    refusal::Refusal,
    store::{Stepped, records},
};
use api::Code;
use policy::{MayNot, Now, Policies, Request, RequestId, Stage, Step, What};

/// How often it is decided anew because somebody else's step came first.
const TRIES: usize = 16;

/// What a step is decided on.
pub(super) struct Scene<'a> {
    /// The request and its facts.
    pub(super) case: &'a Case,
    /// Where it stands.
    pub(super) stage: &'a Stage,
    /// Today's policies.
    pub(super) policies: &'a Policies,
    /// The moment.
    pub(super) now: Now,
}

/// What became of it.
pub(super) struct Taken {
    /// The request as it is now.
    pub(super) shown: Shown,
    /// The request and its facts.
    pub(super) case: Case,
}

/// Takes the step that `decide` finds right, or none where it finds that everything is done already. `expected` is the
/// entity tag of the version that the caller saw; without one it is decided anew whenever something comes in between.
///
/// # Errors
/// `rate_limited`, `not_found` for what is none of the caller's business, `precondition_failed` if it is no longer the version that the
/// caller saw, `conflict` if it has seen too much, and what `decide` says. A `denied` is on record.
pub(super) async fn take(
    app: &App,
    caller: &Caller,
    id: &str,
    expected: Option<&str>,
    decide: impl Fn(&Scene<'_>) -> Result<Option<What>, Refusal>,
) -> Result<Taken, Refusal> {
    refuse::unless_allowed(app, caller).await?;
    let id: RequestId = id.parse().map_err(|_not_an_id| not_found())?;
    for _ in 0..TRIES {
        let mut case = Case::load(app, &id).await?.ok_or_else(not_found)?;
        let loaded = app.policies.current();
        let now = moment(app.clock.now(), &app.zone);
        may_act(app, caller, &loaded.policies, &case, now).await?;
        let stage = case.stage(&loaded.policies, now);
        if expected.is_some_and(|expected| expected != "*") && expected != Some(etag(&case, &stage)?.as_str()) {
            return Err(changed());
        }
        let scene = Scene { case: &case, stage: &stage, policies: &loaded.policies, now };
        let what = match decide(&scene) {
            Ok(Some(what)) => what,
            Ok(None) => {
                let shown = shown(&loaded.policies, caller, &case, now)?;
                return Ok(Taken { shown, case });
            }
            Err(refusal) if refusal.code == Code::Denied => return Err(noted(app, caller, &id, refusal).await),
            Err(refusal) => return Err(refusal),
        };
        let entry = entry(app, caller, &case, &what, &loaded, now)?;
        let step = Step { at: now.time, by: caller.session.identity.clone(), what };
        // Whatever has happened to it, it can be ended.
        if case.steps.len() >= Request::MOST_STEPS && !records::ends(&step) {
            return Err(Refusal::new(Code::Conflict, "too much has happened to this request").hint("file a new one"));
        }
        fault::point("step.decided");
        let stepped = app.store.add_step(&id, case.steps.len(), step.clone(), entry).await?;
        fault::point("step.recorded");
        match stepped {
            Stepped::Yes => {
                wake(app, &case.request);
                case.steps.push(step);
                let shown = shown(&loaded.policies, caller, &case, now)?;
                return Ok(Taken { shown, case });
            }
            Stepped::Over => return Err(over()),
            Stepped::Changed if expected.is_some_and(|expected| expected != "*") => return Err(changed()),
            Stepped::Changed => {}
        }
    }
    Err(Refusal::new(Code::Conflict, "others kept changing this request").hint("look at it again, then try again"))
}

/// Tells those who wait at `request`, or at what it prolongs.
pub(super) fn wake(app: &App, request: &Request) {
    app.waiting.wake(&request.id);
    if let Some(prolonged) = &request.extends {
        app.waiting.wake(prolonged);
    }
}

/// Whoever may see a request learns what they may not do to it; so does its requester by another account.
async fn may_act(app: &App, caller: &Caller, policies: &Policies, case: &Case, now: Now) -> Result<(), Refusal> {
    let Err(unseen) = Standing::of(policies, caller, case, now) else { return Ok(()) };
    match policy::may_review(policies, &case.request, &caller.session.identity, now) {
        Err(may_not @ (MayNot::Own | MayNot::Sponsor)) => {
            Err(noted(app, caller, &case.request.id, denied(may_not)).await)
        }
        _ => Err(unseen),
    }
}

/// Why somebody may not review, as an answer.
pub(super) fn denied(may_not: MayNot) -> Refusal {
    let hint = match may_not {
        MayNot::Newcomer => {
            "whoever was in them at a login before that may approve it, and you what is filed from now on; you may deny it"
        }
        _ => "`jit-ssh show ID` names the groups whose members may approve",
    };
    Refusal::new(Code::Denied, may_not.to_string()).hint(hint)
}

/// The clock ended it.
pub(super) fn over() -> Refusal {
    Refusal::new(Code::Conflict, "this request is over").hint("look at it again: `jit-ssh show ID`")
}

fn changed() -> Refusal {
    Refusal::new(Code::PreconditionFailed, "this request has changed since you looked at it")
        .hint("look at it again, then decide")
}

fn entry(app: &App, caller: &Caller, case: &Case, what: &What, loaded: &Loaded, now: Now) -> Result<Entry, Refusal> {
    let policy_digest = loaded.digest.as_str();
    let (actor, session, source) = (Actor::from(&caller.session.identity), &caller.session.id, caller.origin.source);
    let id = &case.request.id;
    let (digest, grant, step) = (case::hex(&case.digest), id.grant(), case.taken(now));
    let event = match what {
        What::Approved(approval) => {
            RequestEvent::Approved { actor, session, id, step, approval, policy_digest, source }
        }
        What::Denied { reason } => {
            let (digest, reason) = (digest.as_str(), reason.as_str());
            RequestEvent::Denied { actor, session, id, step, digest, reason, policy_digest, source }
        }
        What::Cancelled => RequestEvent::Cancelled { actor, session, id, step, source },
        What::Ended { why, reason } => {
            let reason = reason.as_ref().map(policy::Reason::as_str);
            RequestEvent::GrantEnded { actor, session, id, step, grant: &grant, why: *why, reason, source }
        }
        What::Reviewed { verdict, reason } => {
            let (digest, verdict, reason) = (digest.as_str(), *verdict, reason.as_str());
            RequestEvent::Reviewed { actor, session, id, step, digest, verdict, reason, policy_digest, source }
        }
        What::Claimed => return Err(Refusal::internal("only issuing claims")),
    };
    let notify = case.channels(app, &loaded.policies);
    Entry::notifying(app.clock.now_ms(), &caller.origin.request_id, &event, &notify).map_err(Refusal::internal)
}

/// Puts on record that somebody tried what they may not; answers the refusal, or that it cannot be recorded.
async fn noted(app: &App, caller: &Caller, id: &RequestId, refusal: Refusal) -> Refusal {
    let event = RequestEvent::Refused {
        actor: Actor::from(&caller.session.identity),
        session: &caller.session.id,
        id,
        refusal: &refusal.message,
        source: caller.origin.source,
    };
    let entry = Entry::new(app.clock.now_ms(), &caller.origin.request_id, &event);
    on_record(app, caller, entry, refusal).await
}
