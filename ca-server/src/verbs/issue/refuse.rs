//! A refusal is a fact too, and on record before it is answered.

use super::answer;
use crate::{
    app::App,
    audit::{Actor, Entry, Event, RevocationEvent},
    ca::UserKey,
    refusal::Refusal,
    verbs::{
        authenticate::Caller,
        refusals::{Allowance, on_record},
    },
};
use api::{Code, DecisionBody};
use policy::{Ask, Decision, Freeze, Now, RequestId, Target};

/// Nothing is decided for whom a refusal could not be recorded any more.
pub(in crate::verbs) async fn unless_allowed(app: &App, caller: &Caller) -> Result<(), Refusal> {
    let identity = &caller.session.identity;
    let limited = Refusal::new(Code::RateLimited, "too many refusals within a minute; this was not decided")
        .hint("wait a minute; `jit-ssh explain` says what policy wants without asking for it");
    match app.refusals.allowance(identity) {
        Allowance::Left => return Ok(()),
        Allowance::UsedUp => {}
        Allowance::JustUsedUp => {
            let (session, source) = (&caller.session.id, caller.origin.source);
            let event = Event::DecisionLimited { actor: identity.into(), session, source };
            let entry = Entry::new(app.clock.now_ms(), &caller.origin.request_id, &event);
            app.store.append(entry.map_err(Refusal::internal)?).await?;
        }
    }
    Err(limited)
}

/// Records that policy said no, `now`, to whoever perhaps `named` a request.
pub(in crate::verbs) async fn decision(
    app: &App,
    caller: &Caller,
    ask: &Ask,
    no: &Decision,
    policy_digest: &str,
    now: Now,
    named: Option<&RequestId>,
) -> Refusal {
    let decision = DecisionBody::from(no);
    let event = Event::DecisionRefused {
        actor: Actor::from(&ask.identity),
        session: &caller.session.id,
        target: &ask.target,
        reason: ask.reason.as_ref().map(policy::Reason::as_str),
        ticket: ask.ticket.as_ref().map(policy::Ticket::as_str),
        duration: ask.duration,
        under: named,
        decided: now,
        decision: &decision,
        policy_digest,
        source: ask.source,
    };
    let entry = Entry::new(app.clock.now_ms(), &caller.origin.request_id, &event);
    on_record(app, caller, entry, answer::no(decision)).await
}

/// Records that `key` was refused, and answers `no`.
pub(super) async fn key(app: &App, caller: &Caller, target: &Target, key: &UserKey, no: Refusal) -> Refusal {
    let identity = &caller.session.identity;
    let event = Event::KeyRefused {
        actor: identity.into(),
        session: &caller.session.id,
        target,
        user_key: key.fingerprint(),
        refusal: no.code,
        source: caller.origin.source,
    };
    let entry = Entry::new(app.clock.now_ms(), &caller.origin.request_id, &event);
    on_record(app, caller, entry, no).await
}

/// Records that a freeze stops this; answers so.
pub(in crate::verbs) async fn frozen(app: &App, caller: &Caller, freeze: &Freeze, target: Option<&Target>) -> Refusal {
    let no = answer::frozen(&freeze.what);
    let event = RevocationEvent::Stopped {
        actor: Actor::from(&caller.session.identity),
        session: &caller.session.id,
        id: &freeze.id,
        target,
        refusal: &no.message,
        source: caller.origin.source,
    };
    let entry = Entry::new(app.clock.now_ms(), &caller.origin.request_id, &event);
    on_record(app, caller, entry, no).await
}
