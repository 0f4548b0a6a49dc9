//! A user key that may be certified: of a type and size that is sound, well formed, and without a known flaw.

use super::roca;
use ed25519_dalek::VerifyingKey;
use ssh_key::{
    HashAlg, PublicKey,
    public::{EcdsaPublicKey, KeyData, RsaPublicKey},
};

/// Why a user key is refused; each is a sentence for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not a public key, or not written as OpenSSH would write it.
    #[error("this is not a public key in OpenSSH's form")]
    Malformed,
    /// A certificate in place of a key (CVE-2025-49825).
    #[error("this is a certificate, not a public key")]
    Certificate,
    /// DSA, or something newer than we know.
    #[error("keys of this type are not certified: use Ed25519, ECDSA, a security key, or RSA of 3072 bits and more")]
    Type,
    /// RSA that is too small, or absurdly large.
    #[error("RSA keys are certified from 3072 to 16384 bits")]
    RsaSize,
    /// RSA whose modulus or exponent no sound generator makes.
    #[error("this RSA key is weak: its exponent or modulus is not sound")]
    RsaWeak,
    /// RSA made by a flawed chip (CVE-2017-15361).
    #[error("this RSA key was made by a chip with the ROCA flaw (CVE-2017-15361)")]
    Roca,
    /// A point that is not on the curve, not canonical, or of small order.
    #[error("this key is not a sound point on its curve")]
    Point,
    /// A key of a CA.
    #[error("this is a CA's own key")]
    BelongsToCa,
    /// On a list of leaked or weak keys.
    #[error("this key is on a list of known bad keys")]
    KnownBad,
    /// The policy wants a FIDO key that verifies its user.
    #[error("the policy demands a security key (sk-ssh-ed25519 or sk-ecdsa) that verifies its user")]
    SecurityKeyRequired,
}

/// A user key that may be certified.
#[derive(Clone, Debug)]
pub struct UserKey {
    public: PublicKey,
    text: String,
    digest: [u8; 32],
    fingerprint: String,
}

impl UserKey {
    /// The key in `unverified_text`, OpenSSH's public form; a comment is dropped.
    ///
    /// # Errors
    /// If it is none, or one that must not be certified.
    pub fn parse(unverified_text: &str) -> Result<Self, KeyError> {
        if unverified_text.len() > LONGEST || unverified_text.trim_end().contains(['\n', '\r', '\0']) {
            return Err(KeyError::Malformed);
        }
        if unverified_text.split(' ').next().is_some_and(|algorithm| algorithm.contains("-cert-v0")) {
            return Err(KeyError::Certificate);
        }
        let unverified = PublicKey::from_openssh(unverified_text).map_err(|_unreadable| KeyError::Malformed)?;
        check(unverified.key_data())?;
        let public = PublicKey::new(unverified.key_data().clone(), "");
        // One key has one form: a padded number would give it a second digest, and so a second owner.
        let text = public.to_openssh().map_err(|_unencodable| KeyError::Malformed)?;
        if !text.split(' ').take(2).eq(unverified_text.trim_end().split(' ').take(2)) {
            return Err(KeyError::Malformed);
        }
        let fingerprint = public.fingerprint(HashAlg::Sha256);
        let digest = fingerprint.sha256().ok_or(KeyError::Malformed)?;
        Ok(Self { public, text, digest, fingerprint: fingerprint.to_string() })
    }

    /// The public key, without a comment.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// SHA-256 of its wire form.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// Its fingerprint as OpenSSH shows it.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Whether it lives in a FIDO security key.
    pub fn is_security_key(&self) -> bool {
        matches!(self.public.key_data(), KeyData::SkEd25519(_) | KeyData::SkEcdsaSha2NistP256(_))
    }

    /// Whether it is the key that `openssh` shows, which must be written as OpenSSH would.
    pub fn is(&self, openssh: &str) -> bool {
        self.text.split(' ').take(2).eq(openssh.split(' ').take(2))
    }
}

/// Room for RSA of 16384 bits and a comment.
const LONGEST: usize = 8 * 1024;

fn check(key: &KeyData) -> Result<(), KeyError> {
    match key {
        KeyData::Ed25519(key) => check_ed25519(&key.0),
        KeyData::SkEd25519(key) => check_ed25519(&key.public_key().0),
        KeyData::Ecdsa(key) => check_ecdsa(key),
        KeyData::SkEcdsaSha2NistP256(key) => {
            let point = p256::ecdsa::VerifyingKey::from_sec1_bytes(key.ec_point().as_bytes());
            point.map(|_on_curve| ()).map_err(|_off_curve| KeyError::Point)
        }
        KeyData::Rsa(key) => check_rsa(key),
        KeyData::Certificate(_) => Err(KeyError::Certificate),
        _ => Err(KeyError::Type),
    }
}

/// Decompresses, is not of small order, and is written in the one canonical way (RFC 8032 5.1.3: y below p).
fn check_ed25519(bytes: &[u8; 32]) -> Result<(), KeyError> {
    let [lowest, middle @ .., highest] = bytes;
    let canonical = !(*lowest >= 0xed && middle.iter().all(|byte| *byte == 0xff) && highest & 0x7f == 0x7f);
    let point = VerifyingKey::from_bytes(bytes).map_err(|_off_curve| KeyError::Point)?;
    if canonical && !point.is_weak() { Ok(()) } else { Err(KeyError::Point) }
}

fn check_ecdsa(key: &EcdsaPublicKey) -> Result<(), KeyError> {
    let bytes = key.as_sec1_bytes();
    let on_curve = match key {
        EcdsaPublicKey::NistP256(_) => p256::ecdsa::VerifyingKey::from_sec1_bytes(bytes).is_ok(),
        EcdsaPublicKey::NistP384(_) => p384::ecdsa::VerifyingKey::from_sec1_bytes(bytes).is_ok(),
        EcdsaPublicKey::NistP521(_) => p521::ecdsa::VerifyingKey::from_sec1_bytes(bytes).is_ok(),
    };
    if on_curve { Ok(()) } else { Err(KeyError::Point) }
}

fn check_rsa(key: &RsaPublicKey) -> Result<(), KeyError> {
    let modulus = key.n().as_positive_bytes().ok_or(KeyError::RsaWeak)?;
    let exponent = key.e().as_positive_bytes().ok_or(KeyError::RsaWeak)?;
    let leading = modulus.first().map_or(0, |byte| byte.leading_zeros());
    let bits = u32::try_from(modulus.len()).unwrap_or(u32::MAX).saturating_mul(8).saturating_sub(leading);
    if !(3072..=16384).contains(&bits) {
        return Err(KeyError::RsaSize);
    }
    // FIPS 186-5 A.1.1: odd, above 2^16; no sound generator takes one beyond 64 bits.
    let exponent = exponent.iter().try_fold(0u64, |value, byte| Some(value.checked_mul(256)? + u64::from(*byte)));
    let sound_exponent = exponent.is_some_and(|exponent| exponent % 2 == 1 && exponent >= 65_537);
    if !sound_exponent || roca::has_small_factor(modulus) {
        return Err(KeyError::RsaWeak);
    }
    if roca::is_fingerprinted(modulus) { Err(KeyError::Roca) } else { Ok(()) }
}
