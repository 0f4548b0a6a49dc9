//! What was frozen while a grant lived, and stopped it: such entries name the holder or the host, never the grant.

use super::Gathered;
use api::entry::{Fact, FreezeStopped, Head, Who};
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
    /// Each with its entries.
    found: BTreeMap<FreezeId, Vec<u64>>,
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
            found: BTreeMap::new(),
        }
    }

    /// Takes the entry, which is about a freeze, if it concerns the grant.
    pub(super) fn look(&mut self, index: u64, text: &str, fact: &Fact) {
        let Some(holder) = &self.holder else { return };
        let time = serde_json::from_str(text).map_or(u64::MAX, |head: Head| head.time_ms / 1_000);
        if self.ends.0 < index && self.ends.1 <= time {
            return;
        }
        match fact {
            Fact::FreezeSet(set) if concerns(&set.frozen, holder, &self.hosts) => {
                self.found.insert(set.id.clone(), vec![index]);
            }
            // Over before there was anything to stop.
            Fact::FreezeThawed(word) if word.lifted && index < self.begins => drop(self.found.remove(&word.id)),
            Fact::FreezeThawed(word) => self.found.get_mut(&word.id).into_iter().for_each(|all| all.push(index)),
            Fact::FreezeStopped(stopped) if index >= self.begins && stops_here(stopped, holder, &self.hosts) => {
                self.found.get_mut(&stopped.id).into_iter().for_each(|all| all.push(index));
            }
            _ => {}
        }
    }

    /// The entries that were taken.
    pub(super) fn entries(self) -> impl Iterator<Item = u64> {
        self.found.into_values().flatten()
    }
}

/// Whether it keeps this holder from one of these hosts. What else it keeps them from by their hosts' binding is not looked at.
fn concerns(frozen: &Frozen, holder: &Who, hosts: &HashSet<HostName>) -> bool {
    match frozen {
        Frozen::Everything => true,
        Frozen::Host { host } => hosts.contains(host),
        Frozen::Holder { .. } => holder.is_frozen(frozen),
    }
}

/// Whether it stopped this holder on the way to one of these hosts.
fn stops_here(stopped: &FreezeStopped, holder: &Who, hosts: &HashSet<HostName>) -> bool {
    let same = (&stopped.actor.issuer, &stopped.actor.subject) == (&holder.issuer, &holder.subject);
    same && stopped.target.as_ref().is_some_and(|target| hosts.contains(target.host()))
}
