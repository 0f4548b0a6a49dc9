//! The verbs of security: what ends before its time, and what is not issued.

use super::requests::RequestRef;
use clap::{ArgGroup, Args};
use policy::{FreezeId, HostName, Issuer, PolicyId, Reason, Serial, Subject};

/// `revoke`
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("scope").required(true), after_help = REVOKE)]
pub struct Revoke {
    /// This request or grant; may be repeated
    #[arg(long, value_name = "ID", group = "scope")]
    pub grant: Vec<RequestRef>,
    /// Everything of this person or machine: verified e-mail address or subject
    #[arg(long, value_name = "NAME", group = "scope")]
    pub user: Option<Subject>,
    /// Everything on this host
    #[arg(long, value_name = "HOST", group = "scope")]
    pub host: Option<HostName>,
    /// Everything that this policy granted
    #[arg(long, value_name = "POLICY", group = "scope")]
    pub policy: Option<PolicyId>,
    /// This certificate alone
    #[arg(long, value_name = "SERIAL", group = "scope", value_parser = serial)]
    pub serial: Option<Serial>,
    /// Everything of everybody whom this issuer vouches for
    #[arg(long, value_name = "URL", group = "scope")]
    pub all_of_issuer: Option<Issuer>,
    /// Whom this issuer knows by that name, where several do
    #[arg(long, value_name = "URL", requires = "user", conflicts_with_all = ["grant", "host", "policy", "serial", "all_of_issuer"])]
    pub at: Option<Issuer>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub reason: Reason,
    /// Do not ask whether you mean it
    #[arg(long, short)]
    pub yes: bool,
}

const REVOKE: &str = "\
Requests and logins of this scope end, so nothing more comes of them; certificates that live go into the list that hosts fetch.

Example: jit-ssh revoke --user ann@example.com --reason 'laptop stolen'";

/// `freeze`
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("scope").required(true), after_help = FREEZE)]
pub struct Freeze {
    /// This person: verified e-mail address or subject
    #[arg(long, value_name = "NAME", group = "scope")]
    pub user: Option<Subject>,
    /// This machine: its subject
    #[arg(long, value_name = "NAME", group = "scope")]
    pub workload: Option<Subject>,
    /// This host
    #[arg(long, value_name = "HOST", group = "scope")]
    pub host: Option<HostName>,
    /// Everything, break-glass too
    #[arg(long, group = "scope")]
    pub everything: bool,
    /// Whom this issuer knows by that name, where several do
    #[arg(long, value_name = "URL", conflicts_with_all = ["host", "everything"])]
    pub at: Option<Issuer>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub reason: Reason,
    /// Do not ask whether you mean it
    #[arg(long, short)]
    pub yes: bool,
}

const FREEZE: &str = "\
No certificate is issued any more until two people thaw it; what was issued before goes on until it expires or is revoked.

Example: jit-ssh freeze --host db-1 --reason 'forensics'";

/// `thaw`
#[derive(Debug, Args)]
#[command(after_help = "Example: jit-ssh thaw f-00112233445566778899aabb --reason 'disk imaged'")]
pub struct Thaw {
    /// Which freeze, as `jit-ssh freezes` names it
    #[arg(value_name = "ID")]
    pub id: FreezeId,
    /// Why it may go on
    #[arg(long, value_name = "TEXT")]
    pub reason: Reason,
}

fn serial(text: &str) -> Result<Serial, String> {
    const RULE: &str = "a serial is a whole number from 1 to 2^63 - 1";
    let number: u64 = text.parse().map_err(|_not_a_number| RULE.to_owned())?;
    Serial::try_from(number).map_err(|_out_of_range| RULE.to_owned())
}
