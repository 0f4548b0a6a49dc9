//! The command line.

mod audit;
mod policy_diff;

pub(crate) use audit::{Audit, Bundle, Export, Kept, Key, Tail, Verify, Witness};

pub(crate) use policy_diff::PolicyDiff;

use clap::{Args, Parser, Subcommand};
use policy::{Group, Reason, Seconds, Target, Ticket};
use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

/// The SSH certificate authority of jit-ssh.
///
/// It gives people and workloads SSH certificates of minutes, as policy allows, and keeps a record of each.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "\
Exit codes: 0 done, 1 failed or findings, 2 wrong usage.

Examples:
  ca-server init /etc/jit-ssh                          make keys, configuration and a starter policy
  ca-server check --config /etc/jit-ssh/config.toml    find what is wrong before it matters
  ca-server run --config /etc/jit-ssh/config.toml      serve
  ca-server dev                                        try it out on loopback, nothing kept"
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Init(Init),
    Run(Configured),
    Check(Check),
    #[command(subcommand)]
    Policy(Policy),
    #[command(subcommand)]
    Audit(Box<Audit>),
    #[command(subcommand)]
    Sinks(Sinks),
    MigrateStore(MigrateStore),
    StoreSchema(StoreSchema),
    Dev(Dev),
    /// Print a completion script for a shell
    #[command(after_help = "Example: ca-server completions bash > /etc/bash_completion.d/ca-server")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the API as OpenAPI 3.1
    Openapi,
}

/// Make the CA keys, a commented configuration and a starter policy in a new directory
#[derive(Args, Debug)]
#[command(after_help = "Nothing that exists is overwritten.

Examples:
  ca-server init /etc/jit-ssh
  ca-server init /etc/jit-ssh --audience https://ssh-ca.example.com --passphrase")]
pub(crate) struct Init {
    /// Where to; made if it is not there, mode 0700
    pub(crate) directory: PathBuf,
    /// The server's public URL
    #[arg(long, value_name = "URL", default_value = "https://ssh-ca.example.com")]
    pub(crate) audience: String,
    /// Ask for a passphrase that protects the keys' files
    #[arg(long, conflicts_with = "passphrase_file")]
    pub(crate) passphrase: bool,
    /// Protect the keys' files with the first line of this file
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Make only the keys that an older install lacks: the audit log's, the KRL's
    #[arg(long)]
    pub(crate) missing: bool,
}

/// Serve, in the foreground
#[derive(Args, Debug)]
#[command(after_help = "\
When it serves it prints one JSON line to standard output: {\"ready\":true,\"url\":…,\"ops\":…}.
The log goes to standard error, one JSON object a line.

SIGTERM, SIGINT  finish what is in flight, then end
SIGHUP           read the policy directory and the TLS files again (both are also watched)

Example: ca-server run --config /etc/jit-ssh/config.toml")]
pub(crate) struct Configured {
    /// The configuration
    #[arg(long, value_name = "FILE", env = "JIT_SSH_CA_CONFIG")]
    pub(crate) config: PathBuf,
}

/// Check everything that a start needs, and change nothing
#[derive(Args, Debug)]
#[command(after_help = "\
Errors would stop a start or refuse every login; warnings would not. Exit code 1 if there is an error.

Examples:
  ca-server check --config /etc/jit-ssh/config.toml
  ca-server check --config config.toml --offline --json")]
pub(crate) struct Check {
    #[command(flatten)]
    pub(crate) configured: Configured,
    /// Ask no issuer
    #[arg(long)]
    pub(crate) offline: bool,
    /// One JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Copy a store in a file into a PostgreSQL database, all of it or nothing, and verify the log on both sides
#[derive(Args, Debug)]
#[command(after_help = "\
Stop the server first: a store that is served is refused. The file is left as it is, the database must hold nothing of a \
ca-server yet. Afterwards start the server with the new configuration, and keep the file as a backup.

Example: ca-server migrate-store --config /etc/jit-ssh/config.toml --to /etc/jit-ssh/postgres.toml")]
pub(crate) struct MigrateStore {
    /// The configuration whose [store] is the file
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// The configuration whose [store] is the database
    #[arg(long, value_name = "FILE")]
    pub(crate) to: PathBuf,
    /// One JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Print the SQL that makes the tables of a PostgreSQL store, for the database's owner to run
#[derive(Args, Debug)]
#[command(after_help = "\
A server whose role may make tables does so at its start. Where it may not, the owner runs this once, and again with --from \
after an upgrade that says so. With --role the rights of that role follow: it can append to the audit log and change none \
of it.

Example: ca-server store-schema --role jit_ssh | psql -1 -d jit_ssh")]
pub(crate) struct StoreSchema {
    /// The role to give the server's rights to
    #[arg(long)]
    pub(crate) role: Option<String>,
    /// The version that is there; 0 makes everything
    #[arg(long, default_value_t = 0)]
    pub(crate) from: i32,
}

/// Check policies, and ask them
#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// Validate a policy directory and run its tests
    #[command(after_help = "Example: ca-server policy check /etc/jit-ssh/policy")]
    Check {
        /// The policy directory
        directory: PathBuf,
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    Explain(Box<Explain>),
    Diff(PolicyDiff),
}

/// Say what the policies would decide, and why
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ca-server policy explain /etc/jit-ssh/policy --user ada@example.com --group sre deploy@web-1
  ca-server policy explain --config config.toml --user ada@example.com --group dev root@db-1 --at 2026-01-04T03:00:00Z")]
pub(crate) struct Explain {
    /// The policy directory (or --config), then the targets: account@host
    #[arg(value_name = "DIR|TARGET", required = true)]
    pub(crate) arguments: Vec<String>,
    /// Take policy directory and time zone from this configuration
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Who asks: an e-mail address or a subject
    #[arg(long, value_name = "NAME")]
    pub(crate) user: String,
    /// A group of theirs; may be given again
    #[arg(long = "group", value_name = "GROUP")]
    pub(crate) groups: Vec<Group>,
    /// Their issuer
    #[arg(long, default_value = "https://issuer.example")]
    pub(crate) issuer: policy::Issuer,
    /// A workload asks, not a person
    #[arg(long)]
    pub(crate) workload: bool,
    /// A claim of the workload's token, as name=value; may be given again
    #[arg(long = "claim", value_name = "NAME=VALUE")]
    pub(crate) claims: Vec<String>,
    /// They used more than one factor
    #[arg(long)]
    pub(crate) mfa: bool,
    /// How long ago they logged in
    #[arg(long, value_name = "DURATION")]
    pub(crate) logged_in: Option<Seconds>,
    /// From where they ask
    #[arg(long, default_value = "127.0.0.1")]
    pub(crate) source: IpAddr,
    /// For how long
    #[arg(long)]
    pub(crate) duration: Option<Seconds>,
    /// Why
    #[arg(long)]
    pub(crate) reason: Option<Reason>,
    /// Under which ticket
    #[arg(long)]
    pub(crate) ticket: Option<Ticket>,
    /// When, such as 2026-01-04T03:00:00Z; now if absent
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<jiff::Timestamp>,
    /// One JSON object a target
    #[arg(long)]
    pub(crate) json: bool,
}

impl Explain {
    /// The policy directory, where it is not the configuration's, and the targets.
    pub(crate) fn split(&self) -> anyhow::Result<(Option<PathBuf>, Vec<Target>)> {
        let (directory, targets) = match (&self.config, self.arguments.split_first()) {
            (None, Some((directory, targets))) => (Some(PathBuf::from(directory)), targets),
            _ => (None, self.arguments.as_slice()),
        };
        if targets.is_empty() {
            anyhow::bail!("name at least one target, as account@host");
        }
        let parsed = targets
            .iter()
            .map(|target| target.parse().map_err(|error| anyhow::anyhow!("{error}: {}", target.escape_default())));
        Ok((directory, parsed.collect::<anyhow::Result<_>>()?))
    }
}

/// See where audit entries are delivered to, and what could not be
#[derive(Debug, Subcommand)]
#[command(after_help = "\
These ask the server that runs, at its operators' address (listen.ops), because it alone has the store open.")]
pub(crate) enum Sinks {
    /// How each sink stands; exit code 1 if one fails or has dead letters
    #[command(after_help = "Example: ca-server sinks status --config /etc/jit-ssh/config.toml")]
    Status(AtServer),
    /// What a sink gave up, and why
    #[command(after_help = "Example: ca-server sinks dead-letters siem --config /etc/jit-ssh/config.toml")]
    DeadLetters {
        /// The sink's name
        sink: String,
        #[command(flatten)]
        at: AtServer,
    },
    /// Have a sink try what it gave up once more
    #[command(after_help = "Example: ca-server sinks retry siem --config /etc/jit-ssh/config.toml")]
    Retry {
        /// The sink's name
        sink: String,
        #[command(flatten)]
        at: AtServer,
    },
}

/// Which server is asked.
#[derive(Args, Debug)]
pub(crate) struct AtServer {
    /// The configuration, for its listen.ops
    #[arg(long, value_name = "FILE", env = "JIT_SSH_CA_CONFIG", required_unless_present = "ops")]
    pub(crate) config: Option<PathBuf>,
    /// The operators' address, instead of the configuration's
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) ops: Option<SocketAddr>,
    /// The answer as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Serve on loopback for development, with an OpenID Provider of its own that lets anybody in
#[derive(Args, Debug)]
#[command(after_help = "\
When it serves it prints one JSON line to standard output:
  {\"ready\":true,\"url\":…,\"ops\":…,\"issuer\":…,\"user_ca\":…,\"dir\":…}

Whom one may be at the login page, and what the policies in DIR/policy let them do:
  alice  engineer, on call: staging at once, prod once approved, prod at once by break-glass
  bob    lead, and vera's sponsor: approves, on prod and appliance
  carol  security: approves and reviews, revokes, freezes; thaws together with dan
  dan    security too
  vera   vendor: appliance, with a ticket, once bob has approved
  otto   auditor: sees every request, changes nothing
  eve    nobody

To be two people at once, give each a directory and an agent of their own:
  export JIT_SSH_SERVER=http://127.0.0.1:8400 XDG_RUNTIME_DIR=/tmp/alice; mkdir -m 700 /tmp/alice; eval \"$(ssh-agent)\"
  jit-ssh login
and the same with /tmp/bob in another terminal. staging, prod and appliance are one sshd on three
ports, for the account that starts it:
  /usr/sbin/sshd -D -e -f DIR/sshd/sshd_config
README.md (\"Play it through\") has a whole life of a grant to paste: request, approve, ssh, done, revoke, bundle.

Example: ca-server dev --listen 127.0.0.1:8400 --dir /tmp/jit-dev")]
pub(crate) struct Dev {
    /// The API's address; loopback only
    #[arg(long, default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,
    /// Keep keys, store and policy here; a temporary directory if absent
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
    /// Policies to use instead of those that come with it
    #[arg(long, value_name = "DIR")]
    pub(crate) policy: Option<PathBuf>,
    /// Where the sshd of these policies' hosts listens on 127.0.0.1, here and at the next two ports; written at the first
    /// start
    #[arg(long, value_name = "PORT", default_value_t = 2222, value_parser = clap::value_parser!(u16).range(1..=65_533))]
    pub(crate) sshd_port: u16,
}
