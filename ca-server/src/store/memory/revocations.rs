//! Live certificates, revoked ones and freezes in memory.

use super::MemoryStore;
use crate::{
    audit::Entry,
    store::{
        Edition, Freezes, Issued, Known, LiveCertificate, Revocations, Revoked, Selection, Stepped, StoreError,
        revocations::{AFTER_EXPIRY, Account},
    },
};
use async_trait::async_trait;
use policy::{Freeze, FreezeId, Identity, Serial, Thaw, UnixTime};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

type Key = (UnixTime, Serial);

/// What ended before its time, and what may yet.
#[derive(Default)]
pub(super) struct Ended {
    live: BTreeMap<Key, Issued>,
    revoked: BTreeSet<Key>,
    pub(super) version: u64,
    changed: Option<UnixTime>,
    pub(super) freezes: Freezes,
}

impl Ended {
    pub(super) fn issue(&mut self, issued: Issued) {
        self.live.insert((issued.expires, issued.serial), issued);
    }

    fn select(&self, which: &Selection, now: UnixTime) -> Vec<LiveCertificate> {
        let wanted = |issued: &&Issued| match which {
            Selection::Grant(grant) => issued.grant == *grant,
            Selection::Holders(holders) => holders.contains(&issued.holder),
            Selection::Hosts(hosts) => hosts.contains(&issued.host),
            Selection::Policy(policy) => issued.policy == *policy,
            Selection::Serial(serial) => issued.serial == *serial,
            Selection::Issuer(issuer) => issued.holder.0 == *issuer,
            Selection::All => true,
        };
        let selected = self.live.values().filter(|issued| now < issued.expires).filter(wanted);
        let live = selected.map(|Issued { serial, expires, .. }| LiveCertificate {
            expires: *expires,
            serial: *serial,
            revoked: self.revoked.contains(&(*expires, *serial)),
        });
        live.collect()
    }

    pub(super) fn revoke(&mut self, which: &Selection, now: UnixTime) -> Vec<LiveCertificate> {
        let live = self.select(which, now);
        if live.iter().any(|one| !one.revoked) {
            self.revoked.extend(live.iter().map(|one| (one.expires, one.serial)));
            self.change(now);
        }
        live
    }

    pub(super) fn prune(&mut self, now: UnixTime) {
        let stays = |(expires, _): &Key| now < expires.plus(AFTER_EXPIRY);
        self.live.retain(|key, _| stays(key));
        let before = self.revoked.len();
        self.revoked.retain(stays);
        if self.revoked.len() < before {
            self.change(now);
        }
    }

    fn change(&mut self, now: UnixTime) {
        self.version += 1;
        self.changed = Some(now);
    }
}

#[async_trait]
impl Revocations for MemoryStore {
    async fn live(&self, which: &Selection, now: UnixTime) -> Result<Vec<LiveCertificate>, StoreError> {
        Ok(self.facts()?.ended.select(which, now))
    }

    async fn revoke(
        &self,
        which: Selection,
        now: UnixTime,
        account: Account,
    ) -> Result<Vec<LiveCertificate>, StoreError> {
        let mut facts = self.facts()?;
        let live = facts.ended.select(&which, now);
        let version = facts.ended.version + u64::from(live.iter().any(|one| !one.revoked));
        let entries = account(&live, version)?;
        facts.ended.revoke(&which, now);
        entries.into_iter().for_each(|entry| facts.append(entry));
        Ok(live)
    }

    async fn revoked(&self, known: Option<&Edition>) -> Result<Option<Revoked>, StoreError> {
        let facts = self.facts()?;
        let Ended { revoked, version, changed, .. } = &facts.ended;
        let edition = Edition { version: *version, ..Edition::default() };
        if known == Some(&edition) {
            return Ok(None);
        }
        let mut serials: Vec<Serial> = revoked.iter().map(|(_, serial)| *serial).collect();
        serials.sort_unstable();
        let changed = changed.unwrap_or(UnixTime::from_secs(0));
        Ok(Some(Revoked { edition, changed, serials }))
    }

    async fn freezes(&self) -> Result<Arc<Freezes>, StoreError> {
        Ok(Arc::new(self.facts()?.ended.freezes.clone()))
    }

    async fn freeze(&self, seen: u64, freeze: Freeze, entry: Entry) -> Result<Stepped, StoreError> {
        let mut facts = self.facts()?;
        let freezes = &mut facts.ended.freezes;
        if freezes.version != seen {
            return Ok(Stepped::Changed);
        }
        freezes.version += 1;
        freezes.all.push(freeze);
        freezes.all.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
        facts.append(entry);
        Ok(Stepped::Yes)
    }

    async fn thaw(
        &self,
        id: &FreezeId,
        seen: u64,
        word: Thaw,
        lift: bool,
        entry: Entry,
    ) -> Result<Stepped, StoreError> {
        let mut facts = self.facts()?;
        let freezes = &mut facts.ended.freezes;
        if freezes.version != seen {
            return Ok(Stepped::Changed);
        }
        let Some(freeze) = freezes.all.iter_mut().find(|freeze| freeze.id == *id) else {
            return Ok(Stepped::Changed);
        };
        if lift {
            freezes.all.retain(|freeze| freeze.id != *id);
        } else {
            freeze.thaws.push(word);
        }
        freezes.version += 1;
        facts.append(entry);
        Ok(Stepped::Yes)
    }

    async fn known(&self, who: &Known) -> Result<Vec<Identity>, StoreError> {
        let facts = self.facts()?;
        let mut known: Vec<Identity> = facts.asked.everybody().filter(|one| who.is(one)).cloned().collect();
        known.sort_by(|a, b| (&a.issuer, &a.subject).cmp(&(&b.issuer, &b.subject)));
        Ok(known)
    }
}
