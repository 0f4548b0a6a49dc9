//! The file: made whole or not at all, opened only if it is ours, sound and of a version we know.

use super::{
    head,
    overlay::Overlay,
    requests::Asked,
    revocations::Ended,
    tables::{META, ROW_EACH, SCHEMA, Tables, WITHOUT_TREE},
};
use crate::audit::{checkpoint::Seal, tree::Frontier};
use ::redb::{
    Builder, ConcurrencyMode, Database, DatabaseError, ReadableDatabase, StorageError, TableError,
    backends::FileBackend,
};
use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

/// Pages kept in memory. The operating system keeps the rest; a server's resident memory stays small this way.
const CACHE: usize = 4 * 1024 * 1024;

/// Why a store cannot be opened: which file, what is wrong, what to do. The file was not touched.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}; {remedy}", path.display())]
pub struct OpenError {
    path: PathBuf,
    problem: String,
    remedy: String,
    in_use: bool,
}

impl OpenError {
    pub(super) fn new(path: &Path, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { path: path.to_owned(), problem: problem.into(), remedy: remedy.into(), in_use: false }
    }

    /// What is wrong.
    pub fn problem(&self) -> &str {
        &self.problem
    }

    /// What to do about it.
    pub fn remedy(&self) -> &str {
        &self.remedy
    }

    /// Whether all that is known is that another process has the store open.
    pub fn in_use(&self) -> bool {
        self.in_use
    }

    fn io(path: &Path, error: &io::Error) -> Self {
        Self::new(path, error.to_string(), "check the path, its permissions and the free space")
    }

    pub(super) fn thread(path: &Path, error: &io::Error) -> Self {
        Self::new(path, format!("cannot start the writing thread ({error})"), "check the limit on processes")
    }
}

/// Makes the store if there is none, brings an older one up to date, and looks at the head of its audit log. Answers what
/// seals this log.
pub(super) fn prepare(path: &Path, seal: &Seal) -> Result<Seal, OpenError> {
    let database = match path.symlink_metadata() {
        Ok(_) => open_existing(path)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(path, seal)?,
        Err(error) => return Err(OpenError::io(path, &error)),
    };
    let schema = schema(path, &database)?;
    if schema != SCHEMA {
        head::upgrade(path, &database, seal, schema)?;
    }
    let seal = head::check(path, &database, seal)?;
    complete(path, &database)?;
    Ok(seal)
}

pub(super) fn open_existing(path: &Path) -> Result<Database, OpenError> {
    ours(path)?;
    guarded(path, || {
        let database = builder().open(path).map_err(|error| refused(path, error))?;
        schema(path, &database)?;
        Ok(database)
    })
}

/// Reads every page of the store at `path` and compares it with its checksum. What redb would repair is repaired in
/// memory: the file stays as it is.
///
/// # Errors
/// If the file is damaged, of a newer version, open for writing in a process, or readable by others.
pub fn examine(path: &Path) -> Result<(), OpenError> {
    ours(path)?;
    guarded(path, || {
        let backend = Overlay::over(path).map_err(|error| OpenError::io(path, &error))?;
        let checked = builder().set_check_integrity_on_open(true).create_with_backend(backend);
        schema(path, &checked.map_err(|error| refused(path, error))?).map(drop)
    })
}

/// The file as the operating system shows it: there, private, not empty.
pub(super) fn ours(path: &Path) -> Result<(), OpenError> {
    let about = path.metadata().map_err(|error| OpenError::io(path, &error))?;
    if !about.is_file() {
        return Err(OpenError::new(path, "this is not a regular file", "name the store's file under [store]"));
    }
    if about.mode() & 0o077 != 0 {
        let problem = format!("others can read or change the store (its mode is {:04o})", about.mode() & 0o7777);
        return Err(OpenError::new(path, problem, format!("run `chmod 600 {}`", path.display())));
    }
    // An empty file would count as a new store: who was logged in and what was issued would be forgotten in silence.
    if about.len() == 0 {
        return Err(OpenError::new(path, "the file is empty", RESTORE));
    }
    Ok(())
}

/// Makes the tables that came after the file was made, as they would have been.
fn complete(path: &Path, database: &Database) -> Result<(), OpenError> {
    let failed = |error: ::redb::Error| OpenError::new(path, error.to_string(), "check the free space");
    let read = database.begin_read().map_err(|error| failed(error.into()))?;
    let whole = Asked::are_there(&read).map_err(failed)?;
    if whole && Ended::are_there(&read).map_err(failed)? {
        return Ok(());
    }
    let mut transaction = database.begin_write().map_err(|error| failed(error.into()))?;
    transaction.set_quick_repair(true);
    let completed = |mut asked: Asked<'_>| if whole { Ok(()) } else { asked.complete() };
    Asked::open(&transaction).and_then(completed).map_err(failed)?;
    Ended::open(&transaction).and_then(|mut ended| ended.complete(&transaction)).map_err(failed)?;
    transaction.commit().map_err(|error| failed(error.into()))
}

/// redb trusts a file that was closed well, and panics at pages that make no sense.
pub(super) fn guarded<T>(path: &Path, work: impl FnOnce() -> Result<T, OpenError>) -> Result<T, OpenError> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_panic| Err(OpenError::new(path, "the store is damaged (a page makes no sense)", RESTORE)))
}

/// In the words of docs/OPERATIONS.md.
pub(super) const RESTORE: &str = "keep the file and restore the newest backup (docs/OPERATIONS.md, \"store corrupt\"); never delete it to get going: a \
     new store forgets who was logged in and what was issued";

/// One process writes; others may read meanwhile, as `ca-server audit` does.
pub(super) fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE).set_concurrency_mode(ConcurrencyMode::SingleWriter);
    builder
}

/// A new store appears under its name only once it is whole.
fn create(path: &Path, seal: &Seal) -> Result<Database, OpenError> {
    let half = path.with_extension("new");
    let failed = |error: ::redb::Error| OpenError::new(path, error.to_string(), "check the path and the free space");
    match std::fs::remove_file(&half) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(OpenError::io(&half, &error)),
        _ => {}
    }
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&half);
    let file = file.map_err(|error| OpenError::io(path, &error))?;
    let backend = FileBackend::new(file).map_err(|error| refused(path, error))?;
    let database = builder().create_with_backend(backend).map_err(|error| refused(path, error))?;
    let mut transaction = database.begin_write().map_err(|error| failed(error.into()))?;
    transaction.set_quick_repair(true);
    Tables::open(&transaction, Some(Frontier::default())).and_then(|mut tables| tables.sign(seal)).map_err(failed)?;
    {
        let mut meta = transaction.open_table(META).map_err(|error| failed(error.into()))?;
        meta.insert("schema", SCHEMA).map_err(|error| failed(error.into()))?;
    }
    transaction.commit().map_err(|error| failed(error.into()))?;
    // A link, not a rename: it fails where another process made the store in the meantime.
    std::fs::hard_link(&half, path).map_err(|error| OpenError::io(path, &error))?;
    std::fs::remove_file(&half).map_err(|error| OpenError::io(&half, &error))?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(|error| OpenError::io(directory, &error))?;
    Ok(database)
}

/// For whoever only reads, and so cannot bring an older store up to date.
pub(super) fn up_to_date(path: &Path, database: &impl ReadableDatabase) -> Result<(), OpenError> {
    match schema(path, database)? {
        SCHEMA => Ok(()),
        older => Err(OpenError::new(
            path,
            format!("an older ca-server wrote this store (schema {older}, this one reads {SCHEMA})"),
            "start ca-server on it, or on a copy of it, once: that brings it up to date",
        )),
    }
}

pub(super) fn schema(path: &Path, database: &impl ReadableDatabase) -> Result<u64, OpenError> {
    let unreadable =
        |error: &dyn std::fmt::Display| OpenError::new(path, format!("this is no store of ours ({error})"), RESTORE);
    let read = database.begin_read().map_err(|error| unreadable(&error))?;
    let meta = match read.open_table(META) {
        Ok(meta) => meta,
        Err(TableError::TableDoesNotExist(_)) => {
            return Err(OpenError::new(path, "this is a database, but not a store of ours", "name the store's file"));
        }
        Err(error) => return Err(unreadable(&error)),
    };
    let schema = meta.get("schema").map_err(|error| unreadable(&error))?.map(|schema| schema.value());
    match schema {
        Some(known @ (SCHEMA | ROW_EACH | WITHOUT_TREE)) => Ok(known),
        Some(newer) if newer > SCHEMA => Err(OpenError::new(
            path,
            format!("a newer ca-server wrote this store (schema {newer}, this one knows {SCHEMA})"),
            "run the newer ca-server, or restore a backup from before the upgrade",
        )),
        _ => Err(OpenError::new(path, "the store does not say which schema it has", RESTORE)),
    }
}

pub(super) fn refused(path: &Path, error: DatabaseError) -> OpenError {
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
            let problem = "another process has this store open";
            OpenError { in_use: true, ..OpenError::new(path, problem, "stop the other ca-server first") }
        }
        DatabaseError::UpgradeRequired(version) => {
            OpenError::new(path, format!("the file format {version} is too old"), RESTORE)
        }
        DatabaseError::Storage(StorageError::Io(error)) if error.kind() != io::ErrorKind::InvalidData => {
            OpenError::io(path, &error)
        }
        DatabaseError::Storage(StorageError::Io(error)) if error.to_string().contains("magic number") => {
            let problem = "this is no store, or its first page is damaged";
            OpenError::new(path, problem, format!("name the store's file; if this is it, {RESTORE}"))
        }
        damaged => OpenError::new(path, format!("the store is damaged ({damaged})"), RESTORE),
    }
}
