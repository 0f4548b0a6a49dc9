//! From a file into a database: all of it or nothing, the log verified on both sides.

use super::{StoreError, postgres::load::Target, redb::dump::Source};
use crate::{
    audit::{
        checkpoint::{Checkpoint, Seal},
        tree::{self, Frontier, Hash},
    },
    config::store::Postgres,
};
use std::{collections::BTreeMap, path::Path};

/// Rows that are read and written together.
const CHUNK: u64 = 1_000;

/// What was moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// How many audit entries there are.
    pub size: u64,
    /// The root of the tree over them, hex.
    pub root: String,
    /// How many of what else.
    pub facts: BTreeMap<&'static str, u64>,
}

/// Copies the store in `file` into an empty database. The file stays as it is, and no server can open it meanwhile; the database
/// holds all of it or, after an error, nothing. `seal` is that of the log.
///
/// # Errors
/// If the file is served, damaged or not that log; if the database holds anything; if what was copied is not what was
/// signed, on either side.
pub async fn migrate(file: &Path, settings: &Postgres, seal: &Seal) -> Result<Moved, StoreError> {
    let source = Source::open(file, seal).map_err(|error| StoreError(error.to_string()))?;
    let note = source.checkpoint()?;
    let origin = Checkpoint::unverified(&note).map_err(|error| StoreError(error.to_string()))?.origin;
    let seal = seal.of(&origin).map_err(|error| StoreError(error.to_string()))?;
    let signed = Checkpoint::verify(&note, seal.verifier()).map_err(|error| StoreError(error.to_string()))?;

    let mut target = Target::begin(settings, &seal).await?;
    let mut here = Walk::default();
    while here.edge.size() < signed.size {
        let (from, to) = here.next(signed.size);
        let entries = source.entries(from, usize::try_from(to - from).unwrap_or(0))?;
        let hashes = source.hashes(tree::places(from), tree::places(to))?;
        here.take(&entries, &hashes, to, "the file")?;
        let entries = entries.into_iter().map(|(_, entry)| entry).collect();
        let hashes = hashes.into_iter().map(|(_, hash)| hash.to_vec()).collect();
        target.append((from, entries), (tree::places(from), hashes)).await?;
    }
    here.must_be(&signed, "the file")?;
    let mut facts = BTreeMap::new();
    let mut chunk = Vec::new();
    for fact in source.facts()? {
        let fact = fact?;
        *facts.entry(fact.name()).or_insert(0) += 1;
        chunk.push(fact);
        if chunk.len() >= 500 {
            target.take(std::mem::take(&mut chunk)).await?;
        }
    }
    target.take(chunk).await?;

    let mut there = Walk::default();
    while there.edge.size() < signed.size {
        let (from, to) = there.next(signed.size);
        let hashes = target.hashes(tree::places(from), tree::places(to)).await?;
        there.take(&target.entries(from, to).await?, &hashes, to, "the database")?;
    }
    there.must_be(&signed, "the database")?;
    target.finish(&there.edge, note).await?;
    let root = signed.root.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Moved { size: signed.size, root, facts })
}

/// A log that is walked from its first entry on: every entry hashed, every hash of the tree compared.
#[derive(Default)]
struct Walk {
    edge: Frontier,
}

impl Walk {
    fn next(&self, end: u64) -> (u64, u64) {
        (self.edge.size(), end.min(self.edge.size().saturating_add(CHUNK)))
    }

    fn take(
        &mut self,
        entries: &[(u64, Vec<u8>)],
        hashes: &[(u64, Hash)],
        to: u64,
        place: &str,
    ) -> Result<(), StoreError> {
        let mut kept = hashes.iter();
        for (index, entry) in entries {
            let wrong = || StoreError(format!("entry {index} in {place} is not the one that was written"));
            if *index != self.edge.size() {
                return Err(wrong());
            }
            let leaf = tree::leaf(entry);
            self.edge.push(leaf, |at, hash| match kept.next() {
                Some((found, same)) if *found == at && same == hash => Ok(()),
                _ => Err(wrong()),
            })?;
        }
        if self.edge.size() != to || kept.next().is_some() {
            return Err(StoreError(format!("entry {} is missing in {place}", self.edge.size())));
        }
        Ok(())
    }

    fn must_be(&self, signed: &Checkpoint, place: &str) -> Result<(), StoreError> {
        if self.edge.size() == signed.size && self.edge.root() == signed.root {
            return Ok(());
        }
        Err(StoreError(format!("the log in {place} is not the one that was signed; nothing was changed")))
    }
}
