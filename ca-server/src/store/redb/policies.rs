//! The policy set that was recorded last. Its table is made with the first of them: a store that is older has none.

use super::{RedbStore, failed, reading, tables::Tables};
use crate::{
    audit::Entry,
    store::{PolicyRecord, PolicySet, Stepped, StoreError},
};
use ::redb::{Error, ReadableTable as _, StorageError, TableDefinition, TableError};
use async_trait::async_trait;

/// `latest` → digest of the set, the set as JSON.
const POLICIES: TableDefinition<'_, &str, (&str, &[u8])> = TableDefinition::new("policy_set");
/// The one key in [`POLICIES`].
const LATEST: &str = "latest";

#[async_trait]
impl PolicyRecord for RedbStore {
    async fn recorded_policies(&self) -> Result<Option<PolicySet>, StoreError> {
        reading(|| {
            let table = match self.live.read()?.open_table(POLICIES) {
                Ok(table) => table,
                Err(TableError::TableDoesNotExist(_)) => return Ok(None),
                Err(error) => return Err(failed(error)),
            };
            let kept = table.get(LATEST).map_err(failed)?;
            kept.map(|kept| serde_json::from_slice(kept.value().1).map_err(failed)).transpose()
        })
    }

    async fn record_policies(
        &self,
        was: Option<&str>,
        set: PolicySet,
        entries: Vec<Entry>,
    ) -> Result<Stepped, StoreError> {
        let was = was.map(str::to_owned);
        self.writer.write(move |tables| record(tables, was.as_deref(), &set, &entries)).await
    }
}

fn record(tables: &mut Tables<'_>, was: Option<&str>, set: &PolicySet, entries: &[Entry]) -> Result<Stepped, Error> {
    {
        let mut table = tables.transaction.open_table(POLICIES)?;
        let kept = table.get(LATEST)?.map(|kept| kept.value().0.to_owned());
        if kept.as_deref() != was {
            return Ok(Stepped::Changed);
        }
        let json = serde_json::to_vec(set)
            .map_err(|error| StorageError::Corrupted(format!("a policy set cannot be written: {error}")))?;
        table.insert(LATEST, (set.digest.as_str(), json.as_slice()))?;
    }
    entries.iter().try_for_each(|entry| tables.append(entry))?;
    Ok(Stepped::Yes)
}

#[cfg(test)]
mod tests {
    use crate::store::{PolicyRecord as _, redb::RedbStore};

    #[tokio::test]
    async fn a_recorded_set_outlives_the_process() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("store.redb");
        let set = crate::store::conformance::policies::set("one", &["permit"]);
        {
            let store = RedbStore::open(&path, &crate::fixture::seal()).unwrap();
            store.record_policies(None, set.clone(), Vec::new()).await.unwrap();
        }
        let store = RedbStore::open(&path, &crate::fixture::seal()).unwrap();
        assert_eq!(store.recorded_policies().await.unwrap(), Some(set));
    }
}
