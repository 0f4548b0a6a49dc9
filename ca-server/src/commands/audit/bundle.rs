//! `ca-server audit bundle`: one grant from request to end, with the proofs, for somebody else to check.

mod gather;

use super::{kept, log::Log};
use crate::cli;
use anyhow::{Context as _, bail, ensure};
use api::bundle::{FORMAT, Header};
use ca_server::store::LogReader;
use gather::Gathered;
use std::{
    fs::OpenOptions,
    io::{self, BufWriter, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    process::ExitCode,
};

pub(super) fn bundle(asked: &cli::Bundle) -> anyhow::Result<ExitCode> {
    let log = match (&asked.store, &asked.export, &asked.config) {
        (Some(store), _, _) => Log::store(LogReader::open(store)?, asked.checkpoint.as_deref())?,
        (None, Some(export), _) => Log::Export(export.clone()),
        (None, None, Some(config)) => Log::store(kept::configured(config)?, asked.checkpoint.as_deref())?,
        (None, None, None) => bail!("name --store, --export or --config"),
    };
    let grant = asked.about.grant();
    let gathered = gather::about(&log, &grant)?;
    ensure!(!gathered.wanted.is_empty(), "nothing in this log is about {}", asked.about);
    if asked.output == Path::new("-") {
        write(&log, &gathered, BufWriter::new(io::stdout().lock()))?;
        return Ok(ExitCode::SUCCESS);
    }
    // Never over another: a bundle that somebody relies on must not change under its name.
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&asked.output);
    let file = file.with_context(|| format!("cannot make {}", asked.output.display()))?;
    write(&log, &gathered, BufWriter::new(file))?;
    let Gathered { grant, wanted, certificates, .. } = &gathered;
    let (count, certificates) = (wanted.len(), certificates.len());
    let told = format!(
        "{}: {count} entries about {grant}, {certificates} of them certificates\ncheck it: jit-ssh verify-bundle {} --key \"$(cat log.vkey)\"\n",
        asked.output.display(),
        asked.output.display(),
    );
    super::super::print(&told)
}

/// Writes the bundle.
pub(super) fn write(log: &Log, gathered: &Gathered, mut out: impl Write) -> anyhow::Result<()> {
    serde_json::to_writer(&mut out, &Header { bundle: FORMAT.to_owned(), about: gathered.grant.clone() })?;
    out.write_all(b"\n")?;
    log.copy(&gathered.wanted, &mut out)?;
    Ok(out.flush()?)
}
