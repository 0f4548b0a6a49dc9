//! `jit-ssh show`: one request, whole.

use super::{
    Globals,
    request::{now, print_json},
};
use crate::{cli, ended, error::Failure, screen, terminal};

/// Shows it.
///
/// # Errors
/// If there is no such request, or it is none of the caller's business.
pub fn run(globals: &Globals, args: &cli::Show) -> Result<(), Failure> {
    let (ca, session) = globals.signed_in()?;
    let seen = ca.request(&session, &args.id.0)?;
    ended::learn_aside(&session, std::slice::from_ref(&seen.body))?;
    if globals.json {
        return print_json(&seen.body);
    }
    screen::full(&seen.body, now(&session)).iter().for_each(|line| terminal::print(line));
    Ok(())
}
