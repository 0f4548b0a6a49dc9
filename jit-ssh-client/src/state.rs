//! What is kept between two commands: in the user's runtime directory, which is memory and dies with the login.
//!
//! The session key signs requests to the CA, so whoever reads it can ask in the user's name: directory 0700 and file
//! 0600, both ours, checked each time, never followed through a link.

pub mod certs;
pub mod session;

use crate::error::Failure;
use rustix::process::geteuid;
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, ErrorKind, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

/// No file of ours is larger.
const LARGEST: u64 = 256 * 1024;

/// The directory, checked.
#[derive(Clone, Debug)]
pub struct StateDir {
    path: PathBuf,
}

impl StateDir {
    /// Opens it, and makes it if it is not there yet.
    ///
    /// # Errors
    /// If there is no place for it that only this user can read.
    pub fn open() -> Result<Self, Failure> {
        let Some(path) = place() else {
            return Err(Failure::failed(
                "there is no runtime directory for the session key: XDG_RUNTIME_DIR is not set",
            )
            .hint("set JIT_SSH_STATE_DIR to a directory that only you can read, best on a tmpfs"));
        };
        Self::at(path)
    }

    /// Opens the directory at `path`.
    ///
    /// # Errors
    /// If it is not ours alone.
    pub fn at(path: PathBuf) -> Result<Self, Failure> {
        private_dir(&path)?;
        Ok(Self { path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A directory in it, made if need be.
    ///
    /// # Errors
    /// If it is not ours alone.
    pub fn subdir(&self, name: &str) -> Result<Self, Failure> {
        Self::at(self.path.join(name))
    }

    /// The file's bytes; none if there is no such file.
    ///
    /// # Errors
    /// If it is not ours alone, not a plain file, or too large.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Failure> {
        let path = self.path.join(name);
        match read_private(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Failure::failed(format!("cannot use {}: {error}", path.display()))
                .hint("remove it and log in again: jit-ssh logout; jit-ssh login")),
        }
    }

    /// Writes the file whole or not at all.
    ///
    /// # Errors
    /// If that fails; the old file is then still there.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        write_private(&self.path.join(name), bytes)
            .map_err(|error| Failure::failed(format!("cannot write {}: {error}", self.path.join(name).display())))
    }

    /// Removes the file, if it is there.
    ///
    /// # Errors
    /// If it is there and stays.
    pub fn remove(&self, name: &str) -> Result<(), Failure> {
        match fs::remove_file(self.path.join(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(Failure::failed(format!("cannot remove {}: {error}", self.path.join(name).display())))
            }
            _gone => Ok(()),
        }
    }

    /// Names of the files in it.
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.path).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
    }

    /// Waits until no other process holds `name`, and holds it until the file is dropped.
    ///
    /// # Errors
    /// If the lock file cannot be opened.
    pub fn lock(&self, name: &str) -> Result<File, Failure> {
        let path = self.path.join(name);
        let failed = |error: io::Error| Failure::failed(format!("cannot lock {}: {error}", path.display()));
        let file = private_options().create(true).write(true).truncate(false).open(&path).map_err(failed)?;
        file.lock().map_err(failed)?;
        Ok(file)
    }
}

/// The first place that exists. An explicit choice is never second-guessed.
fn place() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    if let Some(chosen) = std::env::var_os("JIT_SSH_STATE_DIR").filter(|chosen| !chosen.is_empty()) {
        return std::path::absolute(chosen).ok();
    }
    let uid = geteuid().as_raw();
    let runtime = absolute("XDG_RUNTIME_DIR").filter(|path| is_ours(path));
    let run_user = || Some(PathBuf::from(format!("/run/user/{uid}"))).filter(|path| is_ours(path));
    let memory = || Path::new("/dev/shm").is_dir().then(|| PathBuf::from(format!("/dev/shm/jit-ssh-{uid}")));
    runtime.or_else(run_user).map(|path| path.join("jit-ssh")).or_else(memory)
}

fn is_ours(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_dir() && found.uid() == geteuid().as_raw())
}

/// Makes the directory, or checks the one that is there: in a world-writable parent somebody else may have been first.
fn private_dir(path: &Path) -> Result<(), Failure> {
    let made = DirBuilder::new().mode(0o700).create(path);
    match made {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            return Err(Failure::failed(format!("cannot make {}: {error}", path.display()))
                .hint("set JIT_SSH_STATE_DIR to a directory that only you can read"));
        }
        _there => {}
    }
    let found = fs::symlink_metadata(path)
        .map_err(|error| Failure::failed(format!("cannot look at {}: {error}", path.display())))?;
    let ours = found.is_dir() && found.uid() == geteuid().as_raw() && found.mode() & 0o077 == 0;
    if !ours {
        return Err(Failure::failed(format!("{} is not a directory that only you can use", path.display()))
            .hint(format!("look who made it, then: chmod 700 {}, or remove it", path.display())));
    }
    Ok(())
}

fn private_options() -> OpenOptions {
    let flags = (rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK).bits();
    let mut options = OpenOptions::new();
    options.mode(0o600).custom_flags(flags.cast_signed());
    options
}

fn read_private(path: &Path) -> io::Result<Vec<u8>> {
    let file = private_options().read(true).open(path)?;
    let found = file.metadata()?;
    let ours = found.is_file() && found.uid() == geteuid().as_raw() && found.mode() & 0o077 == 0;
    if !ours {
        return Err(io::Error::other("it is not a file that only you can read (want owner you, mode 0600)"));
    }
    if found.len() > LARGEST {
        return Err(io::Error::other("it is too large to be ours"));
    }
    let mut bytes = Vec::new();
    file.take(LARGEST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A temporary name and a rename, so a reader sees the old file or the new one and a link in its place is replaced,
/// never followed.
fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut random = [0_u8; 8];
    getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
    let new = path.with_file_name(format!(".{:016x}.new", u64::from_le_bytes(random)));
    let written = private_options()
        .create_new(true)
        .write(true)
        .open(&new)
        .and_then(|mut file| file.write_all(bytes))
        .and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        fs::remove_file(&new).or(Ok::<(), io::Error>(()))?;
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    fn scene() -> (tempfile::TempDir, StateDir) {
        let outer = tempfile::tempdir().unwrap();
        let state = StateDir::at(outer.path().join("jit-ssh")).unwrap();
        (outer, state)
    }

    #[test]
    fn files_are_ours_alone_and_written_whole() {
        let (_outer, state) = scene();
        state.write("session.json", b"one").unwrap();
        state.write("session.json", b"two").unwrap();
        assert_eq!(state.read("session.json").unwrap().unwrap(), b"two");
        assert_eq!(fs::metadata(state.path().join("session.json")).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(state.path()).unwrap().mode() & 0o777, 0o700);
        assert_eq!(state.names(), ["session.json"]);
    }

    #[test]
    fn a_directory_that_others_can_open_is_refused() {
        let (_outer, state) = scene();
        fs::set_permissions(state.path(), fs::Permissions::from_mode(0o750)).unwrap();
        assert!(StateDir::at(state.path().to_owned()).is_err());
    }

    #[test]
    fn a_link_in_place_of_the_directory_is_refused() {
        let (outer, state) = scene();
        let link = outer.path().join("link");
        symlink(state.path(), &link).unwrap();
        assert!(StateDir::at(link).is_err());
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let (_outer, state) = scene();
        state.write("session.json", b"x").unwrap();
        fs::set_permissions(state.path().join("session.json"), fs::Permissions::from_mode(0o640)).unwrap();
        assert!(state.read("session.json").is_err());
    }

    #[test]
    fn a_link_is_never_read_through_and_is_replaced_by_a_write() {
        let (outer, state) = scene();
        let victim = outer.path().join("victim");
        fs::write(&victim, "keep").unwrap();
        fs::set_permissions(&victim, fs::Permissions::from_mode(0o600)).unwrap();
        symlink(&victim, state.path().join("session.json")).unwrap();
        assert!(state.read("session.json").is_err());
        state.write("session.json", b"new").unwrap();
        assert_eq!(fs::read(&victim).unwrap(), b"keep");
        assert_eq!(state.read("session.json").unwrap().unwrap(), b"new");
    }

    #[test]
    fn a_fifo_does_not_hang_us() {
        let (_outer, state) = scene();
        let made =
            std::process::Command::new("mkfifo").args(["-m", "600"]).arg(state.path().join("session.json")).status();
        assert!(made.unwrap().success());
        assert!(state.read("session.json").is_err());
    }
}
