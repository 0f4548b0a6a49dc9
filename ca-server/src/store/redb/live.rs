//! The open file. After an error of the disk redb refuses everything until the file is opened anew; that is done here,
//! so that a disk that was full for a moment needs no restart.

use super::{DAMAGED, file::OpenError};
use crate::store::StoreError;
use ::redb::{Database, ReadTransaction, ReadableDatabase as _};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{PoisonError, RwLock},
};

type Opener = Box<dyn Fn() -> Result<Database, OpenError> + Send + Sync>;

pub(super) struct Live {
    /// None after an error, until it was opened again.
    open: RwLock<Option<Database>>,
    opener: Opener,
}

impl Live {
    pub(super) fn open(
        opener: impl Fn() -> Result<Database, OpenError> + Send + Sync + 'static,
    ) -> Result<Self, OpenError> {
        Ok(Self { open: RwLock::new(Some(opener()?)), opener: Box::new(opener) })
    }

    pub(super) fn read(&self) -> Result<ReadTransaction, StoreError> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        let database = open.as_ref().ok_or_else(|| StoreError("the store is being opened again".to_owned()))?;
        database.begin_read().map_err(|error| StoreError(error.to_string()))
    }

    /// Runs `write` on the open file. After an error the file is opened anew, as after a crash: what was committed is
    /// there, the rest is not. Only the writing thread calls this.
    pub(super) fn write(&self, write: impl FnOnce(&Database) -> Result<(), String>) -> Result<(), String> {
        if self.open.read().unwrap_or_else(PoisonError::into_inner).is_none() {
            self.reopen()?;
        }
        let outcome = {
            let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
            // A panic here would end the writing thread, and every write after it.
            let guarded = |database| {
                catch_unwind(AssertUnwindSafe(|| write(database))).unwrap_or_else(|_panic| Err(DAMAGED.to_owned()))
            };
            open.as_ref().map_or_else(|| Err("the store is not open".to_owned()), guarded)
        };
        if outcome.is_err() {
            let reopened = self.reopen();
            tracing::warn!(?reopened, "the store was opened again after an error");
        }
        outcome
    }

    fn reopen(&self) -> Result<(), String> {
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        // Closed first: the file is locked while it is open.
        let old = open.take();
        let _panicked = catch_unwind(AssertUnwindSafe(|| drop(old))).is_err();
        *open = Some((self.opener)().map_err(|error| error.to_string())?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{DAMAGED, Live};
    use ::redb::{Database, TableDefinition};

    const TABLE: TableDefinition<'_, u64, u64> = TableDefinition::new("t");

    fn insert(database: &Database, key: u64) -> ::redb::WriteTransaction {
        let write = database.begin_write().unwrap();
        write.open_table(TABLE).unwrap().insert(key, key).unwrap();
        write
    }

    #[test]
    fn a_panic_in_a_write_is_an_error_of_that_write_alone() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("store");
        let live = Live::open(move || Ok(Database::create(&path).unwrap())).unwrap();
        let panicked = live.write(|database| {
            let _half = insert(database, 1);
            panic!("as redb does at a page that makes no sense")
        });
        assert_eq!(panicked, Err(DAMAGED.to_owned()));
        live.write(|database| insert(database, 2).commit().map_err(|error| error.to_string())).unwrap();
        let table = live.read().unwrap().open_table(TABLE).unwrap();
        assert!(table.get(1).unwrap().is_none() && table.get(2).unwrap().is_some());
    }
}
