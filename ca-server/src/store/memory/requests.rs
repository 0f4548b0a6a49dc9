//! Requests in memory.

use super::MemoryStore;
use crate::{
    audit::Entry,
    store::{
        Claim, Filed, Idempotency, KeptRequest, Look, Requests, Selection, Stepped, StoreError, Which, records,
        revocations,
    },
};
use async_trait::async_trait;
use policy::{Group, Identity, Issuer, Request, RequestId, Step, Subject, UnixTime};
use std::collections::{BTreeMap, HashMap};

type Owner = [u8; 32];

/// Requests and who people last were.
#[derive(Default)]
pub(super) struct Asked {
    /// By the time of filing, then id.
    kept: BTreeMap<(UnixTime, RequestId), KeptRequest>,
    filed: HashMap<RequestId, UnixTime>,
    keys: HashMap<(Owner, [u8; 32]), ([u8; 32], RequestId)>,
    latest: HashMap<Owner, (Identity, Vec<(Group, UnixTime)>)>,
    expiries: HashMap<RequestId, UnixTime>,
    pub(super) looks: HashMap<RequestId, Look>,
    changes: u64,
}

impl Asked {
    pub(super) fn met(&mut self, identity: &Identity, at: UnixTime) {
        self.changes += 1;
        let owner = records::owner(&identity.issuer, &identity.subject);
        let known = self.latest.get(&owner).map(|(_, since)| since.as_slice()).unwrap_or_default();
        let since = records::groups_since(known, identity, at);
        self.latest.insert(owner, (identity.clone(), since));
    }

    /// Whether what `claim` was decided on is still so.
    pub(super) fn stands(&self, claim: &Claim) -> bool {
        let has = |id: &RequestId, seen: usize| self.find(id).is_some_and(|kept| kept.steps.len() == seen);
        let in_time = self.looks.contains_key(&claim.request);
        in_time && has(&claim.request, claim.seen) && claim.extensions.iter().all(|(id, seen)| has(id, *seen))
    }

    /// Records a certificate under a claim that stands; answers the entry about its first use.
    pub(super) fn claim(&mut self, claim: Claim) -> Option<Entry> {
        let Claim { request, step, expires, .. } = claim;
        let last = self.expiries.entry(request.clone()).or_insert(expires);
        *last = expires.max(*last);
        let (step, about) = step?;
        self.step(&request, step);
        Some(about)
    }

    pub(super) fn everybody(&self) -> impl Iterator<Item = &Identity> {
        self.latest.values().map(|(identity, _)| identity)
    }

    fn step(&mut self, id: &RequestId, step: Step) {
        self.changes += 1;
        let kept = self.filed.get(id).and_then(|filed| self.kept.get_mut(&(*filed, id.clone())));
        let Some(kept) = kept else { return };
        match records::look_after(&step, self.looks.get(id).copied()) {
            Some(look) => self.looks.insert(id.clone(), look),
            None => self.looks.remove(id),
        };
        kept.steps.push(step);
    }

    pub(super) fn find(&self, id: &RequestId) -> Option<&KeptRequest> {
        self.kept.get(&(*self.filed.get(id)?, id.clone()))
    }
}

#[async_trait]
impl Requests for MemoryStore {
    async fn file_request(
        &self,
        request: Request,
        idempotency: Option<Idempotency>,
        entry: Entry,
    ) -> Result<Filed, StoreError> {
        let mut facts = self.facts()?;
        let asked = &mut facts.asked;
        if let Some(Idempotency { key, body }) = idempotency {
            let owner = records::owner(&request.requester.issuer, &request.requester.subject);
            match asked.keys.get(&(owner, key)) {
                Some((same, id)) if *same == body => return Ok(Filed::Before(id.clone())),
                Some(_) => return Ok(Filed::Mismatch),
                None => asked.keys.insert((owner, key), (body, request.id.clone())),
            };
        }
        asked.changes += 1;
        asked.filed.insert(request.id.clone(), request.filed);
        asked.looks.insert(request.id.clone(), records::first_look(&request));
        asked.kept.insert((request.filed, request.id.clone()), KeptRequest { request, steps: Vec::new() });
        facts.append(entry);
        Ok(Filed::Yes)
    }

    async fn filed_with(
        &self,
        issuer: &Issuer,
        subject: &Subject,
        key: &[u8; 32],
    ) -> Result<Option<([u8; 32], RequestId)>, StoreError> {
        Ok(self.facts()?.asked.keys.get(&(records::owner(issuer, subject), *key)).cloned())
    }

    fn changes(&self) -> Option<u64> {
        self.facts().ok().map(|facts| facts.asked.changes)
    }

    async fn request(&self, id: &RequestId) -> Result<Option<KeptRequest>, StoreError> {
        Ok(self.facts()?.asked.find(id).cloned())
    }

    async fn requests(
        &self,
        which: &Which,
        after: Option<&RequestId>,
        most: usize,
    ) -> Result<Vec<KeptRequest>, StoreError> {
        let facts = self.facts()?;
        let Asked { kept, filed, looks, .. } = &facts.asked;
        let before = after.map(|id| (filed.get(id).copied(), id));
        let follows = |(at, id): &(UnixTime, RequestId)| match before {
            None => true,
            Some((Some(before_at), before_id)) => (*at, id) < (before_at, before_id),
            Some((None, _)) => false,
        };
        let wanted = |kept: &KeptRequest| match which {
            Which::Of(issuer, subject) => {
                kept.request.requester.issuer == *issuer && kept.request.requester.subject == *subject
            }
            Which::Waiting(now) => *now < kept.request.expires && looks.contains_key(&kept.request.id),
            Which::Open => looks.contains_key(&kept.request.id),
            Which::Unreviewed => kept.request.break_glass.is_some() && !kept.steps.iter().any(records::reviews),
            Which::With(word) => records::words(&kept.request).contains(word),
            Which::All => true,
        };
        let listed = kept.iter().rev().filter(|(key, kept)| follows(key) && wanted(kept));
        Ok(listed.take(most).map(|(_, kept)| kept.clone()).collect())
    }

    async fn extensions_of(&self, id: &RequestId) -> Result<Vec<KeptRequest>, StoreError> {
        let facts = self.facts()?;
        let prolong = |kept: &&KeptRequest| kept.request.extends.as_ref() == Some(id);
        Ok(facts.asked.kept.values().filter(prolong).cloned().collect())
    }

    async fn add_step(&self, id: &RequestId, seen: usize, step: Step, entry: Entry) -> Result<Stepped, StoreError> {
        let mut facts = self.facts()?;
        if facts.asked.find(id).is_none_or(|kept| kept.steps.len() != seen) {
            return Ok(Stepped::Changed);
        }
        if records::too_late(&step, facts.asked.looks.get(id).copied()) {
            return Ok(Stepped::Over);
        }
        let prolonged = facts.asked.find(id).and_then(|kept| kept.request.extends.clone());
        if let Some(prolonged) = prolonged.filter(|_| records::prolongs(&step)) {
            let Some(look) = facts.asked.looks.get_mut(&prolonged) else { return Ok(Stepped::Over) };
            *look = records::look_again(*look, step.at);
        }
        facts.asked.step(id, step.clone());
        facts.append(entry.clone());
        if records::ends(&step) {
            let revoked = facts.ended.revoke(&Selection::Grant(id.grant()), step.at);
            for entry in revocations::by_step((&step, &entry), &id.grant(), &revoked, facts.ended.version)? {
                facts.append(entry);
            }
        }
        Ok(Stepped::Yes)
    }

    async fn last_expiry(&self, id: &RequestId) -> Result<Option<UnixTime>, StoreError> {
        Ok(self.facts()?.asked.expiries.get(id).copied())
    }

    async fn groups_since(&self, issuer: &Issuer, subject: &Subject) -> Result<Vec<(Group, UnixTime)>, StoreError> {
        let facts = self.facts()?;
        let known = facts.asked.latest.get(&records::owner(issuer, subject));
        Ok(known.map(|(_, since)| since.clone()).unwrap_or_default())
    }

    async fn latest_identity(&self, issuer: &Issuer, subject: &Subject) -> Result<Option<Identity>, StoreError> {
        let facts = self.facts()?;
        Ok(facts.asked.latest.get(&records::owner(issuer, subject)).map(|(identity, _)| identity.clone()))
    }
}
