//! What was frozen while a grant lived, and stopped it: such entries name the holder or a host, never the grant.

use super::Gathered;
use api::entry::{Fact, FreezeSet, FreezeStopped, Head, Who};
use policy::{FreezeId, Frozen, HostName};
use std::collections::{BTreeMap, HashSet};

/// The freezes that concern one grant, found on a walk through the log.
pub(super) struct Freezes {
    holder: Option<Who>,
    hosts: HashSet<HostName>,
    /// The entry with which the grant's story begins.
    begins: u64,
    /// The last entry that names the grant; and when it ends by itself, Unix seconds.
    ends: (u64, u64),
    /// The entry with which somebody ended it: from there on there was nothing to stop.
    over: u64,
    /// Those that may concern it.
    found: BTreeMap<FreezeId, Found>,
}

/// A freeze with its entries.
struct Found {
    /// Whether it concerns the grant for certain.
    concerns: bool,
    entries: Vec<u64>,
}

impl Freezes {
    /// Those during the life of what was gathered.
    pub(super) fn during(gathered: &Gathered) -> Self {
        let (first, last) = (gathered.wanted.first(), gathered.wanted.last());
        Self {
            holder: gathered.holder.clone(),
            hosts: gathered.hosts.clone(),
            begins: gathered.filed.or(first.copied()).unwrap_or(0),
            ends: (last.copied().unwrap_or(0), gathered.until),
            over: gathered.over.unwrap_or(u64::MAX),
            found: BTreeMap::new(),
        }
    }

    /// Takes the entry, which is about a freeze, if it may concern the grant.
    pub(super) fn look(&mut self, index: u64, text: &str, fact: &Fact) {
        let time = serde_json::from_str(text).map_or(u64::MAX, |head: Head| head.time_ms / 1_000);
        if self.ends.0 < index && self.ends.1 <= time {
            return;
        }
        match fact {
            Fact::FreezeSet(_) | Fact::FreezeStopped(_) if self.over < index => {}
            Fact::FreezeSet(set) => self.set(index, set),
            // Over before there was anything to stop.
            Fact::FreezeThawed(word) if word.lifted && index < self.begins => drop(self.found.remove(&word.id)),
            Fact::FreezeThawed(word) => {
                self.found.get_mut(&word.id).into_iter().for_each(|found| found.entries.push(index));
            }
            Fact::FreezeStopped(stopped) if self.begins <= index && self.is_stopped(stopped) => {
                if let Some(found) = self.found.get_mut(&stopped.id) {
                    found.concerns = true;
                    found.entries.push(index);
                }
            }
            _ => {}
        }
    }

    /// A freeze of one host may stop certificates for another that takes the same: what it stopped tells.
    fn set(&mut self, index: u64, set: &FreezeSet) {
        let concerns = match &set.frozen {
            Frozen::Everything => true,
            Frozen::Host { host } => self.hosts.contains(host),
            held @ Frozen::Holder { .. } => self.holder.as_ref().is_some_and(|holder| holder.is_frozen(held)),
        };
        if concerns || matches!(set.frozen, Frozen::Host { .. }) {
            self.found.insert(set.id.clone(), Found { concerns, entries: vec![index] });
        }
    }

    /// Whether it stopped this holder on the way to one of these hosts.
    fn is_stopped(&self, stopped: &FreezeStopped) -> bool {
        let account = |who: &Who| (&who.issuer, &who.subject) == (&stopped.actor.issuer, &stopped.actor.subject);
        let here = stopped.target.as_ref().is_some_and(|target| self.hosts.contains(target.host()));
        here && self.holder.as_ref().is_some_and(account)
    }

    /// The entries that were taken.
    pub(super) fn entries(self) -> impl Iterator<Item = u64> {
        self.found.into_values().filter(|found| found.concerns).flat_map(|found| found.entries)
    }
}
