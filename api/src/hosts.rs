use crate::Outcome;
use policy::{Account, HostGroup, HostName, PolicyId, Seconds};
use std::collections::BTreeMap;

/// `GET /v1/hosts`: what the caller may reach, by name.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct HostsResponse {
    /// Hosts on which at least one account is granted or could be approved.
    pub hosts: Vec<HostEntry>,
    /// There are more after this one; absent where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<HostName>,
}

/// A host and what the caller may do there.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct HostEntry {
    /// Its name in the inventory.
    pub host: HostName,
    /// Other names people type for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<HostName>,
    /// Where to connect, if not to the name: a host name or an IP address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Where its sshd listens, if not on port 22.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Its groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<HostGroup>,
    /// Its labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Accounts in reach.
    pub accounts: Vec<Reach>,
}

/// An account in reach, and on which terms.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Reach {
    /// The account.
    pub account: Account,
    /// Granted or needs approval; denied where nothing but `break_glass` leads there.
    pub outcome: Outcome,
    /// The policy that decides.
    pub policy: PolicyId,
    /// The longest grant.
    pub max_duration: Seconds,
    /// The life of one certificate.
    pub cert_ttl: Seconds,
    /// Approvals needed.
    pub approvals: u8,
    /// A reason must be given.
    pub reason_required: bool,
    /// A ticket must be given.
    pub ticket_required: bool,
    /// What breaking the glass would give.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_glass: Option<Emergency>,
}

/// Emergency access that policy would give at once.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Emergency {
    /// Under this policy.
    pub policy: PolicyId,
    /// For no longer than this.
    pub max_duration: Seconds,
    /// A ticket must be given, beside incident and reason.
    pub ticket_required: bool,
    /// Somebody else must review it within this time.
    pub review_within: Seconds,
}
