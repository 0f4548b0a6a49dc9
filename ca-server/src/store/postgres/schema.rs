//! The tables in the database: there, of a version we know, or made. Each version is a numbered file of SQL.

use super::connect::{Connection, Connector, told};
use std::fmt::Write as _;
use tokio_postgres::{Error, error::SqlState};

/// Each brings the schema from the version before to its number.
const VERSIONS: [(i32, &str); 1] = [(1, include_str!("schema/0001.sql"))];
/// The version that this program works with.
pub const LATEST: i32 = 1;
/// What PostgreSQL itself calls version 15.
const OLDEST_SERVER: i32 = 150_000;
/// So often is it tried again where another server makes the tables at the same time.
const TRIES: u32 = 10;

const PREPARE: &str = "CREATE SCHEMA IF NOT EXISTS jit_ssh;
CREATE TABLE IF NOT EXISTS jit_ssh.schema_version (
    version integer PRIMARY KEY,
    applied timestamptz NOT NULL DEFAULT now()
);
";

/// Why a database cannot be used: what is wrong, what to do. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
#[error("the PostgreSQL store: {problem}; {remedy}")]
pub struct OpenError {
    problem: String,
    remedy: String,
}

impl OpenError {
    pub(super) fn new(problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { problem: problem.into(), remedy: remedy.into() }
    }

    /// What is wrong.
    pub fn problem(&self) -> &str {
        &self.problem
    }

    /// What to do about it.
    pub fn remedy(&self) -> &str {
        &self.remedy
    }

    pub(super) fn unreachable(problem: impl std::fmt::Display) -> Self {
        let remedy = "check host, port, database, user, password and TLS under [store], and pg_hba.conf there";
        Self::new(problem.to_string(), remedy)
    }

    fn sql(error: &Error) -> Self {
        match error.code() {
            Some(code) if *code == SqlState::INSUFFICIENT_PRIVILEGE => Self::new(told(error), GRANTS),
            _ => Self::new(told(error), "see the database's log"),
        }
    }
}

const GRANTS: &str = "give the role its rights: docs/OPERATIONS.md, \"PostgreSQL\"";

/// What was found in a database.
pub(super) struct Found {
    /// The version of our tables; none if there are none.
    pub(super) version: Option<i32>,
    /// Settings with which a commit may be lost.
    pub(super) forgetful: Vec<String>,
}

/// Looks without changing anything.
pub(super) async fn look(connection: &Connection) -> Result<Found, OpenError> {
    let row = connection.client.query_one(
        "SELECT current_setting('server_version_num')::integer, pg_encoding_to_char(encoding), \
                current_setting('fsync'), current_setting('full_page_writes'), \
                to_regclass('jit_ssh.schema_version') IS NOT NULL, has_schema_privilege(n.oid, 'USAGE') \
         FROM pg_database LEFT JOIN pg_namespace n ON nspname = 'jit_ssh' WHERE datname = current_database()",
        &[],
    );
    let row = row.await.map_err(|error| OpenError::sql(&error))?;
    let read = |error: Error| OpenError::unreachable(error);
    let (server, encoding): (i32, String) = (row.try_get(0).map_err(read)?, row.try_get(1).map_err(read)?);
    if server < OLDEST_SERVER {
        let problem = format!("its PostgreSQL is version {}", server / 10_000);
        return Err(OpenError::new(problem, "use PostgreSQL 15 or newer"));
    }
    if encoding != "UTF8" {
        let problem = format!("the database's encoding is {}", encoding.escape_debug());
        return Err(OpenError::new(problem, "make one with `CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0`"));
    }
    let mut forgetful = Vec::new();
    for (at, name) in [(2, "fsync"), (3, "full_page_writes")] {
        if row.try_get::<_, String>(at).map_err(read)? == "off" {
            forgetful.push(name.to_owned());
        }
    }
    let there: bool = row.try_get(4).map_err(read)?;
    if row.try_get::<_, Option<bool>>(5).map_err(read)? == Some(false) {
        return Err(OpenError::new("the role may not use the schema jit_ssh", GRANTS));
    }
    let mut version = None;
    if there {
        let row = connection.client.query_one("SELECT max(version) FROM jit_ssh.schema_version", &[]).await;
        version = row.and_then(|row| row.try_get(0)).map_err(|error| OpenError::sql(&error))?;
    }
    if let Some(newer) = version.filter(|version| *version > LATEST) {
        let problem = format!("a newer ca-server made its tables (schema {newer}, this one knows {LATEST})");
        return Err(OpenError::new(problem, "run the newer ca-server on every machine that shares this database"));
    }
    Ok(Found { version, forgetful })
}

/// Whether tables are missing that this version needs.
pub(super) fn outdated(found: &Found) -> bool {
    found.version != Some(LATEST)
}

/// Makes what is missing, all of it or nothing. Another server may do the same at the same time.
pub(super) async fn complete(connector: &Connector) -> Result<(), OpenError> {
    let mut tries = 0;
    loop {
        // A new connection each time: it knows nothing of tables that were not there.
        let mut connection = connector.connect().await.map_err(OpenError::unreachable)?;
        let found = look(&connection).await?;
        if !outdated(&found) {
            return Ok(());
        }
        match apply(&mut connection, found.version.unwrap_or(0)).await {
            Ok(()) => tracing::info!(from = found.version, to = LATEST, "the tables of the store were made"),
            Err(error) if meanwhile(&error) && tries < TRIES => tries += 1,
            Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
                let problem =
                    format!("its tables are missing or old, and the role may not make them ({})", told(&error));
                return Err(OpenError::new(problem, "let the owner run what `ca-server store-schema` prints"));
            }
            Err(error) => return Err(OpenError::sql(&error)),
        }
    }
}

async fn apply(connection: &mut Connection, version: i32) -> Result<(), Error> {
    let transaction = connection.client.build_transaction();
    let transaction = transaction.isolation_level(tokio_postgres::IsolationLevel::Serializable).start().await?;
    transaction.batch_execute(&script(version)).await?;
    transaction.commit().await
}

/// Another did the same at the same time.
fn meanwhile(error: &Error) -> bool {
    let codes = [
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::UNIQUE_VIOLATION,
        SqlState::DUPLICATE_TABLE,
        SqlState::DUPLICATE_SCHEMA,
        SqlState::DUPLICATE_OBJECT,
    ];
    error.code().is_some_and(|code| codes.contains(code))
}

/// All that brings a schema from `version` to the latest; from 0 it makes everything.
pub fn script(version: i32) -> String {
    let mut text = if version == 0 { PREPARE.to_owned() } else { String::new() };
    for (number, sql) in VERSIONS.iter().filter(|(number, _)| *number > version) {
        let _infallible = writeln!(text, "{sql}INSERT INTO jit_ssh.schema_version (version) VALUES ({number});");
    }
    text
}

/// What the role `role` needs, and no more: it can append to the audit log, and change none of it.
pub fn grants(role: &str) -> String {
    include_str!("schema/grants.sql").replace("ROLE", &format!("\"{}\"", role.replace('"', "\"\"")))
}

#[cfg(test)]
mod tests {
    use super::{LATEST, VERSIONS};

    #[test]
    fn the_latest_version_is_the_last_file() {
        assert_eq!(VERSIONS.last().map(|(number, _)| *number), Some(LATEST));
    }
}
