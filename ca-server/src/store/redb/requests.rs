//! Requests in the file: their tables, what a write does to them, and how they are read.

mod reader;
mod writes;

pub(super) use reader::Reader;
use writes::{add_step, file};

use super::{
    RedbStore,
    agenda::Looks,
    failed, reading,
    tables::{Owner, Tables},
};
use crate::{
    audit::Entry,
    store::{Claim, Filed, Idempotency, KeptRequest, Look, Requests, Stepped, StoreError, Which, records},
};
use ::redb::{
    Error, ReadTransaction, ReadableTable as _, StorageError, Table, TableDefinition, TableError, WriteTransaction,
};
use async_trait::async_trait;
use policy::{Group, Identity, Issuer, Request, RequestId, Step, Subject, UnixTime};
use std::{ops::RangeInclusive, sync::atomic::Ordering::SeqCst};

type OfKey = (&'static Owner, u64, &'static str);
type KeyUse = (&'static [u8; 32], &'static str);

/// Request id → the request as JSON. Never changed, never removed.
const REQUESTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("requests");
/// Request id, place → the step as JSON. Never changed, never removed.
const STEPS: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("request_steps");
/// Time of filing, request id: all of them in order.
const FILED: TableDefinition<'_, (u64, &str), ()> = TableDefinition::new("requests_by_time");
/// Requester, time of filing, request id: those of one identity in order.
const OF: TableDefinition<'_, OfKey, ()> = TableDefinition::new("requests_by_requester");
/// Time of filing, request id → when it expires: those for which a look is arranged (see [`crate::store::Agenda`]).
pub(super) const WAITING: TableDefinition<'_, (u64, &str), u64> = TableDefinition::new("requests_waiting");
/// Time of filing, request id: emergency access that nobody has reviewed.
const UNREVIEWED: TableDefinition<'_, (u64, &str), ()> = TableDefinition::new("requests_unreviewed");
/// Id of the request that is prolonged, time of filing, id of the one that prolongs it.
const PROLONGING: TableDefinition<'_, (&str, u64, &str), ()> = TableDefinition::new("requests_by_prolonged");
/// Requester, digest of an idempotency key → digest of the body, request id.
const KEYS: TableDefinition<'_, (&Owner, &[u8; 32]), KeyUse> = TableDefinition::new("request_keys");
/// Request id → when the last certificate under it expires.
const EXPIRIES: TableDefinition<'_, &str, u64> = TableDefinition::new("request_last_expiry");
/// Word (see [`records::words`]), time of filing, request id: those that have the word in order.
pub(super) const WORDS: TableDefinition<'_, (&str, u64, &str), ()> = TableDefinition::new("requests_by_word");
/// Who → since when they are in which group, as JSON, as of the last login.
pub(super) const SINCE: TableDefinition<'_, &Owner, &[u8]> = TableDefinition::new("groups_since");
/// Who → the identity of the last login as JSON.
const LATEST: TableDefinition<'_, &Owner, &[u8]> = TableDefinition::new("latest_identities");

/// No id sorts after this: they are `r-` and hex digits.
const LAST: &str = "\u{7f}";

/// The tables of requests, open for writing.
pub(super) struct Asked<'t> {
    requests: Table<'t, &'static str, &'static [u8]>,
    steps: Table<'t, (&'static str, u64), &'static [u8]>,
    filed: Table<'t, (u64, &'static str), ()>,
    of: Table<'t, OfKey, ()>,
    waiting: Table<'t, (u64, &'static str), u64>,
    unreviewed: Table<'t, (u64, &'static str), ()>,
    prolonging: Table<'t, (&'static str, u64, &'static str), ()>,
    keys: Table<'t, (&'static Owner, &'static [u8; 32]), KeyUse>,
    expiries: Table<'t, &'static str, u64>,
    words: Table<'t, (&'static str, u64, &'static str), ()>,
    since: Table<'t, &'static Owner, &'static [u8]>,
    latest: Table<'t, &'static Owner, &'static [u8]>,
    pub(super) looks: Looks<'t>,
}

impl<'t> Asked<'t> {
    /// Whether the file has these tables: the last of them came with [`Self::complete`].
    pub(super) fn are_there(read: &ReadTransaction) -> Result<bool, Error> {
        match read.open_table(UNREVIEWED).and_then(|_| read.open_table(WORDS)) {
            Ok(_) => Ok(true),
            Err(TableError::TableDoesNotExist(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Fills the indexes that are younger than the requests in the file.
    pub(super) fn complete(&mut self) -> Result<(), Error> {
        let ids = self.filed.iter()?.map(|row| row.map(|(key, _)| key.value().1.to_owned()));
        for id in ids.collect::<Result<Vec<String>, _>>()? {
            let kept = self.requests.get(id.as_str())?.map(|json| decode::<Request>(json.value())).transpose()?;
            let Some(request) = kept else { continue };
            self.found_by(&request)?;
            let mut over = false;
            for row in self.steps.range(steps_of(&id))? {
                over |= records::ends(&decode(row?.1.value())?);
            }
            if !over {
                // Whoever looks at it first arranges what is right.
                self.looks.arrange(&id, Some(Look { at: UnixTime::from_secs(0), reminded: false }))?;
                self.waiting.insert((request.filed.as_secs(), id.as_str()), request.expires.as_secs())?;
            }
        }
        Ok(())
    }

    fn found_by(&mut self, request: &Request) -> Result<(), Error> {
        for word in records::words(request) {
            self.words.insert((word.as_str(), request.filed.as_secs(), request.id.as_str()), ())?;
        }
        Ok(())
    }

    pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self, Error> {
        Ok(Self {
            requests: transaction.open_table(REQUESTS)?,
            steps: transaction.open_table(STEPS)?,
            filed: transaction.open_table(FILED)?,
            of: transaction.open_table(OF)?,
            waiting: transaction.open_table(WAITING)?,
            unreviewed: transaction.open_table(UNREVIEWED)?,
            prolonging: transaction.open_table(PROLONGING)?,
            keys: transaction.open_table(KEYS)?,
            expiries: transaction.open_table(EXPIRIES)?,
            words: transaction.open_table(WORDS)?,
            since: transaction.open_table(SINCE)?,
            latest: transaction.open_table(LATEST)?,
            looks: Looks::open(transaction)?,
        })
    }

    /// Notes who somebody is as of this login.
    pub(super) fn met(&mut self, identity: &Identity, at: UnixTime) -> Result<(), Error> {
        let owner = records::owner(&identity.issuer, &identity.subject);
        let (since, latest) = (self.since.get(&owner)?, self.latest.get(&owner)?);
        let known = known_since(since.as_ref().map(|json| json.value()), latest.as_ref().map(|json| json.value()))?;
        drop((since, latest));
        self.since.insert(&owner, encode(&records::groups_since(&known, identity, at))?.as_slice())?;
        self.latest.insert(&owner, encode(identity)?.as_slice())?;
        Ok(())
    }

    /// Whether what `claim` was decided on is still so.
    pub(super) fn stands(&self, claim: &Claim) -> Result<bool, Error> {
        if self.count(&claim.request)? != Some(claim.seen) || self.looks.of(claim.request.as_str())?.is_none() {
            return Ok(false);
        }
        for (id, seen) in &claim.extensions {
            if self.count(id)? != Some(*seen) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Records a certificate under a claim that stands; answers the entry about its first use.
    pub(super) fn claim<'c>(&mut self, claim: &'c Claim) -> Result<Option<&'c Entry>, Error> {
        let id = claim.request.as_str();
        let before = self.expiries.get(id)?.map(|last| last.value());
        if before.is_none_or(|before| before < claim.expires.as_secs()) {
            self.expiries.insert(id, claim.expires.as_secs())?;
        }
        let Some((step, about)) = &claim.step else { return Ok(None) };
        self.step(&claim.request, claim.seen, step)?;
        Ok(Some(about))
    }

    /// Appends a step to a request that is kept and has `seen` of them.
    fn step(&mut self, id: &RequestId, seen: usize, step: &Step) -> Result<(), Error> {
        let json = encode(step)?;
        self.steps.insert((id.as_str(), place(seen)), json.as_slice())?;
        let look = records::look_after(step, self.looks.of(id.as_str())?);
        self.looks.arrange(id.as_str(), look)?;
        if look.is_none() {
            self.waits_no_more(id)?;
        }
        if records::reviews(step) { self.is_reviewed(id) } else { Ok(()) }
    }

    fn kept(&self, id: &RequestId) -> Result<Option<Request>, Error> {
        self.requests.get(id.as_str())?.map(|json| decode::<Request>(json.value())).transpose()
    }

    fn is_reviewed(&mut self, id: &RequestId) -> Result<(), Error> {
        if let Some(request) = self.kept(id)? {
            self.unreviewed.remove((request.filed.as_secs(), id.as_str()))?;
        }
        Ok(())
    }

    /// Takes a request off the list of those that wait.
    pub(super) fn waits_no_more(&mut self, id: &RequestId) -> Result<(), Error> {
        if let Some(request) = self.kept(id)? {
            self.waiting.remove((request.filed.as_secs(), id.as_str()))?;
        }
        Ok(())
    }

    /// How many steps a request has; none where it is not kept.
    pub(super) fn count(&self, id: &RequestId) -> Result<Option<usize>, Error> {
        let last = self.steps.range(steps_of(id.as_str()))?.next_back().transpose()?;
        Ok(match last {
            Some((key, _)) => Some(usize::try_from(key.value().1.saturating_add(1)).unwrap_or(usize::MAX)),
            None => self.requests.get(id.as_str())?.map(|_untouched| 0),
        })
    }
}

/// Everybody who ever logged in and is `wanted`, as of then.
pub(super) fn everybody(
    read: &ReadTransaction,
    wanted: impl Fn(&Identity) -> bool,
) -> Result<Vec<Identity>, StoreError> {
    let latest = read.open_table(LATEST).map_err(failed)?;
    let mut found = Vec::new();
    for row in latest.range::<&Owner>(..).map_err(failed)? {
        found.extend(Some(decode(row.map_err(failed)?.1.value()).map_err(failed)?).filter(&wanted));
    }
    Ok(found)
}

#[async_trait]
impl Requests for RedbStore {
    async fn file_request(
        &self,
        request: Request,
        idempotency: Option<Idempotency>,
        entry: Entry,
    ) -> Result<Filed, StoreError> {
        self.writer.write(move |tables| file(tables, &request, idempotency, &entry)).await
    }

    async fn filed_with(
        &self,
        issuer: &Issuer,
        subject: &Subject,
        key: &[u8; 32],
    ) -> Result<Option<([u8; 32], RequestId)>, StoreError> {
        reading(|| {
            let keys = self.live.read()?.open_table(KEYS).map_err(failed)?;
            let used = keys.get((&records::owner(issuer, subject), key)).map_err(failed)?;
            used.map(|used| Ok((*used.value().0, used.value().1.parse().map_err(failed)?))).transpose()
        })
    }

    fn changes(&self) -> Option<u64> {
        Some(self.changes.load(SeqCst))
    }

    async fn request(&self, id: &RequestId) -> Result<Option<KeptRequest>, StoreError> {
        reading(|| Reader::new(&self.live.read()?)?.request(id.as_str()))
    }

    async fn requests(
        &self,
        which: &Which,
        after: Option<&RequestId>,
        most: usize,
    ) -> Result<Vec<KeptRequest>, StoreError> {
        reading(|| {
            let read = self.live.read()?;
            Reader::new(&read)?.listed(&read, which, after, most)
        })
    }

    async fn extensions_of(&self, id: &RequestId) -> Result<Vec<KeptRequest>, StoreError> {
        reading(|| {
            let read = self.live.read()?;
            let reader = Reader::new(&read)?;
            let table = read.open_table(PROLONGING).map_err(failed)?;
            let mut prolonging = Vec::new();
            for row in table.range((id.as_str(), 0, "")..=(id.as_str(), u64::MAX, LAST)).map_err(failed)? {
                prolonging.extend(reader.request(row.map_err(failed)?.0.value().2)?);
            }
            Ok(prolonging)
        })
    }

    async fn add_step(&self, id: &RequestId, seen: usize, step: Step, entry: Entry) -> Result<Stepped, StoreError> {
        let id = id.clone();
        self.writer.write(move |tables| add_step(tables, &id, seen, &step, &entry)).await
    }

    async fn last_expiry(&self, id: &RequestId) -> Result<Option<UnixTime>, StoreError> {
        reading(|| {
            let expiries = self.live.read()?.open_table(EXPIRIES).map_err(failed)?;
            Ok(expiries.get(id.as_str()).map_err(failed)?.map(|last| UnixTime::from_secs(last.value())))
        })
    }

    async fn groups_since(&self, issuer: &Issuer, subject: &Subject) -> Result<Vec<(Group, UnixTime)>, StoreError> {
        let owner = records::owner(issuer, subject);
        reading(|| {
            let read = self.live.read()?;
            let since = read.open_table(SINCE).map_err(failed)?.get(&owner).map_err(failed)?;
            let latest = read.open_table(LATEST).map_err(failed)?.get(&owner).map_err(failed)?;
            let (since, latest) = (since.as_ref().map(|json| json.value()), latest.as_ref().map(|json| json.value()));
            known_since(since, latest).map_err(failed)
        })
    }

    async fn latest_identity(&self, issuer: &Issuer, subject: &Subject) -> Result<Option<Identity>, StoreError> {
        let owner = records::owner(issuer, subject);
        reading(|| {
            let latest = self.live.read()?.open_table(LATEST).map_err(failed)?;
            let known = latest.get(&owner).map_err(failed)?;
            known.map(|json| decode(json.value()).map_err(failed)).transpose()
        })
    }
}

/// Since when somebody is in their groups; of a file that is older than this note, the groups that it has count as held for ever.
fn known_since(since: Option<&[u8]>, latest: Option<&[u8]>) -> Result<Vec<(Group, UnixTime)>, Error> {
    if let Some(json) = since {
        return decode(json);
    }
    let latest: Option<Identity> = latest.map(decode).transpose()?;
    let groups = latest.map(|identity| identity.groups).unwrap_or_default();
    Ok(groups.into_iter().map(|group| (group, UnixTime::from_secs(0))).collect())
}

fn steps_of(id: &str) -> RangeInclusive<(&str, u64)> {
    (id, 0)..=(id, u64::MAX)
}

fn place(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn encode(record: &impl serde::Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(record).map_err(corrupt)
}

fn decode<T: serde::de::DeserializeOwned>(json: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(json).map_err(corrupt)
}

fn corrupt(error: impl std::fmt::Display) -> Error {
    StorageError::Corrupted(format!("a request cannot be read: {error}")).into()
}
