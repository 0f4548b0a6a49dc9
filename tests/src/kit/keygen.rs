//! Stock `ssh-keygen`: keys, certificates and KRLs made by somebody else than us.

use super::process::run;
use anyhow::{Context as _, Result};
use std::{
    fs,
    path::{Path, PathBuf},
};
use tokio::process::Command;

/// Runs `ssh-keygen` with `args` and gives back its output.
///
/// # Errors
/// If it fails, with what it said.
pub async fn ssh_keygen<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Result<String> {
    let mut command = Command::new("ssh-keygen");
    command.args(args);
    run("ssh-keygen", command).await?.success().context("ssh-keygen")
}

/// Makes a key pair at `path` and gives back the public line. `kind` is what `-t` takes, with the size after a colon.
///
/// # Errors
/// If ssh-keygen does.
pub async fn key(path: &Path, kind: &str) -> Result<String> {
    let (kind, bits) = kind.split_once(':').unwrap_or((kind, ""));
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-N", "", "-C", "", "-t", kind]).arg("-f").arg(path);
    if !bits.is_empty() {
        command.args(["-b", bits]);
    }
    run("ssh-keygen", command).await?.success()?;
    Ok(fs::read_to_string(public(path))?.trim().to_owned())
}

/// The path of the public half of `key`.
pub fn public(key: &Path) -> PathBuf {
    with_suffix(key, ".pub")
}

/// The path at which ssh looks for the certificate of `key`.
pub fn certificate(key: &Path) -> PathBuf {
    with_suffix(key, "-cert.pub")
}

/// A KRL at `path` that revokes `serials` of the CA whose public key is in the file `ca`.
///
/// # Errors
/// If ssh-keygen does.
pub async fn krl(path: &Path, ca: &Path, serials: &[u64]) -> Result<()> {
    let spec = with_suffix(path, ".spec");
    fs::write(&spec, serials.iter().map(|serial| format!("serial: {serial}\n")).collect::<String>())?;
    ssh_keygen(["-q".as_ref(), "-k".as_ref(), "-f".as_ref(), path, "-s".as_ref(), ca, &spec]).await.map(|_said| ())
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
