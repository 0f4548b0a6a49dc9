//! Everything in a file, for another store to take over. The file is locked as a server locks it, and stays as it is.
//!
//! The layout is told here once more, as it is read: a table of another layout, or one that is not known here, ends the
//! dump rather than being left behind.

use super::{
    failed,
    file::{OpenError, builder, guarded, ours, refused, schema},
    head,
    log::{self, ENTRIES, HASHES, LATEST as NEWEST},
    overlay::Overlay,
    tables::{KEYS, PROOFS, SCHEMA, SESSIONS, TOKENS},
};
use crate::{
    audit::{checkpoint::Seal, tree::Hash},
    store::StoreError,
};
use ::redb::{
    Database, Key, ReadOnlyTable, ReadTransaction, ReadableDatabase as _, TableDefinition, TableError,
    TableHandle as _, Value,
};
use std::path::Path;

type Owner = [u8; 32];
type OfOwner = (&'static Owner, &'static [u8; 32]);
type Used = (&'static [u8; 32], &'static str);
type About = (u64, &'static Owner, &'static [u8; 32], &'static str, &'static str, &'static str);

const REQUESTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("requests");
const STEPS: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("request_steps");
const WAITING: TableDefinition<'_, (u64, &str), u64> = TableDefinition::new("requests_waiting");
const UNREVIEWED: TableDefinition<'_, (u64, &str), ()> = TableDefinition::new("requests_unreviewed");
const LOOKS: TableDefinition<'_, &str, (u64, bool)> = TableDefinition::new("request_looks");
const SINCE: TableDefinition<'_, &Owner, &[u8]> = TableDefinition::new("groups_since");
const USED_KEYS: TableDefinition<'_, OfOwner, Used> = TableDefinition::new("request_keys");
const EXPIRIES: TableDefinition<'_, &str, u64> = TableDefinition::new("request_last_expiry");
const LATEST: TableDefinition<'_, &Owner, &[u8]> = TableDefinition::new("latest_identities");
const CERTIFICATES: TableDefinition<'_, (u64, u64), About> = TableDefinition::new("certificates_live");
const REVOKED: TableDefinition<'_, (u64, u64), ()> = TableDefinition::new("certificates_revoked");
const FREEZES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("freezes");
const COUNTS: TableDefinition<'_, &str, u64> = TableDefinition::new("revocation_counts");
const POLICIES: TableDefinition<'_, &str, (&str, &[u8])> = TableDefinition::new("policy_set");
const CURSORS: TableDefinition<'_, &str, u64> = TableDefinition::new("sink_cursors");
const LETTERS: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("sink_dead_letters");
/// What follows from the others, and what says how they are laid out.
const DERIVED: [&str; 14] = [
    "meta",
    "audit_checkpoint",
    "sessions_by_owner",
    "sessions_by_end",
    "tokens_by_time",
    "keys_by_time",
    "requests_by_time",
    "requests_by_requester",
    "requests_by_prolonged",
    "requests_by_word",
    "request_looks_by_time",
    "certificates_by_grant",
    "certificates_under_requests",
    "sink_dead_letter_counts",
];
/// All that is told as facts, or in the log.
const TOLD: [&str; 22] = [
    "audit_entries",
    "sessions",
    "tokens",
    "keys",
    "proofs",
    "latest_identities",
    "requests",
    "request_steps",
    "requests_waiting",
    "requests_unreviewed",
    "request_keys",
    "request_last_expiry",
    "request_looks",
    "groups_since",
    "certificates_live",
    "certificates_revoked",
    "freezes",
    "revocation_counts",
    "policy_set",
    "sink_cursors",
    "sink_dead_letters",
    "audit_hashes",
];

/// One thing that a store knows beside its log. Records are JSON, as every store keeps them.
#[derive(Clone, Debug)]
pub(in crate::store) enum Fact {
    Session(Vec<u8>),
    Token { digest: Vec<u8>, forget: u64 },
    Key { key: Vec<u8>, owner: Vec<u8>, proven: u64 },
    Proof { session: String, key: Vec<u8> },
    Identity { identity: Vec<u8>, since: Option<Vec<u8>> },
    Request(Asked),
    UsedKey { owner: Vec<u8>, key: Vec<u8>, body: Vec<u8>, request: String },
    Certificate(Certificate),
    Freeze { id: String, freeze: Vec<u8> },
    Counts { krl: u64, krl_changed: u64, freezes: u64 },
    Policies { digest: String, set: Vec<u8> },
    Cursor { sink: String, next: u64 },
    Letter { sink: String, index: u64, letter: Vec<u8> },
}

impl Fact {
    /// What this is one of.
    pub(in crate::store) fn name(&self) -> &'static str {
        match self {
            Self::Session(_) => "login sessions",
            Self::Token { .. } => "used tokens",
            Self::Key { .. } => "user keys",
            Self::Proof { .. } => "proofs of user keys",
            Self::Identity { .. } => "people and workloads",
            Self::Request(_) => "requests",
            Self::UsedKey { .. } => "idempotency keys",
            Self::Certificate(_) => "live certificates",
            Self::Freeze { .. } => "freezes",
            Self::Counts { .. } => "version of the list of revoked certificates",
            Self::Policies { .. } => "recorded policy sets",
            Self::Cursor { .. } => "sinks",
            Self::Letter { .. } => "dead letters",
        }
    }
}

/// A request with what follows from its steps and from time.
#[derive(Clone, Debug)]
pub(in crate::store) struct Asked {
    pub(in crate::store) request: Vec<u8>,
    pub(in crate::store) steps: Vec<Vec<u8>>,
    pub(in crate::store) waiting: bool,
    pub(in crate::store) unreviewed: bool,
    pub(in crate::store) last_expiry: Option<u64>,
    /// When to look at it next, whether people were reminded.
    pub(in crate::store) look: Option<(u64, bool)>,
}

/// A certificate that lives.
#[derive(Clone, Debug)]
pub(in crate::store) struct Certificate {
    pub(in crate::store) expires: u64,
    pub(in crate::store) serial: u64,
    pub(in crate::store) owner: Vec<u8>,
    pub(in crate::store) issuer: Vec<u8>,
    pub(in crate::store) host: String,
    pub(in crate::store) policy: String,
    pub(in crate::store) grant: String,
    pub(in crate::store) revoked: bool,
}

/// A store's file, open to be read whole.
pub(in crate::store) struct Source {
    read: ReadTransaction,
    /// Holds the lock.
    _database: Database,
}

/// Facts, one after the other.
pub(in crate::store) type Facts = Box<dyn Iterator<Item = Result<Fact, StoreError>>>;

impl Source {
    /// Opens the file, every page of it examined, and looks at the head of its log.
    ///
    /// # Errors
    /// As a server's start; also where the file is older than this program, or holds a table that is not known here.
    pub(in crate::store) fn open(path: &Path, seal: &Seal) -> Result<Self, OpenError> {
        ours(path)?;
        guarded(path, || {
            let backend =
                Overlay::over(path).map_err(|error| OpenError::new(path, error.to_string(), "check the path"))?;
            let database = builder().set_check_integrity_on_open(true).create_with_backend(backend);
            let database = database.map_err(|error| refused(path, error))?;
            if schema(path, &database)? != SCHEMA {
                return Err(OpenError::new(path, "an older ca-server wrote this store", "start this one on it once"));
            }
            head::check(path, &database, seal)?;
            let unreadable =
                |error: &dyn std::fmt::Display| OpenError::new(path, error.to_string(), "see docs/OPERATIONS.md");
            let read = database.begin_read().map_err(|error| unreadable(&error))?;
            for table in read.list_tables().map_err(|error| unreadable(&error))? {
                if !TOLD.contains(&table.name()) && !DERIVED.contains(&table.name()) {
                    let problem = format!("it holds a table that cannot be moved ({})", table.name().escape_debug());
                    return Err(OpenError::new(path, problem, "use the ca-server that wrote it"));
                }
            }
            Ok(Self { read, _database: database })
        })
    }

    /// The signed checkpoint.
    pub(in crate::store) fn checkpoint(&self) -> Result<String, StoreError> {
        let table = self.read.open_table(log::CHECKPOINT).map_err(failed)?;
        let note = table.get(NEWEST).map_err(failed)?.map(|note| note.value().to_owned());
        note.ok_or_else(|| failed("the audit log has no checkpoint"))
    }

    /// Up to `most` entries from index `from` on.
    pub(in crate::store) fn entries(&self, from: u64, most: usize) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        let found = log::entries(&self.read.open_table(ENTRIES).map_err(failed)?, from, most).map_err(failed)?;
        Ok(found.into_iter().map(|(index, entry)| (index, entry.as_bytes().to_vec())).collect())
    }

    /// The hashes of the tree from `from` to before `to`.
    pub(in crate::store) fn hashes(&self, from: u64, to: u64) -> Result<Vec<(u64, Hash)>, StoreError> {
        log::hashes(&self.read.open_table(HASHES).map_err(failed)?, from, to).map_err(failed)
    }

    /// All facts beside the log.
    pub(in crate::store) fn facts(&self) -> Result<Facts, StoreError> {
        let all = [
            self.table(SESSIONS, |_id, json| Ok(Fact::Session(json.to_vec())))?,
            self.table(TOKENS, |digest, forget| Ok(Fact::Token { digest: digest.to_vec(), forget }))?,
            self.table(KEYS, |key, (owner, proven)| {
                Ok(Fact::Key { key: key.to_vec(), owner: owner.to_vec(), proven })
            })?,
            self.table(PROOFS, |(session, key), ()| {
                Ok(Fact::Proof { session: session.to_owned(), key: key.to_vec() })
            })?,
            self.identities()?,
            self.requests()?,
            self.table(USED_KEYS, |(owner, key), (body, request)| {
                let (owner, key, body) = (owner.to_vec(), key.to_vec(), body.to_vec());
                Ok(Fact::UsedKey { owner, key, body, request: request.to_owned() })
            })?,
            self.certificates()?,
            self.table(FREEZES, |id, json| Ok(Fact::Freeze { id: id.to_owned(), freeze: json.to_vec() }))?,
            self.counts()?,
            self.table(POLICIES, |_latest, (digest, set)| {
                Ok(Fact::Policies { digest: digest.to_owned(), set: set.to_vec() })
            })?,
            self.table(CURSORS, |sink, next| Ok(Fact::Cursor { sink: sink.to_owned(), next }))?,
            self.table(LETTERS, |(sink, index), json| {
                Ok(Fact::Letter { sink: sink.to_owned(), index, letter: json.to_vec() })
            })?,
        ];
        Ok(Box::new(all.into_iter().flatten()))
    }

    fn identities(&self) -> Result<Facts, StoreError> {
        let since = self.kept(SINCE)?;
        self.table(LATEST, move |owner, json| {
            let since = found(since.as_ref(), owner)?.map(|since| since.value().to_vec());
            Ok(Fact::Identity { identity: json.to_vec(), since })
        })
    }

    fn requests(&self) -> Result<Facts, StoreError> {
        let (steps, waiting, looks) = (self.kept(STEPS)?, self.kept(WAITING)?, self.kept(LOOKS)?);
        let (unreviewed, expiries) = (self.kept(UNREVIEWED)?, self.kept(EXPIRIES)?);
        self.table(REQUESTS, move |id, json| {
            let request: policy::Request = serde_json::from_slice(json).map_err(failed)?;
            let row = (request.filed.as_secs(), id);
            let mut taken = Vec::new();
            if let Some(steps) = &steps {
                for step in steps.range((id, 0)..=(id, u64::MAX)).map_err(failed)? {
                    taken.push(step.map_err(failed)?.1.value().to_vec());
                }
            }
            Ok(Fact::Request(Asked {
                request: json.to_vec(),
                steps: taken,
                waiting: found(waiting.as_ref(), row)?.is_some(),
                unreviewed: found(unreviewed.as_ref(), row)?.is_some(),
                last_expiry: found(expiries.as_ref(), id)?.map(|last| last.value()),
                look: found(looks.as_ref(), id)?.map(|look| look.value()),
            }))
        })
    }

    fn certificates(&self) -> Result<Facts, StoreError> {
        let revoked = self.kept(REVOKED)?;
        self.table(CERTIFICATES, move |(expires, _index), (serial, owner, issuer, host, policy, grant)| {
            let revoked = found(revoked.as_ref(), (expires, serial))?.is_some();
            Ok(Fact::Certificate(Certificate {
                expires,
                serial,
                owner: owner.to_vec(),
                issuer: issuer.to_vec(),
                host: host.to_owned(),
                policy: policy.to_owned(),
                grant: grant.to_owned(),
                revoked,
            }))
        })
    }

    fn counts(&self) -> Result<Facts, StoreError> {
        let Some(table) = self.kept(COUNTS)? else { return Ok(Box::new(std::iter::empty())) };
        let count = |name| Ok(table.get(name).map_err(failed)?.map_or(0, |count| count.value()));
        let counts =
            Fact::Counts { krl: count("krl")?, krl_changed: count("krl_changed")?, freezes: count("freezes")? };
        Ok(Box::new(std::iter::once(Ok(counts))))
    }

    fn table<K: Key + 'static, V: Value + 'static>(
        &self,
        definition: TableDefinition<'static, K, V>,
        fact: impl Fn(K::SelfType<'_>, V::SelfType<'_>) -> Result<Fact, StoreError> + 'static,
    ) -> Result<Facts, StoreError> {
        let Some(table) = self.kept(definition)? else { return Ok(Box::new(std::iter::empty())) };
        let rows = table.range::<K::SelfType<'static>>(..).map_err(failed)?;
        Ok(Box::new(rows.map(move |row| {
            let (key, value) = row.map_err(failed)?;
            fact(key.value(), value.value())
        })))
    }

    /// A table; none in a file from before it.
    fn kept<K: Key + 'static, V: Value + 'static>(
        &self,
        definition: TableDefinition<'static, K, V>,
    ) -> Result<Option<ReadOnlyTable<K, V>>, StoreError> {
        match self.read.open_table(definition) {
            Ok(table) => Ok(Some(table)),
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }
}

/// What a table has under `key`, if there is that table.
fn found<'k, K: Key + 'static, V: Value + 'static>(
    table: Option<&ReadOnlyTable<K, V>>,
    key: impl std::borrow::Borrow<K::SelfType<'k>>,
) -> Result<Option<::redb::AccessGuard<'static, V>>, StoreError> {
    table.map(|table| table.get(key)).transpose().map(Option::flatten).map_err(failed)
}
