//! `jit-ssh cancel`: withdraws a request.

use super::{
    Globals,
    request::{now, print_json},
};
use crate::{access, cli, error::Failure, screen, terminal};

/// Withdraws it.
///
/// # Errors
/// If it is not the caller's, or is over.
pub fn run(globals: &Globals, args: &cli::Cancel) -> Result<(), Failure> {
    let (ca, session) = globals.signed_in()?;
    let id = &args.id.0;
    let gone = access::on_the_latest(&ca, &session, id, |seen| ca.cancel(&session, seen))?;
    if globals.json {
        return print_json(&gone.body);
    }
    terminal::say(&format!("{} {id} {}", terminal::green("ok"), screen::stage(&gone.body.stage, now(&session))));
    Ok(())
}
