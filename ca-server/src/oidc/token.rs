//! A token as it came in: its size, its three parts, its header. Nothing here believes a word of it.

use super::{Rejected, rejected::refused, strict_json};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use policy::Issuer;
use serde_json::{Map, Value};

/// The longest token that is read, in bytes.
pub(super) const MOST_BYTES: usize = 16 * 1024;

/// A compact JWS (RFC 7515 7.1) of which nothing is proven.
pub(super) struct UnverifiedToken<'a> {
    signed_part: &'a str,
    signature: &'a str,
    algorithm: String,
    key_id: Option<String>,
    claims: Map<String, Value>,
    issuer: Issuer,
}

impl<'a> UnverifiedToken<'a> {
    /// The token of this text. The JSON serializations are not read at all: a second syntax for the same token is a second
    /// reading of it (CVE-2025-4658).
    pub(super) fn parse(text: &'a str) -> Result<Self, Rejected> {
        if text.len() > MOST_BYTES {
            return Err(refused("it is longer than 16 KiB"));
        }
        let (signed_part, signature) = text.rsplit_once('.').ok_or_else(|| refused("it is not a compact JWS"))?;
        let (header, payload) = signed_part.split_once('.').ok_or_else(|| refused("it is not a compact JWS"))?;
        // A fourth part would be in the payload here, and '.' is no base64url; an empty one has no claims.
        let claims = part(payload).ok_or_else(|| refused("its payload is not one JSON object"))?;
        let header = part(header).ok_or_else(|| refused("its header is not one JSON object"))?;
        let issuer = claims.get("iss").and_then(Value::as_str).and_then(|text| text.parse().ok());
        Ok(Self {
            signed_part,
            signature,
            algorithm: algorithm(&header)?,
            key_id: key_id(&header)?,
            claims,
            issuer: issuer.ok_or_else(|| refused("it has no readable iss"))?,
        })
    }

    /// What the issuer signed: unlike the whole text it has one spelling only, for some signatures have several.
    pub(super) fn signed_part(&self) -> &'a str {
        self.signed_part
    }

    pub(super) fn signature(&self) -> &'a str {
        self.signature
    }

    pub(super) fn unverified_algorithm(&self) -> &str {
        &self.algorithm
    }

    pub(super) fn unverified_key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    pub(super) fn unverified_issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// For whoever has checked the signature, and nobody else.
    pub(super) fn unverified_claims(&self) -> &Map<String, Value> {
        &self.claims
    }
}

fn part(text: &str) -> Option<Map<String, Value>> {
    strict_json::object(&URL_SAFE_NO_PAD.decode(text).ok()?)
}

/// `alg` of a header that asks for nothing we do not do. `crit` and `b64` change what is signed (RFC 7797), `zip` and `enc`
/// belong to encryption, `typ` must not be another kind of token (RFC 8725 3.11: `at+jwt`, `logout+jwt`, `dpop+jwt`, …).
/// `jwk`, `jku`, `x5u` and `x5c` would let a token bring its own key: they are never looked at, and an honest ID token
/// has no use for the first three.
fn algorithm(header: &Map<String, Value>) -> Result<String, Rejected> {
    if ["crit", "b64", "zip", "enc"].iter().any(|name| header.contains_key(*name)) {
        return Err(refused("its header demands crit, b64, zip or enc"));
    }
    if ["jwk", "jku", "x5u"].iter().any(|name| header.contains_key(*name)) {
        return Err(refused("its header brings a key of its own"));
    }
    let plain =
        |value: &Value| value.as_str().is_some_and(|typ| matches!(typ.to_ascii_uppercase().as_str(), "JWT" | "JOSE"));
    if !header.get("typ").is_none_or(plain) || !header.get("cty").is_none_or(plain) {
        return Err(refused("its header says that it is another kind of token"));
    }
    header.get("alg").and_then(Value::as_str).map(str::to_owned).ok_or_else(|| refused("its header names no algorithm"))
}

/// `kid`: only ever compared with those of the issuer's own keys, never a path, a query or an address.
fn key_id(header: &Map<String, Value>) -> Result<Option<String>, Rejected> {
    match header.get("kid") {
        None => Ok(None),
        Some(Value::String(kid)) if kid.len() <= 256 => Ok(Some(kid.clone())),
        Some(_) => Err(refused("its kid is not a short text")),
    }
}
