//! A JWK set (RFC 7517) as keys that can verify, and nothing else in it.

use super::strict_json;
use crate::config::issuer::{Algorithm, KeyType};
use jsonwebtoken::DecodingKey;
use serde_json::{Map, Value};

/// The most keys of one issuer; real ones have two to six.
const MOST_KEYS: usize = 64;

/// An issuer's public keys.
#[derive(Default)]
pub(super) struct Keys(Vec<Key>);

struct Key {
    id: Option<String>,
    /// `alg`, where the issuer says so: the key serves no other then.
    only_for: Option<Algorithm>,
    key_type: KeyType,
    key: DecodingKey,
}

/// Which of an issuer's keys may verify a token.
pub(super) enum Candidates<'a> {
    /// These; one, but for issuers that name two keys alike.
    Keys(Vec<&'a DecodingKey>),
    /// None of this name and kind.
    None,
    /// The token names none and there are several (OIDC Core 10.1 demands a `kid` then).
    Ambiguous,
}

impl Keys {
    /// The usable keys of a set. Keys for encryption, of other types, symmetric or private are left out, as RFC 7517 5
    /// asks; only a set without any usable key is an error.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let set =
            strict_json::object(bytes).ok_or("the key set is not a JSON object in which every name stands once")?;
        let listed = set.get("keys").and_then(Value::as_array).ok_or("the key set has no list `keys`")?;
        if listed.len() > MOST_KEYS {
            return Err(format!("the key set holds {} keys; at most {MOST_KEYS} are read", listed.len()));
        }
        let keys: Vec<Key> = listed.iter().filter_map(|jwk| key(jwk.as_object()?)).collect();
        if keys.is_empty() {
            Err("the key set holds no key that can verify a signature".to_owned())
        } else {
            Ok(Self(keys))
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The keys that may verify a token of this algorithm and `kid`.
    pub(super) fn candidates(&self, algorithm: Algorithm, unverified_key_id: Option<&str>) -> Candidates<'_> {
        let fits = |key: &&Key| {
            key.key_type == algorithm.key_type()
                && key.only_for.is_none_or(|only| only == algorithm)
                && (unverified_key_id.is_none() || key.id.as_deref() == unverified_key_id)
        };
        let keys: Vec<&DecodingKey> = self.0.iter().filter(fits).map(|key| &key.key).collect();
        match (keys.len(), unverified_key_id) {
            (0, _) => Candidates::None,
            (2.., None) => Candidates::Ambiguous,
            _ => Candidates::Keys(keys),
        }
    }
}

fn key(jwk: &Map<String, Value>) -> Option<Key> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    let for_signatures = jwk.get("use").is_none_or(|u| u == "sig") && may_verify(jwk.get("key_ops"));
    // A private key in public is a key of everybody's.
    if !for_signatures || jwk.contains_key("d") || jwk.contains_key("k") {
        return None;
    }
    let (key_type, key) = match (text("kty")?, text("crv")) {
        ("RSA", None) => (KeyType::Rsa, DecodingKey::from_rsa_components(text("n")?, text("e")?).ok()?),
        ("EC", Some("P-256")) => (KeyType::P256, DecodingKey::from_ec_components(text("x")?, text("y")?).ok()?),
        ("EC", Some("P-384")) => (KeyType::P384, DecodingKey::from_ec_components(text("x")?, text("y")?).ok()?),
        ("OKP", Some("Ed25519")) => (KeyType::Ed25519, DecodingKey::from_ed_components(text("x")?).ok()?),
        _ => return None,
    };
    let only_for = match jwk.get("alg") {
        None => None,
        Some(named) => Some(Algorithm::named(named.as_str()?)?),
    };
    let id = match jwk.get("kid") {
        None => None,
        Some(id) => Some(id.as_str()?.to_owned()),
    };
    Some(Key { id, only_for, key_type, key })
}

fn may_verify(key_ops: Option<&Value>) -> bool {
    key_ops.is_none_or(|ops| ops.as_array().is_some_and(|ops| ops.iter().any(|op| op == "verify")))
}
