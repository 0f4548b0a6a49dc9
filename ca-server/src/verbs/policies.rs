//! Putting a policy set on record, with the texts that the log does not have yet: before any decision rests on it.

use crate::{
    app::App,
    audit::{
        Entry, PolicyEvent,
        policy::{Change, File, Loaded as Told, Source, parts},
    },
    policies::Loaded,
    store::{PolicyFile, PolicySet, Stepped, StoreError},
};
use api::digest::{hex, of_text};
use std::collections::BTreeMap;

/// How often it is tried anew because another server recorded a set in between.
const TRIES: usize = 16;
/// The longest diff of one file, and of all of them, in an entry.
const DIFF: usize = 8 * 1024;
const DIFFS: usize = 64 * 1024;

/// Records `loaded`, unless it is the set that was recorded last. Answers whether it had to be.
///
/// # Errors
/// If it cannot be made durable; then it must not be put in force.
pub async fn record(app: &App, loaded: &Loaded, cause: &str) -> Result<bool, StoreError> {
    let files = loaded.sources().map(|source| PolicyFile { name: source.name.clone(), text: source.text.clone() });
    let mut set = PolicySet { digest: loaded.digest.clone(), files: files.collect() };
    set.files.sort_by(|one, other| one.name.cmp(&other.name));
    for _ in 0..TRIES {
        let before = app.store.recorded_policies().await?;
        if before.as_ref().is_some_and(|before| before.digest == set.digest) {
            return Ok(false);
        }
        let entries = entries(app.clock.now_ms(), cause, before.as_ref(), &set, loaded.policies.len())
            .map_err(|error| StoreError(format!("the policy set cannot be written: {error}")))?;
        let was = before.as_ref().map(|before| before.digest.as_str());
        if app.store.record_policies(was, set.clone(), entries).await? == Stepped::Yes {
            return Ok(true);
        }
    }
    Err(StoreError("other servers kept recording policy sets".to_owned()))
}

/// The texts that are new, then the set itself: whoever reads on has every text before it is needed.
fn entries(
    time_ms: u64,
    cause: &str,
    before: Option<&PolicySet>,
    set: &PolicySet,
    policies: usize,
) -> Result<Vec<Entry>, serde_json::Error> {
    let former: BTreeMap<&str, &str> = before.iter().flat_map(|before| &before.files).map(named).collect();
    let now: BTreeMap<&str, &str> = set.files.iter().map(named).collect();
    let mut entries = Vec::new();
    for (name, text) in now.iter().filter(|(_, text)| !former.values().any(|known| known == *text)) {
        let (sha256, parts) = (hex(&of_text(text)), parts(text));
        for (part, text) in parts.iter().enumerate() {
            let source = Source { name, sha256: &sha256, part, parts: parts.len(), text };
            entries.push(Entry::new(time_ms, cause, &PolicyEvent::Source(source))?);
        }
    }
    let told = Told {
        from: before.map(|before| before.digest.as_str()),
        to: &set.digest,
        policies,
        files: set.files.iter().map(file).collect(),
        changes: changes(&former, &now),
    };
    entries.push(Entry::new(time_ms, cause, &PolicyEvent::Loaded(told))?);
    Ok(entries)
}

fn file(file: &PolicyFile) -> File<'_> {
    File { name: &file.name, sha256: hex(&of_text(&file.text)), bytes: file.text.len() }
}

fn named(file: &PolicyFile) -> (&str, &str) {
    (file.name.as_str(), file.text.as_str())
}

fn changes<'a>(former: &BTreeMap<&'a str, &str>, now: &BTreeMap<&'a str, &str>) -> Vec<Change<'a>> {
    let names: std::collections::BTreeSet<&str> = former.keys().chain(now.keys()).copied().collect();
    let (mut changes, mut room) = (Vec::new(), DIFFS);
    for name in names {
        let (old, new) = (former.get(name).copied(), now.get(name).copied());
        let change = match (old, new) {
            (None, _) => "added",
            (_, None) => "removed",
            (old, new) if old == new => continue,
            _ => "changed",
        };
        // Of what came or went the text itself says everything.
        let diff = (change == "changed").then(|| api::diff::unified(name, old, new));
        let diff = diff.filter(|diff| diff.len() <= DIFF.min(room));
        room -= diff.as_ref().map_or(0, String::len);
        changes.push(Change { name, change, was: old.map(|old| hex(&of_text(old))), diff });
    }
    changes
}

#[cfg(test)]
mod tests;
