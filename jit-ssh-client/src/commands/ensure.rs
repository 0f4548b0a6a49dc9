//! `jit-ssh ensure`: what ssh_config calls before each connection. Mostly it has nothing to do, and is quick about it.

use super::Globals;
use crate::{
    access, cli, clock,
    error::Failure,
    issuance::{self, Ready},
    state::StateDir,
    terminal,
};
use std::process::ExitCode;

/// Ensures.
///
/// # Errors
/// If there is no certificate afterwards.
pub fn run(globals: &Globals, args: &cli::Ensure) -> Result<ExitCode, Failure> {
    match ensured(globals, args) {
        Ok(ready) => {
            report(globals, args, &ready);
            Ok(ExitCode::SUCCESS)
        }
        // ssh goes on without us and shows this line above its own: one is enough.
        Err(failure) if args.quiet && !globals.json => {
            terminal::say(&failure.brief());
            Ok(failure.exit.into())
        }
        Err(failure) => Err(failure),
    }
}

fn ensured(globals: &Globals, args: &cli::Ensure) -> Result<Ready, Failure> {
    let target = cli::target(&args.target)?;
    let state = StateDir::open()?;
    globals.same_server_if_named(&state)?;
    let ensure = |wish: &_| issuance::ensure(&state, &target, wish, args.renew);
    let wish = args.why.wish();
    if args.ask {
        terminal::ask_behind_ssh();
        return access::ensure(&state, &target, &wish);
    }
    access::asking(&state, &target, &wish, !args.quiet, ensure)
}

fn report(globals: &Globals, args: &cli::Ensure, ready: &Ready) {
    let entry = &ready.entry;
    if globals.json {
        terminal::print_json(&serde_json::json!({
            "target": entry.target,
            "serial": entry.serial,
            "grant": entry.grant,
            "policy": entry.policy,
            "expires": entry.expires,
            "until": entry.until,
            "kept": ready.kept,
            "certificate_file": ready.path,
        }));
    } else if !args.quiet {
        let left = clock::left(clock::shifted(clock::now(), entry.clock_offset_ms), entry.expires);
        let what = if ready.kept { "still holds" } else { "is in the agent" };
        terminal::say(&format!(
            "{} {} {what} for {left} (policy {})",
            terminal::green("ok"),
            entry.target,
            entry.policy
        ));
    }
}
