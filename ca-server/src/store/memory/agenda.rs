//! What is due, in memory.

use super::MemoryStore;
use crate::{
    audit::Entry,
    store::{Agenda, Due, Look, StoreError},
};
use async_trait::async_trait;
use policy::UnixTime;

#[async_trait]
impl Agenda for MemoryStore {
    async fn due(&self, now: UnixTime, most: usize) -> Result<Vec<Due>, StoreError> {
        let facts = self.facts()?;
        let mut due: Vec<_> = facts.asked.looks.iter().filter(|(_, look)| look.at <= now).collect();
        due.sort_by_key(|(id, look)| (look.at, *id));
        let found = due
            .into_iter()
            .filter_map(|(id, look)| facts.asked.find(id).map(|kept| Due { kept: kept.clone(), look: *look }));
        Ok(found.take(most).collect())
    }

    async fn attend(&self, due: &Due, next: Option<Look>, entry: Option<Entry>) -> Result<bool, StoreError> {
        let mut facts = self.facts()?;
        let id = &due.kept.request.id;
        let steps = facts.asked.find(id).map(|kept| kept.steps.len());
        if facts.asked.looks.get(id) != Some(&due.look) || steps != Some(due.kept.steps.len()) {
            return Ok(false);
        }
        match next {
            Some(next) => facts.asked.looks.insert(id.clone(), next),
            None => facts.asked.looks.remove(id),
        };
        if let Some(entry) = entry {
            facts.append(entry);
        }
        Ok(true)
    }
}
