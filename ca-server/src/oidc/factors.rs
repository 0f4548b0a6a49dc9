//! How somebody proved who they are: `amr` (RFC 8176), `acr`, and whether that is more than one factor. Judged from what the
//! token says was done, never from what was asked for.

use super::{Rejected, rejected::refused};
use crate::config::issuer::IssuerConfig;
use serde_json::{Map, Value};

const MOST: usize = 32;
const LONGEST: usize = 256;

/// RFC 8176 by kind of factor. `sms` and `tel` reach something held; `rba`, `wia`, `geo`, `user` and `mca` are no factor.
/// `hwk` and `swk` are a key held; what unlocked it, if anything did, stands beside them as `pin`, `fpt`, ….
const KNOWN: [&str; 3] = ["pwd", "pin", "kba"];
const HELD: [&str; 6] = ["otp", "hwk", "swk", "sc", "sms", "tel"];
const INHERENT: [&str; 5] = ["face", "fpt", "iris", "retina", "vbm"];

/// `amr` as claimed; a single text counts as a list of one, as some issuers send it.
pub(super) fn amr(claims: &Map<String, Value>) -> Result<Vec<String>, Rejected> {
    match claims.get("amr") {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(one @ Value::String(_)) => Ok(vec![word(one)?]),
        Some(Value::Array(several)) if several.len() <= MOST => several.iter().map(word).collect(),
        Some(_) => Err(refused("its amr is not a short list of texts")),
    }
}

/// `acr` as claimed.
pub(super) fn acr(claims: &Map<String, Value>) -> Result<Option<String>, Rejected> {
    match claims.get("acr") {
        None | Some(Value::Null) => Ok(None),
        Some(acr) => word(acr).map(Some),
    }
}

/// Whether more than one factor was used.
pub(super) fn several(config: &IssuerConfig, amr: &[String], acr: Option<&str>) -> bool {
    let any = |wanted: &[&str]| amr.iter().any(|method| wanted.contains(&method.as_str()));
    let by_amr = match &config.mfa_amr {
        Some(enough) => amr.iter().any(|method| enough.contains(method)),
        None => {
            any(&["mfa"]) || [any(&KNOWN), any(&HELD), any(&INHERENT)].into_iter().filter(|kind| *kind).count() >= 2
        }
    };
    by_amr || acr.is_some_and(|acr| config.mfa_acr.iter().any(|enough| enough == acr))
}

fn word(value: &Value) -> Result<String, Rejected> {
    let plain = |text: &&str| (1..=LONGEST).contains(&text.len()) && text.bytes().all(|b| (0x20..0x7f).contains(&b));
    value
        .as_str()
        .filter(plain)
        .map(str::to_owned)
        .ok_or_else(|| refused("its amr or acr is not a short printable text"))
}
