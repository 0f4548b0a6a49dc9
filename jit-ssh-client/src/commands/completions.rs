//! `jit-ssh completions`.

use crate::{cli::Cli, error::Failure};
use clap::CommandFactory as _;
use clap_complete::Shell;

/// Prints the script for `shell`.
///
/// # Errors
/// Never: the signature is that of every verb.
pub fn run(shell: Shell) -> Result<(), Failure> {
    clap_complete::generate(shell, &mut Cli::command(), "jit-ssh", &mut std::io::stdout());
    Ok(())
}
