//! `jit-ssh setup`.

use clap::Args;
use policy::HostName;

/// `setup`
#[derive(Debug, Args)]
#[command(after_help = "Example: jit-ssh setup --dry-run --domain corp.example")]
pub struct Setup {
    /// Do it without asking
    #[arg(long, short)]
    pub yes: bool,
    /// Show what would change, change nothing
    #[arg(long, conflicts_with_all = ["yes", "print"])]
    pub dry_run: bool,
    /// Print the file that would be included, change nothing
    #[arg(long, conflicts_with = "undo")]
    pub print: bool,
    /// Remove exactly what setup added
    #[arg(long)]
    pub undo: bool,
    /// Route new names in this domain at each login, without asking again; repeatable, replaces those of before
    #[arg(long, value_name = "DOMAIN", value_parser = domain, conflicts_with = "undo")]
    pub domain: Vec<HostName>,
    /// Name of the included file in ~/.ssh
    #[arg(long, value_name = "NAME", default_value = "jit-ssh.conf")]
    pub name: String,
}

/// A domain of somebody's: not a name like `com`, in which anybody's are.
fn domain(text: &str) -> Result<HostName, String> {
    let domain = text.parse::<HostName>().map_err(|error| error.to_string())?;
    if domain.as_str().contains('.') { Ok(domain) } else { Err("it has no dot: name a domain of yours".to_owned()) }
}
