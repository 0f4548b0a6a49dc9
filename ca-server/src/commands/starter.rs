//! The starter policy directory, and how files come into being: new, never in the place of another.

use anyhow::Context as _;
use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};

const FILES: [(&str, &str); 6] = [
    ("access.cedar", include_str!("../../starter/policy/access.cedar")),
    ("approvals.cedar", include_str!("../../starter/policy/approvals.cedar")),
    ("limits.cedar", include_str!("../../starter/policy/limits.cedar")),
    ("hosts.toml", include_str!("../../starter/policy/hosts.toml")),
    ("groups.toml", include_str!("../../starter/policy/groups.toml")),
    ("tests/access.toml", include_str!("../../starter/policy/tests/access.toml")),
];

/// Writes the starter policies into `directory`.
pub(super) fn write(directory: &Path) -> anyhow::Result<()> {
    make_directory(&directory.join("tests"))?;
    for (name, text) in FILES {
        new_file(&directory.join(name), text)?;
    }
    Ok(())
}

/// A directory for its owner alone.
pub(super) fn make_directory(path: &Path) -> anyhow::Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.with_context(|| format!("cannot make the directory {}", path.display()))
}

/// A file that was not there before, for its owner alone.
pub(super) fn new_file(path: &Path, text: &str) -> anyhow::Result<()> {
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = opened.with_context(|| format!("cannot make {}", path.display()))?;
    file.write_all(text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))?;
    file.sync_all().with_context(|| format!("cannot write {}", path.display()))
}

/// Refuses to go on where something is already there.
pub(super) fn must_be_free(path: &Path) -> anyhow::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| format!("cannot look at {}", path.display())),
        Ok(_) => anyhow::bail!("{} is already there; nothing was changed: choose another directory", path.display()),
    }
}
