//! `ca-server audit export`.

use super::{
    CHUNK, kept,
    line::{self, Line},
};
use crate::cli::Export;
use anyhow::{Context as _, bail, ensure};
use ca_server::{
    audit::{
        checkpoint::Checkpoint,
        tree::{self, Plan},
    },
    store::LogReader,
};
use std::{
    io::{self, BufWriter, Write},
    process::ExitCode,
};

pub(super) fn export(asked: &Export) -> anyhow::Result<ExitCode> {
    let log = kept::open(&asked.kept)?;
    let mut out = BufWriter::new(io::stdout().lock());
    match write(&log, asked.from, asked.to, &mut out) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        // A reader that has enough (`| head`) is no failure.
        Err(error) if is_closed(&error) => Ok(ExitCode::SUCCESS),
        Err(error) => Err(error),
    }
}

/// The checkpoint comes first in time: what is appended while this runs is for the next export.
pub(super) fn write(log: &LogReader, from: u64, to: Option<u64>, out: &mut impl Write) -> anyhow::Result<()> {
    let note = log.head()?.0.context("this store has no audit checkpoint")?;
    let size = Checkpoint::unverified(&note)?.size;
    let to = to.unwrap_or(size);
    ensure!(from <= to && to <= size, "there are {size} entries: --from and --to lie within them");
    let mut next = from;
    while next < to {
        let most = usize::try_from(CHUNK.min(to - next))?;
        let entries = log.entries(next, most)?;
        ensure!(!entries.is_empty(), "entry {next} is missing: see `ca-server audit verify`");
        for (index, entry) in entries {
            ensure!(index == next, "entry {next} is missing: see `ca-server audit verify`");
            let plan = Plan::inclusion(index, size).context("an entry is not in its own tree")?;
            let proof = plan.proof(&log.hashes_at(&plan.places())?).context("the tree has holes")?;
            let leaf = line::text(&tree::leaf(entry.as_bytes()));
            let Ok(entry) = str::from_utf8(entry.as_bytes()) else {
                bail!("entry {index} is not UTF-8: see `ca-server audit verify`")
            };
            let proof = proof.iter().map(line::text).collect();
            put(out, &Line::Entry { index, entry: entry.to_owned(), leaf, proof })?;
            next += 1;
        }
    }
    put(out, &Line::Checkpoint { checkpoint: note })?;
    Ok(out.flush()?)
}

fn put(out: &mut impl Write, line: &Line) -> anyhow::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    Ok(out.write_all(b"\n")?)
}

fn is_closed(error: &anyhow::Error) -> bool {
    let closed = |kind| kind == io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(|error| closed(error.kind()))
            || cause.downcast_ref::<serde_json::Error>().and_then(serde_json::Error::io_error_kind).is_some_and(closed)
    })
}
