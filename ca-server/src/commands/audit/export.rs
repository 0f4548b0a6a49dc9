//! `ca-server audit export`.

use super::{CHUNK, kept, line::Line, log};
use crate::cli::Export;
use anyhow::{Context as _, ensure};
use ca_server::{audit::checkpoint::Checkpoint, store::LogReader};
use std::{
    io::{self, BufWriter, Write},
    process::ExitCode,
};

pub(super) fn export(asked: &Export) -> anyhow::Result<ExitCode> {
    let reader = kept::open(&asked.kept)?;
    let mut out = BufWriter::new(io::stdout().lock());
    match write(&reader, asked.from, asked.to, &mut out) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        // A reader that has enough (`| head`) is no failure.
        Err(error) if is_closed(&error) => Ok(ExitCode::SUCCESS),
        Err(error) => Err(error),
    }
}

/// The checkpoint comes first in time: what is appended while this runs is for the next export.
pub(super) fn write(reader: &LogReader, from: u64, to: Option<u64>, out: &mut impl Write) -> anyhow::Result<()> {
    let note = reader.head()?.0.context("this store has no audit checkpoint")?;
    let size = Checkpoint::unverified(&note)?.size;
    let to = to.unwrap_or(size);
    ensure!(from <= to && to <= size, "there are {size} entries: --from and --to lie within them");
    let mut next = from;
    while next < to {
        let most = usize::try_from(CHUNK.min(to - next))?;
        let entries = reader.entries(next, most)?;
        ensure!(!entries.is_empty(), "entry {next} is missing: see `ca-server audit verify`");
        for (index, entry) in entries {
            ensure!(index == next, "entry {next} is missing: see `ca-server audit verify`");
            log::put(out, &log::proven(reader, index, log::text(index, entry.as_bytes())?, size)?)?;
            next += 1;
        }
    }
    log::put(out, &Line::Checkpoint { checkpoint: note })?;
    Ok(out.flush()?)
}

fn is_closed(error: &anyhow::Error) -> bool {
    let closed = |kind| kind == io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(|error| closed(error.kind()))
            || cause.downcast_ref::<serde_json::Error>().and_then(serde_json::Error::io_error_kind).is_some_and(closed)
    })
}
