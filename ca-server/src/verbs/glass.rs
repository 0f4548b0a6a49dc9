//! Breaking the glass: access at once, without anybody's approval, under a policy of its own. It is on record, as loud as
//! anything here, before it is worth anything, and somebody else must look at it afterwards.

use super::{
    administer,
    authenticate::Caller,
    case,
    issue::answer,
    refusals::on_record,
    requests::Shown,
    steps::{self, take},
};
use crate::{
    app::App,
    audit::{Actor, BreakGlassEvent, Entry},
    policies::Loaded,
    refusal::Refusal,
    store::{KeptRequest, Which},
};
use api::{Code, Emergency, ReviewRequest};
use policy::{
    Ask, BreakGlass, Decision, Incident, Inventory, MayNot, Now, Policies, Reason, Request, RequestId, Review, Seconds,
    Stage, Target, Ticket, What,
};

/// The most of one person that wait for their review.
const MOST_UNREVIEWED: usize = 20;
/// How many are read at a time.
const PAGE: usize = 100;

/// Makes emergency access of a draft for one target, if policy lets its requester break the glass and no overdue review is in
/// the way.
///
/// # Errors
/// `denied` or `frozen`, on record; `bad_request` for what is no emergency; `rate_limited` for too many that nobody has reviewed.
pub(super) async fn broken(
    app: &App,
    caller: &Caller,
    loaded: &Loaded,
    request: &mut Request,
    incident: Incident,
    (duration, dry_run): (Option<Seconds>, bool),
    now: Now,
) -> Result<(), Refusal> {
    let target = match request.targets.as_slice() {
        [target] if request.start.is_none() && request.extends.is_none() => target.clone(),
        _ => {
            return Err(Refusal::new(
                Code::BadRequest,
                "emergency access is for one target, begins at once and prolongs nothing",
            )
            .hint("break the glass once for each target"));
        }
    };
    let ask = super::requests::asked(request, &target, duration);
    let mut offers = policy::break_glass_offers(&loaded.policies, &ask, now);
    offers.retain(|terms| request.under.as_ref().is_none_or(|under| terms.policy == *under));
    let Some((terms, review_within)) =
        offers.into_iter().find_map(|terms| terms.review_within.map(|span| (terms, span)))
    else {
        let refusal = match policy::decide_break_glass(&loaded.policies, &ask, now) {
            no @ Decision::Denied(_) => answer::no((&no).into()),
            _ => Refusal::new(Code::Denied, "the policy that was picked gives no emergency access here"),
        };
        return Err(if dry_run {
            refusal
        } else {
            let attempt = Attempt { ask: &ask, incident: &incident, now };
            noted(app, caller, loaded, &attempt, refusal, None, &[]).await
        });
    };
    // A freeze first: whoever is frozen, or asks for what is, opens nothing that anybody would have to review.
    let barred = match unless_frozen(app, caller, loaded.policies.inventory(), &target).await {
        Ok(()) => unless_barred(app, caller, now).await?,
        Err(refusal) if refusal.code == Code::Frozen => Err((refusal, None)),
        Err(failure) => return Err(failure),
    };
    if let Err((refusal, overdue)) = barred {
        return Err(if dry_run {
            refusal
        } else {
            let attempt = Attempt { ask: &ask, incident: &incident, now };
            noted(app, caller, loaded, &attempt, refusal, overdue.as_ref(), &terms.notify).await
        });
    }
    request.duration = duration.unwrap_or(terms.max_duration);
    request.under = Some(terms.policy);
    // Nobody is waited for.
    request.expires = now.time;
    request.break_glass = Some(BreakGlass { incident, review_by: now.time.plus(review_within) });
    Ok(())
}

/// Nothing is issued where a freeze is in force, so nothing is opened either.
async fn unless_frozen(app: &App, caller: &Caller, inventory: &Inventory, target: &Target) -> Result<(), Refusal> {
    let (freezes, holder) = (app.store.freezes().await?, caller.known(app).await?.session.identity);
    match policy::frozen(&freezes.all, &holder, target, inventory) {
        Some(freeze) => Err(answer::frozen(&freeze.what)),
        None => Ok(()),
    }
}

/// Whether what this person broke before was reviewed in time.
async fn unless_barred(
    app: &App,
    caller: &Caller,
    now: Now,
) -> Result<Result<(), (Refusal, Option<RequestId>)>, Refusal> {
    let me = caller.known(app).await?.session.identity;
    let (mut after, mut theirs) = (None, 0);
    loop {
        let mut kept = app.store.requests(&Which::Unreviewed, after.as_ref(), PAGE).await?;
        after = kept.last().map(|kept| kept.request.id.clone());
        let due = |kept: &&mut KeptRequest| {
            kept.request.break_glass.as_ref().is_some_and(|glass| glass.review_by <= now.time)
        };
        for KeptRequest { request: Request { requester, .. }, .. } in kept.iter_mut().filter(due) {
            if let Some(latest) = app.store.latest_identity(&requester.issuer, &requester.subject).await? {
                requester.remember(&latest);
            }
        }
        let opened = kept.iter().map(|kept| (&kept.request, kept.steps.as_slice()));
        if let Some(overdue) = policy::barred(&me, opened, now.time) {
            let id = overdue.id.clone();
            let refusal =
                Refusal::new(Code::Denied, format!("nobody has reviewed {id} in time, which you broke the glass for"))
                    .hint(format!(
                        "ask somebody who may approve there: jit-ssh reviewed {id} --verdict fine --reason '…'"
                    ));
            return Ok(Err((refusal, Some(id))));
        }
        theirs += kept.iter().filter(|kept| case::same(&kept.request.requester, &me)).count();
        if theirs >= MOST_UNREVIEWED {
            let refusal = Refusal::new(
                Code::RateLimited,
                format!("{theirs} times you broke the glass, and nobody has reviewed it"),
            )
            .hint("ask somebody who may approve there to review them: jit-ssh review");
            return Ok(Err((refusal, None)));
        }
        if kept.len() < PAGE {
            return Ok(Ok(()));
        }
    }
}

/// What is put on record in the place of `request.filed`.
pub(super) fn opened<'a>(
    caller: &'a Caller,
    request: &'a Request,
    glass: &'a BreakGlass,
    digest: &'a str,
    decided: Now,
    policy_digest: &'a str,
) -> BreakGlassEvent<'a> {
    BreakGlassEvent::Opened {
        actor: Actor::from(&request.requester),
        session: &caller.session.id,
        id: &request.id,
        filed: request,
        digest,
        target: request.targets.first(),
        policy: request.under.as_ref(),
        incident: &glass.incident,
        reason: request.reason.as_ref().map(Reason::as_str),
        review_by: glass.review_by,
        decided,
        policy_digest,
        source: request.source,
    }
}

/// Puts on record that somebody looked at an emergency access after the fact. From then on it is no longer in the way of
/// that person's next one, whatever the verdict.
///
/// # Errors
/// `denied` if policy does not let the caller approve it, or only by a group that they joined since, or it is their own;
/// `frozen`; `conflict` if it is no emergency access, still in
/// use, or was reviewed before; `precondition_failed` for another version.
pub async fn review(
    app: &App,
    caller: &Caller,
    id: &str,
    expected: Option<&str>,
    review: ReviewRequest,
) -> Result<Shown, Refusal> {
    let caller = &caller.known(app).await?;
    let me = &caller.session.identity;
    let joined = case::joined(app, me).await?;
    let ReviewRequest { verdict, reason } = review;
    administer::unless_frozen(app, caller, "review").await?;
    let taken = take(app, caller, id, expected, |scene| {
        let case = scene.case;
        policy::may_approve(scene.policies, &case.request, me, &joined, scene.now).map_err(steps::denied)?;
        let (again, reviewed) = (What::Reviewed { verdict, reason: reason.clone() }, case.reviewed(scene.now));
        match reviewed {
            None => Err(Refusal::new(Code::Conflict, "this is no emergency access")
                .hint("one decides on a request before it is used: `jit-ssh approve ID`, `jit-ssh deny ID`")),
            Some(Review::Done { .. })
                if case.steps.iter().any(|step| step.what == again && super::case::same(&step.by, me)) =>
            {
                Ok(None)
            }
            Some(Review::Done { .. }) => Err(Refusal::new(Code::Conflict, "somebody has reviewed this already")
                .hint("look at it again: `jit-ssh show ID`")),
            // What is yet to be done with it nobody can have looked at.
            Some(_) if !matches!(scene.stage, Stage::Over { .. }) => {
                let (message, over) = match scene.stage {
                    Stage::Active { .. } => ("it is still in use", "it is over"),
                    _ => ("it was not used yet, and still may be", "the time for that is over"),
                };
                Err(Refusal::new(Code::Conflict, message)
                    .hint(format!("end it first: `jit-ssh deny ID --reason '…'`; or review it when {over}")))
            }
            // It would only take the emergency off the list.
            Some(_) if !case.is_reviewed_by(me, &again, scene.now) => Err(steps::denied(MayNot::Own)),
            Some(_) => Ok(Some(again)),
        }
    });
    Ok(taken.await?.shown)
}

/// What breaking the glass would give, for somebody who says why.
pub fn possible(policies: &Policies, ask: &Ask, now: Now) -> Option<Emergency> {
    let (reason, ticket): (Option<Reason>, Option<Ticket>) = ("listed".parse().ok(), "listed".parse().ok());
    let ask = Ask { duration: None, reason, ticket, ..ask.clone() };
    let terms = policy::break_glass_offers(policies, &ask, now).into_iter().next()?;
    Some(Emergency {
        max_duration: terms.max_duration,
        ticket_required: terms.ticket_required,
        review_within: terms.review_within?,
        policy: terms.policy,
    })
}

/// What somebody tried.
struct Attempt<'a> {
    ask: &'a Ask,
    incident: &'a Incident,
    now: Now,
}

/// Puts on record that somebody tried to break the glass and may not.
async fn noted(
    app: &App,
    caller: &Caller,
    loaded: &Loaded,
    attempt: &Attempt<'_>,
    refusal: Refusal,
    overdue: Option<&RequestId>,
    notify: &[String],
) -> Refusal {
    let Attempt { ask, incident, now } = *attempt;
    let event = BreakGlassEvent::Refused {
        actor: Actor::from(&ask.identity),
        session: &caller.session.id,
        target: &ask.target,
        incident,
        reason: ask.reason.as_ref().map(Reason::as_str),
        ticket: ask.ticket.as_ref().map(Ticket::as_str),
        duration: ask.duration,
        decided: now,
        refusal: &refusal.message,
        decision: refusal.decision.as_deref(),
        overdue,
        policy_digest: &loaded.digest,
        source: ask.source,
    };
    let entry = Entry::notifying(app.clock.now_ms(), &caller.origin.request_id, &event, notify);
    on_record(app, caller, entry, refusal).await
}
