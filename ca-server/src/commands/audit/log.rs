//! A log to read from: a store's file, or an export of it.

use super::{
    CHUNK,
    line::{self, Line},
};
use anyhow::{Context as _, bail, ensure};
use ca_server::{
    audit::{
        checkpoint::Checkpoint,
        tree::{self, Frontier, Plan},
    },
    store::LogReader,
};
use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _, Write},
    path::{Path, PathBuf},
};

/// Entries as they were at one moment, read as often as one likes. Nothing is verified: that is another command's.
pub(in crate::commands) enum Log {
    /// A store, and its signed checkpoint of that moment.
    Store(Box<LogReader>, String, u64),
    /// A file of lines.
    Export(PathBuf),
}

impl Log {
    /// Opens `path`, whichever of both it is.
    pub(in crate::commands) fn open(path: &Path) -> anyhow::Result<Self> {
        let mut first = [0; 1];
        let mut file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        if file.read(&mut first)? == 1 && first == *b"{" {
            return Ok(Self::Export(path.to_owned()));
        }
        Self::store(LogReader::open(path)?, None)
    }

    /// A store's log, as of its latest checkpoint, or of the one in the file `at`.
    pub(super) fn store(log: LogReader, at: Option<&Path>) -> anyhow::Result<Self> {
        let latest = log.head()?.0.context("this store has no audit checkpoint")?;
        let most = Checkpoint::unverified(&latest)?.size;
        let Some(file) = at else { return Ok(Self::Store(Box::new(log), latest, most)) };
        let note = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let Checkpoint { size, root, .. } = Checkpoint::unverified(&note)?;
        ensure!(size <= most, "{} is of a log that is longer than this one", file.display());
        let peaks = log.hashes_at(&Frontier::kept_at(size))?;
        let ours = Frontier::new(size, peaks).context("the tree has holes")?.root();
        ensure!(ours == root, "{} is of another log: see `ca-server audit verify --checkpoint`", file.display());
        Ok(Self::Store(Box::new(log), note, size))
    }

    /// Gives every entry to `each`, in order, until one fails.
    pub(in crate::commands) fn each(
        &self,
        mut each: impl FnMut(u64, &str) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        match self {
            Self::Store(log, _, size) => {
                let mut next = 0;
                while next < *size {
                    let most = usize::try_from(CHUNK.min(size - next))?;
                    let entries = log.entries(next, most)?;
                    ensure!(!entries.is_empty(), "entry {next} is missing: see `ca-server audit verify`");
                    for (index, entry) in entries {
                        ensure!(index == next, "entry {next} is missing: see `ca-server audit verify`");
                        each(index, text(index, entry.as_bytes())?)?;
                        next += 1;
                    }
                }
                Ok(())
            }
            Self::Export(path) => lines(path, |line, _text| match line {
                Line::Entry { index, entry, .. } => each(index, &entry),
                Line::Checkpoint { .. } => Ok(()),
            }),
        }
    }

    /// Writes the lines of the entries `wanted` with their proofs, and that of the checkpoint.
    pub(super) fn copy(&self, wanted: &BTreeSet<u64>, out: &mut impl Write) -> anyhow::Result<()> {
        match self {
            Self::Store(log, note, size) => {
                for index in wanted {
                    let entry = log.entries(*index, 1)?.pop().context("an entry is gone")?.1;
                    put(out, &proven(log, *index, text(*index, entry.as_bytes())?, *size)?)?;
                }
                put(out, &Line::Checkpoint { checkpoint: note.clone() })
            }
            Self::Export(path) => {
                let mut ended = false;
                lines(path, |line, text| {
                    let take = match line {
                        Line::Entry { index, .. } => wanted.contains(&index),
                        Line::Checkpoint { .. } => {
                            ended = true;
                            true
                        }
                    };
                    if take { Ok(writeln!(out, "{text}")?) } else { Ok(()) }
                })?;
                ensure!(ended, "the last line holds no checkpoint: this export is not whole");
                Ok(())
            }
        }
    }
}

/// The line of an entry, with its proof in the tree of `size` entries.
pub(super) fn proven(log: &LogReader, index: u64, entry: &str, size: u64) -> anyhow::Result<Line> {
    let plan = Plan::inclusion(index, size).context("an entry is not in its own tree")?;
    let proof = plan.proof(&log.hashes_at(&plan.places())?).context("the tree has holes")?;
    let leaf = line::text(&tree::leaf(entry.as_bytes()));
    Ok(Line::Entry { index, entry: entry.to_owned(), leaf, proof: proof.iter().map(line::text).collect() })
}

/// Writes one line.
pub(super) fn put(out: &mut impl Write, line: &Line) -> anyhow::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    Ok(out.write_all(b"\n")?)
}

/// An entry's bytes as text.
pub(super) fn text(index: u64, bytes: &[u8]) -> anyhow::Result<&str> {
    let Ok(text) = str::from_utf8(bytes) else { bail!("entry {index} is not UTF-8: see `ca-server audit verify`") };
    Ok(text)
}

fn lines(path: &Path, mut each: impl FnMut(Line, &str) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    for (number, text) in (1_u64..).zip(BufReader::new(file).lines()) {
        let text = text?;
        let line = serde_json::from_str(&text).with_context(|| format!("line {number} is not one of an export"))?;
        each(line, &text)?;
    }
    Ok(())
}
