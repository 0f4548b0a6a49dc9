//! Reading a claim by the name that a configuration gives it.

use serde_json::{Map, Value};

/// The claim of this name: a URL (Auth0 names claims so) is taken whole, anything else is a path of names joined by dots
/// (Keycloak's `realm_access.roles`). One reading per name, so that no claim can pass for another.
pub(in crate::oidc) fn at_path<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    if name.contains("://") {
        return claims.get(name);
    }
    let (last, parents) = match name.rsplit_once('.') {
        Some((parents, last)) => (last, Some(parents)),
        None => (name, None),
    };
    let object = match parents {
        None => claims,
        Some(parents) => parents.split('.').try_fold(claims, |object, name| object.get(name)?.as_object())?,
    };
    object.get(last)
}

/// A point in time (RFC 7519 2, NumericDate): whole or broken seconds since the epoch, never negative.
pub(super) fn numeric_date(value: &Value) -> Option<u64> {
    if let Some(whole) = value.as_u64() {
        return Some(whole);
    }
    let broken = value.as_f64().filter(|seconds| (0.0..9e15).contains(seconds))?;
    // Formatted and read again: a cast would say nothing about what it loses.
    format!("{:.0}", broken.floor()).parse().ok()
}
