//! Emergency access, and what is said of it afterwards.

use super::{RequestRef, Why};
use clap::{Args, ValueEnum, ValueHint};
use policy::{Incident, Reason, Verdict};

/// `break-glass`
#[derive(Debug, Args)]
#[command(
    after_help = "Example: jit-ssh break-glass root@db-1 --incident INC-7 --reason 'primary is down'\n\nIt connects at \
                        once. Security is told, the session must be recorded, and somebody else has to review it; until they \
                        have, once that is overdue, there is no next time."
)]
pub struct BreakGlass {
    /// Where to: HOST or ACCOUNT@HOST
    #[arg(value_name = "[ACCOUNT@]HOST", value_hint = ValueHint::Hostname)]
    pub destination: String,
    /// For which incident; asked for on a terminal if missing
    #[arg(long, value_name = "ID")]
    pub incident: Option<Incident>,
    /// What to say beside it
    #[command(flatten)]
    pub why: Why,
    /// Only get the certificate into the agent, and say so
    #[arg(long)]
    pub no_connect: bool,
    /// Everything after -- goes to ssh as it is
    #[arg(last = true, value_name = "SSH ARGS")]
    pub args: Vec<std::ffi::OsString>,
}

/// `reviewed`
#[derive(Debug, Args)]
#[command(
    after_help = "Example: jit-ssh reviewed r-00112233445566778899aabb --verdict fine --reason 'read the record: failover'"
)]
pub struct Reviewed {
    /// Which request or grant
    pub id: RequestRef,
    /// What you found
    #[arg(long, value_enum)]
    pub verdict: Found,
    /// In your words; asked for on a terminal if missing
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<Reason>,
}

/// What somebody found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Found {
    /// It was right
    Fine,
    /// Somebody should look further
    Concern,
}

impl From<Found> for Verdict {
    fn from(found: Found) -> Self {
        match found {
            Found::Fine => Self::Fine,
            Found::Concern => Self::Concern,
        }
    }
}
