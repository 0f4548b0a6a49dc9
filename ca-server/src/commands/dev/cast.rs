//! Who and what there is to play with: people, policies, and a host for a stock sshd.

use super::super::starter::{make_directory, new_file};
use anyhow::Context as _;
use ca_server::{custody, dev::Person};
use policy::Account;
use std::path::Path;

const FILES: [(&str, &str); 4] = [
    ("access.cedar", include_str!("../../../starter/dev/policy/access.cedar")),
    ("hosts.toml", include_str!("../../../starter/dev/policy/hosts.toml")),
    ("groups.toml", include_str!("../../../starter/dev/policy/groups.toml")),
    ("tests/life.toml", include_str!("../../../starter/dev/policy/tests/life.toml")),
];
const SSHD: &str = include_str!("../../../starter/dev/sshd_config");
const HOSTS: [&str; 3] = ["staging", "prod", "appliance"];

/// Whom one may be: somebody for each part in the life of a grant.
pub(super) fn people() -> Vec<Person> {
    vec![
        Person::new("alice", &["engineers", "oncall"], true),
        Person::new("bob", &["engineers", "leads", "vendor-sponsors"], true),
        Person::new("carol", &["security"], true),
        Person::new("dan", &["security"], true),
        Person::new("vera", &["vendor"], true),
        Person::new("otto", &["auditors"], true),
        Person::new("eve", &[], false),
    ]
}

/// Writes the policies, and what a stock sshd on loopback needs to be their hosts, for the account of whoever runs this.
pub(super) fn write(directory: &Path, port: u16) -> anyhow::Result<()> {
    let account = account();
    let policy = directory.join("policy");
    make_directory(&policy.join("tests"))?;
    // A port for each host, so that a certificate for one opens no other.
    let ports = HOSTS
        .iter()
        .zip(port..=u16::MAX)
        .map(|(host, port)| (format!("{}_PORT", host.to_uppercase()), port.to_string()));
    let ports: Vec<_> = ports.collect();
    let placed = |text: &str| ports.iter().fold(text.to_owned(), |text, (name, port)| text.replace(name, port));
    for (name, text) in FILES {
        new_file(&policy.join(name), &placed(text).replace("ACCOUNT", &account))?;
    }
    let sshd = directory.join("sshd");
    make_directory(&sshd)?;
    let key = custody::generate_host_key(&sshd.join("host_key"))?;
    // sshd starts itself anew for each connection, from another directory.
    let place = directory.canonicalize().with_context(|| format!("cannot find {}", directory.display()))?;
    let place = place.display().to_string();
    let known_hosts = format!("{} {key}\n", HOSTS.join(","));
    let ssh = format!("UserKnownHostsFile {place}/sshd/known_hosts\nStrictHostKeyChecking yes\n");
    for (name, text) in [
        ("sshd_config", placed(SSHD).replace("DIR", &place)),
        ("krl", String::new()),
        ("known_hosts", known_hosts),
        ("ssh_config", ssh),
    ] {
        new_file(&sshd.join(name), &text)?;
    }
    for host in HOSTS {
        new_file(&sshd.join(format!("{host}.principals")), &format!("{account}@{host}\n"))?;
    }
    Ok(())
}

/// The account that a sshd can log in without being root: its own.
fn account() -> String {
    let named = ["USER", "LOGNAME"].iter().filter_map(|name| std::env::var(name).ok());
    let mut accounts = named.filter(|name| name.parse::<Account>().is_ok());
    // A container's shell often has neither variable, and is root's.
    accounts.next().unwrap_or_else(|| "root".to_owned())
}
