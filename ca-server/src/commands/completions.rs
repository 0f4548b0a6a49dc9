//! `ca-server completions`.

use crate::cli::Cli;
use clap::CommandFactory as _;
use std::process::ExitCode;

pub(super) fn completions(shell: clap_complete::Shell) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "ca-server", &mut script);
    super::print(&String::from_utf8(script)?)
}
