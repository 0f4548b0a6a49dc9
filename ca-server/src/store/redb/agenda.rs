//! What is due, in the file.

use super::{RedbStore, failed, reading, requests::Reader, tables::Tables};
use crate::{
    audit::Entry,
    store::{Agenda, Due, Look, StoreError},
};
use ::redb::{Error, ReadableTable as _, Table, TableDefinition, WriteTransaction};
use async_trait::async_trait;
use policy::UnixTime;

/// Request id → when it is to be looked at next, and whether people were reminded of it.
const LOOKS: TableDefinition<'_, &str, (u64, bool)> = TableDefinition::new("request_looks");
/// Time of the next look, request id: what is due in order.
const DUE: TableDefinition<'_, (u64, &str), ()> = TableDefinition::new("request_looks_by_time");

/// The tables, open for writing.
pub(super) struct Looks<'t> {
    looks: Table<'t, &'static str, (u64, bool)>,
    due: Table<'t, (u64, &'static str), ()>,
}

impl<'t> Looks<'t> {
    pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self, Error> {
        Ok(Self { looks: transaction.open_table(LOOKS)?, due: transaction.open_table(DUE)? })
    }

    /// What is arranged for a request.
    pub(super) fn of(&self, id: &str) -> Result<Option<Look>, Error> {
        Ok(self.looks.get(id)?.map(|kept| look(kept.value())))
    }

    /// Arranges `next` in the place of what was arranged before.
    pub(super) fn arrange(&mut self, id: &str, next: Option<Look>) -> Result<(), Error> {
        let before = self.looks.remove(id)?.map(|kept| kept.value().0);
        if let Some(before) = before {
            self.due.remove((before, id))?;
        }
        if let Some(Look { at, reminded }) = next {
            self.looks.insert(id, (at.as_secs(), reminded))?;
            self.due.insert((at.as_secs(), id), ())?;
        }
        Ok(())
    }
}

fn look((at, reminded): (u64, bool)) -> Look {
    Look { at: UnixTime::from_secs(at), reminded }
}

fn attend(tables: &mut Tables<'_>, due: &Due, next: Option<Look>, entry: Option<&Entry>) -> Result<bool, Error> {
    let (asked, id) = (&mut tables.asked, &due.kept.request.id);
    if asked.looks.of(id.as_str())? != Some(due.look) || asked.count(id)? != Some(due.kept.steps.len()) {
        return Ok(false);
    }
    asked.looks.arrange(id.as_str(), next)?;
    if next.is_none() {
        asked.waits_no_more(id)?;
    }
    entry.map_or(Ok(()), |entry| tables.append(entry))?;
    Ok(true)
}

#[async_trait]
impl Agenda for RedbStore {
    async fn due(&self, now: UnixTime, most: usize) -> Result<Vec<Due>, StoreError> {
        reading(|| {
            let read = self.live.read()?;
            let reader = Reader::new(&read)?;
            let (table, looks) = (read.open_table(DUE).map_err(failed)?, read.open_table(LOOKS).map_err(failed)?);
            let mut due = Vec::new();
            for row in table.range(..=(now.as_secs(), "\u{7f}")).map_err(failed)?.take(most) {
                let (key, _) = row.map_err(failed)?;
                let id = key.value().1;
                let arranged = looks.get(id).map_err(failed)?.map(|kept| look(kept.value()));
                due.extend(reader.request(id)?.zip(arranged).map(|(kept, look)| Due { kept, look }));
            }
            Ok(due)
        })
    }

    async fn attend(&self, due: &Due, next: Option<Look>, entry: Option<Entry>) -> Result<bool, StoreError> {
        let due = due.clone();
        self.writer.write(move |tables| attend(tables, &due, next, entry.as_ref())).await
    }
}

#[cfg(test)]
mod tests {
    use super::{DUE, LOOKS};
    use crate::{
        fixture::seal,
        store::{
            Agenda as _, Requests as _, Store as _, Which, Word,
            conformance::{entry, open, requests, session},
            redb::{
                RedbStore,
                requests::{SINCE, WAITING, WORDS},
            },
        },
    };
    use policy::{UnixTime, What};

    /// A file from before there was an agenda: every request that is not over is looked at, and found by its words; who was in
    /// a group by then has been so for ever.
    #[tokio::test]
    async fn an_older_file_is_completed() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("store");
        let ann = session(1, "ann");
        {
            let store = RedbStore::open(&path, &seal()).unwrap();
            open(&store, ann.clone(), 1).await;
            for n in 1..4 {
                requests::file(&store, requests::request(n, "ann", n.into())).await;
            }
            store.add_step(&requests::id(2), 0, requests::step(What::Cancelled), entry("end")).await.unwrap();
        }
        let database = ::redb::Database::open(&path).unwrap();
        let write = database.begin_write().unwrap();
        write.delete_table(LOOKS).unwrap();
        write.delete_table(DUE).unwrap();
        write.delete_table(WORDS).unwrap();
        write.delete_table(SINCE).unwrap();
        write.delete_table(WAITING).unwrap();
        write.commit().unwrap();
        drop(database);
        for _ in 0..2 {
            let store = RedbStore::open(&path, &seal()).unwrap();
            let due = store.due(UnixTime::from_secs(0), 9).await.unwrap();
            let due: Vec<_> = due.into_iter().map(|due| (due.kept.request.id, due.look.reminded)).collect();
            assert_eq!(due, [(requests::id(1), false), (requests::id(3), false)]);
            let open = requests::listed(&store, &Which::Open, None, 9).await;
            assert_eq!(open, [3, 1].map(requests::id));
            let found = requests::listed(&store, &Which::With(Word::user("ann")), None, 9).await;
            assert_eq!(found, [3, 2, 1].map(requests::id));
            let since = store.groups_since(&ann.identity.issuer, &ann.identity.subject).await.unwrap();
            assert!(since.len() == 2 && since.iter().all(|(_, since)| since.as_secs() == 0), "{since:?}");
            assert_eq!(store.entry_count().await.unwrap(), 5);
        }
    }
}
