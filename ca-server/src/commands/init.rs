//! `ca-server init`: keys, configuration, starter policy; and what to do next.

use super::{
    print,
    starter::{self, make_directory, must_be_free, new_file},
};
use crate::cli::Init;
use anyhow::{Context as _, bail};
use ca_server::{
    config::{Audience, Passphrase},
    custody::{self, Generated},
};
use std::{fs, path::Path, process::ExitCode};

/// The audience of the starter configuration, until somebody names their own.
pub(super) const PLACEHOLDER: &str = "https://ssh-ca.example.com";

const CONFIGURATION: &str = include_str!("../../starter/config.toml");

pub(super) fn init(asked: &Init) -> anyhow::Result<ExitCode> {
    let Init { directory, audience, .. } = asked;
    let audience = Audience::try_from(audience.clone()).map_err(|error| anyhow::anyhow!("--audience: {error}"))?;
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
    print(&told(directory, &config, &keys, passphrase.is_some()))
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

fn told(directory: &Path, config: &Path, keys: &Generated, protected: bool) -> String {
    let (directory, config) = (directory.display(), config.display());
    let Generated { user_ca, host_ca, user_public, .. } = keys;
    let (user_ca, host_ca) = (user_ca.display(), host_ca.display());
    let unlock = if protected {
        "\n  0. give the server the passphrase: keys.passphrase_file, or JIT_SSH_CA_PASSPHRASE in its environment"
    } else {
        ""
    };
    format!(
        "Made in {directory}:
  {user_ca}   signs user certificates (back it up, offline)
  {host_ca}   signs host certificates (back it up, offline)
  {config}   every setting, commented
  {directory}/policy   who may reach what: a starter, to be changed

On each host, as root (web-1 and deploy stand for your host and account):

  mkdir -p /etc/ssh/jit-ssh/principals
  echo '{user_public}' > /etc/ssh/jit-ssh/user_ca.pub
  echo deploy@web-1 > /etc/ssh/jit-ssh/principals/deploy

and in /etc/ssh/sshd_config, above any Match:

  TrustedUserCAKeys /etc/ssh/jit-ssh/user_ca.pub
  AuthorizedPrincipalsFile /etc/ssh/jit-ssh/principals/%u
  AuthorizedKeysFile none

An account's file of principals holds account@host, and nothing else logs in there. \"AuthorizedKeysFile none\" ends
keys that users or intruders have planted: keep a session open while you try. To revoke a certificate before its few
minutes are over, add \"RevokedKeys /etc/ssh/jit-ssh/revoked\" once that file exists: where it is missing, sshd refuses
everybody; where it is empty, nobody is revoked.

Next:{unlock}
  1. edit {config}: audience, listen, [[issuer]]
  2. edit {directory}/policy: hosts.toml, access.cedar
  3. ca-server check --config {config}
  4. ca-server run --config {config}
"
    )
}
