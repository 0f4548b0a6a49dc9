//! Live certificates, revoked ones and freezes in the file.

mod select;

use super::{
    RedbStore, failed, reading,
    tables::{Owner, Tables},
};
use crate::{
    audit::Entry,
    store::{
        Edition, Freezes, Issued, Known, LiveCertificate, Revocations, Revoked, Selection, Stepped, StoreError,
        records,
        revocations::{AFTER_EXPIRY, Account},
    },
};
use ::redb::{
    Error, ReadTransaction, ReadableTable, StorageError, Table, TableDefinition, TableError, WriteTransaction,
};
use async_trait::async_trait;
use policy::{Freeze, FreezeId, GrantId, Identity, Serial, Thaw, UnixTime};
use select::{certificates, digest, select, under_grant};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Expiry, serial.
type Key = (u64, u64);
/// Serial, holder, digest of the issuer, host, policy, grant.
type About = (u64, &'static Owner, &'static [u8; 32], &'static str, &'static str, &'static str);

/// Expiry, index of the audit entry → what certificate this is. Removed some time after it expired. In the order in which
/// they are issued, so that those of one commit lie together: by serial, each would take a page of its own.
const LIVE: TableDefinition<'_, (u64, u64), About> = TableDefinition::new("certificates_live");
/// As [`LIVE`], of those alone whose grant came from a request → the grant. In the same order, for the same reason: an end reads
/// what lives under requests, until its own last one expires.
const UNDER: TableDefinition<'_, (u64, u64), &str> = TableDefinition::new("certificates_under_requests");
/// Grant, expiry, serial: what [`UNDER`] was in older files.
const BY_GRANT: TableDefinition<'_, (&str, u64, u64), ()> = TableDefinition::new("certificates_by_grant");
/// Expiry, serial: the certificates that are revoked. All of them are in [`LIVE`].
const REVOKED: TableDefinition<'_, Key, ()> = TableDefinition::new("certificates_revoked");
/// Freeze id → the freeze as JSON.
const FREEZES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("freezes");
/// `krl`: the version of the KRL; `krl_changed`: when it last changed; `freezes`: the version of the freezes.
const COUNTS: TableDefinition<'_, &str, u64> = TableDefinition::new("revocation_counts");

const KRL: &str = "krl";
const KRL_CHANGED: &str = "krl_changed";
const FROZEN: &str = "freezes";

/// The tables of what ends before its time, open for writing.
pub(super) struct Ended<'t> {
    live: Table<'t, (u64, u64), About>,
    under: Table<'t, (u64, u64), &'static str>,
    revoked: Table<'t, Key, ()>,
    freezes: Table<'t, &'static str, &'static [u8]>,
    counts: Table<'t, &'static str, u64>,
}

/// A certificate as it goes into the table, its digests made before it is the writing thread's turn.
pub(super) struct Row {
    key: Key,
    owner: Owner,
    issuer: [u8; 32],
    issued: Issued,
}

impl From<Issued> for Row {
    fn from(issued: Issued) -> Self {
        let (issuer, subject) = &issued.holder;
        Self {
            key: (issued.expires.as_secs(), issued.serial.get()),
            owner: records::owner(issuer, subject),
            issuer: digest(issuer),
            issued,
        }
    }
}

impl<'t> Ended<'t> {
    /// Whether the file has these tables: the last of them came with [`Self::complete`].
    pub(super) fn are_there(read: &ReadTransaction) -> Result<bool, Error> {
        match read.open_table(COUNTS).and_then(|_| read.open_table(UNDER)) {
            Ok(_) => Ok(true),
            Err(TableError::TableDoesNotExist(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self, Error> {
        Ok(Self {
            live: transaction.open_table(LIVE)?,
            under: transaction.open_table(UNDER)?,
            revoked: transaction.open_table(REVOKED)?,
            freezes: transaction.open_table(FREEZES)?,
            counts: transaction.open_table(COUNTS)?,
        })
    }

    /// Fills the index that is younger than the certificates in the file.
    pub(super) fn complete(&mut self, transaction: &'t WriteTransaction) -> Result<(), Error> {
        let by_grant = transaction.open_table(BY_GRANT)?;
        for row in self.live.iter()? {
            let (key, about) = row?;
            let ((expires, index), (serial, .., grant)) = (key.value(), about.value());
            if by_grant.get((grant, expires, serial))?.is_some() {
                self.under.insert((expires, index), grant)?;
            }
        }
        Ok(transaction.delete_table(by_grant).map(drop)?)
    }

    /// Whether nothing was frozen or thawed since this was decided.
    pub(super) fn as_decided(&self, row: &Row) -> Result<bool, Error> {
        Ok(count(&self.counts, FROZEN)? == row.issued.freezes)
    }

    /// Keeps a certificate, whose entry has this `index`; `claimed` says that its grant came from a request.
    pub(super) fn issue(&mut self, row: &Row, index: u64, claimed: bool) -> Result<(), Error> {
        let Row { key, owner, issuer, issued } = row;
        let (host, policy, grant) = (issued.host.as_str(), issued.policy.as_str(), issued.grant.as_str());
        self.live.insert((key.0, index), (key.1, owner, issuer, host, policy, grant))?;
        if claimed {
            self.under.insert((key.0, index), grant)?;
        }
        Ok(())
    }

    /// Revokes what is selected; answers that, and the version from here on.
    pub(super) fn revoke(&mut self, which: &Selection, now: UnixTime) -> Result<(Vec<LiveCertificate>, u64), Error> {
        let live = select(&self.live, &self.under, &self.revoked, which, now)?;
        self.revoke_these(live, now)
    }

    fn revoke_these(
        &mut self,
        live: Vec<LiveCertificate>,
        now: UnixTime,
    ) -> Result<(Vec<LiveCertificate>, u64), Error> {
        for one in live.iter().filter(|one| !one.revoked) {
            self.revoked.insert((one.expires.as_secs(), one.serial.get()), ())?;
        }
        if live.iter().any(|one| !one.revoked) {
            self.change(now)?;
        }
        Ok((live, count(&self.counts, KRL)?))
    }

    /// Revokes what was recorded under a grant that came from a request, the last of which expires at `last`: no more is looked at
    /// than what expires until then.
    pub(super) fn revoke_under(
        &mut self,
        grant: &GrantId,
        last: UnixTime,
        now: UnixTime,
    ) -> Result<(Vec<LiveCertificate>, u64), Error> {
        let found = under_grant(&self.live, &self.under, grant, now, last)?;
        let live = certificates(found, &self.revoked)?;
        if live.is_empty() { Ok((live, 0)) } else { self.revoke_these(live, now) }
    }

    /// Forgets up to `most` that expired long ago; answers how many.
    pub(super) fn prune(&mut self, now: UnixTime, most: usize) -> Result<usize, Error> {
        let long_ago = now.minus(AFTER_EXPIRY).as_secs();
        let (mut over, mut were_revoked) = (Vec::new(), false);
        for row in self.live.range(..=(long_ago, u64::MAX))?.take(most) {
            let (key, about) = row?;
            over.push((key.value(), about.value().0));
        }
        for ((expires, index), serial) in &over {
            self.live.remove((*expires, *index))?;
            self.under.remove((*expires, *index))?;
            were_revoked |= self.revoked.remove((*expires, *serial))?.is_some();
        }
        if were_revoked {
            self.change(now)?;
        }
        Ok(over.len())
    }

    fn change(&mut self, now: UnixTime) -> Result<(), Error> {
        let version = count(&self.counts, KRL)?.saturating_add(1);
        self.counts.insert(KRL, version)?;
        self.counts.insert(KRL_CHANGED, now.as_secs())?;
        Ok(())
    }

    /// The next version of the freezes, if they have this one.
    fn refreeze(&mut self, seen: u64) -> Result<bool, Error> {
        if count(&self.counts, FROZEN)? != seen {
            return Ok(false);
        }
        self.counts.insert(FROZEN, seen.saturating_add(1))?;
        Ok(true)
    }
}

fn count(counts: &impl ReadableTable<&'static str, u64>, key: &'static str) -> Result<u64, Error> {
    Ok(counts.get(key)?.map_or(0, |count| count.value()))
}

/// Freezes as they are in the file. It has one writer, so it is known when they change.
#[derive(Default)]
pub(super) struct RecentFreezes(Mutex<(u64, Option<Arc<Freezes>>)>);

impl RecentFreezes {
    fn kept(&self) -> MutexGuard<'_, (u64, Option<Arc<Freezes>>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// They changed, or may have. What was read before must not be kept after.
    pub(super) fn change(&self) {
        let mut kept = self.kept();
        *kept = (kept.0.wrapping_add(1), None);
    }
}

impl RedbStore {
    async fn change_freezes<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut Tables<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        let recent = Arc::clone(&self.freezes);
        self.writer.write_then(operation, move || recent.change()).await
    }
}

#[async_trait]
impl Revocations for RedbStore {
    async fn live(&self, which: &Selection, now: UnixTime) -> Result<Vec<LiveCertificate>, StoreError> {
        reading(|| {
            let read = self.live.read()?;
            let (live, under) = (read.open_table(LIVE).map_err(failed)?, read.open_table(UNDER).map_err(failed)?);
            let revoked = read.open_table(REVOKED).map_err(failed)?;
            select(&live, &under, &revoked, which, now).map_err(failed)
        })
    }

    async fn revoke(
        &self,
        which: Selection,
        now: UnixTime,
        account: Account,
    ) -> Result<Vec<LiveCertificate>, StoreError> {
        let operation = move |tables: &mut Tables<'_>| {
            let (revoked, krl) = tables.ended.revoke(&which, now)?;
            tables.append_all(account(&revoked, krl))?;
            Ok(revoked)
        };
        self.writer.write(operation).await
    }

    async fn revoked(&self, known: Option<&Edition>) -> Result<Option<Revoked>, StoreError> {
        reading(|| {
            let read = self.live.read()?;
            let counts = read.open_table(COUNTS).map_err(failed)?;
            let edition = Edition { version: count(&counts, KRL).map_err(failed)?, ..Edition::default() };
            if known == Some(&edition) {
                return Ok(None);
            }
            let changed = UnixTime::from_secs(count(&counts, KRL_CHANGED).map_err(failed)?);
            let table = read.open_table(REVOKED).map_err(failed)?;
            let mut serials = Vec::new();
            for row in table.iter().map_err(failed)? {
                serials.push(Serial::try_from(row.map_err(failed)?.0.value().1).map_err(failed)?);
            }
            serials.sort_unstable();
            Ok(Some(Revoked { edition, changed, serials }))
        })
    }

    async fn freezes(&self) -> Result<Arc<Freezes>, StoreError> {
        let before = match &*self.freezes.kept() {
            (_, Some(freezes)) => return Ok(Arc::clone(freezes)),
            (changes, None) => *changes,
        };
        reading(|| {
            let read = self.live.read()?;
            let version = count(&read.open_table(COUNTS).map_err(failed)?, FROZEN).map_err(failed)?;
            let table = read.open_table(FREEZES).map_err(failed)?;
            let rows = table.iter().map_err(failed)?;
            let freezes = rows.map(|row| decode(row.map_err(failed)?.1.value()).map_err(failed));
            let mut all: Vec<Freeze> = freezes.collect::<Result<_, _>>()?;
            all.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
            let freezes = Arc::new(Freezes { version, all });
            let mut kept = self.freezes.kept();
            if kept.0 == before {
                kept.1 = Some(Arc::clone(&freezes));
            }
            Ok(freezes)
        })
    }

    async fn freeze(&self, seen: u64, freeze: Freeze, entry: Entry) -> Result<Stepped, StoreError> {
        let operation = move |tables: &mut Tables<'_>| {
            let json = encode(&freeze)?;
            if !tables.ended.refreeze(seen)? {
                return Ok(Stepped::Changed);
            }
            tables.ended.freezes.insert(freeze.id.as_str(), json.as_slice())?;
            tables.append(&entry)?;
            Ok(Stepped::Yes)
        };
        self.change_freezes(operation).await
    }

    async fn thaw(
        &self,
        id: &FreezeId,
        seen: u64,
        word: Thaw,
        lift: bool,
        entry: Entry,
    ) -> Result<Stepped, StoreError> {
        let id = id.clone();
        let operation = move |tables: &mut Tables<'_>| {
            let kept = tables.ended.freezes.get(id.as_str())?.map(|json| decode::<Freeze>(json.value())).transpose()?;
            let Some(mut freeze) = kept else { return Ok(Stepped::Changed) };
            if !tables.ended.refreeze(seen)? {
                return Ok(Stepped::Changed);
            }
            if lift {
                tables.ended.freezes.remove(id.as_str())?;
            } else {
                freeze.thaws.push(word);
                tables.ended.freezes.insert(id.as_str(), encode(&freeze)?.as_slice())?;
            }
            tables.append(&entry)?;
            Ok(Stepped::Yes)
        };
        self.change_freezes(operation).await
    }

    async fn known(&self, who: &Known) -> Result<Vec<Identity>, StoreError> {
        reading(|| {
            let mut known = super::requests::everybody(&self.live.read()?, |one| who.is(one))?;
            known.sort_by(|a, b| (&a.issuer, &a.subject).cmp(&(&b.issuer, &b.subject)));
            Ok(known)
        })
    }
}

fn encode(freeze: &Freeze) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(freeze).map_err(corrupt)
}

fn decode<T: serde::de::DeserializeOwned>(json: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(json).map_err(corrupt)
}

fn corrupt(error: impl std::fmt::Display) -> Error {
    StorageError::Corrupted(format!("a revocation or a freeze cannot be read: {error}")).into()
}
