//! Keys: the session key, which only signs requests to the CA, and user keys, which only log in to hosts.

use crate::error::Failure;
use api::signature::{USER_KEY_NAMESPACE, user_key_proof};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{SigningKey, VerifyingKey};
use policy::SessionId;
use ssh_key::{HashAlg, LineEnding, PrivateKey, private::Ed25519Keypair, public::Ed25519PublicKey, public::KeyData};
use zeroize::Zeroizing;

/// A fresh session key.
///
/// # Errors
/// If the kernel has no randomness to give.
pub fn session_key() -> Result<SigningKey, Failure> {
    Ok(SigningKey::from_bytes(&*random()?))
}

/// How a session key is written to disk.
pub fn encode_session_key(key: &SigningKey) -> Zeroizing<String> {
    Zeroizing::new(URL_SAFE_NO_PAD.encode(Zeroizing::new(key.to_bytes())))
}

/// A session key from disk.
pub fn decode_session_key(text: &str) -> Option<SigningKey> {
    let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text).ok()?);
    let bytes: Zeroizing<[u8; 32]> = Zeroizing::new(bytes.as_slice().try_into().ok()?);
    Some(SigningKey::from_bytes(&bytes))
}

/// The public session key, as the wire wants it.
pub fn encode_public(key: &VerifyingKey) -> String {
    URL_SAFE_NO_PAD.encode(key.as_bytes())
}

/// What a person compares between browser and terminal: OpenSSH's fingerprint of the session key.
pub fn fingerprint(key: &VerifyingKey) -> String {
    KeyData::Ed25519(Ed25519PublicKey(key.to_bytes())).fingerprint(HashAlg::Sha256).to_string()
}

/// A fresh Ed25519 user key; lives in memory until the agent has it.
pub struct UserKey {
    seed: Zeroizing<[u8; 32]>,
    private: PrivateKey,
}

impl UserKey {
    /// Makes one.
    ///
    /// # Errors
    /// If the kernel has no randomness to give.
    pub fn fresh() -> Result<Self, Failure> {
        let seed = random()?;
        let private = PrivateKey::from(Ed25519Keypair::from_seed(&seed));
        Ok(Self { seed, private })
    }

    /// The public half.
    pub fn public(&self) -> &KeyData {
        self.private.public_key().key_data()
    }

    /// The public half in OpenSSH's form.
    ///
    /// # Errors
    /// Never for a key made here; the library's encoder says it may.
    pub fn public_line(&self) -> Result<String, Failure> {
        self.private.public_key().to_openssh().map_err(|_unwritable| odd())
    }

    /// The seed: what the agent is given.
    pub fn seed(&self) -> &[u8; 32] {
        &self.seed
    }

    /// The private key in OpenSSH's file format, for a user who asked for files.
    ///
    /// # Errors
    /// Never for a key made here; the library's encoder says it may.
    pub fn private_pem(&self) -> Result<Zeroizing<String>, Failure> {
        self.private.to_openssh(LineEnding::LF).map_err(|_unwritable| odd())
    }

    /// Proof that we hold it, for `session` at `audience`.
    ///
    /// # Errors
    /// Never for a key made here; the library's signer says it may.
    pub fn proof(&self, audience: &str, session: &SessionId) -> Result<String, Failure> {
        let text = user_key_proof(audience, session);
        let signature = self.private.sign(USER_KEY_NAMESPACE, HashAlg::Sha512, &text).map_err(|_unsigned| odd())?;
        signature.to_pem(LineEnding::LF).map_err(|_unwritable| odd())
    }
}

fn odd() -> Failure {
    Failure::failed("a fresh key cannot be written down").hint("this is a defect; please report it")
}

/// 16 random bytes.
///
/// # Errors
/// If the kernel has no randomness to give.
pub fn nonce() -> Result<[u8; 16], Failure> {
    let mut bytes = [0; 16];
    fill(&mut bytes)?;
    Ok(bytes)
}

fn random() -> Result<Zeroizing<[u8; 32]>, Failure> {
    let mut bytes = Zeroizing::new([0; 32]);
    fill(bytes.as_mut_slice())?;
    Ok(bytes)
}

fn fill(bytes: &mut [u8]) -> Result<(), Failure> {
    getrandom::fill(bytes).map_err(|error| Failure::failed(format!("no randomness from the kernel: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proof_verifies_and_names_audience_and_session() {
        let key = UserKey::fresh().unwrap();
        let session = SessionId::from_random([3; 12]);
        let proof = ssh_key::SshSig::from_pem(key.proof("https://ca", &session).unwrap()).unwrap();
        let public = ssh_key::PublicKey::from(key.public().clone());
        public.verify(USER_KEY_NAMESPACE, &user_key_proof("https://ca", &session), &proof).unwrap();
        assert!(public.verify(USER_KEY_NAMESPACE, &user_key_proof("https://cb", &session), &proof).is_err());
    }

    #[test]
    fn a_session_key_survives_the_disk() {
        let key = session_key().unwrap();
        assert_eq!(decode_session_key(&encode_session_key(&key)).unwrap().to_bytes(), key.to_bytes());
        assert!(decode_session_key("AAAA").is_none());
        assert!(fingerprint(&key.verifying_key()).starts_with("SHA256:"));
    }
}
