//! `jit-ssh setup`: stock ssh, and all that run it, get certificates by themselves. One file of ours, one line in the
//! user's; shown before it is written, and taken back to the byte.

mod ssh_config;

use super::Globals;
use crate::{
    ca_client::CaClient,
    cli,
    error::Failure,
    state::{StateDir, certs::Certs, session::Session},
    terminal,
};
use ssh_config::Included;
use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{ErrorKind, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

/// Sets up, or takes it back.
///
/// # Errors
/// If nobody is logged in, nobody agrees, or a file cannot be written.
pub fn run(globals: &Globals, args: &cli::Setup) -> Result<(), Failure> {
    let home = SshHome::find()?;
    let included = home.included(&args.name)?;
    let changes = if args.undo {
        home.undoing(&included)?
    } else {
        let text = generated(globals)?;
        if args.print {
            match globals.json {
                true => terminal::print_json(&serde_json::json!({ "text": text })),
                false => terminal::print(text.trim_end()),
            }
            return Ok(());
        }
        home.doing(&included, text)?
    };
    let changes: Vec<Change> = changes.into_iter().filter(Change::is_one).collect();
    let diff: String = changes.iter().map(Change::diff).collect();
    let agreed = !changes.is_empty() && !args.dry_run && agreed(&diff, args.yes)?;
    if agreed {
        changes.iter().try_for_each(|change| home.make(change))?;
    }
    report(globals, args, &changes, &diff, agreed);
    Ok(())
}

/// After a login: the hosts in reach may have changed. Only where setup was done, and never a reason to fail.
pub fn refresh(ca: &CaClient, session: &Session, state: &StateDir) {
    let Ok(home) = SshHome::find() else { return };
    let Some(included) = home.set_up() else { return };
    let refreshed = text_for(ca, session, state)
        .and_then(|text| home.change(included.file_name(), Some(text)))
        .and_then(|change| if change.is_one() { home.make(&change) } else { Ok(()) });
    if let Err(failure) = refreshed {
        terminal::say(&format!(
            "The hosts in ~/.ssh/{} are as before: {}",
            included.file_name(),
            terminal::plain(&failure.message)
        ));
    }
}

fn generated(globals: &Globals) -> Result<String, Failure> {
    let state = StateDir::open()?;
    let session = globals.session(&state)?;
    text_for(&CaClient::for_session(&session)?, &session, &state)
}

fn text_for(ca: &CaClient, session: &Session, state: &StateDir) -> Result<String, Failure> {
    let program = std::env::current_exe().map_err(|error| Failure::failed(format!("where is jit-ssh? {error}")))?;
    ssh_config::text(&session.server, &ca.hosts(session)?.hosts, &Certs::open(state)?, &program)
}

fn agreed(diff: &str, yes: bool) -> Result<bool, Failure> {
    if yes {
        return Ok(true);
    }
    if !terminal::interactive() {
        return Err(Failure::usage("nobody is here to agree to the change").hint("look with --dry-run, then say --yes"));
    }
    show(diff);
    Ok(terminal::ask("Write this? [y/N]").is_some_and(|answer| matches!(answer.as_str(), "y" | "Y" | "yes")))
}

fn show(diff: &str) {
    diff.lines().for_each(|line| terminal::say(&terminal::plain(line)));
}

fn report(globals: &Globals, args: &cli::Setup, changes: &[Change], diff: &str, made: bool) {
    if globals.json {
        let files: Vec<_> = changes.iter().map(|change| change.path.display().to_string()).collect();
        terminal::print_json(&serde_json::json!({ "changed": made, "files": files, "diff": diff }));
    } else if changes.is_empty() {
        terminal::say("Nothing to change.");
    } else if args.dry_run {
        diff.lines().for_each(|line| terminal::print(&terminal::plain(line)));
    } else if made && args.undo {
        terminal::say("Taken back. ssh is as it was before.");
    } else if made {
        terminal::say("Done. ssh, scp, rsync, git, VS Code and Ansible now get certificates by themselves.");
    } else {
        terminal::say("Nothing was changed.");
    }
}

/// A file before and after; none is a file that is not there.
struct Change {
    path: PathBuf,
    old: Option<String>,
    new: Option<String>,
}

impl Change {
    fn is_one(&self) -> bool {
        self.old != self.new
    }

    fn diff(&self) -> String {
        api::diff::unified(&self.path.display().to_string(), self.old.as_deref(), self.new.as_deref())
    }
}

/// `~/.ssh`.
struct SshHome(PathBuf);

impl SshHome {
    fn find() -> Result<Self, Failure> {
        let home = std::env::var_os("HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        home.map(|home| Self(home.join(".ssh"))).ok_or_else(|| Failure::failed("HOME is not set"))
    }

    /// The file of that name, included so that ssh finds it.
    fn included(&self, name: &str) -> Result<Included, Failure> {
        let included = Included::named(name)?;
        if self.is_where_ssh_looks() { Ok(included) } else { included.by_path(&self.0) }
    }

    /// Whether the password file says the same home as HOME. Directory users are not in it: then HOME is believed.
    fn is_where_ssh_looks(&self) -> bool {
        let uid = rustix::process::getuid().as_raw().to_string();
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let mut entries = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let home = entries.find(|entry| entry.get(2) == Some(&uid.as_str())).and_then(|entry| entry.get(5).copied());
        home.is_none_or(|home| Path::new(home).join(".ssh") == self.0)
    }

    fn doing(&self, included: &Included, text: String) -> Result<Vec<Change>, Failure> {
        let ours = self.change(included.file_name(), Some(text))?;
        if ours.old.as_deref().is_some_and(|old| !ssh_config::is_ours(old)) {
            return Err(Failure::failed(format!("{} is there and not of jit-ssh's making", ours.path.display()))
                .hint("choose another name: jit-ssh setup --name NAME"));
        }
        let old = self.read("config")?;
        let config = self.change("config", Some(included.added_to(old.as_deref().unwrap_or_default())))?;
        Ok(vec![ours, config])
    }

    fn undoing(&self, included: &Included) -> Result<Vec<Change>, Failure> {
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

    /// The file that setup wrote, under whatever name.
    fn set_up(&self) -> Option<Included> {
        let config = self.read("config").ok()??;
        let paths = config.lines().filter_map(|line| line.strip_prefix("Include "));
        paths
            .filter_map(|path| self.included(path.trim_matches('"').rsplit('/').next()?).ok())
            .find(|included| self.read(included.file_name()).ok().flatten().as_deref().is_some_and(ssh_config::is_ours))
    }

    fn read(&self, name: &str) -> Result<Option<String>, Failure> {
        let path = self.0.join(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Failure::failed(format!("cannot read {}: {error}", path.display()))),
        }
    }

    fn change(&self, name: &str, new: Option<String>) -> Result<Change, Failure> {
        Ok(Change { path: self.0.join(name), old: self.read(name)?, new })
    }

    fn make(&self, change: &Change) -> Result<(), Failure> {
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

#[cfg(test)]
mod tests;
