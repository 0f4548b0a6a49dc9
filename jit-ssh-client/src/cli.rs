//! The command line.

use crate::{error::Failure, issuance::Wish};
use clap::{Args, Parser, Subcommand, ValueHint};
use policy::{Reason, Seconds, SessionId, Target, Ticket};
use std::path::PathBuf;

mod bundle;
mod endings;
mod glass;
mod issuing;
mod requests;
mod setup;

pub use bundle::VerifyBundle;
pub use endings::{Freeze, Revoke, Thaw};
pub use glass::{BreakGlass, Reviewed};
pub use issuing::{Certificate, Ensure, Ssh};
pub use requests::{Approve, Cancel, Deny, Done, Extend, RequestAccess, RequestRef, Requests, Review, Show, Sought};
pub use setup::Setup;

/// SSH access that exists only while it is needed.
#[derive(Debug, Parser)]
#[command(name = "jit-ssh", version, propagate_version = true, after_help = EXIT_CODES)]
pub struct Cli {
    /// The CA's address; remembered by login
    #[arg(long, global = true, env = "JIT_SSH_SERVER", value_name = "URL", help_heading = EVERYWHERE)]
    pub server: Option<String>,
    /// PEM file with further roots for the CA's and the issuer's TLS certificates
    #[arg(long, global = true, env = "JIT_SSH_CA_FILE", value_name = "FILE", value_hint = ValueHint::FilePath,
          help_heading = EVERYWHERE)]
    pub ca_file: Option<PathBuf>,
    /// Answer in JSON on stdout, errors too
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    pub json: bool,
    /// What to do
    #[command(subcommand)]
    pub verb: Verb,
}

/// Above the options that every verb has, below its own.
const EVERYWHERE: &str = "Everywhere";

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 denied, 4 needs login, 5 needs approval, 6 unreachable, 7 does not verify";

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Log in and keep a login session for this machine
    Login(Login),
    /// Get a certificate and run ssh with it
    Ssh(Ssh),
    /// See to it that the agent holds a live certificate (what ssh_config calls)
    Ensure(Ensure),
    /// Print a certificate, or write key and certificate to files, for tools that cannot use an agent
    Certificate(Certificate),
    /// Who is logged in, until when, and which certificates are live
    Status(Status),
    /// Where you are logged in, and ending a login from elsewhere
    Sessions(Sessions),
    /// What may be reached, and on which terms
    Hosts(Hosts),
    /// Why access is granted or not, and what would have to change
    Explain(Explain),
    /// In an emergency: get in at once and be reviewed afterwards
    BreakGlass(BreakGlass),
    /// Ask for access that people must approve, or that begins later
    Request(RequestAccess),
    /// List requests: your own, those you may review, all that you may audit
    Requests(Requests),
    /// Show one request: what is asked, what policy demands, what happened so far
    Show(Show),
    /// Ask for more time on a grant
    Extend(Extend),
    /// Give access back before its time
    Done(Done),
    /// Withdraw a request of yours
    Cancel(Cancel),
    /// Look through the requests that wait for you, and decide
    Review(Review),
    /// Say what you found about emergency access of somebody else, once it is over
    Reviewed(Reviewed),
    /// Approve a request, or less of it
    Approve(Approve),
    /// Say no to a request; ends it where it was approved
    Deny(Deny),
    /// Take access from whoever has it, where policy lets you administer
    Revoke(Revoke),
    /// Issue nothing any more to somebody, for a host or at all, until two people thaw it
    Freeze(Freeze),
    /// What is frozen, as far as it concerns you
    #[command(after_help = "Example: jit-ssh freezes --json")]
    Freezes,
    /// Say that what is frozen may go on; with a second person's word it does
    Thaw(Thaw),
    /// Remove our certificates from the agent and end the login session
    Logout,
    /// Check a bundle from the audit log, offline, with nothing but the log's public key
    VerifyBundle(VerifyBundle),
    /// Make stock ssh, scp, rsync, git, VS Code and Ansible get certificates by themselves
    Setup(Setup),
    /// Find the first thing that stands between you and a shell, and how to mend it
    Doctor(Doctor),
    /// Print a completion script
    #[command(after_help = "Example: jit-ssh completions bash > /etc/bash_completion.d/jit-ssh")]
    Completions {
        /// For which shell
        shell: clap_complete::Shell,
    },
    /// Write the man pages into a directory
    #[command(after_help = "Example: jit-ssh man /usr/local/share/man/man1")]
    Man {
        /// Where to
        #[arg(value_hint = ValueHint::DirPath)]
        directory: PathBuf,
    },
}

/// `login`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  jit-ssh login --server https://ssh-ca.example.com
  jit-ssh login --github-actions")]
pub struct Login {
    /// Print the address to open instead of opening a browser
    #[arg(long)]
    pub no_browser: bool,
    /// Log in on another device with a code (only where the server allows it)
    #[arg(long, conflicts_with_all = ["no_browser"])]
    pub device: bool,
    /// At which issuer, by name or URL; the server's first by default
    #[arg(long, value_name = "ISSUER")]
    pub issuer: Option<String>,
    /// Where the token of a workload comes from
    #[command(flatten)]
    pub token: Token,
}

/// Where a workload's token comes from.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub struct Token {
    /// Log in as a workload with the JWT in this file, `-` for stdin
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub token_file: Option<PathBuf>,
    /// Log in as a workload with the JWT in this environment variable
    #[arg(long, value_name = "NAME")]
    pub token_env: Option<String>,
    /// Log in as a GitHub Actions job (needs permission `id-token: write`)
    #[arg(long)]
    pub github_actions: bool,
    /// Log in as a workload with whatever token there is: JIT_SSH_ID_TOKEN, GitHub Actions, or a projected Kubernetes token
    #[arg(long)]
    pub workload: bool,
}

/// What to say beside the target.
#[derive(Debug, Args)]
pub struct Why {
    /// Why access is wanted
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<Reason>,
    /// Under which ticket
    #[arg(long, value_name = "ID")]
    pub ticket: Option<Ticket>,
    /// For how long, for example 30m; as long as policy allows by default
    #[arg(long = "for", value_name = "DURATION", value_parser = span)]
    pub duration: Option<Seconds>,
}

impl Why {
    /// As a wish.
    pub fn wish(&self) -> Wish {
        Wish { duration: self.duration, reason: self.reason.clone(), ticket: self.ticket.clone(), request: None }
    }
}

/// `status`
#[derive(Debug, Args)]
#[command(after_help = "Example: jit-ssh status --check")]
pub struct Status {
    /// Ask the server too whether the login session lives
    #[arg(long, conflicts_with = "offline")]
    pub check: bool,
    /// Ask the server nothing: no requests are shown then
    #[arg(long)]
    pub offline: bool,
}

/// `sessions`
#[derive(Debug, Args)]
#[command(after_help = "Example: jit-ssh sessions end s-00112233445566778899aabb")]
pub struct Sessions {
    /// Instead of listing them
    #[command(subcommand)]
    pub what: Option<OfSessions>,
}

/// What to do with a login session.
#[derive(Debug, Subcommand)]
pub enum OfSessions {
    /// End one, on whichever machine it is
    End {
        /// Which, as `jit-ssh sessions` names it
        #[arg(value_name = "ID")]
        session: SessionId,
    },
}

/// `hosts`
#[derive(Debug, Args)]
#[command(after_help = "Example: jit-ssh hosts prod")]
pub struct Hosts {
    /// Only hosts whose name, alias, group or label contains this
    pub filter: Option<String>,
}

/// `explain`
#[derive(Debug, Args)]
#[command(after_help = "Example: jit-ssh explain deploy@db-1")]
pub struct Explain {
    /// What to say to the CA
    #[command(flatten)]
    pub why: Why,
    /// For which target
    #[arg(value_name = "ACCOUNT@HOST", allow_hyphen_values = true)]
    pub target: String,
}

/// `doctor`
#[derive(Debug, Args)]
#[command(after_help = "Example: jit-ssh doctor deploy@web-1")]
pub struct Doctor {
    /// Look at the way to this host too: HOST or ACCOUNT@HOST
    #[arg(value_name = "[ACCOUNT@]HOST", allow_hyphen_values = true)]
    pub host: Option<String>,
}

/// A duration as typed: access for no time is none.
fn span(text: &str) -> Result<Seconds, String> {
    match text.parse::<Seconds>() {
        Ok(span) if span.as_secs() == 0 => Err("that is no time at all; write it like 30m or 1h30m".to_owned()),
        Ok(span) => Ok(span),
        Err(error) => Err(error.to_string()),
    }
}

/// A target as typed. What is refused here never reaches ssh, a file name or the CA.
///
/// # Errors
/// If it is no target.
pub fn target(text: &str) -> Result<Target, Failure> {
    const FORM: &str = "write it as account@host";
    text.parse().map_err(|error: policy::WordError| {
        let failure = Failure::usage(error.to_string());
        if failure.message.contains(FORM) { failure } else { failure.hint(FORM) }
    })
}
