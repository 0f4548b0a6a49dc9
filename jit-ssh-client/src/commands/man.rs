//! `jit-ssh man`.

use super::Globals;
use crate::{cli::Cli, error::Failure, terminal};
use clap::{Command, CommandFactory as _};
use clap_mangen::Man;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Writes `jit-ssh.1` and one page a verb into `directory`.
///
/// # Errors
/// If they cannot be written.
pub fn run(globals: &Globals, directory: &Path) -> Result<(), Failure> {
    let failed = |error| Failure::failed(format!("cannot write to {}: {error}", directory.display()));
    fs::create_dir_all(directory).map_err(failed)?;
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let mut files = Vec::new();
    write(command, directory, &mut files).map_err(failed)?;
    if globals.json {
        let files: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
        terminal::print_json(&serde_json::json!({ "files": files }));
    } else {
        terminal::say(&format!("man pages are in {}", terminal::plain(&directory.display().to_string())));
    }
    Ok(())
}

/// The source of each page is the program: a verb has no version of its own.
fn write(command: Command, directory: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    let verbs = command.get_subcommands().filter(|verb| !verb.is_hide_set());
    verbs.cloned().try_for_each(|verb| write(verb, directory, files))?;
    let page = Man::new(command).source(concat!("jit-ssh ", env!("CARGO_PKG_VERSION"))).generate_to(directory)?;
    files.push(page);
    Ok(())
}
