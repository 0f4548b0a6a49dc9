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

const LOG: &str = "audit log of jit-ssh";
const KRL: &str = "KRL of jit-ssh";

/// Where the new keys lie, and their public halves.
#[derive(Debug)]
pub struct Generated {
    /// The user CA's private key file; its public half is beside it, with `.pub`.
    pub user_ca: PathBuf,
    /// The host CA's private key file.
    pub host_ca: PathBuf,
    /// The audit log's private key file.
    pub log: PathBuf,
    /// The KRL's private key file.
    pub krl: PathBuf,
    /// The user CA's public key, OpenSSH form.
    pub user_public: String,
    /// The host CA's public key, OpenSSH form.
    pub host_public: String,
    /// The audit log's public key, 32 bytes.
    pub log_public: [u8; 32],
    /// The KRL's public key, OpenSSH form.
    pub krl_public: String,
}

/// Makes `user_ca`, `host_ca`, `log` and `krl` (and their `.pub`) in `directory`, which is made too if it is not there.
///
/// # Errors
/// If any of the eight files is there already (then none is made), or one cannot be written.
pub fn generate(directory: &Path, passphrase: Option<&str>) -> Result<Generated, CustodyError> {
    let [user_ca, host_ca, log, krl] = ["user_ca", "host_ca", "log", "krl"].map(|name| directory.join(name));
    must_be_free(&[&user_ca, &host_ca, &log, &krl])?;
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(|error| unwritable(directory, &error))?;
    let (user_public, _) = make(&user_ca, "user CA of jit-ssh", passphrase)?;
    let (host_public, _) = make(&host_ca, "host CA of jit-ssh", passphrase)?;
    let (_, log_public) = make(&log, LOG, passphrase)?;
    let (krl_public, _) = make(&krl, KRL, passphrase)?;
    sync(directory)?;
    Ok(Generated { user_ca, host_ca, log, krl, user_public, host_public, log_public, krl_public })
}

/// Keys that an older install lacked, each where it lies.
#[derive(Debug)]
pub struct Made {
    /// The audit log's, with its public key, 32 bytes.
    pub log: Option<(PathBuf, [u8; 32])>,
    /// The KRL's, with its public key, OpenSSH form.
    pub krl: Option<(PathBuf, String)>,
}

/// Makes the keys of the audit log and of the KRL, as far as they are missing, in the `directory` of an install that is older
/// than they.
///
/// # Errors
/// If there is no such install, if neither is missing, if a public half is there without its key, or one cannot be written.
pub fn generate_missing(directory: &Path, passphrase: Option<&str>) -> Result<Made, CustodyError> {
    let user_ca = directory.join("user_ca");
    if !user_ca.is_file() {
        return Err(CustodyError::new(&user_ca, "there is no CA here to add a key to", "run `ca-server init` instead"));
    }
    let [log, krl] = ["log", "krl"].map(|name| directory.join(name));
    let missing = |path: &PathBuf| path.symlink_metadata().is_err();
    let both: Vec<&PathBuf> = [&log, &krl].into_iter().filter(|path| missing(path)).collect();
    if both.is_empty() {
        return Err(exists(&log));
    }
    must_be_free(&both)?;
    let make_if = |path: &PathBuf, comment| missing(path).then(|| make(path, comment, passphrase)).transpose();
    let made = Made {
        log: make_if(&log, LOG)?.map(|(_, public)| (log, public)),
        krl: make_if(&krl, KRL)?.map(|(public, _)| (krl, public)),
    };
    sync(directory)?;
    Ok(made)
}

/// Makes a host's own key, for a sshd to try things on; answers the public half in OpenSSH's form.
///
/// # Errors
/// If it is there already, or cannot be written.
pub fn generate_host_key(path: &Path) -> Result<String, CustodyError> {
    make(path, "host key for development", None).map(|(public, _)| public)
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
