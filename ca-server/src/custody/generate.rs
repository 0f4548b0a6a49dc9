//! Making the server's keys. Never over a file that is there.

use super::CustodyError;
use ssh_key::{LineEnding, PrivateKey, getrandom::SysRng, private::Ed25519Keypair};
use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// Where the new keys lie, and their public halves.
#[derive(Debug)]
pub struct Generated {
    /// The user CA's private key file; its public half is beside it, with `.pub`.
    pub user_ca: PathBuf,
    /// The host CA's private key file.
    pub host_ca: PathBuf,
    /// The audit log's private key file.
    pub log: PathBuf,
    /// The user CA's public key, OpenSSH form.
    pub user_public: String,
    /// The host CA's public key, OpenSSH form.
    pub host_public: String,
    /// The audit log's public key, 32 bytes.
    pub log_public: [u8; 32],
}

/// Makes `user_ca`, `host_ca` and `log` (and their `.pub`) in `directory`, which is made too if it is not there.
///
/// # Errors
/// If any of the six files is there already (then none is made), or one cannot be written.
pub fn generate(directory: &Path, passphrase: Option<&str>) -> Result<Generated, CustodyError> {
    let [user_ca, host_ca, log] = ["user_ca", "host_ca", "log"].map(|name| directory.join(name));
    must_be_free(&[&user_ca, &host_ca, &log])?;
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(|error| unwritable(directory, &error))?;
    let (user_public, _) = make(&user_ca, "user CA of jit-ssh", passphrase)?;
    let (host_public, _) = make(&host_ca, "host CA of jit-ssh", passphrase)?;
    let log_public = make_log(&log, passphrase)?;
    sync(directory)?;
    Ok(Generated { user_ca, host_ca, log, user_public, host_public, log_public })
}

/// Makes the audit log's key alone, in the `directory` of an install that is older than it. Answers where it lies and its
/// public key.
///
/// # Errors
/// If there is no such install, if there is a log key already, or it cannot be written.
pub fn generate_log(directory: &Path, passphrase: Option<&str>) -> Result<(PathBuf, [u8; 32]), CustodyError> {
    let user_ca = directory.join("user_ca");
    if !user_ca.is_file() {
        return Err(CustodyError::new(
            &user_ca,
            "there is no CA here to add a log key to",
            "run `ca-server init` instead",
        ));
    }
    let log = directory.join("log");
    must_be_free(&[&log])?;
    let public = make_log(&log, passphrase)?;
    sync(directory)?;
    Ok((log, public))
}

fn must_be_free(keys: &[&PathBuf]) -> Result<(), CustodyError> {
    for path in keys.iter().flat_map(|path| [(*path).clone(), public_path(path)]) {
        if path.symlink_metadata().is_ok() {
            return Err(exists(&path));
        }
    }
    Ok(())
}

fn sync(directory: &Path) -> Result<(), CustodyError> {
    let sync = File::open(directory).and_then(|directory| directory.sync_all());
    sync.map_err(|error| unwritable(directory, &error))
}

fn make_log(path: &Path, passphrase: Option<&str>) -> Result<[u8; 32], CustodyError> {
    make(path, "audit log of jit-ssh", passphrase).map(|(_, public)| public)
}

/// Answers the public key, in OpenSSH's form and as bytes.
fn make(path: &Path, comment: &str, passphrase: Option<&str>) -> Result<(String, [u8; 32]), CustodyError> {
    let failed = |error: ssh_key::Error| {
        CustodyError::new(path, format!("cannot make a key ({error})"), "try again; nothing was overwritten")
    };
    let seed = Zeroizing::new(crate::clock::random::<32>().map_err(|error| {
        CustodyError::new(path, format!("the operating system has no randomness ({error})"), "try again")
    })?);
    let pair = Ed25519Keypair::from_seed(&seed);
    let bytes = pair.public.0;
    let key = PrivateKey::new(pair.into(), comment).map_err(failed)?;
    let public = key.public_key().to_openssh().map_err(failed)?;
    let key = match passphrase {
        Some(passphrase) => key.encrypt(&mut SysRng, passphrase).map_err(failed)?,
        None => key,
    };
    let text = key.to_openssh(LineEnding::LF).map_err(failed)?;
    write_new(path, 0o600, text.as_bytes())?;
    write_new(&public_path(path), 0o644, format!("{public}\n").as_bytes())?;
    Ok((public, bytes))
}

/// `create_new` is what keeps the promise never to overwrite; the look beforehand only makes the error kinder.
fn write_new(path: &Path, mode: u32, bytes: &[u8]) -> Result<(), CustodyError> {
    let open = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let mut file = open.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => exists(path),
        _ => unwritable(path, &error),
    })?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(|error| unwritable(path, &error))
}

fn public_path(path: &Path) -> PathBuf {
    path.with_extension("pub")
}

fn exists(path: &Path) -> CustodyError {
    CustodyError::new(path, "it exists already, and a key is never overwritten", "choose another directory")
}

fn unwritable(path: &Path, error: &io::Error) -> CustodyError {
    CustodyError::new(path, format!("cannot write it ({error})"), "check the path and its permissions")
}
