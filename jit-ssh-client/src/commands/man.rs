//! `jit-ssh man`.

use crate::{cli::Cli, error::Failure, terminal};
use clap::{Command, CommandFactory as _};
use clap_mangen::Man;
use std::{fs, io, path::Path};

/// Writes `jit-ssh.1` and one page a verb into `directory`.
///
/// # Errors
/// If they cannot be written.
pub fn run(directory: &Path) -> Result<(), Failure> {
    let failed = |error| Failure::failed(format!("cannot write to {}: {error}", directory.display()));
    fs::create_dir_all(directory).map_err(failed)?;
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    write(command, directory).map_err(failed)?;
    terminal::say(&format!("man pages are in {}", terminal::plain(&directory.display().to_string())));
    Ok(())
}

/// The source of each page is the program: a verb has no version of its own.
fn write(command: Command, directory: &Path) -> io::Result<()> {
    command.get_subcommands().filter(|verb| !verb.is_hide_set()).try_for_each(|verb| write(verb.clone(), directory))?;
    Man::new(command).source(concat!("jit-ssh ", env!("CARGO_PKG_VERSION"))).generate_to(directory).map(drop)
}
