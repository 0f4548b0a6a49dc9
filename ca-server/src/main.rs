//! `ca-server`: the SSH certificate authority of jit-ssh.

mod cli;
mod commands;

use clap::Parser as _;
use std::{io::Write as _, process::ExitCode};

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let outcome = commands::run(cli.command);
    ca_server::logging::flush();
    match outcome {
        Ok(code) => code,
        Err(error) => {
            // One line a cause: what happened, then what led to it.
            let told = error.chain().map(ToString::to_string).collect::<Vec<_>>().join("\n  because: ");
            let _closed = writeln!(std::io::stderr(), "ca-server: {told}");
            ExitCode::FAILURE
        }
    }
}
