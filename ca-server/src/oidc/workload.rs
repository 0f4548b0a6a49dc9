//! What a workload's token must say, and what of it policies may look at.

use super::{
    Rejected,
    claims::at_path,
    rejected::{refused, refused_with},
};
use crate::config::issuer::{IssuerConfig, IssuerKind};
use serde_json::{Map, Value};

const LONGEST: usize = 1024;

/// Every condition holds. A public issuer signs tokens for everybody's jobs, so these say whose jobs are ours.
pub(super) fn meets_conditions(config: &IssuerConfig, claims: &Map<String, Value>) -> Result<(), Rejected> {
    if config.kind == IssuerKind::Workload && config.require.is_empty() {
        return Err(refused("its issuer has no [[issuer.require]]"));
    }
    let holds = config
        .require
        .iter()
        .all(|condition| at_path(claims, condition.claim()).and_then(text).is_some_and(|text| condition.holds(&text)));
    holds.then_some(()).ok_or_else(|| {
        refused_with(
            "it does not meet every [[issuer.require]]",
            "this workload is not one that the server lets in: compare the token's claims with [[issuer.require]]",
        )
    })
}

/// The claims that the configuration names, where the token has them, in the configuration's order.
pub(super) fn carried(config: &IssuerConfig, claims: &Map<String, Value>) -> Result<Vec<(String, String)>, Rejected> {
    config
        .claims
        .iter()
        .filter_map(|name| at_path(claims, name).map(|value| (name, value)))
        .map(|(name, value)| {
            let text = text(value).filter(|text| text.len() <= LONGEST && !text.chars().any(char::is_control));
            let text = text.ok_or_else(|| refused("a claim that policies look at is not a short text"))?;
            Ok((name.clone(), text))
        })
        .collect()
}

/// A claim as text: a text as it stands, a truth value or a whole number as JSON writes it. A list is no text: which of its
/// members was meant is not ours to guess.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Number(number) if !number.is_f64() => Some(number.to_string()),
        _ => None,
    }
}
