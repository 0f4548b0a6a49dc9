//! What the tokens of people must carry. A client chooses what it asks its issuer for, and what a token does not say cannot
//! count against whoever brings it: an address that makes two accounts one person, a group that a policy forbids.

use super::{IssuerConfig, IssuerKind};

/// Something that a person's token must carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Required {
    /// A verified e-mail address.
    Email,
    /// The claim of groups, be it empty.
    Groups,
}

/// What tokens of `issuer`, one of `all`, must carry. Where people may log in at several issuers their address is what tells
/// that two accounts are one person, so it is asked for unless the operator says otherwise.
pub fn required(issuer: &IssuerConfig, all: &[IssuerConfig]) -> Vec<Required> {
    match &issuer.require_claims {
        Some(said) => said.clone(),
        None if issuer.kind == IssuerKind::People && for_people(all) > 1 => vec![Required::Email],
        None => Vec::new(),
    }
}

/// How many of these issuers are for people.
pub fn for_people(all: &[IssuerConfig]) -> usize {
    all.iter().filter(|issuer| issuer.kind == IssuerKind::People).count()
}
