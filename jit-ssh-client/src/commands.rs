//! One file a verb.

mod approve;
mod break_glass;
mod cancel;
mod certificate;
mod completions;
mod deny;
mod doctor;
mod done;
mod ensure;
mod explain;
mod extend;
mod freezes;
mod hosts;
mod login;
mod logout;
mod man;
mod request;
mod requests;
mod review;
mod reviewed;
mod revoke;
mod sessions;
mod setup;
mod show;
mod ssh;
mod status;
mod verify_bundle;

use crate::{
    ca_client::CaClient,
    cli::{Cli, Verb},
    error::Failure,
    settings::{self, Server, Settings},
    state::{StateDir, session::Session},
};
use std::{path::PathBuf, process::ExitCode};

/// What every verb knows.
pub struct Globals {
    /// `--json`.
    pub json: bool,
    server: Option<String>,
    ca_file: Option<PathBuf>,
}

/// Runs the verb.
///
/// # Errors
/// The verb's.
pub fn run(cli: Cli) -> Result<ExitCode, Failure> {
    // A login keeps it for its own session; the former one, perhaps at another CA, is ended with its own.
    if let Some(path) = cli.ca_file.as_ref().filter(|_| !matches!(cli.verb, Verb::Login(_))) {
        settings::insist_on_ca_file(path)?;
    }
    let globals = Globals { json: cli.json, server: cli.server, ca_file: cli.ca_file };
    let done = match cli.verb {
        Verb::Login(args) => login::run(&globals, &args),
        Verb::Ssh(args) => ssh::run(&globals, &args),
        Verb::Ensure(args) => return ensure::run(&globals, &args),
        Verb::Certificate(args) => certificate::run(&globals, &args),
        Verb::Status(args) => status::run(&globals, &args),
        Verb::Sessions(args) => sessions::run(&globals, &args),
        Verb::Hosts(args) => hosts::run(&globals, &args),
        Verb::Explain(args) => explain::run(&globals, &args),
        Verb::BreakGlass(args) => break_glass::run(&globals, &args),
        Verb::Request(args) => request::run(&globals, &args),
        Verb::Requests(args) => requests::run(&globals, &args),
        Verb::Show(args) => show::run(&globals, &args),
        Verb::Extend(args) => extend::run(&globals, &args),
        Verb::Done(args) => done::run(&globals, &args),
        Verb::Cancel(args) => cancel::run(&globals, &args),
        Verb::Review(args) => review::run(&globals, &args),
        Verb::Reviewed(args) => reviewed::run(&globals, &args),
        Verb::Approve(args) => approve::run(&globals, &args),
        Verb::Deny(args) => deny::run(&globals, &args),
        Verb::Revoke(args) => revoke::run(&globals, &args),
        Verb::Freeze(args) => freezes::freeze(&globals, &args),
        Verb::Freezes => freezes::list(&globals),
        Verb::Thaw(args) => freezes::thaw(&globals, &args),
        Verb::VerifyBundle(args) => return verify_bundle::run(&globals, &args),
        Verb::Logout => logout::run(&globals),
        Verb::Setup(args) => setup::run(&globals, &args),
        Verb::Doctor(args) => return doctor::run(&globals, &args),
        Verb::Completions { shell } => completions::run(&globals, shell),
        Verb::Man { directory } => man::run(&globals, &directory),
    };
    done.map(|()| ExitCode::SUCCESS)
}

impl Globals {
    /// The server to log in at.
    ///
    /// # Errors
    /// If none is named anywhere.
    pub fn server(&self) -> Result<Server, Failure> {
        let named = match &self.server {
            Some(named) => Some(named.clone()),
            None => Settings::load()?.server,
        };
        named
            .ok_or_else(|| {
                Failure::usage("which CA? No server is configured").hint("jit-ssh login --server https://…")
            })?
            .parse()
    }

    /// Further roots.
    ///
    /// # Errors
    /// If `config.toml` cannot be read.
    pub fn ca_file(&self) -> Result<Option<PathBuf>, Failure> {
        let named = match &self.ca_file {
            Some(path) => Some(path.clone()),
            None => Settings::load()?.ca_file,
        };
        named
            .map(|path| std::path::absolute(&path).map_err(|error| Failure::usage(format!("ca_file: {error}"))))
            .transpose()
    }

    /// The live login session. One at another server than `--server` names is not it.
    ///
    /// # Errors
    /// If there is none: exit code 4.
    pub fn session(&self, state: &StateDir) -> Result<Session, Failure> {
        let session = Session::live(state)?;
        self.same_server(&session)?;
        Ok(session)
    }

    /// A client for the live login session.
    ///
    /// # Errors
    /// If there is none.
    pub fn signed_in(&self) -> Result<(CaClient, Session), Failure> {
        let session = self.session(&StateDir::open()?)?;
        Ok((CaClient::for_session(&session)?, session))
    }

    /// Whether `session` is at the server that was named, if one was.
    ///
    /// # Errors
    /// If it is at another.
    pub fn same_server(&self, session: &Session) -> Result<(), Failure> {
        let Some(named) = &self.server else { return Ok(()) };
        let named: Server = named.parse()?;
        if named.as_str() == session.server {
            return Ok(());
        }
        Err(Failure::needs_login(format!("you are logged in at {}, not at {named}", session.server))
            .hint(format!("log in there: jit-ssh login --server {named}")))
    }
}

impl Globals {
    /// As [`Globals::same_server`], for a session that need not be there.
    ///
    /// # Errors
    /// If it is at another server than was named.
    pub fn same_server_if_named(&self, state: &StateDir) -> Result<(), Failure> {
        match &self.server {
            Some(_) => Session::load(state)?.map_or(Ok(()), |session| self.same_server(&session)),
            None => Ok(()),
        }
    }
}
