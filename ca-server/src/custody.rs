//! Custody of the server's keys: OpenSSH private key files that nobody but the server's own user can read.

mod file;
mod generate;

pub(crate) use file::read_passphrase;
pub use generate::{Generated, Made, generate, generate_host_key, generate_missing};

use crate::audit::note::Sign;
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use ssh_key::{PrivateKey, PublicKey, private::KeypairData, public::Ed25519PublicKey};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Why a key cannot be used: which file, what is wrong, what to do. Never holds anything of the key.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}; {remedy}", path.display())]
pub struct CustodyError {
    path: PathBuf,
    problem: String,
    remedy: String,
}

impl CustodyError {
    fn new(path: &Path, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { path: path.to_owned(), problem: problem.into(), remedy: remedy.into() }
    }
}

/// A key of the server (of a CA, of the audit log or of the KRL), held ready to sign. ssh-key's own `PrivateKey` expands its seed anew for each signature, at half the
/// speed; this one is expanded once. Its memory is zeroed when dropped.
pub struct CaKey {
    signing: SigningKey,
    public: PublicKey,
}

impl CaKey {
    /// The key in the file at `path`.
    ///
    /// # Errors
    /// If others than its owner can read or replace the file, if it holds no Ed25519 key in OpenSSH's format, or if the
    /// passphrase is missing or wrong.
    pub fn load(path: &Path, passphrase: Option<&str>) -> Result<Self, CustodyError> {
        let text = file::read_private(path)?;
        let key = PrivateKey::from_openssh(text.as_slice()).map_err(|error| {
            CustodyError::new(
                path,
                format!("this is not a private key in OpenSSH's format ({error})"),
                "make one with `ca-server init`, or convert yours with `ssh-keygen -p -f`",
            )
        })?;
        let key = match (key.is_encrypted(), passphrase) {
            (false, _) => key,
            (true, Some(passphrase)) => key.decrypt(passphrase).map_err(|_wrong| {
                CustodyError::new(
                    path,
                    "the passphrase does not open this key",
                    "check passphrase_file or JIT_SSH_CA_PASSPHRASE",
                )
            })?,
            (true, None) => {
                return Err(CustodyError::new(
                    path,
                    "this key needs a passphrase",
                    "name a file that holds it as passphrase_file under [keys], or set JIT_SSH_CA_PASSPHRASE",
                ));
            }
        };
        let KeypairData::Ed25519(pair) = key.key_data() else {
            return Err(CustodyError::new(
                path,
                format!("a CA key of type {} is not supported", key.public_key().algorithm()),
                "use an Ed25519 key: `ca-server init` makes one",
            ));
        };
        let signing = SigningKey::try_from(pair).map_err(|_mismatch| {
            CustodyError::new(path, "its public and private halves do not belong together", "restore it from a backup")
        })?;
        Ok(Self::hold(signing, key.comment().as_str_lossy()))
    }

    /// A key of 32 random bytes that lives in memory only, for development and tests.
    pub fn from_seed(seed: Zeroizing<[u8; 32]>) -> Self {
        Self::hold(SigningKey::from_bytes(&seed), "ephemeral")
    }

    fn hold(signing: SigningKey, comment: &str) -> Self {
        let public = Ed25519PublicKey::from(signing.verifying_key());
        Self { signing, public: PublicKey::new(public.into(), comment) }
    }

    /// The public key.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The public key, as dalek knows it.
    pub fn verifying_key(&self) -> VerifyingKey {
        self.signing.verifying_key()
    }

    /// The 64 bytes of an Ed25519 signature over `message`. Only `ca` calls this; the audit log's key signs through [`Sign`].
    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.signing.sign(message).to_bytes()
    }
}

impl std::fmt::Debug for CaKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CaKey").field("public", &self.public.fingerprint(ssh_key::HashAlg::Sha256)).finish()
    }
}

impl Sign for CaKey {
    fn public(&self) -> [u8; 32] {
        self.signing.verifying_key().to_bytes()
    }

    fn sign(&self, message: &[u8]) -> [u8; 64] {
        Self::sign(self, message)
    }
}

/// The keys of a server.
#[derive(Debug)]
pub struct Keys {
    /// Signs user certificates.
    pub user: CaKey,
    /// Signs host certificates.
    pub host: CaKey,
    /// Signs checkpoints of the audit log.
    pub log: CaKey,
    /// Signs what hosts are told of the KRL.
    pub krl: CaKey,
}

impl Keys {
    /// Loads all of them: the files of user CA, host CA, log and KRL.
    ///
    /// # Errors
    /// If one cannot be loaded, or one key has two roles: a host certificate would then open user logins, a text of the
    /// log be a certificate.
    pub fn load(files: [&Path; 4], passphrase: Option<&str>) -> Result<Self, CustodyError> {
        let [user, host, log, krl] = files;
        let (user_key, host_key) = (CaKey::load(user, passphrase)?, CaKey::load(host, passphrase)?);
        for (later, what) in [(log, "the audit log"), (krl, "the list of revoked certificates")] {
            if later.symlink_metadata().is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
                return Err(CustodyError::new(
                    later,
                    format!("there is no such file: {what} has a key of its own"),
                    "run `ca-server init --missing DIRECTORY` once if this server is older than that key, else restore \
                     it from the backup",
                ));
            }
        }
        let (log_key, krl_key) = (CaKey::load(log, passphrase)?, CaKey::load(krl, passphrase)?);
        let keys = Self { user: user_key, host: host_key, log: log_key, krl: krl_key };
        let roles = [(&keys.user, user), (&keys.host, host), (&keys.log, log), (&keys.krl, krl)];
        for (place, (key, path)) in roles.iter().enumerate() {
            if let Some((_, other)) =
                roles.iter().take(place).find(|(other, _)| other.public.key_data() == key.public.key_data())
            {
                return Err(CustodyError::new(
                    path,
                    format!("this is the same key as {}", other.display()),
                    "give each role a key of its own: `ca-server init` makes four",
                ));
            }
        }
        Ok(keys)
    }
}

#[cfg(test)]
mod tests;
