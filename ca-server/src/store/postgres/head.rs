//! The head of the audit log: entries, tree and signed checkpoint have to agree there before anything is appended.

use super::{
    change::{bound, column, number},
    connect::{Connection, Connector, told},
    exchange::frontier,
    schema::OpenError,
};
use crate::{
    audit::{
        checkpoint::{Checkpoint, Seal},
        note::NoteError,
        tree::{self, Frontier},
    },
    store::StoreError,
};
use tokio_postgres::{IsolationLevel, types::ToSql};

/// How many of the last entries are hashed again at each start. All of them are `ca-server audit verify`'s to check.
const LOOKED_AT: u64 = 256;

/// Makes the head of a log that is empty, then looks at it. Answers `seal` under the name that this log has.
pub(super) async fn check(connector: &Connector, seal: &Seal) -> Result<Seal, OpenError> {
    let connection = connector.connect().await.map_err(OpenError::unreachable)?;
    begin(&connection, seal).await?;
    examine(connection, seal).await
}

/// The first server on a new database signs the empty tree.
async fn begin(connection: &Connection, seal: &Seal) -> Result<(), OpenError> {
    let note = seal.checkpoint(0, Frontier::default().root());
    let values: [&(dyn ToSql + Sync); 1] = [&note];
    let made = connection.client.execute(
        "INSERT INTO audit_head (size, peaks, checkpoint) SELECT 0, '{}', $1 \
         WHERE NOT EXISTS (SELECT FROM audit_head) AND NOT EXISTS (SELECT FROM audit) ON CONFLICT DO NOTHING",
        &values,
    );
    made.await.map(drop).map_err(|error| OpenError::new(told(&error), "see docs/OPERATIONS.md, \"PostgreSQL\""))
}

/// Looks at the head as of one instant.
pub(super) async fn examine(connection: Connection, seal: &Seal) -> Result<Seal, OpenError> {
    look(connection, seal).await.map_err(|fault| match fault {
        Fault::OtherKey(found) => OpenError::new(
            format!("another key than keys.log signed this audit log, or somebody changed its checkpoint ({found})"),
            "servers on one database share the log's key; if that is not it, treat this as an intrusion: docs/AUDIT.md",
        ),
        Fault::Disagree(what) => OpenError::new(
            format!("the audit log does not agree with its own tree: {what}"),
            "keep the database as it is, find out more with `ca-server audit verify --config`, and see docs/AUDIT.md",
        ),
        Fault::Unreadable(error) => OpenError::unreachable(error),
    })
}

enum Fault {
    OtherKey(NoteError),
    Disagree(String),
    Unreadable(StoreError),
}

impl From<tokio_postgres::Error> for Fault {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Unreadable(StoreError(told(&error)))
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Unreadable(error)
    }
}

async fn look(mut connection: Connection, seal: &Seal) -> Result<Seal, Fault> {
    let disagree = |what: String| Err(Fault::Disagree(what));
    let read = connection.client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
    let read = read.start().await?;
    let head = read.query("SELECT size, peaks, checkpoint FROM audit_head", &[]).await?;
    let Some(row) = head.first() else { return disagree("there are entries, but no checkpoint".to_owned()) };
    let note: String = column(row, 2)?;
    // The log keeps its name when the server's URL changes.
    let origin = Checkpoint::unverified(&note).map_err(Fault::OtherKey)?.origin;
    let seal = seal.of(&origin).map_err(Fault::OtherKey)?;
    let Checkpoint { size, root, .. } = Checkpoint::verify(&note, seal.verifier()).map_err(Fault::OtherKey)?;
    let edge = frontier(&head).map_err(|error| Fault::Disagree(error.0))?;
    let ends =
        read.query_one("SELECT (SELECT max(idx) + 1 FROM audit), (SELECT max(place) + 1 FROM audit_tree)", &[]).await?;
    let end = |at| column::<Option<i64>>(&ends, at).and_then(|end| number(end.unwrap_or(0)));
    let (entries, hashes) = (end(0)?, end(1)?);
    if entries != size || edge.size() != size {
        return disagree(format!("{size} entries are signed for, {entries} are there"));
    }
    if hashes != tree::places(size) {
        return disagree(format!("{} hashes belong to {size} entries, {hashes} are there", tree::places(size)));
    }
    let first = size.saturating_sub(LOOKED_AT);
    let rows = read.query("SELECT idx, entry FROM audit WHERE idx >= $1 ORDER BY idx", &[&bound(first)]).await?;
    let places: Vec<i64> = (first..size).map(|index| bound(tree::places(index))).collect();
    let kept = read.query("SELECT hash FROM audit_tree WHERE place = ANY($1) ORDER BY place", &[&places]).await?;
    for (index, at) in (first..size).zip(0..) {
        let entry = rows.get(at).map(|row| Ok::<_, StoreError>((number(column(row, 0)?)?, column::<&[u8]>(row, 1)?)));
        let hash = kept.get(at).map(|row| column::<&[u8]>(row, 0)).transpose()?;
        let sound = entry.transpose()?.is_some_and(|(found, entry)| {
            found == index && hash.is_some_and(|hash| hash == tree::leaf(entry).as_slice())
        });
        if !sound {
            return disagree(format!("entry {index} is not the one that was written"));
        }
    }
    let places: Vec<i64> = Frontier::kept_at(size).into_iter().map(bound).collect();
    let kept = read.query("SELECT hash FROM audit_tree WHERE place = ANY($1) ORDER BY place", &[&places]).await?;
    let peaks = kept.iter().map(|row| column::<&[u8]>(row, 0)).collect::<Result<Vec<_>, _>>()?;
    if edge.root() != root || !peaks.iter().copied().eq(edge.peaks().iter().map(<[u8; 32]>::as_slice)) {
        return disagree("its root is not the one that was signed".to_owned());
    }
    Ok(seal)
}
