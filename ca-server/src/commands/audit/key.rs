//! `ca-server audit key`.

use super::super::{print, run::load};
use crate::cli::Key;
use anyhow::{Context as _, bail};
use ca_server::{
    audit::{
        checkpoint::{self, Checkpoint},
        note::{Kind, Verifier},
    },
    store::LogReader,
};
use ssh_key::PublicKey;
use std::{path::Path, process::ExitCode};

pub(super) fn key(asked: &Key) -> anyhow::Result<ExitCode> {
    let verifier = match (&asked.config, &asked.witness, &asked.name) {
        (Some(config), _, _) => log(config)?,
        (None, Some(file), Some(name)) => Verifier::new(name, Kind::Cosignature, &public(file)?)?,
        _ => bail!("name --config, or --witness and --name"),
    };
    print(&format!("{verifier}\n"))
}

/// The key of the log of a server, under the name that the log has: it keeps that when the server's URL changes.
fn log(config: &Path) -> anyhow::Result<Verifier> {
    let config = load(config)?;
    let public = public(&config.keys.log.with_extension("pub"))?;
    let mut origin = checkpoint::origin(config.audience.get_ref().as_str()).to_owned();
    let there = config.store.file().is_none_or(Path::exists);
    if there && let Some(note) = LogReader::of(&config.store)?.head()?.0 {
        origin = Checkpoint::unverified(&note)?.origin;
    }
    Ok(Verifier::new(&origin, Kind::Text, &public)?)
}

fn public(file: &Path) -> anyhow::Result<[u8; 32]> {
    let key = PublicKey::read_openssh_file(file)
        .with_context(|| format!("cannot read a public key from {}", file.display()))?;
    let key = key.key_data().ed25519().with_context(|| format!("{} is not an Ed25519 key", file.display()))?;
    Ok(key.0)
}
