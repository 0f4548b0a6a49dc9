//! Reading a private key file, and nothing that somebody else may have put in its place.

use super::CustodyError;
use rustix::fs::{Mode, OFlags};
use std::{
    fs::{File, Metadata},
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::Path,
};
use zeroize::Zeroizing;

/// No private key file is larger.
const LARGEST: u64 = 64 * 1024;

/// The content of a passphrase's file, judged like a key's. Credentials that systemd hands over belong to root, and the
/// access list that lets the service read them shows as a group's right to read.
pub(crate) fn read_passphrase(path: &Path) -> Result<Zeroizing<Vec<u8>>, CustodyError> {
    read(path, 0o040)
}

/// The file's content, if its owner is us or root and nobody else can read it or put another in its place.
pub(super) fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>, CustodyError> {
    read(path, 0)
}

/// `of_root` is what others may do with a file of root's whose group is root's.
fn read(path: &Path, of_root: u32) -> Result<Zeroizing<Vec<u8>>, CustodyError> {
    check_directory(path)?;
    // Opened first and judged by its descriptor, so it cannot be exchanged in between.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file =
        rustix::fs::open(path, flags, Mode::empty()).map(File::from).map_err(|error| cannot_open(path, error))?;
    let about = file.metadata().map_err(|error| unreadable(path, &error))?;
    check_file(path, &about, of_root)?;
    let mut text = Zeroizing::new(Vec::with_capacity(usize::try_from(LARGEST).unwrap_or(0)));
    file.take(LARGEST).read_to_end(&mut text).map_err(|error| unreadable(path, &error))?;
    Ok(text)
}

fn check_file(path: &Path, about: &Metadata, of_root: u32) -> Result<(), CustodyError> {
    let shown = path.display();
    if !about.is_file() {
        return Err(CustodyError::new(path, "this is not a regular file", "name the key file itself"));
    }
    if !ours(about.uid()) {
        let problem = format!("user {} owns this file, but the server runs as {}", about.uid(), own_uid());
        return Err(CustodyError::new(path, problem, format!("run `chown {} {shown}`", own_uid())));
    }
    let allowed = if about.uid() == 0 && about.gid() == 0 { of_root } else { 0 };
    if about.mode() & 0o077 & !allowed != 0 {
        let problem = format!("others can use this file (its mode is {:04o})", about.mode() & 0o7777);
        return Err(CustodyError::new(path, problem, format!("run `chmod 600 {shown}`")));
    }
    if about.len() > LARGEST {
        return Err(CustodyError::new(path, "this is far too large for a key", "name the key file itself"));
    }
    Ok(())
}

/// Whoever may write the directory may replace the file in it.
fn check_directory(path: &Path) -> Result<(), CustodyError> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let about = std::fs::metadata(parent).map_err(|error| unreadable(parent, &error))?;
    let sticky = about.mode() & 0o1000 != 0;
    if !ours(about.uid()) || (about.mode() & 0o022 != 0 && !sticky) {
        let problem = "others can replace files in this directory, and a CA key lies in it";
        let remedy = format!("run `chown {} {}` and `chmod 700` on it", own_uid(), parent.display());
        return Err(CustodyError::new(parent, problem, remedy));
    }
    Ok(())
}

fn ours(uid: u32) -> bool {
    uid == 0 || uid == own_uid()
}

fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn cannot_open(path: &Path, error: rustix::io::Errno) -> CustodyError {
    match error {
        rustix::io::Errno::LOOP => {
            CustodyError::new(path, "this is a symbolic link", "name the key file itself in [keys]")
        }
        rustix::io::Errno::NOENT => {
            CustodyError::new(path, "there is no such file", "run `ca-server init`, or correct the path in [keys]")
        }
        other => unreadable(path, &other.into()),
    }
}

fn unreadable(path: &Path, error: &io::Error) -> CustodyError {
    CustodyError::new(path, format!("cannot read it ({error})"), "check the path and its permissions")
}
