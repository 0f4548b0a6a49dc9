//! The starter directory that `ca-server init` writes: it loads, and its own tests pass.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::let_underscore_must_use,
    reason = "a test that cannot go on fails"
)]

use policy::{Policies, Source, Sources};
use std::path::{Path, PathBuf};

fn starter() -> Sources {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ca-server/starter/policy");
    let read = |path: PathBuf| Source {
        name: path.strip_prefix(&directory).unwrap().display().to_string(),
        text: std::fs::read_to_string(&path).unwrap(),
    };
    let with = |folder: &Path, extension: &str| {
        let mut all: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        all.retain(|path| path.extension().is_some_and(|found| found == extension));
        all.sort();
        all.into_iter().map(read).collect::<Vec<_>>()
    };
    Sources {
        policies: with(&directory, "cedar"),
        hosts: Some(read(directory.join("hosts.toml"))),
        groups: Some(read(directory.join("groups.toml"))),
        tests: with(&directory.join("tests"), "toml"),
    }
}

#[test]
fn it_loads_and_its_tests_pass() {
    let sources = starter();
    let policies = Policies::load(&sources).unwrap_or_else(|findings| {
        panic!("{}", findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    });
    let outcomes = policies.run_tests(&sources);
    let failed: Vec<String> = outcomes
        .iter()
        .filter_map(|outcome| {
            outcome
                .result
                .as_ref()
                .err()
                .map(|why| format!("{}:{}: {}: {why}", outcome.file, outcome.line, outcome.name))
        })
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(outcomes.len() >= 16, "only {} tests ran", outcomes.len());
}

#[test]
fn a_test_can_fail() {
    let mut sources = starter();
    let policies = Policies::load(&sources).unwrap();
    for test in &mut sources.tests {
        test.text = test.text.replace("granted_for = \"8h\"", "granted_for = \"7h\"");
    }
    let outcomes = policies.run_tests(&sources);
    let failed: Vec<&String> = outcomes.iter().filter_map(|outcome| outcome.result.as_ref().err()).collect();
    assert_eq!(failed, ["expected granted_for 7h, came 8h; the decision was: granted by nonprod/engineers"]);
}
