//! The rules of the house that a compiler does not know: which room may speak to which, and how large a file may be.

use anyhow::{Context as _, Result};
use e2e::kit::binaries;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Crates, and the crates of ours they may name.
const CRATES: [(&str, &[&str]); 5] = [
    ("policy", &[]),
    ("api", &["policy"]),
    ("ca-server", &["policy", "api"]),
    ("jit-ssh-client", &["policy", "api"]),
    ("tests", &["policy", "api", "ca_server", "e2e"]),
];
const OURS: [&str; 6] = ["policy", "api", "ca_server", "jit_ssh_client", "jit_ssh_host", "e2e"];

/// Rooms of ca-server, and the rooms they may not name. Only a verb joins a signature with a record.
const ROOMS: [(&str, &[&str]); 13] = [
    ("verbs", &["http", "console", "commands", "cli"]),
    ("oidc", &["http", "console", "verbs", "commands", "cli", "app", "ca", "custody"]),
    ("ca", &["http", "console", "verbs", "commands", "cli", "app", "store", "oidc"]),
    ("custody", &["http", "console", "verbs", "commands", "cli", "app", "store", "oidc", "ca"]),
    ("store", &["http", "console", "verbs", "commands", "cli", "app", "ca", "custody", "oidc"]),
    ("audit", &["http", "console", "verbs", "commands", "cli", "app", "ca", "custody", "oidc", "store"]),
    ("sinks", &["http", "console", "verbs", "commands", "cli", "app", "ca", "custody", "oidc", "policies"]),
    ("policies", &["http", "console", "verbs", "commands", "cli", "app", "ca", "custody", "oidc"]),
    ("refusal", &["http", "console", "verbs", "commands", "cli", "app", "ca", "custody", "oidc"]),
    ("clock", &["http", "console", "verbs", "commands", "cli", "app", "ca", "custody", "oidc", "store"]),
    ("outbound", &["http", "console", "verbs", "commands", "cli", "app", "ca", "custody", "oidc", "store", "sinks"]),
    ("fault", &["http", "console", "verbs", "commands", "cli", "app", "ca", "custody", "oidc", "store"]),
    ("http", &["commands", "cli"]),
];

#[test]
fn no_crate_names_one_that_stands_above_it() -> Result<()> {
    let mut wrong = Vec::new();
    for (name, allowed) in CRATES {
        for file in sources(name)? {
            let named = words_before(&file.code, "::");
            for other in OURS.iter().filter(|other| named.contains(**other) && !allowed.contains(*other)) {
                // A module may bear the name of a crate; `crate::policy::` and `super::policy::` are not the crate.
                if *other != name.replace('-', "_") && file.code.contains(&format!("use {other}::")) {
                    wrong.push(format!("{} names {other}", file.path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn no_room_of_the_server_names_one_above_it() -> Result<()> {
    let mut wrong = Vec::new();
    for file in sources("ca-server")? {
        let room = file.room();
        let Some((_, forbidden)) = ROOMS.iter().find(|(name, _)| *name == room) else { continue };
        let named = rooms_named(&file.code);
        wrong.extend(
            forbidden
                .iter()
                .filter(|other| named.contains(**other))
                .map(|other| format!("{}: {room} names {other}", file.path.display())),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// BeyondTrust CVE-2024-12356 and -2026-1731: an access product that starts a shell is one quoting mistake from giving it
/// away.
#[test]
fn the_server_starts_no_program() -> Result<()> {
    let starts = ["process::Command", "Command::new", "posix_spawn", "libc::exec"];
    for file in sources("ca-server")? {
        let found = starts.iter().find(|word| file.code.contains(**word));
        assert!(found.is_none(), "{} holds {found:?}", file.path.display());
    }
    Ok(())
}

#[test]
fn files_are_small_and_named_by_the_field() -> Result<()> {
    let mut wrong = Vec::new();
    for (name, _) in CRATES {
        for file in sources(name)? {
            let path = file.path.display();
            let lines = file.text.lines().count();
            if lines > 400 {
                wrong.push(format!("{path}: {lines} lines without its tests; 400 is the end"));
            }
            if file.path.ends_with("mod.rs") {
                wrong.push(format!("{path}: name it after its directory"));
            }
            for word in ["Manager", "Helper", "Util"] {
                let declares =
                    |line: &str| line.contains("struct ") || line.contains("trait ") || line.contains("enum ");
                if file.code.lines().any(|line| declares(line) && line.contains(word)) {
                    wrong.push(format!("{path}: {word} is no word of the field"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn nothing_is_left_for_later_and_nothing_is_hidden() -> Result<()> {
    for (name, _) in CRATES {
        for file in sources(name)? {
            let path = file.path.display();
            for word in ["todo!(", "unimplemented!(", "#[allow(", "#![allow("] {
                assert!(!file.code.contains(word), "{path} holds {word}; an exception is #[expect(lint, reason)]");
            }
        }
    }
    Ok(())
}

/// A source file. Its tests are left out of both texts, comments out of `code`.
struct Source {
    path: PathBuf,
    below: PathBuf,
    text: String,
    code: String,
}

impl Source {
    /// The room: the file or directory directly under `src`.
    fn room(&self) -> String {
        let first = self.below.components().next().map(|part| part.as_os_str().to_string_lossy().into_owned());
        first.unwrap_or_default().trim_end_matches(".rs").to_owned()
    }
}

fn sources(name: &str) -> Result<Vec<Source>> {
    let root = binaries::file(&format!("../{name}/src"));
    let mut files = Vec::new();
    walk(&root, &mut files)?;
    let mut all = Vec::new();
    for path in files {
        let below = path.strip_prefix(&root)?.to_owned();
        let is_test =
            below.components().any(|part| ["tests.rs", "tests"].contains(&&*part.as_os_str().to_string_lossy()));
        if !is_test {
            let whole = fs::read_to_string(&path)?;
            let text = whole.split("#[cfg(test)]\nmod ").next().unwrap_or_default().to_owned();
            let code =
                text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n");
            all.push(Source { path, below, text, code });
        }
    }
    anyhow::ensure!(!all.is_empty(), "no sources of {name}");
    Ok(all)
}

fn walk(dir: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            walk(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

/// Every `room` in `crate::room` and in `crate::{room, …}`.
fn rooms_named(code: &str) -> BTreeSet<&str> {
    let mut named = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        let Some(list) = rest.strip_prefix('{') else {
            named.insert(first_word(rest));
            continue;
        };
        let (mut depth, mut start) = (0, 0);
        for (at, letter) in list.char_indices() {
            match letter {
                '{' => depth += 1,
                '}' if depth == 0 => {
                    named.insert(first_word(list[start..].trim_start()));
                    break;
                }
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    named.insert(first_word(list[start..].trim_start()));
                    start = at + 1;
                }
                _ => {}
            }
        }
    }
    named
}

fn first_word(text: &str) -> &str {
    text.split(|letter: char| !letter.is_alphanumeric() && letter != '_').next().unwrap_or_default()
}

/// Every word that stands before `mark`.
fn words_before<'a>(code: &'a str, mark: &str) -> BTreeSet<&'a str> {
    code.split(mark)
        .filter_map(|before| before.rsplit(|letter: char| !letter.is_alphanumeric() && letter != '_').next())
        .collect()
}

#[test]
fn the_reader_of_use_lines_reads_them() {
    let code = "use crate::{app::{App, Origin}, http::door::Shared,\n verbs};\nlet x = crate::store::Store;";
    assert_eq!(rooms_named(code), BTreeSet::from(["app", "http", "verbs", "store"]));
}
