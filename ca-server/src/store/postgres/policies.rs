//! The policy set that was recorded last.

use super::{
    PostgresStore,
    change::{Effect, column, decode, encode, say},
};
use crate::{
    audit::Entry,
    store::{PolicyRecord, PolicySet, Stepped, StoreError},
};
use async_trait::async_trait;

const RECORD: &str = "
WITH before AS (SELECT digest FROM policy_set)
INSERT INTO policy_set (digest, files) SELECT $2::bytea, $3::bytea
    WHERE (SELECT digest FROM before) IS NOT DISTINCT FROM $1::bytea
    ON CONFLICT (one) DO UPDATE SET digest = excluded.digest, files = excluded.files RETURNING 1";

#[async_trait]
impl PolicyRecord for PostgresStore {
    async fn recorded_policies(&self) -> Result<Option<PolicySet>, StoreError> {
        let rows = self.rows("SELECT files FROM policy_set", &[]).await?;
        rows.first().map(|row| decode(column(row, 0)?)).transpose()
    }

    async fn record_policies(
        &self,
        was: Option<&str>,
        set: PolicySet,
        entries: Vec<Entry>,
    ) -> Result<Stepped, StoreError> {
        let was = was.map(|digest| digest.as_bytes().to_vec());
        let statement = say!(RECORD, was, set.digest.as_bytes().to_vec(), encode(&set)?);
        let recorded = self.writer.write(vec![statement], move |rows| {
            Ok(match rows.first().is_some_and(|rows| !rows.is_empty()) {
                true => Effect::on_record(Stepped::Yes, entries.clone()),
                false => Effect::only(Stepped::Changed),
            })
        });
        recorded.await
    }
}
