//! An e-mail address, where the issuer vouches for it.

use super::claims::at_path;
use crate::config::issuer::IssuerConfig;
use policy::Email;
use serde_json::{Map, Value};

/// The address, only where the issuer says that it is verified: many let anybody type any address into their profile
/// (CVE-2026-47164). One that is not verified, or not one, is as if absent: the identity is issuer and subject.
pub(super) fn verified(config: &IssuerConfig, claims: &Map<String, Value>) -> Option<Email> {
    let verified = match at_path(claims, &config.email_verified_claim)? {
        Value::Bool(verified) => *verified,
        Value::String(text) => config.email_verified_as_text && text == "true",
        _ => false,
    };
    let unverified_email = at_path(claims, &config.email_claim)?.as_str()?;
    verified.then(|| unverified_email.parse().ok())?
}
