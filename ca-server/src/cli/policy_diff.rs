//! The command line of `ca-server policy diff`.

use clap::Args;
use std::path::PathBuf;

/// Say what differs between two policy directories, and which past requests they would decide otherwise
#[derive(Args, Debug)]
#[command(after_help = "\
With --replay every request for access that is on record is decided under both sets, with the facts on record: who asked, with \
which groups and factors, when, from where, for how long, why. What only people's approvals decided is replayed as the question \
whether it could be asked for. Nothing is verified: `ca-server audit verify` does that.
Exit codes: 0 nothing differs (with --replay: nothing would be decided otherwise), 1 it could not be done, 2 wrong usage, \
4 something differs.
Examples:
  ca-server policy diff /etc/jit-ssh/policy ./proposed
  ca-server policy diff /etc/jit-ssh/policy ./proposed --replay /var/lib/jit-ssh/jit-ssh.redb")]
pub(crate) struct PolicyDiff {
    /// The policy directory as it is
    #[arg(value_name = "OLD")]
    pub(crate) old: PathBuf,
    /// The one that is to take its place
    #[arg(value_name = "NEW")]
    pub(crate) new: PathBuf,
    /// A store's file, which may be in use, or a file that `audit export` wrote
    #[arg(long, value_name = "AUDIT")]
    pub(crate) replay: Option<PathBuf>,
    /// One JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}
