//! Making the two CA keys. Never over a file that is there.

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
    /// The user CA's public key, OpenSSH form.
    pub user_public: String,
    /// The host CA's public key, OpenSSH form.
    pub host_public: String,
}

/// Makes `user_ca` and `host_ca` (and their `.pub`) in `directory`, which is made too if it is not there.
///
/// # Errors
/// If any of the four files is there already (then none is made), or one cannot be written.
pub fn generate(directory: &Path, passphrase: Option<&str>) -> Result<Generated, CustodyError> {
    let (user_ca, host_ca) = (directory.join("user_ca"), directory.join("host_ca"));
    for path in [&user_ca, &host_ca, &public_path(&user_ca), &public_path(&host_ca)] {
        if path.symlink_metadata().is_ok() {
            return Err(exists(path));
        }
    }
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(|error| unwritable(directory, &error))?;
    let user_public = make(&user_ca, "user CA of jit-ssh", passphrase)?;
    let host_public = make(&host_ca, "host CA of jit-ssh", passphrase)?;
    let sync = File::open(directory).and_then(|directory| directory.sync_all());
    sync.map_err(|error| unwritable(directory, &error))?;
    Ok(Generated { user_ca, host_ca, user_public, host_public })
}

fn make(path: &Path, comment: &str, passphrase: Option<&str>) -> Result<String, CustodyError> {
    let failed = |error: ssh_key::Error| {
        CustodyError::new(path, format!("cannot make a key ({error})"), "try again; nothing was overwritten")
    };
    let seed = Zeroizing::new(crate::clock::random::<32>().map_err(|error| {
        CustodyError::new(path, format!("the operating system has no randomness ({error})"), "try again")
    })?);
    let key = PrivateKey::new(Ed25519Keypair::from_seed(&seed).into(), comment).map_err(failed)?;
    let public = key.public_key().to_openssh().map_err(failed)?;
    let key = match passphrase {
        Some(passphrase) => key.encrypt(&mut SysRng, passphrase).map_err(failed)?,
        None => key,
    };
    let text = key.to_openssh(LineEnding::LF).map_err(failed)?;
    write_new(path, 0o600, text.as_bytes())?;
    write_new(&public_path(path), 0o644, format!("{public}\n").as_bytes())?;
    Ok(public)
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
