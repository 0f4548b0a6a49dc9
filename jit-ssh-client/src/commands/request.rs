//! `jit-ssh request`: asks for access, in words that others decide on.

use super::Globals;
use crate::{
    access,
    ca_client::{CaClient, Tagged},
    cli, clock,
    error::Failure,
    screen,
    state::session::Session,
    terminal,
};
use api::{FileRequest, RequestBody};
use policy::{Stage, UnixTime};

/// Files it, or says what would come of it.
///
/// # Errors
/// If policy says no whoever approves; with `--wait` also if people do.
pub fn run(globals: &Globals, args: &cli::RequestAccess) -> Result<(), Failure> {
    let targets = args.targets.iter().map(|text| cli::target(text)).collect::<Result<Vec<_>, _>>()?;
    let (ca, session) = globals.signed_in()?;
    let asked = FileRequest {
        start: args.start.map(|start| start.0),
        under: args.under.clone(),
        dry_run: args.dry_run,
        ..access::asking_for(targets, args.why.wish())
    };
    let filed = ca.file(&session, &asked)?;
    if args.dry_run {
        return would_be(globals, &session, &filed);
    }
    told(globals, &ca, &session, filed, args.wait)
}

/// Says that it is filed, and with `wait` how it went.
///
/// # Errors
/// If people say no, or nobody wants to wait.
pub fn told(
    globals: &Globals,
    ca: &CaClient,
    session: &Session,
    filed: RequestBody,
    wait: bool,
) -> Result<(), Failure> {
    let Some(id) = filed.id.clone() else { return Err(Failure::failed("the server gave the request no id")) };
    let now = now(session);
    let pending = matches!(filed.stage, Stage::Pending { .. });
    if !globals.json {
        terminal::print(&format!("{}  {}", terminal::bold(id.as_str()), screen::stage(&filed.stage, now)));
        if let Stage::Pending { needs, .. } = &filed.stage {
            needs.iter().for_each(|need| terminal::say(&format!("  {}", screen::lacking(need))));
        }
    }
    let body = if wait {
        let next = format!("it stays filed: jit-ssh show {id}; take it back: jit-ssh cancel {id}");
        let Tagged { body, .. } = access::wait(ca, session, &id, &next)?;
        if !globals.json && pending {
            let now = self::now(session);
            terminal::print(&format!("{} {id} {}", terminal::green("ok"), screen::stage(&body.stage, now)));
        }
        body
    } else {
        filed
    };
    if globals.json { print_json(&body) } else { Ok(()) }
}

fn would_be(globals: &Globals, session: &Session, answer: &RequestBody) -> Result<(), Failure> {
    if globals.json {
        return print_json(answer);
    }
    screen::full(answer, now(session)).iter().for_each(|line| terminal::print(line));
    Ok(())
}

/// The server's clock, as far as we know.
pub fn now(session: &Session) -> UnixTime {
    clock::shifted(clock::now(), session.clock_offset_ms)
}

/// As the server sent it.
///
/// # Errors
/// If it cannot be written.
pub fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let value = serde_json::to_value(value).map_err(|_unwritable| Failure::failed("the answer cannot be written"))?;
    terminal::print_json(&value);
    Ok(())
}
