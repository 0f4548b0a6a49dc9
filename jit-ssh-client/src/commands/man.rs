//! `jit-ssh man`.

use crate::{cli::Cli, error::Failure, terminal};
use clap::CommandFactory as _;
use std::{fs, path::Path};

/// Writes `jit-ssh.1` and one page a verb into `directory`.
///
/// # Errors
/// If they cannot be written.
pub fn run(directory: &Path) -> Result<(), Failure> {
    let failed = |error| Failure::failed(format!("cannot write to {}: {error}", directory.display()));
    fs::create_dir_all(directory).map_err(failed)?;
    clap_mangen::generate_to(Cli::command(), directory).map_err(failed)?;
    terminal::say(&format!("man pages are in {}", terminal::plain(&directory.display().to_string())));
    Ok(())
}
