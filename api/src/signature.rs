//! What is signed on the wire, byte for byte: requests, the login proof, the proof of possession of a user key.
//!
//! Every text begins with its own name and version, so a signature made for one purpose serves no other.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use policy::SessionId;
use sha2::{Digest as _, Sha256};
use std::{fmt, str::FromStr};

/// SSHSIG namespace of the proof of possession of a user key.
pub const USER_KEY_NAMESPACE: &str = "user-key@jit-ssh";
/// The scheme of the `Authorization` header.
pub const SCHEME: &str = "JitSSH1";

/// The OIDC `nonce` that binds an ID token to a session key: base64url of
/// SHA-256(`"jit-ssh login nonce v1\n"` ‖ 32 bytes of public key).
pub fn login_nonce(session_key: &VerifyingKey) -> String {
    let digest = Sha256::new().chain_update(b"jit-ssh login nonce v1\n").chain_update(session_key.as_bytes());
    URL_SAFE_NO_PAD.encode(digest.finalize())
}

/// What the session key signs at login: `"jit-ssh login v1\n" audience "\n" hex(SHA-256(token)) "\n"`.
pub fn login_proof(audience: &str, token: &str) -> Vec<u8> {
    format!("jit-ssh login v1\n{audience}\n{}\n", hex_digest(token.as_bytes())).into_bytes()
}

/// What the user key signs, inside an SSHSIG: `"jit-ssh user key v1\n" audience "\n" session "\n"`.
pub fn user_key_proof(audience: &str, session: &SessionId) -> Vec<u8> {
    format!("jit-ssh user key v1\n{audience}\n{session}\n").into_bytes()
}

/// A request about to be signed or verified.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// [`crate::About::audience`]: a request for one server is worth nothing at another.
    pub audience: &'a str,
    /// `GET`, `POST` or `DELETE`.
    pub method: &'a str,
    /// Path and query, as sent.
    pub path: &'a str,
    /// The body, as sent.
    pub body: &'a [u8],
}

impl Request<'_> {
    /// The text that is signed.
    fn text(&self, session: &SessionId, time_ms: u64, nonce: &Nonce) -> Vec<u8> {
        let Self { audience, method, path, body } = self;
        let nonce = URL_SAFE_NO_PAD.encode(nonce.0);
        let digest = hex_digest(body);
        format!("jit-ssh request v1\n{audience}\n{method}\n{path}\n{session}\n{time_ms}\n{nonce}\n{digest}\n")
            .into_bytes()
    }

    /// Signs it for `session` at `time_ms` with a nonce that was never used before.
    pub fn sign(&self, key: &SigningKey, session: &SessionId, time_ms: u64, nonce: Nonce) -> Authorization {
        let signature = key.sign(&self.text(session, time_ms, &nonce));
        Authorization { session: session.clone(), time_ms, nonce, signature }
    }

    /// Whether `key` signed exactly this request. Strict: no malleable signature, no small-order key.
    pub fn verify(&self, key: &VerifyingKey, authorization: &Authorization) -> bool {
        let Authorization { session, time_ms, nonce, signature } = authorization;
        key.verify_strict(&self.text(session, *time_ms, nonce), signature).is_ok()
    }
}

/// 128 random bits that make each request unlike every other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Nonce(pub [u8; 16]);

/// The `Authorization` header of a signed request:
/// `JitSSH1 session=<id>,time=<ms>,nonce=<22 of base64url>,signature=<86 of base64url>`, in this order, no spaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorization {
    /// The login session whose key signs.
    pub session: SessionId,
    /// When, in milliseconds since the epoch.
    pub time_ms: u64,
    /// The nonce.
    pub nonce: Nonce,
    /// The signature.
    pub signature: Signature,
}

impl fmt::Display for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { session, time_ms, nonce, signature } = self;
        let (nonce, signature) = (URL_SAFE_NO_PAD.encode(nonce.0), URL_SAFE_NO_PAD.encode(signature.to_bytes()));
        write!(f, "{SCHEME} session={session},time={time_ms},nonce={nonce},signature={signature}")
    }
}

/// The header is not of the form that [`Authorization`] documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the Authorization header is not of the form JitSSH1 session=…,time=…,nonce=…,signature=…")]
pub struct Malformed;

impl FromStr for Authorization {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let parsed = parse(text).ok_or(Malformed)?;
        // One request has one header: anything that would not be written just so is refused.
        (parsed.to_string() == text).then_some(parsed).ok_or(Malformed)
    }
}

fn parse(text: &str) -> Option<Authorization> {
    if text.len() > 256 {
        return None;
    }
    let rest = text.strip_prefix(SCHEME)?.strip_prefix(" session=")?;
    let (session, rest) = rest.split_once(",time=")?;
    let (time, rest) = rest.split_once(",nonce=")?;
    let (nonce, signature) = rest.split_once(",signature=")?;
    Some(Authorization {
        session: session.parse().ok()?,
        time_ms: time.parse().ok()?,
        nonce: Nonce(URL_SAFE_NO_PAD.decode(nonce).ok()?.try_into().ok()?),
        signature: Signature::from_bytes(&URL_SAFE_NO_PAD.decode(signature).ok()?.try_into().ok()?),
    })
}

fn hex_digest(bytes: &[u8]) -> String {
    use fmt::Write as _;
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests;
