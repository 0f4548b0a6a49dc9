//! The caller's login sessions: show this one, list all, end one. Nobody sees or ends another's.

use super::authenticate::Caller;
use crate::{
    app::App,
    audit::{Actor, Entry, Event},
    refusal::Refusal,
    store::LoginSession,
};
use api::{Code, SessionEntry, SessionsResponse};
use policy::SessionId;

/// The login session that signed the request.
pub fn show(caller: &Caller) -> SessionEntry {
    entry(&caller.session, caller)
}

/// The caller's live login sessions, newest first.
///
/// # Errors
/// If the store cannot say.
pub async fn list(app: &App, caller: &Caller) -> Result<SessionsResponse, Refusal> {
    let now = app.clock.now();
    let identity = &caller.session.identity;
    let kept = app.store.sessions_of(&identity.issuer, &identity.subject).await?;
    let sessions = kept.iter().filter(|session| session.alive(now)).map(|session| entry(session, caller)).collect();
    Ok(SessionsResponse { sessions })
}

/// Ends one of the caller's login sessions.
///
/// # Errors
/// If there is no such session, if it is another's (the same answer: ids of others are not confirmed), or if the end
/// cannot be recorded.
pub async fn end(app: &App, caller: &Caller, unverified_id: &str) -> Result<(), Refusal> {
    let id: SessionId = unverified_id.parse().map_err(|error| not_found().cause(error))?;
    let session = app.store.session(&id).await?.ok_or_else(not_found)?;
    let (owner, asker) = (&session.identity, &caller.session.identity);
    if (&owner.issuer, &owner.subject) != (&asker.issuer, &asker.subject) {
        return Err(not_found().cause("the login session is another identity's"));
    }
    record_end(app, caller, &session, "ended-by-owner").await.map(drop)
}

/// Ends the login session that signed the request.
///
/// # Errors
/// If the end cannot be recorded.
pub async fn logout(app: &App, caller: &Caller) -> Result<(), Refusal> {
    record_end(app, caller, &caller.session, "logout").await.map(drop)
}

/// Ends it and puts that on record; answers whether it was there.
pub(super) async fn record_end(
    app: &App,
    caller: &Caller,
    session: &LoginSession,
    reason: &str,
) -> Result<bool, Refusal> {
    let event = Event::LoginEnded { actor: Actor::from(&session.identity), session: &session.id, reason };
    let entry = Entry::new(app.clock.now_ms(), &caller.origin.request_id, &event).map_err(Refusal::internal)?;
    // Ended twice at once: one of the two finds nothing left, which is what it asked for.
    Ok(app.store.end_session(&session.id, entry).await?)
}

fn entry(session: &LoginSession, caller: &Caller) -> SessionEntry {
    SessionEntry {
        session: session.id.clone(),
        identity: (&session.identity).into(),
        started: session.started,
        used: session.used,
        expires: session.expires,
        idle_seconds: session.idle_seconds,
        source: session.source,
        current: session.id == caller.session.id,
    }
}

fn not_found() -> Refusal {
    Refusal::new(Code::NotFound, "you have no such login session").hint("`jit-ssh sessions` lists your login sessions")
}
