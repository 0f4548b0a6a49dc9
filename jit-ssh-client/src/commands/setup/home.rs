//! `~/.ssh`: what is in it before and after, and how that is written.

use super::{
    known::Ssh,
    ssh_config::{self, Included},
};
use crate::{error::Failure, state::StateDir};
use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{ErrorKind, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

/// A file before and after; none is a file that is not there.
pub struct Change {
    /// Which.
    pub path: PathBuf,
    /// What it holds.
    pub old: Option<String>,
    /// What it is to hold.
    pub new: Option<String>,
}

impl Change {
    /// Whether it changes anything.
    pub fn is_one(&self) -> bool {
        self.old != self.new
    }

    /// It, for people.
    pub fn diff(&self) -> String {
        api::diff::unified(&self.path.display().to_string(), self.old.as_deref(), self.new.as_deref())
    }
}

/// `~/.ssh`.
pub struct SshHome(pub PathBuf);

impl SshHome {
    /// The user's.
    ///
    /// # Errors
    /// If HOME is not set.
    pub fn find() -> Result<Self, Failure> {
        let home = std::env::var_os("HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        home.map(|home| Self(home.join(".ssh"))).ok_or_else(|| Failure::failed("HOME is not set"))
    }

    /// The file of that name, included so that ssh finds it.
    ///
    /// # Errors
    /// If the name is none for such a file.
    pub fn included(&self, name: &str) -> Result<Included, Failure> {
        let included = Included::named(name)?;
        if self.is_where_ssh_looks() { Ok(included) } else { included.by_path(&self.0) }
    }

    /// Whether the password file says the same home as HOME. Directory users are not in it: then HOME is believed.
    pub fn is_where_ssh_looks(&self) -> bool {
        let uid = rustix::process::getuid().as_raw().to_string();
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let mut entries = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let home = entries.find(|entry| entry.get(2) == Some(&uid.as_str())).and_then(|entry| entry.get(5).copied());
        home.is_none_or(|home| Path::new(home).join(".ssh") == self.0)
    }

    /// The changes that set up.
    ///
    /// # Errors
    /// If a file cannot be read, or one of somebody else's is in the way.
    pub fn doing(&self, included: &Included, text: String) -> Result<Vec<Change>, Failure> {
        let ours = self.change(included.file_name(), Some(text))?;
        if ours.old.as_deref().is_some_and(|old| !ssh_config::is_ours(old)) {
            return Err(Failure::failed(format!("{} is there and not of jit-ssh's making", ours.path.display()))
                .hint("choose another name: jit-ssh setup --name NAME"));
        }
        let old = self.read("config")?;
        let config = self.change("config", Some(included.added_to(old.as_deref().unwrap_or_default())))?;
        Ok(vec![ours, config])
    }

    /// The changes that take it back.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn undoing(&self, included: &Included) -> Result<Vec<Change>, Failure> {
        let mut changes = Vec::new();
        if let Some(old) = self.read("config")? {
            let left = included.removed_from(&old);
            // A file that held our line alone is one that we made.
            changes.push(self.change("config", Some(left).filter(|left| !left.is_empty() || old.is_empty()))?);
        }
        let ours = self.change(included.file_name(), None)?;
        if ours.old.as_deref().is_some_and(ssh_config::is_ours) {
            changes.push(ours);
        }
        Ok(changes)
    }

    /// The user's ssh without what `included` brings.
    ///
    /// # Errors
    /// If a file cannot be read or written.
    pub fn ssh_without<'a>(&self, included: &Included, state: &'a StateDir) -> Result<Ssh<'a>, Failure> {
        let config = self.read("config")?.unwrap_or_default();
        Ssh::without_us(state, &self.0, &included.removed_from(&config))
    }

    /// The file that setup wrote, under whatever name.
    pub fn set_up(&self) -> Option<Included> {
        let config = self.read("config").ok()??;
        let paths = config.lines().filter_map(|line| line.strip_prefix("Include "));
        paths
            .filter_map(|path| self.included(path.trim_matches('"').rsplit('/').next()?).ok())
            .find(|included| self.read(included.file_name()).ok().flatten().as_deref().is_some_and(ssh_config::is_ours))
    }

    /// The file's text; none if it is not there.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(&self, name: &str) -> Result<Option<String>, Failure> {
        let path = self.0.join(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Failure::failed(format!("cannot read {}: {error}", path.display()))),
        }
    }

    /// A file of this name, changed to that text.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn change(&self, name: &str, new: Option<String>) -> Result<Change, Failure> {
        Ok(Change { path: self.0.join(name), old: self.read(name)?, new })
    }

    /// Makes a change.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn make(&self, change: &Change) -> Result<(), Failure> {
        let failed =
            |error: std::io::Error| Failure::failed(format!("cannot write {}: {error}", change.path.display()));
        match DirBuilder::new().mode(0o700).create(&self.0) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(failed(error)),
            _there => {}
        }
        match &change.new {
            Some(text) => replace(&change.path, text).map_err(failed),
            None => fs::remove_file(&change.path).map_err(failed),
        }
    }
}

/// Whole or not at all. People keep ~/.ssh/config as a link into a repository of theirs: what it points to is written.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let path = fs::canonicalize(path).unwrap_or_else(|_new| path.to_owned());
    let mode = fs::metadata(&path).map_or(0o600, |found| found.mode() & 0o777);
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let new = path.with_file_name(name);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&new)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        fs::remove_file(&new)?;
    }
    written
}
