//! `jit-ssh`: SSH access that exists only while it is needed.
//!
//! `main` → `cli` → `commands/<verb>` → `issuance`, `ca_client`, `oidc`, `agent`, `state`, `keys`.

mod agent;
mod ca_client;
mod certificate;
mod cli;
mod clock;
mod commands;
mod error;
mod issuance;
mod keys;
mod oidc;
mod quoting;
mod settings;
mod state;
mod terminal;
mod web;

use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let json = cli.json;
    match commands::run(cli) {
        Ok(code) => code,
        Err(failure) => {
            failure.report(json);
            failure.exit.into()
        }
    }
}
