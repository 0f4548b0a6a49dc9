//! The certificate authority: builds a certificate from a grant, signs it, and checks what it made against the grant.
//!
//! The door to a signature is [`Authority::prepare`], and it opens for a [`Grant`] only, which only [`policy::decide`]
//! makes. [`Spec`] and [`Spec::to_be_signed`] are open to anybody, because bytes alone are worth nothing.

pub mod krl;
mod roca;
mod spec;
mod user_key;

pub use spec::Spec;
pub use user_key::{KeyError, UserKey};

use crate::custody::CaKey;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use policy::{Grant, GrantId, KeyId, Serial, UnixTime, Validity};
use ssh_key::{Certificate, HashAlg, certificate::CertType};
use std::collections::HashSet;

/// Why no certificate was made.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// The user key may not be certified.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The grant is over.
    #[error(transparent)]
    Over(#[from] policy::WordError),
    /// The operating system has no randomness.
    #[error("no randomness: {0}")]
    Randomness(getrandom::Error),
    /// ssh-key refused to encode or parse.
    #[error("encoding: {0}")]
    Encoding(#[from] ssh_key::Error),
    /// What was made is not what was granted. A fault in this program; nothing leaves.
    #[error("the certificate differs from its grant in its {0}")]
    Differs(&'static str),
}

/// A CA that signs user certificates.
#[derive(Debug)]
pub struct Authority {
    key: CaKey,
    known_bad: HashSet<[u8; 32]>,
}

impl Authority {
    /// The authority that signs with `key`.
    pub fn new(key: CaKey) -> Self {
        Self { key, known_bad: HashSet::new() }
    }

    /// Refuses user keys with these SHA-256 digests too: lists of leaked or weak keys.
    #[must_use]
    pub fn refusing(mut self, digests: impl IntoIterator<Item = [u8; 32]>) -> Self {
        self.known_bad.extend(digests);
        self
    }

    /// Its public key, OpenSSH form.
    pub fn public_key(&self) -> String {
        self.key.public().to_openssh().unwrap_or_default()
    }

    /// Its public key's fingerprint.
    pub fn fingerprint(&self) -> String {
        self.key.public().fingerprint(HashAlg::Sha256).to_string()
    }

    /// What is to be signed for `key` under `grant`, not signed yet: it must be on record first.
    ///
    /// # Errors
    /// If the key may not be certified under this grant, the grant is over, or there is no randomness.
    pub fn prepare<'g>(
        &self,
        grant: &'g Grant,
        id: &GrantId,
        key: &'g UserKey,
        serial: Serial,
        now: UnixTime,
    ) -> Result<Unsigned<'g>, CaError> {
        self.accepts(key)?;
        if grant.terms().verify_required && !key.is_security_key() {
            return Err(KeyError::SecurityKeyRequired.into());
        }
        let validity = grant.validity(now)?;
        let key_id = KeyId::new(id, grant.identity());
        let spec = Spec::of(grant, id, &key_id, serial, validity);
        let nonce = crate::clock::random::<32>().map_err(CaError::Randomness)?;
        let to_be_signed = spec.to_be_signed(&nonce, key.public(), self.key.public())?;
        Ok(Unsigned { grant, id: id.clone(), key, key_id, serial, validity, nonce, to_be_signed })
    }

    /// Signs what was prepared, parses the very text that would leave, and compares it with the grant field by field.
    ///
    /// # Errors
    /// If what was made differs from what was granted in anything.
    pub fn sign(&self, unsigned: &Unsigned<'_>) -> Result<Signed, CaError> {
        let signature = self.key.sign(&unsigned.to_be_signed);
        let bytes = spec::assemble(&unsigned.to_be_signed, &signature);
        let algorithm = unsigned.key.public().algorithm().to_certificate_type();
        let text = format!("{algorithm} {} {}", STANDARD.encode(bytes), unsigned.id);
        let unverified = read_back(&text)?;
        self.compare(&unverified, unsigned)?;
        if unverified.signature().as_bytes() != signature {
            return Err(CaError::Differs("signature"));
        }
        Ok(Signed(text))
    }

    /// A CA's key as a user key would make the CA log in somewhere; a listed key is somebody else's too.
    fn accepts(&self, key: &UserKey) -> Result<(), KeyError> {
        if key.public().key_data() == self.key.public().key_data() {
            return Err(KeyError::BelongsToCa);
        }
        if self.known_bad.contains(key.digest()) {
            return Err(KeyError::KnownBad);
        }
        Ok(())
    }

    /// I2: nothing in the certificate that is not in the grant. Written against the grant, not against [`Spec`], so that
    /// a fault there is found here.
    fn compare(&self, made: &Certificate, unsigned: &Unsigned<'_>) -> Result<(), CaError> {
        let Unsigned { grant, id, key, key_id, serial, validity, nonce, .. } = unsigned;
        let differs = |field| Err(CaError::Differs(field));
        if made.cert_type() != CertType::User || made.nonce() != nonce {
            return differs("type or nonce");
        }
        if made.public_key() != key.public().key_data() || made.signature_key() != self.key.public().key_data() {
            return differs("keys");
        }
        if made.serial() != serial.get() || made.key_id() != key_id.as_str() {
            return differs("serial or key id");
        }
        // sshd before 10.3 lets an empty list in as anybody (CVE-2024-7594).
        let principals = made.valid_principals();
        if principals.is_empty() || !grant.principals().iter().map(|p| p.as_str()).eq(principals) {
            return differs("principals");
        }
        let (after, before) = (made.valid_after(), made.valid_before());
        let capped = before <= validity.before().as_secs() && before <= grant.end().as_secs();
        if after != validity.after().as_secs() || after >= before || !capped {
            return differs("validity");
        }
        spec::compare_options(made, grant, id)
    }
}

/// Reads the very text that would leave, as [`Certificate::from_openssh`] does, but for its base64: that takes constant time,
/// several times as much, to keep a secret that a certificate is not.
fn read_back(text: &str) -> Result<Certificate, CaError> {
    let mut words = text.split(' ');
    let (Some(algorithm), Some(encoded)) = (words.next(), words.next()) else {
        return Err(CaError::Differs("text"));
    };
    let bytes = STANDARD.decode(encoded).map_err(|_not_base64| CaError::Differs("text"))?;
    let unverified = Certificate::from_bytes(&bytes)?;
    if unverified.algorithm().to_certificate_type() != algorithm {
        return Err(CaError::Differs("algorithm"));
    }
    Ok(unverified)
}

/// A certificate that is not signed yet, under one grant. Only [`Authority::prepare`] makes one.
#[derive(Debug)]
pub struct Unsigned<'g> {
    grant: &'g Grant,
    id: GrantId,
    key: &'g UserKey,
    key_id: KeyId,
    serial: Serial,
    validity: Validity,
    nonce: [u8; 32],
    to_be_signed: Vec<u8>,
}

impl Unsigned<'_> {
    /// The exact bytes that will be signed.
    pub fn to_be_signed(&self) -> &[u8] {
        &self.to_be_signed
    }

    /// Its serial.
    pub fn serial(&self) -> Serial {
        self.serial
    }

    /// `valid_before`.
    pub fn expires(&self) -> UnixTime {
        self.validity.before()
    }
}

/// A signed certificate that was compared with its grant. Whoever holds one must not let it out before its record is
/// durable.
#[derive(Debug)]
#[must_use]
pub struct Signed(String);

impl Signed {
    /// The certificate in OpenSSH's public form. The record must be durable by now.
    pub fn release(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests;
