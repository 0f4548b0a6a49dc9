//! `jit-ssh logout`: out of the agent, ended at the server, gone from this machine.

use super::Globals;
use crate::{
    agent::Agent,
    ca_client::CaClient,
    clock,
    error::{Exit, Failure},
    state::{StateDir, certs::Certs, session::Session},
    terminal,
};

/// Logs out. What cannot be done is said; what can be done is done all the same.
///
/// # Errors
/// If something of ours stays on this machine.
pub fn run(globals: &Globals) -> Result<(), Failure> {
    let state = StateDir::open()?;
    let session = Session::load(&state).unwrap_or_default();
    let removed = session.as_ref().map_or(0, |session| remove_from_agent(&session.user_ca));
    let ended = session.as_ref().map(end);
    wipe(&state)?;
    report(globals, session.is_some(), removed, ended);
    Ok(())
}

/// Gone from this machine.
///
/// # Errors
/// If a file stays.
pub fn wipe(state: &StateDir) -> Result<(), Failure> {
    Certs::open(state)?.clear()?;
    Session::forget(state)
}

/// Before a new login takes its place: the same, silently.
pub fn forget_former(state: &StateDir) {
    if let Ok(Some(former)) = Session::load(state) {
        remove_from_agent(&former.user_ca);
        if end(&former).is_err() {
            // It ends by itself, at the latest at its expiry; the new login must not fail over it.
        }
    }
    if Certs::open(state).and_then(|certs| certs.clear()).is_err() {
        // `ensure` issues anew over whatever is left.
    }
}

/// How many of our certificates the agent held.
pub fn remove_from_agent(user_ca: &[String]) -> usize {
    let Ok(mut agent) = Agent::connect() else { return 0 };
    let ours = agent.ours(user_ca).unwrap_or_default();
    ours.iter().filter(|entry| agent.remove(&entry.blob).is_ok()).count()
}

fn end(session: &Session) -> Result<(), Failure> {
    if session.is_over(clock::now()) {
        return Ok(());
    }
    match CaClient::for_session(session)?.end_session(session) {
        Err(failure) if failure.exit == Exit::NeedsLogin => Ok(()),
        ended => ended,
    }
}

fn report(globals: &Globals, was_in: bool, removed: usize, ended: Option<Result<(), Failure>>) {
    let failure = ended.and_then(Result::err);
    if globals.json {
        terminal::print_json(&serde_json::json!({
            "was_logged_in": was_in,
            "removed_from_agent": removed,
            "ended_at_server": was_in && failure.is_none(),
        }));
    }
    if !was_in {
        terminal::say("You were not logged in.");
        return;
    }
    terminal::say(&format!("Logged out; {removed} of our certificates removed from the agent."));
    if let Some(failure) = failure {
        terminal::say(&format!("The server was not told: {}", terminal::plain(&failure.message)));
        terminal::say("  The key is gone from this machine; the session there ends by itself.");
    }
}
