//! Reading a claim by the name that a configuration gives it.

use serde_json::{Map, Value};

/// The claim of this name: a URL (Auth0 names claims so) is taken whole; `/kubernetes.io/namespace` is a JSON pointer (RFC
/// 6901), for names that hold dots; anything else is a path of names joined by dots (Keycloak's `realm_access.roles`).
/// One reading per name, so that no claim can pass for another.
pub(in crate::oidc) fn at_path<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    if name.contains("://") {
        return claims.get(name);
    }
    match name.strip_prefix('/') {
        Some(pointer) => descend(claims, pointer.split('/').map(|step| step.replace("~1", "/").replace("~0", "~"))),
        None => descend(claims, name.split('.').map(str::to_owned)),
    }
}

fn descend(claims: &Map<String, Value>, mut steps: impl Iterator<Item = String>) -> Option<&Value> {
    let first = claims.get(&steps.next()?)?;
    steps.try_fold(first, |value, step| value.as_object()?.get(&step))
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
