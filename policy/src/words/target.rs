//! A target: an account on a host.

use super::{Account, HostName, WordError};
use std::{fmt, str::FromStr};

/// An account on a host, written `account@host`. The last `@` separates, so a directory account may contain one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Target {
    account: Account,
    host: HostName,
}

impl Target {
    /// The target of `account` on `host`.
    pub fn new(account: Account, host: HostName) -> Self {
        Self { account, host }
    }

    /// The account.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// The host.
    pub fn host(&self) -> &HostName {
        &self.host
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.account, self.host)
    }
}

impl FromStr for Target {
    type Err = WordError;
    fn from_str(text: &str) -> Result<Self, WordError> {
        let (account, host) = text.rsplit_once('@').ok_or(WordError::new("target", "write it as account@host"))?;
        Ok(Self { account: account.parse()?, host: host.parse()? })
    }
}

impl TryFrom<String> for Target {
    type Error = WordError;
    fn try_from(text: String) -> Result<Self, WordError> {
        text.parse()
    }
}

impl From<Target> for String {
    fn from(target: Target) -> Self {
        target.to_string()
    }
}
