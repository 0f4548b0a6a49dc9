//! `jit-ssh completions`.

use super::Globals;
use crate::{cli::Cli, error::Failure, terminal};
use clap::CommandFactory as _;
use clap_complete::Shell;

/// Prints the script for `shell`.
///
/// # Errors
/// Never: the signature is that of every verb.
pub fn run(globals: &Globals, shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "jit-ssh", &mut script);
    let script = String::from_utf8_lossy(&script);
    if globals.json {
        terminal::print_json(&serde_json::json!({ "shell": shell.to_string(), "script": script }));
    } else {
        terminal::print(script.trim_end());
    }
    Ok(())
}
