//! `ca-server policy diff`: what differs between two sets, and what they would have decided otherwise.

use super::{
    super::{audit::log::Log, print},
    examine,
    replay::{Otherwise, Replay, Summary},
};
use crate::cli::PolicyDiff;
use ca_server::policies;
use policy::{Changes, Difference, How, Policies};
use serde_json::json;
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{self, BufWriter, Write as _},
    path::Path,
    process::ExitCode,
};

/// Something differs.
const DIFFERS: u8 = 4;
/// So many kinds of what is decided otherwise are told to a person; what is beyond them is counted.
const MOST_KINDS: usize = 2_000;

pub(super) fn diff(asked: &PolicyDiff) -> anyhow::Result<ExitCode> {
    let (old, new) = (load(&asked.old)?, load(&asked.new)?);
    let changes = policy::changes(&old, &new);
    let mut differs = !changes.is_empty();
    print(&if asked.json { lines(&changes) } else { told(&changes)? })?;
    if let Some(audit) = &asked.replay {
        let replay = Replay::new(&old, &new, &changes);
        let summary = if asked.json { stream(replay, audit)? } else { tell(replay, audit)? };
        differs = summary.otherwise() > 0;
    }
    Ok(if differs { ExitCode::from(DIFFERS) } else { ExitCode::SUCCESS })
}

fn load(directory: &Path) -> anyhow::Result<Policies> {
    policies::read(directory).and_then(|sources| Policies::load(&sources)).map_err(|_findings| {
        let told: Vec<_> = examine(directory).findings.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("the policy set in {} cannot be used:\n{}", directory.display(), told.join("\n"))
    })
}

fn lines(changes: &Changes) -> String {
    let policies = changes.policies.iter().map(|change| json!({ "policy_change": change }));
    let hosts = changes.hosts.iter().map(|change| json!({ "host_change": change }));
    policies.chain(hosts).map(|line| format!("{line}\n")).collect()
}

fn told(changes: &Changes) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    for change in &changes.policies {
        one(&mut text, "policy", change.policy.as_str(), change.how, &change.differences)?;
    }
    for change in &changes.hosts {
        one(&mut text, "host", change.host.as_str(), change.how, &change.differences)?;
    }
    if changes.is_empty() {
        writeln!(text, "no policy and no host differs")?;
    }
    Ok(text)
}

fn one(text: &mut String, kind: &str, name: &str, how: How, differences: &[Difference]) -> std::fmt::Result {
    let how = match how {
        How::Added => "added",
        How::Removed => "removed",
        How::Changed => "changed",
    };
    writeln!(text, "{kind} {name}: {how}")?;
    for Difference { part, old, new } in differences {
        for (sign, value) in [('-', old), ('+', new)] {
            if let Some(value) = value {
                writeln!(text, "  {sign} {part}: {}", plain(value))?;
            }
        }
    }
    Ok(())
}

/// Every ask that is decided otherwise, a line each, as it is found.
fn stream(mut replay: Replay<'_>, audit: &Path) -> anyhow::Result<Summary> {
    let mut out = BufWriter::new(io::stdout().lock());
    Log::open(audit)?.each(|index, text| {
        replay.entry(index, text).iter().try_for_each(|found| Ok(writeln!(out, "{}", json!({ "otherwise": found }))?))
    })?;
    let summary = replay.finish();
    writeln!(out, "{}", json!({ "summary": summary }))?;
    out.flush()?;
    Ok(summary)
}

/// The same kind of ask is told once, with how often it was made.
fn tell(mut replay: Replay<'_>, audit: &Path) -> anyhow::Result<Summary> {
    let mut kinds: BTreeMap<String, (u64, u64, u64)> = BTreeMap::new();
    let mut beyond = 0_u64;
    Log::open(audit)?.each(|index, text| {
        for found in replay.entry(index, text) {
            let kind = sentence(&found);
            if kinds.len() >= MOST_KINDS && !kinds.contains_key(&kind) {
                beyond += 1;
                continue;
            }
            let (count, _first, last) = kinds.entry(kind).or_insert((0, index, index));
            (*count, *last) = (*count + 1, index);
        }
        Ok(())
    })?;
    let summary = replay.finish();
    let mut text = String::new();
    for (kind, (count, first, last)) in kinds {
        let entries = if first == last { format!("entry {first}") } else { format!("entries {first} to {last}") };
        writeln!(text, "{count} × {kind} ({entries})")?;
    }
    if beyond > 0 {
        writeln!(text, "{beyond} more, of further kinds: --json has all of them")?;
    }
    let Summary { asks, outcome, terms, under_requests, not_replayable, recorded_otherwise } = &summary;
    writeln!(
        text,
        "{asks} asks replayed: {outcome} would have another outcome, {terms} the same by another policy or on other terms"
    )?;
    if *under_requests > 0 {
        writeln!(
            text,
            "{under_requests} certificates and refusals under requests are not asks of their own: people decided those"
        )?;
    }
    if *not_replayable > 0 {
        writeln!(
            text,
            "{not_replayable} entries hold too little to be replayed: of an older version, or without their login"
        )?;
    }
    if *recorded_otherwise > 0 {
        writeln!(
            text,
            "{recorded_otherwise} were decided otherwise then than OLD decides them now: another set was in force, or a request had a part in it"
        )?;
    }
    print(&text)?;
    Ok(summary)
}

fn sentence(found: &Otherwise) -> String {
    let Otherwise { who, target, old, new, because, .. } = found;
    let because = if because.is_empty() { String::new() } else { format!("; because of {}", because.join(", ")) };
    let terms = old.differing(new);
    let terms = if terms.is_empty() { String::new() } else { format!(" ({})", plain(&terms.join(", "))) };
    format!("{} {target}: {old} → {new}{terms}{because}", plain(who))
}

/// People's words in a form that no terminal obeys.
fn plain(text: &str) -> String {
    text.escape_debug().to_string().replace("\\\"", "\"").replace("\\'", "'")
}
