//! A fresh Ed25519 key for each start, and the ID tokens it signs.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::{Value, json};

pub(super) struct TokenSigner {
    key: SigningKey,
    id: String,
}

impl TokenSigner {
    pub(super) fn generate() -> Result<Self, getrandom::Error> {
        let id: [u8; 8] = crate::clock::random()?;
        Ok(Self { key: SigningKey::from_bytes(&crate::clock::random()?), id: URL_SAFE_NO_PAD.encode(id) })
    }

    /// The JWK set.
    pub(super) fn public_set(&self) -> Value {
        let x = URL_SAFE_NO_PAD.encode(self.key.verifying_key().as_bytes());
        json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": self.id, "x": x }] })
    }

    /// These claims as a JWT.
    pub(super) fn sign(&self, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = json!({ "alg": "EdDSA", "typ": "JWT", "kid": self.id });
        let signed_part = format!("{}.{}", part(&header), part(claims));
        let signature = URL_SAFE_NO_PAD.encode(self.key.sign(signed_part.as_bytes()).to_bytes());
        format!("{signed_part}.{signature}")
    }
}
