//! Principals: what a certificate may log in as.

use super::{Account, HostGroup, Target, WordError};
use std::{collections::BTreeSet, fmt, str::FromStr};

/// One entry of a certificate's `valid principals`: `account@host`, `account@group:name` or, for hosts declared so, the
/// bare `account`. Never empty, at most 318 bytes (64, `@`, 253) of `A-Z a-z 0-9 . _ @ : -`: nothing that sshd, a principals file or a
/// list could read as a separator, a pattern, an option or a comment (CVE-2026-35414).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Principal(String);

impl Principal {
    /// `account@host`: bound to one host, enforced offline by its principals file.
    pub fn on_host(target: &Target) -> Self {
        Self(target.to_string())
    }

    /// `account@group:name`: bound to the hosts that carry the group's line.
    pub fn on_group(account: &Account, group: &HostGroup) -> Self {
        Self(format!("{account}@group:{group}"))
    }

    /// The bare account, for hosts declared `binding = "account"` only.
    pub fn bare(account: &Account) -> Self {
        Self(account.to_string())
    }

    /// The text, valid by construction.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Principal {
    type Err = WordError;
    fn from_str(text: &str) -> Result<Self, WordError> {
        if let Some((account, group)) = text.rsplit_once("@group:") {
            return Ok(Self::on_group(&account.parse()?, &group.parse()?));
        }
        if text.contains('@') {
            return Ok(Self::on_host(&text.parse()?));
        }
        Ok(Self::bare(&text.parse()?))
    }
}

/// The principals of a certificate: 1 to 64, sorted, each once. There is no empty state, because sshd before 10.3 let
/// an empty list in as anybody (CVE-2024-7594).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Principals(Vec<Principal>);

impl Principals {
    /// The most principals one certificate may carry.
    pub const MOST: usize = 64;

    /// Just this one.
    pub fn one(principal: Principal) -> Self {
        Self(vec![principal])
    }

    /// These, sorted, each once.
    ///
    /// # Errors
    /// If there is none, or more than [`Self::MOST`].
    pub fn new(principals: impl IntoIterator<Item = Principal>) -> Result<Self, WordError> {
        let all: BTreeSet<Principal> = principals.into_iter().collect();
        if all.is_empty() || all.len() > Self::MOST {
            return Err(WordError::new("list of principals", "a certificate carries 1 to 64 of them"));
        }
        Ok(Self(all.into_iter().collect()))
    }

    /// The principals in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Principal> {
        self.0.iter()
    }
}
