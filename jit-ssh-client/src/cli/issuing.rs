//! The verbs that get a certificate.

use super::Why;
use clap::{Args, ValueHint};
use std::path::PathBuf;

/// `ssh`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  jit-ssh ssh deploy@web-1
  jit-ssh ssh --reason 'roll back 4.2' --for 30m deploy@db-1 -L 5432:localhost:5432")]
pub struct Ssh {
    /// What to say to the CA
    #[command(flatten)]
    pub why: Why,
    /// Where to: HOST or ACCOUNT@HOST
    #[arg(value_name = "[ACCOUNT@]HOST", value_hint = ValueHint::Hostname)]
    pub destination: String,
    /// Everything after the host goes to ssh as it is
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "SSH ARGS")]
    pub args: Vec<std::ffi::OsString>,
}

/// `ensure`
#[derive(Debug, Args)]
#[command(after_help = "Example: jit-ssh ensure --reason 'roll back 4.2' deploy@web-1")]
pub struct Ensure {
    /// Say nothing on success, one line otherwise
    #[arg(long, short)]
    pub quiet: bool,
    /// Get a new certificate although the present one is fresh
    #[arg(long)]
    pub renew: bool,
    /// Where people must approve first, ask on the terminal that ssh runs on, file the request and wait
    #[arg(long, conflicts_with = "renew")]
    pub ask: bool,
    /// What to say to the CA
    #[command(flatten)]
    pub why: Why,
    /// For which target
    #[arg(value_name = "ACCOUNT@HOST", allow_hyphen_values = true)]
    pub target: String,
}

/// `certificate`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  jit-ssh certificate deploy@web-1 --files ./keys
  jit-ssh certificate deploy@web-1 --key ~/.ssh/id_ed25519_sk.pub --out web-1-cert.pub")]
pub struct Certificate {
    /// What to say to the CA
    #[command(flatten)]
    pub why: Why,
    /// Certify this public key; possession is proven by `ssh-keygen -Y sign`, with the private key beside it or in the agent
    #[arg(long, value_name = "PUBLIC KEY FILE", value_hint = ValueHint::FilePath, conflicts_with = "files")]
    pub key: Option<PathBuf>,
    /// Write the certificate here instead of to stdout
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "files")]
    pub out: Option<PathBuf>,
    /// Write a fresh private key (0600) and its certificate into this directory
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub files: Option<PathBuf>,
    /// For which target
    #[arg(value_name = "ACCOUNT@HOST", allow_hyphen_values = true)]
    pub target: String,
}
