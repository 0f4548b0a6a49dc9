//! `ca-server audit verify`.

mod export;

use super::{
    super::print,
    BREACH, CHUNK, kept,
    line::{self, Line},
};
use crate::cli::Verify;
use anyhow::{Context as _, bail, ensure};
use ca_server::{
    audit::{
        checkpoint::Checkpoint,
        note::{NoteError, Verifier},
        tree,
        verify::{Examination, Fault},
    },
    store::LogReader,
};
use std::{
    fmt::Write as _,
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom},
    ops::Range,
    path::Path,
    process::ExitCode,
};

pub(super) fn verify(asked: &Verify) -> anyhow::Result<ExitCode> {
    let seen = asked.checkpoint.as_deref().map(|file| remembered(file, &asked.key)).transpose()?;
    let (verdict, told) = match (&asked.store, &asked.config, &asked.export) {
        (Some(store), _, _) => (of_store(&LogReader::open(store)?, &asked.key, seen.clone())?, store),
        (None, Some(config), _) => (of_store(&kept::configured(config)?, &asked.key, seen.clone())?, config),
        (None, None, Some(file)) => (of_export(file, &asked.key, seen.clone())?, file),
        (None, None, None) => bail!("name --store, --config or --export"),
    };
    let mut text = String::new();
    let code = match verdict {
        Ok((checkpoint, entries)) => {
            let Checkpoint { origin, size, .. } = &checkpoint;
            let count = entries.end - entries.start;
            writeln!(
                text,
                "verified: {count} entries of {origin}, from {}, in the tree of {size} that its key signed",
                entries.start
            )?;
            if count < *size {
                writeln!(
                    text,
                    "a part: {} of the {size} are not in this file, and nothing is said of them",
                    size - count
                )?;
            }
            if let Some(seen) = seen {
                writeln!(text, "the first {} are those of the remembered checkpoint", seen.size)?;
            }
            ExitCode::SUCCESS
        }
        Err(faults) => {
            for fault in &faults {
                writeln!(text, "{fault}")?;
            }
            writeln!(text, "{}: NOT the log that was signed; keep the file, and see docs/AUDIT.md", told.display())?;
            ExitCode::from(BREACH)
        }
    };
    print(&text)?;
    Ok(code)
}

/// A checkpoint that was kept. If it is not the log's, the person is mistaken about the file, not the log.
fn remembered(file: &Path, key: &Verifier) -> anyhow::Result<Checkpoint> {
    let note = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    Checkpoint::verify(&note, key).with_context(|| format!("{} is no checkpoint of this log", file.display()))
}

/// What was verified: the checkpoint, and the entries that were found under it.
pub(super) type Verdict = Result<(Checkpoint, Range<u64>), Vec<Fault>>;

/// Every entry of a store. What is appended meanwhile is not looked at.
pub(super) fn of_store(log: &LogReader, key: &Verifier, seen: Option<Checkpoint>) -> anyhow::Result<Verdict> {
    let (note, end) = log.head()?;
    let signed = match note {
        Some(note) => Checkpoint::verify(&note, key),
        None => Err(NoteError::absent()),
    };
    let mut examination = Examination::new(signed, seen);
    while examination.looked_at() < end {
        let from = examination.looked_at();
        let to = end.min(from + CHUNK);
        let mut entries = log.entries(from, usize::try_from(to - from)?)?.into_iter().peekable();
        let hashes = log.hashes(tree::places(from), tree::places(to))?;
        for index in from..to {
            let entry = entries.next_if(|(found, _)| *found == index);
            let (first, last) = (tree::places(index), tree::places(index + 1));
            let start = hashes.partition_point(|(place, _)| *place < first);
            let kept = hashes.iter().skip(start).zip(first..last).take_while(|((place, _), due)| place == due);
            let kept: Vec<_> = kept.map(|((_, hash), _)| *hash).collect();
            examination.entry(entry.as_ref().map(|(_, entry)| entry.as_bytes()), &kept);
        }
    }
    Ok(examination.finish().map(|checkpoint| {
        let all = 0..checkpoint.size;
        (checkpoint, all)
    }))
}

/// Every line of an export, by its own proof; and its entries from the first one on, by what was `seen` before.
pub(super) fn of_export(file: &Path, key: &Verifier, seen: Option<Checkpoint>) -> anyhow::Result<Verdict> {
    let mut open = File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
    let checkpoint = match Checkpoint::verify(&last_line(&mut open)?, key) {
        Ok(checkpoint) => checkpoint,
        Err(error) => return Ok(Err(vec![Fault::Signature(error)])),
    };
    let mut remembered = seen.map(|seen| export::Remembered::new(seen, &checkpoint));
    let (mut faults, mut first, mut next, mut ended) = (Vec::new(), 0, None, false);
    for (number, text) in (1_u64..).zip(BufReader::new(open).lines()) {
        // Others read on: what stands there would pass for verified.
        ensure!(!ended, "line {number} follows a checkpoint, with which an export ends");
        let line = serde_json::from_str(&text?).with_context(|| format!("line {number} is not one of an export"))?;
        let Line::Entry { index, entry, leaf, proof } = line else {
            ended = true;
            continue;
        };
        let proof = proof.iter().map(|hash| line::hash(hash)).collect::<Result<Vec<_>, _>>();
        let proof = proof.with_context(|| format!("line {number}"))?;
        let found = tree::leaf(entry.as_bytes());
        match next {
            None => first = index,
            Some(next) if next != index => faults.push(Fault::Missing(next)),
            Some(_) => {}
        }
        if line::text(&found) != leaf || !tree::included(&found, index, checkpoint.size, &proof, &checkpoint.root) {
            faults.push(Fault::Changed(index));
        }
        remembered.iter_mut().for_each(|remembered| remembered.entry(index, found));
        ensure!(faults.len() < 50, "more than 50 lines are wrong, the first at entry {index}");
        next = index.checked_add(1);
    }
    if faults.is_empty()
        && let Some(remembered) = remembered
    {
        faults.extend(remembered.finish()?);
    }
    Ok(if faults.is_empty() { Ok((checkpoint, first..next.unwrap_or(first))) } else { Err(faults) })
}

/// The checkpoint at the end of an export; `file` is back at its beginning after this.
fn last_line(file: &mut File) -> anyhow::Result<String> {
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(length.saturating_sub(128 * 1024)))?;
    let mut end = Vec::new();
    file.read_to_end(&mut end)?;
    file.rewind()?;
    let last = end.trim_ascii_end().rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    match serde_json::from_slice(last) {
        Ok(Line::Checkpoint { checkpoint }) => Ok(checkpoint),
        _ => bail!("the last line holds no checkpoint: this export is not whole"),
    }
}
