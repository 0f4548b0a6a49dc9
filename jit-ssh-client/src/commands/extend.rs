//! `jit-ssh extend`: more time on a grant, under the same policy and the same approvals.

use super::{Globals, request};
use crate::{access, cli, error::Failure, issuance::Wish};
use api::FileRequest;

/// Asks for it.
///
/// # Errors
/// If policy says no; with `--wait` also if people do.
pub fn run(globals: &Globals, args: &cli::Extend) -> Result<(), Failure> {
    let (ca, session) = globals.signed_in()?;
    let wish =
        Wish { duration: Some(args.by), reason: args.reason.clone(), ticket: args.ticket.clone(), request: None };
    // What it is for is what the grant is for.
    let asked = FileRequest { extends: Some(args.id.0.clone()), ..access::asking_for(Vec::new(), wish) };
    let filed = ca.file(&session, &asked)?;
    request::told(globals, &ca, &session, filed, args.wait)
}
