//! Taking over another store: all of it in one transaction, or nothing.

use super::{
    change::{Statement, big, bound, column, decode, number, say},
    connect::{Connector, told},
    exchange::{APPEND, Open, PLANT, in_order},
    log, records, revocations, schema,
    sealed::Sealed,
    sessions::place,
};
use crate::{
    audit::{
        checkpoint::Seal,
        tree::{Frontier, Hash},
    },
    config::store::Postgres,
    store::{
        LoginSession, StoreError,
        redb::dump::{Asked, Certificate, Fact},
    },
};
use policy::{Group, Identity, Request, UnixTime};
use tokio_postgres::Error;

/// Each of the tables that a server writes to.
const ANY: &str = "
SELECT EXISTS (SELECT FROM audit) OR EXISTS (SELECT FROM audit_tree) OR EXISTS (SELECT FROM audit_head)
    OR EXISTS (SELECT FROM sessions) OR EXISTS (SELECT FROM tokens) OR EXISTS (SELECT FROM keys)
    OR EXISTS (SELECT FROM latest_identities) OR EXISTS (SELECT FROM requests) OR EXISTS (SELECT FROM certificates)
    OR EXISTS (SELECT FROM freezes) OR EXISTS (SELECT FROM policy_set) OR EXISTS (SELECT FROM sink_cursors)";

/// A database that takes over. What it took is gone if this is dropped before [`Target::finish`].
pub(in crate::store) struct Target {
    open: Open,
    connector: Connector,
    sealed: Sealed,
}

impl Target {
    /// Begins on an empty database, for the log of `seal`.
    ///
    /// # Errors
    /// If it cannot be reached, or holds anything.
    pub(in crate::store) async fn begin(settings: &Postgres, seal: &Seal) -> Result<Self, StoreError> {
        let cannot = |error: &dyn std::fmt::Display| StoreError(error.to_string());
        let connector = Connector::new(settings).map_err(|error| cannot(&error))?;
        schema::complete(&connector).await.map_err(|error| cannot(&error))?;
        let open = Open::new(&connector).await?;
        let target = Self { open, connector, sealed: Sealed::new(seal) };
        // Between two statements the file is read, and who knows how long its disk takes.
        target.simple("SET idle_in_transaction_session_timeout = 0; BEGIN ISOLATION LEVEL SERIALIZABLE").await?;
        let client = &target.open.connection.client;
        let row = target.connector.within(client.query_one(ANY, &[])).await?;
        if column(&row, 0)? {
            return Err(StoreError(
                "the database holds something of a ca-server already; name an empty one. Nothing was changed"
                    .to_owned(),
            ));
        }
        Ok(target)
    }

    /// Takes entries and hashes, each from the one that follows what is there.
    pub(in crate::store) async fn append(
        &mut self,
        (index, entries): (u64, Vec<Vec<u8>>),
        (place, hashes): (u64, Vec<Vec<u8>>),
    ) -> Result<(), StoreError> {
        self.run(vec![say!(APPEND, big(index)?, entries), say!(PLANT, big(place)?, hashes)]).await
    }

    /// Takes facts.
    pub(in crate::store) async fn take(&mut self, facts: Vec<Fact>) -> Result<(), StoreError> {
        let statements = facts.into_iter().map(|fact| statements(fact, &self.sealed)).collect::<Result<Vec<_>, _>>()?;
        self.run(statements.into_iter().flatten().collect()).await
    }

    /// Entries that were taken, read back.
    pub(in crate::store) async fn entries(&self, from: u64, to: u64) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        let client = &self.open.connection.client;
        let sql = "SELECT idx, entry FROM audit WHERE idx >= $1 AND idx < $2 ORDER BY idx";
        let rows = self.connector.within(client.query(sql, &[&bound(from), &bound(to)])).await?;
        rows.iter().map(|row| Ok((number(column(row, 0)?)?, column(row, 1)?))).collect()
    }

    /// Hashes that were taken, read back.
    pub(in crate::store) async fn hashes(&self, from: u64, to: u64) -> Result<Vec<(u64, Hash)>, StoreError> {
        let client = &self.open.connection.client;
        let sql = "SELECT place, hash FROM audit_tree WHERE place >= $1 AND place < $2 ORDER BY place";
        log::hashes(&self.connector.within(client.query(sql, &[&bound(from), &bound(to)])).await?)
    }

    /// Takes the signed head; from here on it is a store.
    pub(in crate::store) async fn finish(mut self, edge: &Frontier, checkpoint: String) -> Result<(), StoreError> {
        let peaks: Vec<Vec<u8>> = edge.peaks().iter().map(|peak| peak.to_vec()).collect();
        let head = "INSERT INTO audit_head (size, peaks, checkpoint) VALUES ($1, $2, $3)";
        self.run(vec![say!(head, big(edge.size())?, peaks, checkpoint)]).await?;
        self.simple("COMMIT").await?;
        self.simple("ANALYZE").await
    }

    async fn run(&mut self, statements: Vec<Statement>) -> Result<(), StoreError> {
        let failed = |error: Error| StoreError(told(&error));
        self.open.prepare(statements.iter().map(|statement| statement.sql).collect()).await.map_err(failed)?;
        let asked = statements.iter().map(|statement| self.open.ask(statement)).collect();
        in_order(asked).await.into_iter().try_for_each(|answer| answer.map(drop)).map_err(failed)
    }

    async fn simple(&self, sql: &str) -> Result<(), StoreError> {
        self.connector.within(self.open.connection.client.batch_execute(sql)).await
    }
}

fn statements(fact: Fact, sealed: &Sealed) -> Result<Vec<Statement>, StoreError> {
    Ok(match fact {
        Fact::Session(json) => vec![session(&json, sealed)?],
        Fact::Token { digest, forget } => {
            vec![say!("INSERT INTO tokens (digest, forget) VALUES ($1, $2)", digest, big(forget)?)]
        }
        Fact::Key { key, owner, proven } => {
            vec![say!("INSERT INTO keys (key, owner, proven) VALUES ($1, $2, $3)", key, owner, big(proven)?)]
        }
        Fact::Proof { session, key } => vec![say!("INSERT INTO proofs (session, key) VALUES ($1, $2)", session, key)],
        Fact::Identity { identity, since } => known(identity, since.as_deref())?,
        Fact::Request(kept) => asked(kept)?,
        Fact::UsedKey { owner, key, body, request } => {
            let sql = "INSERT INTO request_keys (owner, key, body, request) VALUES ($1, $2, $3, $4)";
            vec![say!(sql, owner, key, body, request)]
        }
        Fact::Certificate(certificate) => vec![issued(certificate)?],
        Fact::Freeze { id, freeze } => vec![say!("INSERT INTO freezes (id, kept) VALUES ($1, $2)", id, freeze)],
        Fact::Counts { krl, krl_changed, freezes } => {
            let sql = "UPDATE revocation_counts SET krl = $1, krl_changed = $2, freezes = $3";
            vec![say!(sql, big(krl)?, big(krl_changed)?, big(freezes)?)]
        }
        Fact::Policies { digest, set } => {
            vec![say!("INSERT INTO policy_set (digest, files) VALUES ($1, $2)", digest.into_bytes(), set)]
        }
        Fact::Cursor { sink, next } => {
            vec![say!("INSERT INTO sink_cursors (sink, next) VALUES ($1, $2)", sink.into_bytes(), big(next)?)]
        }
        Fact::Letter { sink, index, letter } => {
            let sql = "INSERT INTO sink_dead_letters (sink, idx, letter) VALUES ($1, $2, $3)";
            vec![say!(sql, sink.into_bytes(), big(index)?, letter)]
        }
    })
}

fn session(json: &[u8], sealed: &Sealed) -> Result<Statement, StoreError> {
    let session: LoginSession = decode(json)?;
    let owner = records::owner(&session.identity.issuer, &session.identity.subject).to_vec();
    let (id, started) = (session.id.as_str().to_owned(), big(session.started.as_secs())?);
    let (expires, used) = (big(session.expires.as_secs())?, big(session.used.as_secs())?);
    let sql = "INSERT INTO sessions (id, owner, started, expires, used, session) VALUES ($1, $2, $3, $4, $5, $6)";
    Ok(say!(sql, id, owner, started, expires, used, sealed.coded(json)))
}

fn known(json: Vec<u8>, since: Option<&[u8]>) -> Result<Vec<Statement>, StoreError> {
    let identity: Identity = decode(&json)?;
    let owner = records::owner(&identity.issuer, &identity.subject).to_vec();
    let email = identity.email.as_ref().map(|email| email.as_str().to_ascii_lowercase().into_bytes());
    // Groups of a login that left no such time count as held for ever.
    let ever = || identity.groups.iter().map(|group| (group.clone(), UnixTime::from_secs(0))).collect();
    let since: Vec<(Group, UnixTime)> = since.map_or_else(|| Ok(ever()), decode)?;
    let names: Vec<Vec<u8>> = since.iter().map(|(group, _)| group.as_str().as_bytes().to_vec()).collect();
    let times: Vec<i64> = since.iter().map(|(_, at)| bound(at.as_secs())).collect();
    let subject = identity.subject.as_str().as_bytes().to_vec();
    let sql = "INSERT INTO latest_identities (owner, subject, email, identity, issuer) VALUES ($1, $2, $3, $4, $5)";
    let issuer = revocations::digest(&identity.issuer);
    let groups = "INSERT INTO memberships (owner, name, since) \
                  SELECT $1, name, since FROM unnest($2::bytea[], $3::bigint[]) AS g (name, since) ON CONFLICT DO NOTHING";
    Ok(vec![say!(sql, owner.clone(), subject, email, json, issuer), say!(groups, owner, names, times)])
}

fn asked(kept: Asked) -> Result<Vec<Statement>, StoreError> {
    let Asked { request: json, steps, waiting, unreviewed, last_expiry, look } = kept;
    let request: Request = decode(&json)?;
    let id = request.id.as_str().to_owned();
    let owner = records::owner(&request.requester.issuer, &request.requester.subject).to_vec();
    let (filed, expires) = (big(request.filed.as_secs())?, big(request.expires.as_secs())?);
    let extends = request.extends.as_ref().map(|prolonged| prolonged.as_str().to_owned());
    let last_expiry = last_expiry.map(big).transpose()?;
    let (look_at, reminded) = look.map_or((None, false), |(at, reminded)| (Some(at), reminded));
    let sql = "INSERT INTO requests (id, owner, filed, expires, extends, request, steps, waiting, unreviewed, \
                   last_expiry, look_at, reminded) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
    let (count, look_at) = (place(steps.len()), look_at.map(big).transpose()?);
    let mut all = vec![
        say!(
            sql,
            id.clone(),
            owner,
            filed,
            expires,
            extends,
            json,
            count,
            waiting,
            unreviewed,
            last_expiry,
            look_at,
            reminded
        ),
        say!(
            "INSERT INTO request_words (word, filed, id) SELECT word, $2, $3 FROM unnest($1::bytea[]) AS w (word)",
            records::words(&request).iter().map(|word| word.as_str().as_bytes().to_vec()).collect::<Vec<_>>(),
            filed,
            id.clone(),
        ),
    ];
    for (at, step) in steps.into_iter().enumerate() {
        let sql = "INSERT INTO request_steps (request, place, step) VALUES ($1, $2, $3)";
        all.push(say!(sql, id.clone(), place(at), step));
    }
    Ok(all)
}

fn issued(certificate: Certificate) -> Result<Statement, StoreError> {
    let Certificate { expires, serial, owner, issuer, host, policy, grant, revoked } = certificate;
    let sql = "INSERT INTO certificates (expires, serial, owner, issuer, host, policy, under, revoked) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let (host, policy) = (host.into_bytes(), policy.into_bytes());
    Ok(say!(sql, big(expires)?, big(serial)?, owner, issuer, host, policy, grant, revoked))
}
