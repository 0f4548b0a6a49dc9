//! The inventory: which hosts there are, what people call them, and which accounts may be reached on them.

mod file;

use crate::{Account, HostGroup, HostName, Target};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// How the host's `AuthorizedPrincipalsFile` names its accounts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Binding {
    /// `account@host`: a certificate for one host is useless on another.
    #[default]
    Host,
    /// The bare `account`: for hosts whose sshd cannot be given a principals file. Such a certificate works on every
    /// host that accepts bare accounts.
    Account,
}

/// A host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    name: HostName,
    aliases: Vec<HostName>,
    address: Option<String>,
    port: u16,
    groups: Vec<HostGroup>,
    labels: BTreeMap<String, String>,
    accounts: Vec<Account>,
    binding: Binding,
}

impl Host {
    /// Its name: the one that principals carry.
    pub fn name(&self) -> &HostName {
        &self.name
    }

    /// Other names people type for it.
    pub fn aliases(&self) -> &[HostName] {
        &self.aliases
    }

    /// Where to connect to, if not to its name: an IP address or a host name, never an option.
    pub fn address(&self) -> Option<&str> {
        self.address.as_deref()
    }

    /// Where its sshd listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its groups, sorted.
    pub fn groups(&self) -> &[HostGroup] {
        &self.groups
    }

    /// Its labels.
    pub fn labels(&self) -> &BTreeMap<String, String> {
        &self.labels
    }

    /// The accounts that may be reached on it, sorted.
    pub fn accounts(&self) -> &[Account] {
        &self.accounts
    }

    /// How its principals file names accounts.
    pub fn binding(&self) -> Binding {
        self.binding
    }
}

/// All hosts and groups of hosts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    hosts: Vec<Host>,
    by_name: HashMap<HostName, usize>,
    groups: BTreeSet<HostGroup>,
}

impl Inventory {
    /// Every host, sorted by name.
    pub fn hosts(&self) -> impl ExactSizeIterator<Item = &Host> + DoubleEndedIterator {
        self.hosts.iter()
    }

    /// The host of this name or alias.
    pub fn host(&self, name: &HostName) -> Option<&Host> {
        self.by_name.get(name).and_then(|&at| self.hosts.get(at))
    }

    /// Whether a certificate for `target` opens an account on the host of this name too: it is that host, or both take bare
    /// account names and know this one. A host that is listed no more takes whatever it took: that is not known, so yes.
    pub fn opens(&self, target: &Target, host: &HostName) -> bool {
        let by_account = |host: &Host| host.binding == Binding::Account;
        match (self.host(target.host()), self.host(host)) {
            _ if target.host() == host => true,
            (Some(one), Some(other)) => {
                one.name == other.name
                    || (by_account(one) && by_account(other) && other.accounts.contains(target.account()))
            }
            (Some(one), None) => by_account(one),
            (None, _) => false,
        }
    }

    /// The hosts whose certificates may open an account on `host`: itself, and if it takes bare account names, those that take
    /// one of its own.
    pub fn opening<'i>(&'i self, host: &'i Host) -> impl Iterator<Item = &'i Host> {
        let alike = |other: &&Host| {
            let shared = || other.accounts.iter().any(|account| host.accounts.contains(account));
            other.name == host.name
                || ((host.binding, other.binding) == (Binding::Account, Binding::Account) && shared())
        };
        self.hosts.iter().filter(alike)
    }

    /// Every declared group of hosts, sorted.
    pub fn groups(&self) -> impl ExactSizeIterator<Item = &HostGroup> {
        self.groups.iter()
    }

    pub(crate) fn declares(&self, group: &str) -> bool {
        group.parse().is_ok_and(|group: HostGroup| self.groups.contains(&group))
    }
}
