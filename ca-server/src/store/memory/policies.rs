//! The policy set that was recorded last, in memory.

use super::MemoryStore;
use crate::{
    audit::Entry,
    store::{PolicyRecord, PolicySet, Stepped, StoreError},
};
use async_trait::async_trait;

#[async_trait]
impl PolicyRecord for MemoryStore {
    async fn recorded_policies(&self) -> Result<Option<PolicySet>, StoreError> {
        Ok(self.facts()?.policies.clone())
    }

    async fn record_policies(
        &self,
        was: Option<&str>,
        set: PolicySet,
        entries: Vec<Entry>,
    ) -> Result<Stepped, StoreError> {
        let mut facts = self.facts()?;
        if facts.policies.as_ref().map(|kept| kept.digest.as_str()) != was {
            return Ok(Stepped::Changed);
        }
        facts.policies = Some(set);
        entries.into_iter().for_each(|entry| facts.append(entry));
        Ok(Stepped::Yes)
    }
}
