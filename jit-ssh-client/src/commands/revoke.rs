//! `jit-ssh revoke`: security takes access from whoever has it.

use super::{Globals, done::line};
use crate::{
    access,
    cli::{self, RequestRef},
    error::Failure,
    terminal,
};
use api::EndRequest;
use policy::EndReason;

/// Takes it.
///
/// # Errors
/// If policy does not let the caller administer, or it is over.
pub fn run(globals: &Globals, args: &cli::Revoke) -> Result<(), Failure> {
    let (ca, session) = globals.signed_in()?;
    let revoked = EndRequest { why: EndReason::Revoked, reason: Some(args.reason.clone()) };
    let mut receipts = Vec::new();
    for RequestRef(id) in &args.grant {
        let receipt = access::on_the_latest(&ca, &session, id, |seen| ca.end(&session, seen, &revoked))?;
        if !globals.json {
            terminal::say(&format!("{} revoked", terminal::green("ok")));
            terminal::say(&line(&receipt));
        }
        receipts.push(receipt);
    }
    if globals.json {
        terminal::print_json(&serde_json::json!({ "receipts": receipts }));
    }
    Ok(())
}
