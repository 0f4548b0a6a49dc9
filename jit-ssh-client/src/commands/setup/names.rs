//! Which names are the CA's to route. Whoever edits its inventory could otherwise take github.com, or a name of the user's
//! own, from under ssh, git and all that run them. So a login adds only names that nobody else could have meant, and what
//! is more than that waits until the user has seen it.

use super::known::Ssh;
use crate::{error::Failure, route::Route, terminal};
use api::HostEntry;
use policy::HostName;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// More than this many new names are not looked at in the course of a login: somebody should see them first.
const LOOKS_AT_LOGIN: usize = 256;
/// More are counted, not shown.
const SHOWN: usize = 20;

const SERVER: (&str, &str) = (" for ", ". `jit-ssh login`");
const DOMAINS: &str = "# Routed as they come: names in ";

/// What the user agreed to, as the file of ours says.
#[derive(Debug, Default)]
pub struct Agreed {
    /// Domains whose names are routed as they come.
    pub domains: Vec<HostName>,
    names: BTreeMap<String, Way>,
}

/// What ssh was told of a name.
#[derive(Debug)]
struct Way {
    /// The name by which the host's key is known.
    key: String,
    /// The words of ssh_config that say where it is: in those the user's own no longer counts.
    words: Vec<String>,
}

/// A name that is not routed, or was not before, and why that wants a look.
#[derive(Debug, PartialEq, Eq)]
pub struct Held {
    /// It.
    pub name: HostName,
    to: String,
    why: Why,
}

#[derive(Debug, PartialEq, Eq)]
enum Why {
    /// It has a dot, so it may be anybody's, and no domain that was agreed to.
    Dotted,
    /// The user's own configuration says where it is.
    Configured(String),
    /// The user has been there: the key in known_hosts would not be asked for any more.
    Visited,
    /// There was no look.
    Unseen,
}

/// How thoroughly names are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// As far as it takes to hold them back.
    Login,
    /// All of them, to show what becomes of each.
    Setup,
}

impl Agreed {
    /// What the file `text` of ours says; nothing if it is about another CA's hosts.
    pub fn of(text: &str, server: &str) -> Self {
        if server_of(text) != Some(server) {
            return Self::default();
        }
        let mut agreed = Self::default();
        let (mut led, mut words): (Vec<&str>, Vec<String>) = (Vec::new(), Vec::new());
        for line in text.lines() {
            if let Some(domains) = line.strip_prefix(DOMAINS) {
                agreed.domains.extend(domains.split(' ').filter_map(|domain| domain.parse().ok()));
            } else if let Some(names) = line.strip_prefix("Match originalhost ") {
                (led, words) = (names.split(',').collect(), Vec::new());
            } else if let Some((word, value)) = line.strip_prefix("    ").and_then(|line| line.split_once(' ')) {
                words.push(word.to_owned());
                if word == "HostKeyAlias" {
                    let way = |name: &str| (name.to_owned(), Way { key: value.to_owned(), words: words.clone() });
                    agreed.names.extend(led.drain(..).map(way));
                }
            } else if let Some(rest) = line.strip_prefix("Match final originalhost ") {
                for name in rest.split(' ').next().into_iter().flat_map(|names| names.split(',')) {
                    let itself = || Way { key: name.to_owned(), words: Vec::new() };
                    agreed.names.entry(name.to_owned()).or_insert_with(itself);
                }
            }
        }
        agreed
    }

    /// The names of `hosts` that a login may not add.
    ///
    /// # Errors
    /// If an address is none, or ssh cannot be asked.
    pub fn held(&self, hosts: &[HostEntry], ssh: &Ssh<'_>, look: Look) -> Result<Vec<Held>, Failure> {
        let mut new = Vec::new();
        for entry in hosts {
            let route = Route::of(entry)?;
            for name in [&entry.host].into_iter().chain(&entry.aliases) {
                let asked = Asked { name, host: &entry.host, route: route.clone() };
                if !self.names.get(name.as_str()).is_some_and(|way| way.covers(&asked)) {
                    new.push(asked);
                }
            }
        }
        let mut held = Vec::new();
        if look == Look::Login {
            let (free, dotted): (Vec<_>, Vec<_>) = new.into_iter().partition(|asked| self.is_free(asked.name));
            held.extend(dotted.iter().map(|asked| asked.held(Why::Dotted)));
            new = free;
            if new.len() > LOOKS_AT_LOGIN {
                held.extend(new.iter().map(|asked| asked.held(Why::Unseen)));
                return Ok(held);
            }
        }
        for (asked, found) in new.iter().zip(ssh.look(&new)?) {
            let dotted = (!self.is_free(asked.name)).then_some(Why::Dotted);
            held.extend(found.or(dotted).map(|why| asked.held(why)));
        }
        Ok(held)
    }

    /// Whether nobody but the company can be meant by the name: one without a dot goes nowhere but there.
    fn is_free(&self, name: &HostName) -> bool {
        let name = name.as_str();
        let within = |domain: &HostName| name.strip_suffix(domain.as_str()).is_some_and(|rest| rest.ends_with('.'));
        name != "localhost" && (!name.contains('.') || self.domains.iter().any(within))
    }
}

impl Way {
    /// Whether nothing of the user's own is taken from the name that was not taken before: another address may take the place
    /// of the inventory's, not that of a `HostName` which counted so far.
    fn covers(&self, asked: &Asked<'_>) -> bool {
        let told = asked.route.directives(asked.host);
        self.key == asked.key() && told.iter().all(|(word, _)| self.words.iter().any(|before| before == word))
    }
}

/// The CA whose hosts the file `text` of ours is about.
pub fn server_of(text: &str) -> Option<&str> {
    text.lines().next()?.split_once(SERVER.0)?.1.strip_suffix(&format!("{} writes it anew;", SERVER.1))
}

/// The lines of the file that [`Agreed::of`] reads, after its first words.
pub fn header(server: &str, domains: &[HostName]) -> String {
    let names: Vec<&str> = domains.iter().map(HostName::as_str).collect();
    let domains = if names.is_empty() { String::new() } else { format!("{DOMAINS}{}\n", names.join(" ")) };
    let (before, after) = SERVER;
    format!(
        "{before}{server}{after} writes it anew;\n# `jit-ssh setup --undo` removes it. Changes made by hand are lost.\n{domains}"
    )
}

/// A name of a host that was not routed so before.
pub struct Asked<'a> {
    name: &'a HostName,
    host: &'a HostName,
    route: Route,
}

impl Asked<'_> {
    /// The name by which the host's key will be known.
    fn key(&self) -> &str {
        if self.route == Route::default() { self.name.as_str() } else { self.host.as_str() }
    }

    fn held(&self, why: Why) -> Held {
        let to = match self.route == Route::default() {
            true => format!("gets certificates of {}", self.host),
            false => format!("goes to {}, with certificates of {}", self.route, self.host),
        };
        Held { name: self.name.clone(), to, why }
    }
}

impl Ssh<'_> {
    fn look(&self, names: &[Asked<'_>]) -> Result<Vec<Option<Why>>, Failure> {
        let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let each = names.len().div_ceil(threads).max(1);
        std::thread::scope(|scope| {
            let part = |part| scope.spawn(move || self.look_in_turn(part));
            let running: Vec<_> = names.chunks(each).map(part).collect();
            let mut found = Vec::with_capacity(names.len());
            for thread in running {
                found.extend(thread.join().map_err(|_panic| Failure::failed("the look at your ssh did not end"))??);
            }
            Ok(found)
        })
    }

    fn look_in_turn(&self, names: &[Asked<'_>]) -> Result<Vec<Option<Why>>, Failure> {
        names.iter().map(|asked| self.look_at(asked)).collect()
    }

    /// What of the user's own the name would be taken from.
    fn look_at(&self, asked: &Asked<'_>) -> Result<Option<Why>, Failure> {
        let (name, route) = (asked.name.as_str(), &asked.route);
        let Some(before) = self.settled(name)? else { return Ok(Some(Why::Unseen)) };
        let completed = before.hostname.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        let same = match route.address() {
            Some(address) => before.hostname == name || before.hostname == address,
            None => completed,
        };
        if !same {
            return Ok(Some(Why::Configured(before.hostname)));
        }
        let visited = asked.key() != name && self.has_key(name, &before);
        Ok(visited.then_some(Why::Visited))
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, to, why } = self;
        match why {
            Why::Dotted => write!(f, "{name} {to}"),
            Why::Configured(hostname) => {
                write!(f, "{name} {to}; your own configuration says {}", terminal::plain(hostname))
            }
            Why::Visited => write!(f, "{name} {to}; you have a key for {name} in known_hosts"),
            Why::Unseen => write!(f, "{name} {to}; what your own configuration says of it was not looked at"),
        }
    }
}

/// What becomes of these names, for somebody who is to agree. Those with a dot by their domain, the fewest first: what does
/// not belong there stands out.
pub fn told(held: &[Held]) -> Vec<String> {
    let (dotted, other): (Vec<&Held>, Vec<&Held>) = held.iter().partition(|held| held.why == Why::Dotted);
    let mut domains: BTreeMap<&str, Vec<&Held>> = BTreeMap::new();
    for one in dotted {
        domains.entry(domain(one.name.as_str())).or_default().push(one);
    }
    let mut domains: Vec<_> = domains.into_iter().collect();
    domains.sort_by_key(|(_, names)| names.len());
    let own = other.iter().map(ToString::to_string);
    let dotted = domains.iter().filter_map(|(domain, names)| match names.as_slice() {
        [one] => Some(one.to_string()),
        [one, ..] => Some(format!("{} names in {domain}; one of them: {one}", names.len())),
        [] => None,
    });
    let all: Vec<String> = own.chain(dotted).collect();
    let more = all.len().saturating_sub(SHOWN);
    let rest = (more > 0).then(|| format!("… and {more} more: see the difference"));
    all.into_iter().take(SHOWN).chain(rest).collect()
}

fn domain(name: &str) -> &str {
    name.split_once('.').map(|(_, domain)| domain).filter(|domain| domain.contains('.')).unwrap_or(name)
}

/// One line about names that a login left out.
pub fn left_out(held: &[Held], file: &str) -> String {
    let names: BTreeSet<&str> = held.iter().map(|held| held.name.as_str()).collect();
    let (what, are) = if names.len() == 1 { ("name", "is") } else { ("names", "are") };
    let shown: Vec<&str> = names.iter().copied().take(3).collect();
    let more = if names.len() > shown.len() { ", …" } else { "" };
    format!(
        "{} new host {what} {are} not in ~/.ssh/{file} ({}{more}): `jit-ssh setup` shows where they go and asks",
        names.len(),
        shown.join(", ")
    )
}
