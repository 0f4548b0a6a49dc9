//! `jit-ssh freeze`, `freezes` and `thaw`: nothing is issued until two people agree to go on.

use super::{Globals, revoke::counted};
use crate::{cli, clock, error::Failure, terminal};
use api::{FreezeBody, FreezeRequest, FreezeScope, ThawRequest, Whose};

/// Freezes it.
///
/// # Errors
/// If policy does not let the caller administer, or nobody knows what is named.
pub fn freeze(globals: &Globals, args: &cli::Freeze) -> Result<(), Failure> {
    let (ca, session) = globals.signed_in()?;
    let scope = scope(args);
    let question = format!("Issue nothing any more {}, until two people thaw it? [y/N]", whom(&scope));
    if !args.yes && terminal::interactive() && !terminal::agrees(&question) {
        return Err(Failure::failed("nothing was frozen"));
    }
    let freeze = ca.freeze(&session, &FreezeRequest { scope, reason: args.reason.clone() })?;
    if globals.json {
        return print_json(&freeze);
    }
    terminal::say(&format!("{} {}", terminal::green("ok"), line(&freeze)));
    match (freeze.live, freeze.last_expiry) {
        (None, _) => terminal::say("  it was frozen before"),
        (Some(live), Some(last)) => {
            let live = counted(usize::try_from(live).unwrap_or(usize::MAX), "certificate");
            let last = clock::rfc3339(last);
            terminal::say(&format!("  {live} issued before may be used until {last}: `jit-ssh revoke` ends that"));
        }
        _ => terminal::say("  no certificate issued before is live"),
    }
    Ok(())
}

/// Lists what is frozen, as far as it concerns the caller.
///
/// # Errors
/// If the login session is over.
pub fn list(globals: &Globals) -> Result<(), Failure> {
    let (ca, session) = globals.signed_in()?;
    let response = ca.freezes(&session, None)?;
    if globals.json {
        return print_json(&response);
    }
    if response.freezes.is_empty() {
        terminal::say("Nothing is frozen that concerns you.");
    }
    response.freezes.iter().for_each(|freeze| terminal::print(&line(freeze)));
    Ok(())
}

/// One's word that it may go on.
///
/// # Errors
/// If one's word does not count, or there is no such freeze.
pub fn thaw(globals: &Globals, args: &cli::Thaw) -> Result<(), Failure> {
    let (ca, session) = globals.signed_in()?;
    let freeze = ca.thaw(&session, &args.id, &ThawRequest { reason: args.reason.clone() })?;
    if globals.json {
        return print_json(&freeze);
    }
    let what = terminal::plain(&freeze.frozen.to_string()).into_owned();
    let said = if freeze.thawed {
        format!("{} {what} is thawed", terminal::green("ok"))
    } else {
        format!("{} your word is on record; one more person thaws {what}", terminal::green("ok"))
    };
    terminal::say(&said);
    Ok(())
}

/// A freeze in one line.
pub fn line(freeze: &FreezeBody) -> String {
    let mut line = format!("{}  {} is frozen since {}", freeze.id, freeze.frozen, clock::rfc3339(freeze.at));
    if let Some(by) = &freeze.by {
        line.push_str(&format!(" by {by}"));
    }
    if let Some(reason) = &freeze.reason {
        line.push_str(&format!(": {reason}"));
    }
    if !freeze.thawed_by.is_empty() {
        line.push_str(&format!(" (to be thawed, says {})", freeze.thawed_by.join(", ")));
    }
    terminal::plain(&line).into_owned()
}

fn scope(args: &cli::Freeze) -> FreezeScope {
    let whose = |name: &policy::Subject| Whose { name: name.clone(), issuer: args.at.clone() };
    match (&args.user, &args.workload, &args.host) {
        (Some(name), _, _) => FreezeScope::User(whose(name)),
        (_, Some(name), _) => FreezeScope::Workload(whose(name)),
        (_, _, Some(host)) => FreezeScope::Host(host.clone()),
        _ => FreezeScope::Everything,
    }
}

fn whom(scope: &FreezeScope) -> String {
    match scope {
        FreezeScope::User(whose) | FreezeScope::Workload(whose) => format!("to {}", whose.name),
        FreezeScope::Host(host) => format!("for {host}"),
        FreezeScope::Everything => "to anybody".to_owned(),
    }
}

fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let value = serde_json::to_value(value).map_err(|error| Failure::failed(error.to_string()))?;
    terminal::print_json(&value);
    Ok(())
}
