//! `ca-server init`: keys, configuration, starter policy; and what to do next.

use super::{
    print,
    starter::{self, make_directory, must_be_free, new_file},
};
use crate::cli::Init;
use anyhow::{Context as _, bail};
use ca_server::{
    audit::{
        checkpoint,
        note::{Kind, Verifier},
    },
    ca,
    config::{Audience, Config, Passphrase},
    custody::{self, Generated},
};
use std::{fmt::Write as _, fs, path::Path, process::ExitCode};

/// The audience of the starter configuration, until somebody names their own.
pub(super) const PLACEHOLDER: &str = "https://ssh-ca.example.com";

const CONFIGURATION: &str = include_str!("../../starter/config.toml");

pub(super) fn init(asked: &Init) -> anyhow::Result<ExitCode> {
    let Init { directory, audience, .. } = asked;
    let audience = Audience::try_from(audience.clone()).map_err(|error| anyhow::anyhow!("--audience: {error}"))?;
    if asked.missing {
        return missing(asked, &audience);
    }
    // All of it is looked at before any of it is written: a second init changes nothing, and says so.
    for name in ["config.toml", "keys", "policy"] {
        must_be_free(&directory.join(name))?;
    }
    let passphrase = passphrase(asked)?;
    make_directory(directory)?;
    let keys = custody::generate(&directory.join("keys"), passphrase.as_ref().map(Passphrase::reveal))?;
    starter::write(&directory.join("policy"))?;
    let config = directory.join("config.toml");
    new_file(&config, &CONFIGURATION.replace(PLACEHOLDER, audience.as_str()))?;
    let log_key = log_key(&audience, &keys.log_public)?;
    print(&told(directory, &config, &keys, &log_key, passphrase.is_some()))
}

/// The keys that an install lacks because it is older than they. Nothing else is made.
fn missing(asked: &Init, audience: &Audience) -> anyhow::Result<ExitCode> {
    let passphrase = passphrase(asked)?;
    let made = custody::generate_missing(&asked.directory.join("keys"), passphrase.as_ref().map(Passphrase::reveal))?;
    let mut said = String::new();
    if let Some((file, public)) = made.log {
        // An install has a name already; the default of --audience is not it.
        let config = Config::load(&asked.directory.join("config.toml"));
        let key = log_key(config.as_ref().map_or(audience, |config| config.audience.get_ref()), &public)?;
        let file = file.display();
        writeln!(
            said,
            "Made {file}: signs the audit log (back it up, offline). Its public key, for whoever checks the log:\n\n  {key}\n"
        )?;
    }
    if let Some((file, public)) = made.krl {
        let (file, signer) = (file.display(), krl_signer(&public));
        writeln!(
            said,
            "Made {file}: signs what hosts are told of revoked certificates (back it up, offline). For /etc/ssh/jit-ssh/krl_signers on each host that fetches the list:\n\n  {signer}\n"
        )?;
    }
    print(said.trim_end_matches('\n'))?;
    print("\n")
}

fn log_key(audience: &Audience, public: &[u8; 32]) -> anyhow::Result<Verifier> {
    Ok(Verifier::new(checkpoint::origin(audience.as_str()), Kind::Text, public)?)
}

/// A line of an allowed signers file (ssh-keygen(1)): this key may sign that, and nothing else.
fn krl_signer(public: &str) -> String {
    format!("krl namespaces=\"{}\" {public}", ca::krl::NAMESPACE)
}

fn passphrase(asked: &Init) -> anyhow::Result<Option<Passphrase>> {
    if let Some(file) = &asked.passphrase_file {
        let read = Passphrase::read(file);
        return read.map(Some).with_context(|| format!("cannot read a passphrase from {}", file.display()));
    }
    if !asked.passphrase {
        return Ok(None);
    }
    if fs::File::open("/dev/tty").is_err() {
        bail!("--passphrase asks at a terminal, and there is none: use --passphrase-file FILE; nothing was changed");
    }
    let first = Passphrase::new(rpassword::prompt_password("Passphrase of the CA keys: ")?);
    let again = Passphrase::new(rpassword::prompt_password("Once more: ")?);
    if first.reveal().is_empty() || first.reveal() != again.reveal() {
        bail!("the two differ or are empty; nothing was changed");
    }
    Ok(Some(first))
}

fn told(directory: &Path, config: &Path, keys: &Generated, log_key: &Verifier, protected: bool) -> String {
    let (directory, config) = (directory.display(), config.display());
    let Generated { user_ca, host_ca, log, krl, user_public, krl_public, .. } = keys;
    let (user_ca, host_ca, log, krl) = (user_ca.display(), host_ca.display(), log.display(), krl.display());
    let signer = krl_signer(krl_public);
    let unlock = if protected {
        "\n  0. give the server the passphrase: keys.passphrase_file, or JIT_SSH_CA_PASSPHRASE in its environment"
    } else {
        ""
    };
    format!(
        "Made in {directory}:
  {user_ca}   signs user certificates (back it up, offline)
  {host_ca}   signs host certificates (back it up, offline)
  {log}   signs the audit log (back it up, offline)
  {krl}   signs what hosts are told of revoked certificates (back it up, offline)
  {config}   every setting, commented
  {directory}/policy   who may reach what: a starter, to be changed

On each host, as root (web-1 and deploy stand for your host and account):

  mkdir -p /etc/ssh/jit-ssh/principals
  echo '{user_public}' > /etc/ssh/jit-ssh/user_ca.pub
  echo deploy@web-1 > /etc/ssh/jit-ssh/principals/deploy
  chmod -R a+rX /etc/ssh/jit-ssh

and in /etc/ssh/sshd_config, above any Match:

  TrustedUserCAKeys /etc/ssh/jit-ssh/user_ca.pub
  AuthorizedPrincipalsFile /etc/ssh/jit-ssh/principals/%u
  AuthorizedKeysFile none

An account's file of principals holds account@host, and nothing else logs in there. \"AuthorizedKeysFile none\" ends
keys that users or intruders have planted: keep a session open while you try.

A certificate ends by itself within minutes. For hosts that are to refuse a revoked one at once, docs/REVOCATION.md has a
script for cron; it checks what it fetches with this line in /etc/ssh/jit-ssh/krl_signers:

  {signer}

and once it has run, \"RevokedKeys /etc/ssh/jit-ssh/krl\" goes into sshd_config (where that file is missing, sshd refuses
everybody).

The audit log's public key. Keep it where whoever runs this server cannot change it, and check the log with it:

  {log_key}

Next:{unlock}
  1. edit {config}: audience, listen, [[issuer]]
  2. edit {directory}/policy: hosts.toml, access.cedar
  3. ca-server check --config {config}
  4. ca-server run --config {config}
"
    )
}
