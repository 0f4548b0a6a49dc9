//! The policy sets that decided, from their texts: each text has the digest by which its set names it, and each set the
//! digest by which decisions name it.

use super::{Faults, record::Record};
use crate::digest::{hex, of_policies, of_text};
use policy::{Policies, Source, Sources};
use std::collections::{BTreeMap, HashMap};

/// Policy sets by their digest in hex.
pub(super) type Sets = HashMap<String, Policies>;

/// Every set of which the bundle holds the files.
pub(super) fn rebuild(record: &Record<'_>, faults: &mut Faults) -> Sets {
    let texts = texts(record, faults);
    let mut sets = Sets::new();
    for (entry, set) in record.sets() {
        let Some(files) = &set.files else { continue };
        if sets.contains_key(&set.to) {
            continue;
        }
        let found: Option<Vec<(&str, &str)>> =
            files.iter().map(|file| Some((file.name.as_str(), texts.get(file.sha256.as_str())?.as_str()))).collect();
        let Some(found) = found else {
            faults.at(entry.index, format!("the bundle does not hold every file of the policy set {}", set.to));
            continue;
        };
        if hex(&of_policies(found.iter().copied())) != set.to {
            faults.at(entry.index, format!("the files of the policy set {} have another digest", set.to));
            continue;
        }
        match Policies::load(&sources(&found)) {
            Ok(policies) => drop(sets.insert(set.to.clone(), policies)),
            Err(findings) => {
                let first = findings.first().map(ToString::to_string).unwrap_or_default();
                faults.at(entry.index, format!("the policy set {} cannot be loaded by this program: {first}", set.to));
            }
        }
    }
    sets
}

/// Every text by its digest, put together from its parts.
fn texts<'r>(record: &'r Record<'_>, faults: &mut Faults) -> BTreeMap<&'r str, String> {
    let (mut whole, mut open) = (BTreeMap::new(), String::new());
    let mut due: Option<(&str, usize)> = None;
    for (entry, part) in record.parts() {
        let begins = part.part == 0;
        if begins {
            open.clear();
        } else if due != Some((part.sha256.as_str(), part.part)) {
            faults.at(entry.index, "this part of a file does not follow the part before it");
        }
        open.push_str(&part.text);
        due = Some((part.sha256.as_str(), part.part + 1));
        if part.part + 1 == part.parts {
            if hex(&of_text(&open)) != part.sha256 {
                faults.at(entry.index, "this text of a policy file is not the one that its digest is of");
            }
            whole.insert(part.sha256.as_str(), std::mem::take(&mut open));
            due = None;
        }
    }
    whole
}

fn sources(files: &[(&str, &str)]) -> Sources {
    let mut sources = Sources::default();
    for (name, text) in files {
        let source = Source { name: (*name).to_owned(), text: (*text).to_owned() };
        match *name {
            "hosts.toml" => sources.hosts = Some(source),
            "groups.toml" => sources.groups = Some(source),
            name if name.starts_with("tests/") => sources.tests.push(source),
            _ => sources.policies.push(source),
        }
    }
    sources
}
