//! TLS files: loaded whole or not at all, and again when they change. New files that cannot be used leave the old ones
//! in force.

use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use sha2::{Digest as _, Sha256};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

/// The largest file that is read.
const MOST_BYTES: u64 = 1024 * 1024;

/// Why TLS files cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", file.display())]
pub struct TlsError {
    file: PathBuf,
    problem: String,
}

/// The certificate and key in force.
pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    config: RwLock<Arc<ServerConfig>>,
    /// Digest of the files that were tried last, whether they could be used or not.
    tried: Mutex<[u8; 32]>,
}

impl Tls {
    /// Loads a PEM chain and its key.
    ///
    /// # Errors
    /// If one cannot be read or they do not belong together.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let files = Files::read(certificate, key)?;
        Ok(Self {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            config: RwLock::new(files.config(certificate, key)?),
            tried: Mutex::new(files.digest()),
        })
    }

    /// What new connections use.
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks at the files once more and answers whether new ones are in force. Files that were refused are tried
    /// again only once they change.
    ///
    /// # Errors
    /// If they changed and cannot be used; the old ones stay in force.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let files = Files::read(&self.certificate, &self.key)?;
        {
            let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
            if *tried == files.digest() {
                return Ok(false);
            }
            *tried = files.digest();
        }
        let config = files.config(&self.certificate, &self.key)?;
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(true)
    }
}

struct Files {
    certificate: Vec<u8>,
    key: zeroize::Zeroizing<Vec<u8>>,
}

impl Files {
    fn read(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let read = |file: &Path| {
            let fault = |problem: String| TlsError { file: file.to_owned(), problem };
            let found = fs::metadata(file).map_err(|error| fault(format!("cannot be read: {error}")))?;
            if !found.is_file() || found.len() > MOST_BYTES {
                return Err(fault("is not a PEM file of at most 1 MiB".to_owned()));
            }
            fs::read(file).map_err(|error| fault(format!("cannot be read: {error}")))
        };
        Ok(Self { certificate: read(certificate)?, key: read(key)?.into() })
    }

    fn digest(&self) -> [u8; 32] {
        let certificate = Sha256::digest(&self.certificate);
        Sha256::new().chain_update(certificate).chain_update(&*self.key).finalize().into()
    }

    fn config(&self, certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
        let fault = |file: &Path, problem: String| TlsError { file: file.to_owned(), problem };
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&self.certificate)
            .collect::<Result<_, _>>()
            .map_err(|error| fault(certificate, format!("is not a chain of PEM certificates: {error:?}")))?;
        if chain.is_empty() {
            return Err(fault(certificate, "holds no PEM certificate".to_owned()));
        }
        // The parser's own words may repeat what stands in the file, and that is a key.
        let secret = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|_unshown| fault(key, "holds no PEM private key (PKCS#8, PKCS#1 or SEC1)".to_owned()))?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| fault(certificate, error.to_string()))?
            .with_no_client_auth()
            .with_single_cert(chain, secret)
            .map_err(|error| fault(key, format!("certificate and key cannot be used together: {error}")))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

#[cfg(test)]
pub(crate) mod tests;
