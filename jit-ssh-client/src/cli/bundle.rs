//! The verb for whoever was given a part of the audit log.

use api::proof::note::Verifier;
use clap::{Args, ValueHint};
use std::path::PathBuf;

/// `verify-bundle`
#[derive(Debug, Args)]
#[command(after_help = "\
No login, no server, no network. A bundle that verifies is told as a timeline, with what it proves and what it does not; one \
that does not ends with exit code 7 and says in which entry.
Example: jit-ssh verify-bundle case-17.bundle --key \"$(cat log.vkey)\" --witness-key witness.example.com/1+6d3a21b9+BN…")]
pub struct VerifyBundle {
    /// The file, as `ca-server audit bundle` wrote it; `-` is standard input
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// The log's public key, as `ca-server audit key` printed it; get it from somebody you trust, not with the bundle
    #[arg(long, value_name = "VKEY")]
    pub key: Verifier,
    /// A witness' public key: its cosignature must be there too; may be repeated
    #[arg(long, value_name = "VKEY")]
    pub witness_key: Vec<Verifier>,
    /// A certificate that was found somewhere: it must be one of these
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub certificate: Option<PathBuf>,
}
