//! Groups from the configured claim. All or nothing: leaving one out could leave out the one that a policy forbids.

use super::{
    Rejected,
    claims::at_path,
    rejected::{overage, refused_with},
};
use crate::config::issuer::IssuerConfig;
use policy::Group;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// The most groups one identity may have.
pub(super) const MOST: usize = 256;

/// The groups, with the issuer's prefix, sorted, each once. None where the claim is absent.
pub(super) fn groups(config: &IssuerConfig, claims: &Map<String, Value>) -> Result<Vec<Group>, Rejected> {
    let Some(name) = config.groups_from() else { return Ok(Vec::new()) };
    if left_out(claims, name) {
        return Err(overage("the issuer left groups out of the token (overage)"));
    }
    let named: Vec<&str> = match at_path(claims, name) {
        None => return Ok(Vec::new()),
        // One text is one group, commas and all: splitting it would let whoever names a group name several.
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) if several.len() > MOST => return Err(overage("it names more than 256 groups")),
        Some(Value::Array(several)) => {
            several.iter().map(|group| group.as_str().ok_or_else(unreadable)).collect::<Result<_, _>>()?
        }
        Some(_) => return Err(unreadable()),
    };
    let prefixed = |group: &str| {
        let whole = group.parse::<Group>().is_ok();
        whole.then(|| format!("{}{group}", config.group_prefix).parse().ok()).flatten().ok_or_else(unreadable)
    };
    let groups: BTreeSet<Group> = named.into_iter().map(prefixed).collect::<Result<_, _>>()?;
    Ok(groups.into_iter().collect())
}

/// Entra's overage: above 200 groups the claim is replaced by `_claim_names` (or `hasgroups`), which say where to ask instead.
/// Asking there would need a secret of the application's, and a person without any group is not what the issuer said.
fn left_out(claims: &Map<String, Value>, name: &str) -> bool {
    let first = name.trim_start_matches('/').split(['.', '/']).next().unwrap_or(name);
    let elsewhere = claims.get("_claim_names").is_some_and(|names| names.get(name).or(names.get(first)).is_some());
    let hinted = ["hasgroups", "groups:src1"]
        .iter()
        .any(|hint| claims.get(*hint).is_some_and(|said| !matches!(said, Value::Bool(false) | Value::Null)));
    elsewhere || (hinted && at_path(claims, name).is_none())
}

fn unreadable() -> Rejected {
    refused_with(
        "its groups are not a list of names",
        "have the issuer send groups as a list of texts, each 1 to 256 bytes without control or hidden characters",
    )
}
