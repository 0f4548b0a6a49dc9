//! What the pages say is there is there, and what is there stands on a page.

use anyhow::{Context as _, Result, ensure};
use ca_server::http::{Listener, ROUTES};
use e2e::kit::{binaries, process::run};
use std::{collections::BTreeSet, fs, path::PathBuf};
use tokio::process::Command;

fn page(name: &str) -> Result<String> {
    fs::read_to_string(binaries::file("..").join(name)).with_context(|| name.to_owned())
}

fn sources(under: &str) -> Result<String> {
    let mut text = String::new();
    let mut rooms = vec![binaries::file("..").join(under)];
    while let Some(room) = rooms.pop() {
        if room.is_file() {
            text += &fs::read_to_string(&room)?;
            continue;
        }
        for entry in fs::read_dir(&room).with_context(|| room.display().to_string())? {
            rooms.push(entry?.path());
        }
    }
    Ok(text)
}

async fn verbs(program: &str) -> Result<Vec<String>> {
    let mut command = Command::new(binaries::program(program)?);
    command.arg("--help");
    let help = run(program, command).await?.success()?;
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let verbs = listed.filter_map(|line| line.strip_prefix("  ")?.split(' ').next().map(str::to_owned));
    Ok(verbs.filter(|verb| !verb.is_empty() && verb != "help").collect())
}

fn missing<'a>(wanted: impl IntoIterator<Item = &'a str>, text: &str) -> Vec<&'a str> {
    wanted.into_iter().filter(|word| !text.contains(word)).collect()
}

#[tokio::test]
async fn every_verb_stands_on_its_page() -> Result<()> {
    let client = page("docs/CLIENT.md")?;
    let all = verbs("jit-ssh").await?;
    ensure!(all.len() > 20, "{all:?}");
    let begins = |verb: &&String| [format!("| `{verb}"), format!(", `{verb}")].iter().any(|row| client.contains(row));
    let absent: Vec<&String> = all.iter().filter(|verb| !begins(verb)).collect();
    assert!(absent.is_empty(), "docs/CLIENT.md lacks {absent:?}");
    let server = page("docs/OPERATIONS.md")? + &page("docs/AUDIT.md")? + &page("README.md")?;
    let shown: Vec<String> = verbs("ca-server").await?.iter().map(|verb| format!("ca-server {verb}")).collect();
    ensure!(shown.len() > 4, "{shown:?}");
    let absent = missing(shown.iter().map(String::as_str), &server);
    assert!(absent.is_empty(), "the pages lack {absent:?}");
    Ok(())
}

#[test]
fn every_route_stands_in_the_protocol_or_in_operations() -> Result<()> {
    let (protocol, operations) = (page("docs/PROTOCOL.md")?, page("docs/OPERATIONS.md")? + &page("docs/SINKS.md")?);
    let absent: BTreeSet<_> = ROUTES
        .iter()
        .filter(|route| {
            let text = if route.listener == Listener::Ops { &operations } else { &protocol };
            !text.contains(route.path.split('{').next().unwrap_or_default().trim_end_matches('/'))
        })
        .map(|route| format!("{} {}", route.method, route.path))
        .collect();
    assert!(absent.is_empty(), "no page has {absent:#?}");
    Ok(())
}

#[test]
fn every_audit_code_stands_in_audit_md() -> Result<()> {
    let source = sources("ca-server/src/audit/event")? + &sources("ca-server/src/audit/event.rs")?;
    let codes = source.split("rename = \"").skip(1).filter_map(|rest| rest.split('"').next());
    let codes: Vec<&str> = codes.filter(|code| code.contains('.')).collect();
    ensure!(codes.len() > 15, "{codes:?}");
    let absent = missing(codes, &page("docs/AUDIT.md")?);
    assert!(absent.is_empty(), "docs/AUDIT.md lacks {absent:?}");
    Ok(())
}

#[test]
fn every_metric_stands_in_operations() -> Result<()> {
    let source = sources("ca-server/src/http/metrics.rs")?;
    let names = source.split("jit_ssh_").skip(1);
    let names = names.filter_map(|rest| rest.split(|c: char| !c.is_ascii_lowercase() && c != '_').next());
    // Prometheus' own endings of a histogram.
    let histogram = |name: &&str| ["_bucket", "_count", "_sum"].iter().any(|end| name.ends_with(end));
    let names = names.filter(|name| !histogram(name)).map(|name| format!("jit_ssh_{}", name.trim_end_matches('_')));
    let names: BTreeSet<String> = names.collect();
    ensure!(names.len() > 8, "{names:?}");
    let absent = missing(names.iter().map(String::as_str), &(page("docs/OPERATIONS.md")? + &page("docs/SINKS.md")?));
    assert!(absent.is_empty(), "neither page has {absent:?}");
    Ok(())
}

#[test]
fn every_link_leads_somewhere() -> Result<()> {
    let root = binaries::file("..");
    let mut pages: Vec<PathBuf> = ["README.md", "CHANGELOG.md", "SECURITY.md"].map(|name| root.join(name)).into();
    for entry in fs::read_dir(root.join("docs"))? {
        pages.push(entry?.path());
    }
    let mut dead = Vec::new();
    for page in pages.iter().filter(|page| page.extension().is_some_and(|kind| kind == "md")) {
        let text = fs::read_to_string(page)?;
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.contains("://") && !target.starts_with('#')) {
            let file = target.split('#').next().unwrap_or_default();
            if !page.with_file_name(file).exists() {
                dead.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(dead.is_empty(), "{dead:#?}");
    Ok(())
}
