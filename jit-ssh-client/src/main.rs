//! `jit-ssh`: SSH access that exists only while it is needed.
//!
//! `main` → `cli` → `commands/<verb>` → `issuance`, `ca_client`, `oidc`, `agent`, `state`, `keys`.

mod access;
mod agent;
mod ca_client;
mod certificate;
mod cli;
mod clock;
mod commands;
mod ended;
mod error;
mod issuance;
mod keys;
mod oidc;
mod quoting;
mod route;
mod screen;
mod settings;
mod state;
mod terminal;
mod web;
mod words;

use clap::{CommandFactory as _, Parser as _};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return misused(&said_plainly(error)),
    };
    let json = cli.json;
    match commands::run(cli) {
        Ok(code) => code,
        Err(failure) => {
            failure.report(json);
            failure.exit.into()
        }
    }
}

/// The same error without the environment: what a variable says would stand in the usage as if it had to be typed.
fn said_plainly(error: clap::Error) -> clap::Error {
    if !error.use_stderr() {
        return error;
    }
    let command = cli::Cli::command().mut_args(|arg| arg.env(None::<&str>));
    command
        .try_get_matches_from(std::env::args_os())
        .err()
        .filter(|again| again.kind() == error.kind())
        .unwrap_or(error)
}

/// What is wrong, with what stands below it: which arguments are missing, which values there are.
fn in_one_line(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
    lines.join(" ").trim_start_matches("error: ").to_owned()
}

/// `--help` and `--version` end here too. A program that asked for JSON gets it even when it asked wrongly.
fn misused(error: &clap::Error) -> ExitCode {
    let wrong = error.use_stderr();
    if wrong && std::env::args_os().any(|arg| arg == "--json") {
        error::Failure::usage(in_one_line(&error.render().to_string())).hint("jit-ssh --help").report(true);
    } else if error.print().is_err() {
        // Nobody reads.
    }
    if wrong { error::Exit::Usage.into() } else { ExitCode::SUCCESS }
}

#[cfg(test)]
mod tests {
    use super::in_one_line;

    #[test]
    fn what_is_missing_is_named_to_programs_too() {
        let text =
            "error: the following required arguments were not provided:\n  <ID>\n  --by <DURATION>\n\nUsage: x\n";
        assert_eq!(in_one_line(text), "the following required arguments were not provided: <ID> --by <DURATION>");
        assert_eq!(in_one_line("error: unrecognized subcommand 'x'\n\nUsage: y\n"), "unrecognized subcommand 'x'");
    }
}
