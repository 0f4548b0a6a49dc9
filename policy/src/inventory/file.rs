//! `hosts.toml` and `groups.toml`, read strictly: what is misspelt here would silently widen or lose access.

use super::{Binding, Host, Inventory};
use crate::{
    Account, Finding, HostGroup, HostName, Source, Sources,
    source::suggestion,
    toml_section::{Placed, Section, tables},
};
use std::collections::{BTreeSet, HashMap};

const MOST_HOSTS: usize = 50_000;
const MOST_GROUPS: usize = 10_000;
const HOST_KEYS: [&str; 8] = ["name", "aliases", "address", "port", "groups", "labels", "accounts", "binding"];

impl Inventory {
    /// The inventory in `sources`.
    pub(crate) fn read(sources: &Sources) -> Result<Self, Vec<Finding>> {
        let groups = sources.groups.as_ref().map_or(Ok(BTreeSet::new()), groups)?;
        let mut hosts = match &sources.hosts {
            None => Vec::new(),
            Some(source) => {
                let mut names = HashMap::new();
                tables(source, "host", MOST_HOSTS, |section| host(section, &groups, &mut names))?
            }
        };
        hosts.sort_by(|one, other| one.name.cmp(&other.name));
        let names = |(at, host): (usize, &Host)| {
            let all: Vec<HostName> = host.aliases.iter().chain([&host.name]).cloned().collect();
            all.into_iter().map(move |name| (name, at))
        };
        let by_name = hosts.iter().enumerate().flat_map(names).collect();
        Ok(Self { hosts, by_name, groups })
    }
}

fn groups(source: &Source) -> Result<BTreeSet<HostGroup>, Vec<Finding>> {
    let mut seen = BTreeSet::new();
    tables(source, "group", MOST_GROUPS, |section| {
        section.only(&["name", "about"])?;
        section.text("about")?;
        let name = section.needed::<HostGroup>("name")?;
        if !seen.insert(name.value.clone()) {
            return Err(name.finding(format!("group `{}` is declared twice", name.value), "remove one of them"));
        }
        Ok(())
    })?;
    Ok(seen)
}

fn host(
    section: Section<'_>,
    declared: &BTreeSet<HostGroup>,
    names: &mut HashMap<HostName, HostName>,
) -> Result<Host, Finding> {
    section.only(&HOST_KEYS)?;
    let name = section.needed::<HostName>("name")?;
    let aliases = section.words::<HostName>("aliases", 32)?.unwrap_or_default();
    for one in std::iter::once(&name).chain(&aliases) {
        if let Some(owner) = names.insert(one.value.clone(), name.value.clone()) {
            let message = format!("`{}` already names host `{owner}`", one.value);
            return Err(one.finding(message, "a name or alias stands for one host only"));
        }
    }
    let groups = section.words::<HostGroup>("groups", 64)?.unwrap_or_default();
    if let Some(stranger) = groups.iter().find(|group| !declared.contains(&group.value)) {
        let hint = suggestion(stranger.value.as_str(), declared.iter().map(HostGroup::as_str));
        let hint = if hint.is_empty() { "declare it in groups.toml".to_owned() } else { hint };
        return Err(stranger.finding(format!("group `{}` is not declared in groups.toml", stranger.value), hint));
    }
    let accounts = section.words::<Account>("accounts", 256)?.unwrap_or_default();
    let binding = binding(&section)?;
    // A bare `deploy@web-2` as a principal would read as account `deploy` on host `web-2`.
    if let Some(account) = accounts.iter().find(|a| binding == Binding::Account && a.value.as_str().contains('@')) {
        let message = format!("account `{}` cannot be used with binding = \"account\"", account.value);
        return Err(account.finding(message, "an `@` is only unambiguous with binding = \"host\""));
    }
    let labels = section.pairs("labels", 64)?;
    if let Some((key, _)) = labels.iter().find(|(key, value)| !label(key.value) || value.len() > 256) {
        let message = format!("label `{}` is not valid", key.value);
        return Err(key.finding(message, "use 1 to 64 of A-Z a-z 0-9 . _ / - and a value of at most 256 bytes"));
    }
    Ok(Host {
        name: name.value,
        aliases: aliases.into_iter().map(|alias| alias.value).collect(),
        address: section.text("address")?.map(address).transpose()?,
        port: port(&section)?,
        groups: sorted("groups", groups)?,
        labels: labels.into_iter().map(|(key, value)| (key.value.to_owned(), value.to_owned())).collect(),
        accounts: sorted("accounts", accounts)?,
        binding,
    })
}

fn port(section: &Section<'_>) -> Result<u16, Finding> {
    let port = section.number::<u16>("port")?.unwrap_or(22);
    if port == 0 { Err(section.finding("port 0 cannot be connected to", "use 1 to 65535")) } else { Ok(port) }
}

fn binding(section: &Section<'_>) -> Result<Binding, Finding> {
    let Some(text) = section.text("binding")? else { return Ok(Binding::Host) };
    match text.value {
        "host" => Ok(Binding::Host),
        "account" => Ok(Binding::Account),
        other => Err(text.finding(format!("`{other}` is not a binding"), suggestion(other, ["host", "account"]))),
    }
}

fn address(text: Placed<'_, &str>) -> Result<String, Finding> {
    let valid = text.value.parse::<std::net::IpAddr>().is_ok() || text.value.parse::<HostName>().is_ok();
    let wrong = || text.finding(format!("`{}` is not an address", text.value), "use an IP address or a host name");
    valid.then(|| text.value.to_owned()).ok_or_else(wrong)
}

fn label(key: &str) -> bool {
    (1..=64).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"._/-".contains(&b))
}

fn sorted<T: Ord>(what: &str, list: Vec<Placed<'_, T>>) -> Result<Vec<T>, Finding> {
    let mut seen = BTreeSet::new();
    for Placed { value, source, start } in list {
        if !seen.insert(value) {
            return Err(source.finding(start, format!("an entry of `{what}` stands here twice"), "remove one of them"));
        }
    }
    Ok(seen.into_iter().collect())
}
