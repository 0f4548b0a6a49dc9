//! The command line of `ca-server audit`.

use ca_server::audit::note::Verifier;
use clap::{ArgGroup, Args, Subcommand};
use policy::{GrantId, RequestId, Seconds, WordError};
use std::{fmt, path::PathBuf, str::FromStr};

/// Read, check and watch the audit log
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Exit codes: 0 done, 1 it could not be done, 2 wrong usage, 3 the log is not the one that was signed or seen before.")]
pub(crate) enum Audit {
    Verify(Verify),
    Export(Export),
    Bundle(Bundle),
    Tail(Tail),
    Witness(Witness),
    Key(Key),
}

/// Where the log is kept; it may be in use
#[derive(Args, Debug)]
#[group(id = "kept", required = true, multiple = false)]
pub(crate) struct Kept {
    /// The store's file
    #[arg(long, value_name = "FILE")]
    pub(crate) store: Option<PathBuf>,
    /// The server's configuration, for the store that it names: a file or a database
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// Check that entries, tree and signed checkpoint agree, and say which entry does not
#[derive(Args, Debug)]
#[command(group(ArgGroup::new("log").required(true)), after_help = "\
The store may be in use. Whoever holds the log's key can sign another history: only a checkpoint that was kept elsewhere \
(--checkpoint, or a witness) shows that nothing before it changed.

Exit codes: 0 verified, 1 it could not be checked, 3 the log is not what was signed or seen.

Examples:
  ca-server audit verify --store /var/lib/jit-ssh/jit-ssh.redb --key \"$(cat log.vkey)\" --checkpoint monday.checkpoint
  ca-server audit verify --config /etc/jit-ssh/config.toml --key \"$(cat log.vkey)\"
  ca-server audit verify --export audit.jsonl --key ssh-ca.example.com+1a2b3c4d+AX…")]
pub(crate) struct Verify {
    /// The store's file
    #[arg(long, value_name = "FILE", group = "log")]
    pub(crate) store: Option<PathBuf>,
    /// The server's configuration, for the store that it names: a file or a database
    #[arg(long, value_name = "FILE", group = "log")]
    pub(crate) config: Option<PathBuf>,
    /// A file that `audit export` wrote
    #[arg(long, value_name = "FILE", group = "log")]
    pub(crate) export: Option<PathBuf>,
    /// The log's public key, as `audit key` printed it when it was made
    #[arg(long, value_name = "VKEY")]
    pub(crate) key: Verifier,
    /// A checkpoint of this log that was kept from before; an export must reach from entry 0 to its size, or be of its very tree
    #[arg(long, value_name = "FILE")]
    pub(crate) checkpoint: Option<PathBuf>,
}

/// Print entries with their proofs, as JSON lines that `audit verify --export` checks
#[derive(Args, Debug)]
#[command(after_help = "\
Each line holds index, entry, leaf hash and inclusion proof; the last one the signed checkpoint that they lead to.

Example: ca-server audit export --store jit-ssh.redb --from 1000 > audit.jsonl")]
pub(crate) struct Export {
    #[command(flatten)]
    pub(crate) kept: Kept,
    /// The first entry
    #[arg(long, default_value_t = 0)]
    pub(crate) from: u64,
    /// Up to before this entry; all there are if absent
    #[arg(long)]
    pub(crate) to: Option<u64>,
}

/// Write one grant from request to end into a file, with proofs, for `jit-ssh verify-bundle` to check offline
#[derive(Args, Debug)]
#[command(group(ArgGroup::new("from").required(true)), after_help = "\
The file holds everything in the log that speaks of the grant: request, approvals, certificates, ends; the logins of those \
people; the policy sets that decided, as text; and for each entry the proof that it is in the log. Give it to whoever has the \
log's public key.
Examples:
  ca-server audit bundle r-00112233445566778899aabb --store /var/lib/jit-ssh/jit-ssh.redb -o case-17.bundle
  ca-server audit bundle g-00112233445566778899aabb --export audit.jsonl -o -")]
pub(crate) struct Bundle {
    /// The grant or the request, as certificates, `jit-ssh requests` and the log name it
    #[arg(value_name = "GRANT|REQUEST")]
    pub(crate) about: About,
    /// The store's file; it may be in use
    #[arg(long, value_name = "FILE", group = "from")]
    pub(crate) store: Option<PathBuf>,
    /// A file that `audit export` wrote, of all entries
    #[arg(long, value_name = "FILE", group = "from")]
    pub(crate) export: Option<PathBuf>,
    /// The server's configuration, for its store
    #[arg(long, value_name = "FILE", group = "from")]
    pub(crate) config: Option<PathBuf>,
    /// A checkpoint to prove against, as a witness keeps it (--state): cosigned; the latest, which no witness saw, if absent
    #[arg(long, value_name = "FILE", conflicts_with = "export")]
    pub(crate) checkpoint: Option<PathBuf>,
    /// Where to; it must not be there yet. `-` is standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
}

/// A grant, by its own id or by that of the request it came of.
#[derive(Clone, Debug)]
pub(crate) struct About(GrantId);

impl About {
    /// The grant.
    pub(crate) fn grant(&self) -> GrantId {
        self.0.clone()
    }
}

impl FromStr for About {
    type Err = WordError;
    fn from_str(text: &str) -> Result<Self, WordError> {
        match text.parse::<RequestId>() {
            Ok(request) => Ok(Self(request.grant())),
            Err(_no_request) => text.parse().map(Self),
        }
    }
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Print the newest entries, a line each
#[derive(Args, Debug)]
#[command(after_help = "Example: ca-server audit tail --store /var/lib/jit-ssh/jit-ssh.redb --follow")]
pub(crate) struct Tail {
    #[command(flatten)]
    pub(crate) kept: Kept,
    /// So many of those that are there
    #[arg(short = 'n', long, default_value_t = 20)]
    pub(crate) lines: u64,
    /// And those to come, until interrupted
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// The entries as they are, JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Watch a log from elsewhere: remember its checkpoints, refuse one that does not continue the last, cosign the others
#[derive(Args, Debug)]
#[command(after_help = "\
The state file holds the last checkpoint, cosigned. Without one the first checkpoint is taken as it comes.

Exit codes: 0 it continues, 1 it could not be asked, 3 the log was rolled back, forked or replaced.

Example: ca-server audit witness --url https://ssh-ca.example.com --key \"$(cat log.vkey)\" \\
           --state ssh-ca.checkpoint --signing-key witness_key --name witness.example.com/1")]
pub(crate) struct Witness {
    /// The server's public URL
    #[arg(long)]
    pub(crate) url: url::Url,
    /// The log's public key
    #[arg(long, value_name = "VKEY")]
    pub(crate) key: Verifier,
    /// Where to keep the last checkpoint
    #[arg(long, value_name = "FILE")]
    pub(crate) state: PathBuf,
    /// The witness' private key: Ed25519, OpenSSH format
    #[arg(long, value_name = "FILE")]
    pub(crate) signing_key: PathBuf,
    /// The witness' name in its signatures
    #[arg(long)]
    pub(crate) name: String,
    /// A file with the passphrase of the private key
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Certificates of authorities that may vouch for the server, PEM
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Ask once, then end
    #[arg(long)]
    pub(crate) once: bool,
    /// How often to ask
    #[arg(long, default_value = "1m", conflicts_with = "once")]
    pub(crate) every: Seconds,
}

/// Print the public key that checks a log, or a witness' cosignatures
#[derive(Args, Debug)]
#[command(group(ArgGroup::new("whose").required(true)), after_help = "\
Give it to whoever is to check the log, by a way that whoever runs the server does not control.

Examples:
  ca-server audit key --config /etc/jit-ssh/config.toml
  ca-server audit key --witness witness_key.pub --name witness.example.com/1")]
pub(crate) struct Key {
    /// The server's configuration
    #[arg(long, value_name = "FILE", group = "whose")]
    pub(crate) config: Option<PathBuf>,
    /// A witness' public key file, OpenSSH format
    #[arg(long, value_name = "FILE", group = "whose", requires = "name")]
    pub(crate) witness: Option<PathBuf>,
    /// The witness' name
    #[arg(long, conflicts_with = "config")]
    pub(crate) name: Option<String>,
}
