//! Requests, read as of one instant.

use super::{FILED, LAST, OF, REQUESTS, STEPS, UNREVIEWED, WAITING, WORDS, decode, steps_of};
use crate::store::{KeptRequest, StoreError, Which, records, redb::failed};
use ::redb::ReadTransaction;
use policy::RequestId;

/// Requests as of one instant.
pub(in crate::store::redb) struct Reader {
    requests: ::redb::ReadOnlyTable<&'static str, &'static [u8]>,
    steps: ::redb::ReadOnlyTable<(&'static str, u64), &'static [u8]>,
}

impl Reader {
    pub(in crate::store::redb) fn new(read: &ReadTransaction) -> Result<Self, StoreError> {
        let requests = read.open_table(REQUESTS).map_err(failed)?;
        Ok(Self { requests, steps: read.open_table(STEPS).map_err(failed)? })
    }

    pub(in crate::store::redb) fn request(&self, id: &str) -> Result<Option<KeptRequest>, StoreError> {
        let Some(json) = self.requests.get(id).map_err(failed)? else { return Ok(None) };
        let request = decode(json.value()).map_err(failed)?;
        let rows = self.steps.range(steps_of(id)).map_err(failed)?;
        let steps = rows.map(|row| decode(row.map_err(failed)?.1.value()).map_err(failed)).collect::<Result<_, _>>()?;
        Ok(Some(KeptRequest { request, steps }))
    }

    /// See [`crate::store::Requests::requests`].
    pub(in crate::store::redb) fn listed(
        &self,
        read: &ReadTransaction,
        which: &Which,
        after: Option<&RequestId>,
        most: usize,
    ) -> Result<Vec<KeptRequest>, StoreError> {
        let before = match after {
            None => (u64::MAX, LAST.to_owned()),
            Some(after) => match self.request(after.as_str())? {
                Some(kept) => (kept.request.filed.as_secs(), after.as_str().to_owned()),
                None => return Ok(Vec::new()),
            },
        };
        let before = (before.0, before.1.as_str());
        let mut listed = Vec::new();
        match which {
            Which::Of(issuer, subject) => {
                let owner = records::owner(issuer, subject);
                let table = read.open_table(OF).map_err(failed)?;
                let rows = table.range((&owner, 0, "")..(&owner, before.0, before.1)).map_err(failed)?;
                for row in rows.rev().take(most) {
                    listed.extend(self.request(row.map_err(failed)?.0.value().2)?);
                }
            }
            Which::Open => {
                let table = read.open_table(WAITING).map_err(failed)?;
                for row in table.range((0, "")..before).map_err(failed)?.rev().take(most) {
                    listed.extend(self.request(row.map_err(failed)?.0.value().1)?);
                }
            }
            Which::Unreviewed => {
                let table = read.open_table(UNREVIEWED).map_err(failed)?;
                for row in table.range((0, "")..before).map_err(failed)?.rev().take(most) {
                    listed.extend(self.request(row.map_err(failed)?.0.value().1)?);
                }
            }
            Which::With(word) => {
                let table = read.open_table(WORDS).map_err(failed)?;
                let rows = table.range((word.as_str(), 0, "")..(word.as_str(), before.0, before.1));
                for row in rows.map_err(failed)?.rev().take(most) {
                    listed.extend(self.request(row.map_err(failed)?.0.value().2)?);
                }
            }
            Which::All => {
                let table = read.open_table(FILED).map_err(failed)?;
                for row in table.range((0, "")..before).map_err(failed)?.rev().take(most) {
                    listed.extend(self.request(row.map_err(failed)?.0.value().1)?);
                }
            }
            Which::Waiting(now) => {
                let table = read.open_table(WAITING).map_err(failed)?;
                for row in table.range((0, "")..before).map_err(failed)?.rev() {
                    let (key, expires) = row.map_err(failed)?;
                    if now.as_secs() < expires.value() {
                        listed.extend(self.request(key.value().1)?);
                    }
                    if listed.len() >= most {
                        break;
                    }
                }
                listed.truncate(most);
            }
        }
        Ok(listed)
    }
}
