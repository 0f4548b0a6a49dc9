//! What `deny.toml` says of licences, bans and sources, held against what is really built here: with cargo alone, for
//! whoever has no cargo-deny.

use anyhow::{Context as _, Result, ensure};
use e2e::kit::{binaries, process::run};
use std::{collections::BTreeSet, fs};
use tokio::process::Command;

#[tokio::test]
async fn what_is_built_has_the_licences_and_sources_that_deny_toml_allows() -> Result<()> {
    let root = binaries::file("..");
    let rules = fs::read_to_string(root.join("deny.toml"))?;
    let allowed: BTreeSet<&str> = quoted(section(&rules, "allow = [")?).collect();
    let banned: Vec<&str> = section(&rules, "deny = [")?.lines().filter_map(|line| quoted(line).next()).collect();
    ensure!(allowed.contains("MIT") && banned.contains(&"ring"), "{allowed:?} {banned:?}");

    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["tree", "--workspace", "--locked", "--offline", "--edges", "normal,build,dev", "--prefix", "none"]);
    cargo.args(["--no-dedupe", "--format", "{p}|{l}"]).current_dir(&root);
    let tree = run("cargo tree", cargo).await?.success()?;
    let crates: BTreeSet<&str> = tree.lines().filter(|line| !line.trim().is_empty()).collect();
    ensure!(crates.len() > 100, "{tree}");
    let mut wrong = Vec::new();
    for line in crates {
        let (package, licence) = line.split_once('|').with_context(|| line.to_owned())?;
        let name = package.split(' ').next().unwrap_or_default();
        // A crate of crates.io bears no source; one of ours its path; one of anywhere else an address.
        let elsewhere = package.split(" (").skip(1).any(|note| !note.starts_with('/') && note != "proc-macro)");
        if elsewhere {
            wrong.push(format!("{package}: from elsewhere than crates.io"));
        }
        if banned.contains(&name) {
            wrong.push(format!("{package}: banned"));
        }
        if !allows(licence, &allowed) {
            wrong.push(format!("{package}: licence {licence:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn licence_expressions_are_read_as_spdx_means_them() {
    let allowed = BTreeSet::from(["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"]);
    for (licence, good) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("MIT/GPL-3.0", true),
        ("MIT AND GPL-3.0", false),
        ("GPL-3.0 OR MIT AND Apache-2.0", true),
        ("(GPL-3.0 OR MIT) AND Apache-2.0", true),
        ("MIT AND (GPL-3.0 OR ISC)", false),
        ("Apache-2.0 WITH LLVM-exception", true),
        ("Apache-2.0 WITH Another-exception", false),
        ("", false),
        ("MIT OR", false),
        ("(MIT", false),
    ] {
        assert_eq!(allows(licence, &allowed), good, "{licence:?}");
    }
}

fn section<'a>(text: &'a str, begin: &str) -> Result<&'a str> {
    let (_, rest) = text.split_once(begin).with_context(|| begin.to_owned())?;
    rest.split_once("\n]").map(|(inner, _)| inner).with_context(|| begin.to_owned())
}

fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('"').skip(1).step_by(2)
}

/// SPDX: AND binds closer than OR. What cannot be read is not allowed. `A/B` is how OR was once written.
fn allows(licence: &str, allowed: &BTreeSet<&str>) -> bool {
    let spaced = licence.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ").replace(" WITH ", "\u{1f}");
    let words = spaced.split(' ').filter(|word| !word.is_empty()).map(|word| word.replace('\u{1f}', " WITH "));
    let mut words = words.collect::<Vec<_>>().into_iter().peekable();
    any(&mut words, allowed).is_some_and(|good| good && words.next().is_none())
}

type Words = std::iter::Peekable<std::vec::IntoIter<String>>;

fn any(words: &mut Words, allowed: &BTreeSet<&str>) -> Option<bool> {
    let mut good = all(words, allowed)?;
    while words.next_if(|word| word == "OR").is_some() {
        good |= all(words, allowed)?;
    }
    Some(good)
}

fn all(words: &mut Words, allowed: &BTreeSet<&str>) -> Option<bool> {
    let mut good = one(words, allowed)?;
    while words.next_if(|word| word == "AND").is_some() {
        good &= one(words, allowed)?;
    }
    Some(good)
}

fn one(words: &mut Words, allowed: &BTreeSet<&str>) -> Option<bool> {
    match words.next()?.as_str() {
        "(" => any(words, allowed).filter(|_| words.next().is_some_and(|word| word == ")")),
        "AND" | "OR" | ")" => None,
        licence => Some(allowed.contains(licence)),
    }
}
