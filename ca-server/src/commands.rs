//! One file a command.

mod audit;
mod check;
mod completions;
mod dev;
mod explain;
mod init;
mod migrate_store;
mod policy;
mod run;
mod sinks;
mod starter;

use crate::cli::Command;
use std::{
    io::{self, Write as _},
    process::ExitCode,
};

/// Does what was asked.
pub(crate) fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Init(init) => init::init(&init),
        Command::Run(configured) => run::run(&configured),
        Command::Check(check) => check::check(&check),
        Command::Policy(asked) => policy::policy(&asked),
        Command::Audit(asked) => audit::audit(&asked),
        Command::Sinks(asked) => sinks::sinks(&asked),
        Command::MigrateStore(asked) => migrate_store::migrate_store(&asked),
        Command::StoreSchema(asked) => migrate_store::store_schema(&asked),
        Command::Dev(dev) => dev::dev(&dev),
        Command::Completions { shell } => completions::completions(shell),
        Command::Openapi => print(ca_server::http::openapi::DOCUMENT),
    }
}

/// Prints `text`. A reader that has enough (`| head`) is no failure.
fn print(text: &str) -> anyhow::Result<ExitCode> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}
