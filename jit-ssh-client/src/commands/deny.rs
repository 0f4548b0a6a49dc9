//! `jit-ssh deny`: a veto, before or after approval.

use super::{
    Globals,
    request::{now, print_json},
};
use crate::{access, ca_client::CaClient, cli, error::Failure, screen, state::session::Session, terminal};
use api::DenyRequest;
use policy::{Reason, RequestId};

/// Says no.
///
/// # Errors
/// If the server does not let this person, or it is over.
pub fn run(globals: &Globals, args: &cli::Deny) -> Result<(), Failure> {
    let (ca, session) = globals.signed_in()?;
    deny(globals, &ca, &session, &args.id.0, args.reason.clone())
}

/// As [`run`], for a session at hand.
///
/// # Errors
/// As [`run`].
pub fn deny(
    globals: &Globals,
    ca: &CaClient,
    session: &Session,
    id: &RequestId,
    reason: Option<Reason>,
) -> Result<(), Failure> {
    let reason = match reason {
        Some(reason) => reason,
        None => terminal::ask_for("Why not?")
            .ok_or_else(|| Failure::usage("why not?").hint(format!("jit-ssh deny {id} --reason '…'")))?,
    };
    let denied =
        access::on_the_latest(ca, session, id, |seen| ca.deny(session, seen, &DenyRequest { reason: reason.clone() }))?;
    if globals.json {
        return print_json(&denied.body);
    }
    terminal::say(&format!("{} {id} {}", terminal::green("ok"), screen::stage(&denied.body.stage, now(session))));
    Ok(())
}
