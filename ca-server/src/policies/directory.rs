//! A policy directory, as bytes: which files count, how many, how large.

use policy::{Finding, Source, Sources, TestOutcome};
use std::{
    fs::{self, File},
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// The most files of one directory.
const MOST_FILES: usize = 4096;
/// The largest file.
const MOST_BYTES: u64 = 8 * 1024 * 1024;
/// The most bytes of all files together.
const MOST_BYTES_TOGETHER: u64 = 64 * 1024 * 1024;

/// Reads the files that count: `*.cedar`, `hosts.toml`, `groups.toml` and `tests/*.toml`. Links to files are followed
/// (that is how Kubernetes mounts them); directories are not searched, so there is no loop to walk into.
///
/// # Errors
/// What cannot be read, is too large or is too many, and what would count for nothing: a forbid in a file that is
/// passed over in silence forbids nothing.
pub fn read(directory: &Path) -> Result<Sources, Vec<Finding>> {
    let mut sources = Sources { policies: Vec::new(), hosts: None, groups: None, tests: Vec::new() };
    let mut left = MOST_BYTES_TOGETHER;
    let files = files(directory).map_err(|error| vec![unreadable(".", &error)])?;
    let (files, strange): (Vec<_>, Vec<_>) = files.into_iter().partition(|(name, path)| counts(name, path));
    if !strange.is_empty() {
        return Err(strange.iter().map(|(name, _)| passed_over(name)).collect());
    }
    for (name, path) in files {
        let text = text(&path, &mut left).map_err(|error| vec![unreadable(&name, &error)])?;
        let source = Source { name, text };
        match source.name.as_str() {
            "hosts.toml" => sources.hosts = Some(source),
            "groups.toml" => sources.groups = Some(source),
            name if name.starts_with("tests/") => sources.tests.push(source),
            _ => sources.policies.push(source),
        }
    }
    Ok(sources)
}

/// What others can write: they would decide who gets in.
pub fn writable_by_others(directory: &Path) -> Vec<Finding> {
    // What is mounted read-only (as Kubernetes does, with modes that promise more) nobody can write.
    let read_only =
        rustix::fs::statvfs(directory).is_ok_and(|mount| mount.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY));
    if read_only {
        return Vec::new();
    }
    let places = [(".", directory.to_owned()), ("tests", directory.join("tests"))];
    let places = places.into_iter().map(|(name, path)| (name.to_owned(), path));
    let all = places.chain(files(directory).unwrap_or_default());
    let open = all.filter(|(_, path)| fs::metadata(path).is_ok_and(|found| found.mode() & 0o002 != 0));
    open.map(|(name, path)| Finding {
        file: name,
        line: 1,
        column: 1,
        message: "everybody on this machine can change it, and with it who gets in".to_owned(),
        hint: Some(format!("run `chmod o-w {}`, and look at what it says", path.display())),
    })
    .collect()
}

/// What a look at a directory sees without reading its files. Equal stamps, equal content: every write moves the
/// change time, every replacement the inode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp(Vec<(String, u64, u64, i64, i64)>);

impl Stamp {
    /// The stamp of `directory` now.
    ///
    /// # Errors
    /// If it cannot be listed.
    pub fn of(directory: &Path) -> io::Result<Self> {
        let seen = files(directory)?.into_iter().map(|(name, path)| {
            let found = fs::metadata(path)?;
            Ok((name, found.ino(), found.size(), found.ctime(), found.ctime_nsec()))
        });
        let mut seen: Vec<_> = seen.collect::<io::Result<_>>()?;
        // Who may write the directories, too; not when they changed, for editors make hidden files in them.
        for place in [directory.to_owned(), directory.join("tests")] {
            if let Ok(found) = fs::metadata(&place) {
                seen.push((place.display().to_string(), found.ino(), u64::from(found.mode()), 0, 0));
            }
        }
        Ok(Self(seen))
    }
}

/// Every file of a set.
pub(super) fn all(sources: &Sources) -> impl Iterator<Item = &Source> {
    sources.policies.iter().chain(&sources.hosts).chain(&sources.groups).chain(&sources.tests)
}

/// A failed test, as a finding.
pub(super) fn failed_test(outcome: &TestOutcome) -> Option<Finding> {
    let sentence = outcome.result.as_ref().err()?;
    Some(Finding {
        file: outcome.file.clone(),
        line: outcome.line,
        column: 1,
        message: format!("the policy test \"{}\" fails: {sentence}", outcome.name),
        hint: Some("correct the policy or, if the test is what is wrong, the test".to_owned()),
    })
}

/// Everything that is to be seen in the directory and in `tests/`, but what is there for people to read.
fn files(directory: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut found = list(directory, "")?;
    let tests = directory.join("tests");
    if tests.is_dir() {
        found.retain(|(name, _)| name != "tests");
        found.extend(list(&tests, "tests/")?);
    }
    found.retain(|(name, _)| !for_people(name.strip_prefix("tests/").unwrap_or(name)));
    found.sort();
    if found.len() > MOST_FILES {
        return Err(io::Error::other(format!("it holds {} files; at most {MOST_FILES} are read", found.len())));
    }
    Ok(found)
}

fn for_people(name: &str) -> bool {
    name.starts_with("README") || name.ends_with(".md")
}

/// Whether it is read; a directory never is, whatever its name.
fn counts(name: &str, path: &Path) -> bool {
    let known = match name.strip_prefix("tests/") {
        Some(test) => test.ends_with(".toml"),
        None => name.ends_with(".cedar") || name == "hosts.toml" || name == "groups.toml",
    };
    known && !path.is_dir()
}

fn passed_over(name: &str) -> Finding {
    Finding {
        file: name.escape_debug().to_string(),
        line: 1,
        column: 1,
        message:
            "this would be passed over: only *.cedar, hosts.toml, groups.toml and tests/*.toml are read, spelled so, \
                  and no directory but tests"
                .to_owned(),
        hint: Some("rename it or move it away; README* and *.md may stay".to_owned()),
    }
}

fn list(directory: &Path, prefix: &str) -> io::Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        // Editors and mounts leave `.#x.cedar` and `..data` behind: hidden files never count.
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') {
            found.push((format!("{prefix}{name}"), entry.path()));
        }
    }
    Ok(found)
}

fn text(path: &Path, left: &mut u64) -> io::Result<String> {
    // Before it is opened: a FIFO would block, a device has no end.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let most = MOST_BYTES.min(*left);
    let mut text = String::new();
    let read = File::open(path)?.take(most + 1).read_to_string(&mut text)?;
    let read = u64::try_from(read).unwrap_or(u64::MAX);
    if read > most {
        return Err(io::Error::other("it is too large: at most 8 MiB a file and 64 MiB in all are read"));
    }
    *left -= read;
    Ok(text)
}

fn unreadable(name: &str, error: &io::Error) -> Finding {
    Finding {
        file: name.to_owned(),
        line: 1,
        column: 1,
        message: format!("cannot be read: {error}"),
        hint: Some("check the path and that the server's user may read it".to_owned()),
    }
}
