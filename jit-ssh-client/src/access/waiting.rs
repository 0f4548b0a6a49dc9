//! Waiting for people and for the clock: through a network that comes and goes, until there is an answer.

use crate::{
    ca_client::{CaClient, Tagged},
    clock,
    error::{Exit, Failure},
    screen,
    state::session::Session,
    terminal,
};
use api::RequestBody;
use policy::{Over, RequestId, Stage};
use std::time::Duration;

/// Waits until the request may be used. Ctrl-C leaves it filed, and `next` says how to go on.
///
/// # Errors
/// If somebody says no, nobody decides in time, or the person does not want to wait.
pub fn wait(ca: &CaClient, session: &Session, id: &RequestId, next: &str) -> Result<Tagged, Failure> {
    let mut seen = ca.request(session, id)?;
    ca.mind_interrupts()?;
    terminal::say("  Ctrl-C stops waiting and leaves it filed.");
    loop {
        match &seen.body.stage {
            Stage::Claimable { .. } | Stage::Active { .. } | Stage::Added { .. } => {
                less(&seen.body).iter().for_each(|line| terminal::say(line));
                return Ok(seen);
            }
            Stage::Over { how } => return Err(said_no(&seen.body, *how)),
            Stage::Pending { .. } | Stage::Scheduled { .. } => {}
        }
        let _watch = watch(session, &seen.body);
        seen = next_change(ca, session, id, seen).map_err(|failure| match failure.exit {
            Exit::NeedsApproval => failure.hint(next),
            _ => failure,
        })?;
    }
}

/// By whom it was made less than was asked for, and what is left.
pub(super) fn less(request: &RequestBody) -> Vec<String> {
    let narrowed =
        |step: &&api::StepBody| step.what == "approved" && (step.duration.is_some() || !step.only.is_empty());
    let line = |step: &api::StepBody| {
        let span = step.duration.map(|span| format!(" for {span}")).unwrap_or_default();
        let hosts: Vec<&str> = step.only.iter().map(policy::HostName::as_str).collect();
        let hosts = if hosts.is_empty() { String::new() } else { format!(" on {}", hosts.join(", ")) };
        let reason = step.reason.as_ref().map(|reason| format!(": {}", terminal::plain(reason.as_str())));
        let by = terminal::plain(&step.by);
        format!("  {by} approved less than you asked for: only{span}{hosts}{}", reason.unwrap_or_default())
    };
    request.steps.iter().filter(narrowed).map(line).collect()
}

/// The server's word that something changed, through a network that may come and go.
fn next_change(ca: &CaClient, session: &Session, id: &RequestId, seen: Tagged) -> Result<Tagged, Failure> {
    /// Between attempts while the server does not answer.
    const PAUSE: Duration = Duration::from_secs(3);
    /// A laptop changes networks, a server restarts: neither takes longer.
    const ATTEMPTS: u32 = 20;
    let mut failed = 0;
    loop {
        match ca.changed(session, id, &seen.tag) {
            Ok(Some(changed)) => return Ok(changed),
            // Nothing new: the stage may have changed by the clock alone, and the tag with it.
            Ok(None) => failed = 0,
            Err(failure) if failure.exit == Exit::Unreachable && failed < ATTEMPTS => {
                failed += 1;
                ca.pause(PAUSE)?;
            }
            Err(failure) => return Err(failure),
        }
    }
}

/// A clock on the terminal while people think.
fn watch(session: &Session, request: &RequestBody) -> terminal::Waiting {
    let offset_ms = session.clock_offset_ms;
    let (what, until) = match &request.stage {
        Stage::Pending { needs, until } => (needs.first().map(screen::lacking), Some(*until)),
        Stage::Scheduled { from } => (Some("its start".to_owned()), Some(*from)),
        _ => (None, None),
    };
    let left =
        move || until.map_or_else(String::new, |until| clock::left(clock::shifted(clock::now(), offset_ms), until));
    terminal::Waiting::with_clock(&format!("waiting for {}", what.unwrap_or_else(|| "people".to_owned())), left)
}

/// Why it will not be: a denial with its words, or the way it ended.
fn said_no(request: &RequestBody, how: Over) -> Failure {
    let denial = request.steps.iter().rev().find(|step| step.what == "denied").filter(|_| how == Over::Denied);
    let message = match denial {
        Some(step) => {
            let reason = step.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            format!("{} said no{reason}", step.by)
        }
        None => format!("the request is over: {}", screen::ended(how)),
    };
    let id = request.id.as_ref().map_or("ID", RequestId::as_str);
    Failure::new(Exit::Denied, message).hint(format!("jit-ssh show {id}"))
}
