//! What must hold of all issuers together before the server starts.

use super::{IssuerConfig, IssuerKind};
use policy::Issuer;
use std::collections::BTreeSet;
use url::Url;

/// What is wrong with an `[[issuer]]`, as a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("issuer {issuer}: {fault}")]
pub struct IssuerFault {
    /// Which one.
    pub issuer: Issuer,
    /// What is wrong and what to do.
    pub fault: String,
}

/// Everything wrong with these issuers.
///
/// # Errors
/// The faults, in the order of the file.
pub fn check_all(issuers: &[IssuerConfig]) -> Result<(), Vec<IssuerFault>> {
    let mut faults = Vec::new();
    let mut seen = BTreeSet::new();
    for (index, issuer) in issuers.iter().enumerate() {
        let mut say = |fault: &str| faults.push(IssuerFault { issuer: issuer.url.clone(), fault: fault.to_owned() });
        if !seen.insert(&issuer.url) {
            say("it is configured twice; keep one");
        }
        check(issuer, &mut say);
        // "a" + "bc" and "ab" + "c" are one group: no prefix may begin another.
        let clash = |other: &&IssuerConfig| {
            let (one, two) = (&issuer.group_prefix, &other.group_prefix);
            other.groups_from().is_some() && (one.starts_with(two.as_str()) || two.starts_with(one.as_str()))
        };
        if issuer.groups_from().is_some()
            && let Some(other) = issuers.iter().take(index).find(clash)
        {
            say(&format!(
                "its groups cannot be told from those of {}; give both a group_prefix, neither the beginning of the other",
                other.url
            ));
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

fn check(issuer: &IssuerConfig, say: &mut impl FnMut(&str)) {
    match Url::parse(issuer.url.as_str()) {
        Ok(url) if url.query().is_some() || url.fragment().is_some() => say("its url has a query or a fragment"),
        Ok(url) if !url.username().is_empty() || url.password().is_some() => say("its url holds a user name"),
        Ok(url) if url.scheme() == "https" || is_loopback(&url) => {}
        Ok(_plain) => say("its url is http; use https (http is for loopback addresses only)"),
        Err(_unreadable) => say("its url cannot be read"),
    }
    if issuer.algorithms.is_empty() {
        say("algorithms is empty; leave it out for the default");
    }
    if issuer.token_age().as_secs() == 0 {
        say("max_token_age is 0, so no token would do");
    }
    if issuer.group_prefix.len() > 64 || (!issuer.group_prefix.is_empty() && group_prefix_is_bad(issuer)) {
        say("group_prefix must be at most 64 bytes that a group's name may hold");
    }
    let empty = |text: &Option<String>| text.as_ref().is_none_or(String::is_empty);
    match issuer.kind {
        IssuerKind::People => {
            if empty(&issuer.client_id) {
                say("client_id is missing: the client id of jit-ssh at this issuer");
            }
            if issuer.audience.is_some() || !issuer.require.is_empty() || !issuer.claims.is_empty() {
                say("audience, claims and require belong to an issuer of kind \"workload\"");
            }
            if !issuer.scopes.iter().any(|scope| scope == "openid") {
                say("scopes must hold \"openid\"");
            }
        }
        IssuerKind::Workload => {
            if empty(&issuer.audience) {
                say("audience is missing: what its tokens must be meant for; use the server's URL");
            }
            let of_people = issuer.client_id.is_some() || issuer.device_grant || issuer.max_auth_age.is_some();
            if of_people || issuer.require_claims.is_some() {
                say("client_id, device_grant, max_auth_age and require_claims belong to an issuer of kind \"people\"");
            }
            if issuer.require.is_empty() {
                say("it has no [[issuer.require]]: every token it signs, for anybody, would be let in");
            }
        }
    }
}

fn group_prefix_is_bad(issuer: &IssuerConfig) -> bool {
    issuer.group_prefix.parse::<policy::Group>().is_err()
}

/// Whether a URL is plain HTTP to this very machine: a loopback address as such, or `localhost`.
pub(crate) fn is_loopback(url: &Url) -> bool {
    let here = match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    };
    url.scheme() == "http" && here
}
