//! Login sessions, the keys they have proven and the certificates that are recorded under them.
//!
//! Each statement looks first and writes after, all in one snapshot, so a refusal leaves no trace.

use super::{
    PostgresStore,
    change::{Effect, Statement, big, bound, column, encode, number, say},
    made_room, records, revocations, run_out,
    sealed::Sealed,
};
use crate::{
    audit::Entry,
    store::{
        Claim, Issued, KeyBinding, LoginSession, Opened, Recorded, StoreError, TokenUse, revocations::AFTER_EXPIRY,
    },
};
use policy::{SessionId, UnixTime};
use tokio_postgres::Row;

/// The most rows that one step of pruning removes from a table.
const STEP: i64 = 500;

const OPEN: &str = "
WITH unused AS (INSERT INTO tokens (digest, forget) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING 1),
    met AS (INSERT INTO latest_identities (owner, identity, subject, email, issuer)
        SELECT $4, $9::bytea, $10::bytea, $11::bytea, $13::bytea FROM unused
        ON CONFLICT (owner) DO UPDATE SET identity = excluded.identity, email = excluded.email),
    left_groups AS (DELETE FROM memberships
        WHERE owner = $4 AND NOT name = ANY($12::bytea[]) AND EXISTS (SELECT FROM unused)),
    joined AS (INSERT INTO memberships (owner, name, since) SELECT $4, name, $5 FROM unused, unnest($12) AS g (name)
        ON CONFLICT DO NOTHING)
INSERT INTO sessions (id, owner, started, expires, used, session)
    SELECT $3::text, $4::bytea, $5::bigint, $6::bigint, $7::bigint, $8::bytea FROM unused RETURNING id";
/// Ends the oldest, if the session was opened.
const MAKE_ROOM: &str = "
WITH surplus AS (SELECT id FROM sessions WHERE owner = $1 AND EXISTS (SELECT FROM sessions WHERE id = $2)
        ORDER BY started DESC, id DESC OFFSET $3),
    gone AS (DELETE FROM sessions USING surplus WHERE sessions.id = surplus.id
        RETURNING session, used, started, sessions.id),
    forgotten AS (DELETE FROM proofs WHERE session IN (SELECT id FROM surplus))
SELECT session, used FROM gone ORDER BY started, id";
pub(super) const END: &str = "
WITH gone AS (DELETE FROM sessions WHERE id = $1 RETURNING id),
    forgotten AS (DELETE FROM proofs WHERE session IN (SELECT id FROM gone))
SELECT id FROM gone";
const RECORD: &str = "
WITH holder AS (SELECT owner FROM sessions WHERE id = $1),
    known AS (SELECT owner FROM keys WHERE key = $2::bytea),
    pinned AS (SELECT id FROM unnest($4::text[], $5::integer[]) AS claimed (id, steps) JOIN requests USING (id, steps)),
    verdict AS (SELECT CASE
        WHEN NOT EXISTS (SELECT FROM holder) THEN 'session ended'
        WHEN (SELECT count(*) FROM pinned) <> cardinality($4) THEN 'request changed'
        WHEN EXISTS (SELECT FROM requests WHERE id = $6::text AND look_at IS NULL) THEN 'request changed'
        WHEN NOT EXISTS (SELECT FROM revocation_counts WHERE freezes = $10) THEN 'freezes changed'
        WHEN EXISTS (SELECT FROM holder, known WHERE holder.owner <> known.owner) THEN 'key taken'
        ELSE 'yes' END AS said),
    bound AS (INSERT INTO keys (key, owner, proven)
        SELECT $2, owner, $3::bigint FROM holder, verdict WHERE said = 'yes' AND $2 IS NOT NULL
        ON CONFLICT (key) DO UPDATE SET proven = excluded.proven),
    proven AS (INSERT INTO proofs (session, key) SELECT $1, $2 FROM verdict WHERE said = 'yes' AND $2 IS NOT NULL
        ON CONFLICT DO NOTHING),
    claimed AS (UPDATE requests SET last_expiry = greatest(last_expiry, $7::bigint), steps = steps + ($8::bytea IS NOT NULL)::integer,
            waiting = waiting AND NOT $9::boolean,
            look_at = CASE WHEN $8 IS NULL THEN look_at WHEN $9 THEN NULL ELSE $18::bigint END
        FROM verdict WHERE said = 'yes' AND id = $6::text RETURNING id, steps),
    stepped AS (INSERT INTO request_steps (request, place, step)
        SELECT id, steps - 1, $8 FROM claimed WHERE $8 IS NOT NULL),
    issued AS (INSERT INTO certificates (expires, serial, owner, issuer, host, policy, under)
        SELECT $11::bigint, $12::bigint, $13::bytea, $14::bytea, $15::bytea, $16::bytea, $17::text FROM verdict
        WHERE said = 'yes'
        ON CONFLICT (expires, serial) DO UPDATE SET owner = excluded.owner, issuer = excluded.issuer,
            host = excluded.host, policy = excluded.policy, under = excluded.under)
SELECT said FROM verdict";
const NOTE_USES: &str = "
UPDATE sessions SET used = greatest(sessions.used, noted.used)
    FROM unnest($1::text[], $2::bigint[]) AS noted (id, used) WHERE sessions.id = noted.id";

const PRUNE_SESSIONS: &str = "
WITH over AS (SELECT id FROM sessions WHERE expires <= $1 ORDER BY expires, id LIMIT $2),
    gone AS (DELETE FROM sessions USING over WHERE sessions.id = over.id
        RETURNING session, used, expires, sessions.id),
    forgotten AS (DELETE FROM proofs WHERE session IN (SELECT id FROM over))
SELECT session, used FROM gone ORDER BY expires, id";
const PRUNE_TOKENS: &str = "
DELETE FROM tokens WHERE digest IN (SELECT digest FROM tokens WHERE forget <= $1 LIMIT $2) RETURNING 1";
const PRUNE_KEYS: &str = "
DELETE FROM keys WHERE key IN (SELECT key FROM keys WHERE proven <= $1 LIMIT $2) RETURNING 1";

pub(super) fn open(
    session: &LoginSession,
    token: TokenUse,
    most: usize,
    sealed: &Sealed,
) -> Result<Vec<Statement>, StoreError> {
    let owner = records::owner(&session.identity.issuer, &session.identity.subject).to_vec();
    let id = session.id.as_str().to_owned();
    Ok(vec![
        say!(
            OPEN,
            token.digest.to_vec(),
            big(token.forget.as_secs())?,
            id.clone(),
            owner.clone(),
            big(session.started.as_secs())?,
            big(session.expires.as_secs())?,
            big(session.used.as_secs())?,
            sealed.keep(session)?,
            encode(&session.identity)?,
            session.identity.subject.as_str().as_bytes().to_vec(),
            session.identity.email.as_ref().map(|email| email.as_str().to_ascii_lowercase().into_bytes()),
            session.identity.groups.iter().map(|group| group.as_str().as_bytes().to_vec()).collect::<Vec<_>>(),
            revocations::digest(&session.identity.issuer),
        ),
        say!(MAKE_ROOM, owner, id, i64::try_from(most.max(1)).unwrap_or(i64::MAX)),
    ])
}

pub(super) fn opened(
    rows: &[Vec<Row>],
    session: &LoginSession,
    entry: &Entry,
    sealed: &Sealed,
) -> Result<Effect<Opened>, StoreError> {
    let [opened, ended] = rows else { return Err(StoreError("a statement has no answer".to_owned())) };
    if opened.is_empty() {
        return Ok(Effect::only(Opened::TokenUsed));
    }
    let mut entries = vec![entry.clone()];
    for row in ended {
        let over = kept(sealed, row)?.map(|over| made_room(&over, session));
        entries.extend(over.transpose()?);
    }
    Ok(Effect::on_record(Opened::Yes, entries))
}

pub(super) fn record(
    session: &SessionId,
    key: Option<KeyBinding>,
    claim: Option<&Claim>,
    issued: &Issued,
) -> Result<Statement, StoreError> {
    let (mut ids, mut seen) = (Vec::new(), Vec::new());
    if let Some(Claim { request, seen: first, extensions, .. }) = claim {
        for (id, steps) in std::iter::once((request, first)).chain(extensions.iter().map(|(id, steps)| (id, steps))) {
            ids.push(id.as_str().to_owned());
            seen.push(place(*steps));
        }
    }
    let step = claim.and_then(|claim| claim.step.as_ref()).map(|(step, _about)| step);
    Ok(say!(
        RECORD,
        session.as_str().to_owned(),
        key.map(|binding| binding.key.to_vec()),
        key.map(|binding| big(binding.at.as_secs())).transpose()?,
        ids,
        seen,
        claim.map(|claim| claim.request.as_str().to_owned()),
        claim.map(|claim| big(claim.expires.as_secs())).transpose()?,
        step.map(encode).transpose()?,
        step.is_some_and(records::ends),
        bound(issued.freezes),
        big(issued.expires.as_secs())?,
        big(issued.serial.get())?,
        records::owner(&issued.holder.0, &issued.holder.1).to_vec(),
        revocations::digest(&issued.holder.0),
        issued.host.as_str().as_bytes().to_vec(),
        issued.policy.as_str().as_bytes().to_vec(),
        issued.grant.as_str().to_owned(),
        step.map(|step| bound(step.at.as_secs())),
    ))
}

pub(super) fn recorded(
    rows: &[Vec<Row>],
    claim: Option<&Claim>,
    entry: &Entry,
) -> Result<Effect<Recorded>, StoreError> {
    let row = rows.first().and_then(|rows| rows.first()).ok_or_else(|| StoreError("no verdict".to_owned()))?;
    let recorded = match column::<&str>(row, 0)? {
        "yes" => Recorded::Yes,
        "session ended" => Recorded::SessionEnded,
        "key taken" => Recorded::KeyTaken,
        "freezes changed" => Recorded::FreezesChanged,
        _ => Recorded::RequestChanged,
    };
    if recorded != Recorded::Yes {
        return Ok(Effect::only(recorded));
    }
    let about = claim.and_then(|claim| claim.step.as_ref()).map(|(_step, about)| about.clone());
    let effect = Effect::on_record(recorded, about.into_iter().chain([entry.clone()]).collect());
    Ok(match claim {
        Some(claim) => effect.to(&claim.request),
        None => effect,
    })
}

pub(super) fn note_uses(uses: &[(SessionId, UnixTime)]) -> Statement {
    let ids: Vec<String> = uses.iter().map(|(id, _)| id.as_str().to_owned()).collect();
    let times: Vec<i64> = uses.iter().map(|(_, at)| bound(at.as_secs())).collect();
    say!(NOTE_USES, ids, times)
}

/// The session in a row that begins with it and its last use; none where no server wrote it.
fn kept(sealed: &Sealed, row: &Row) -> Result<Option<LoginSession>, StoreError> {
    let Some(mut session) = sealed.read(column(row, 0)?)? else { return Ok(None) };
    session.used = session.used.max(UnixTime::from_secs(number(column(row, 1)?)?));
    Ok(Some(session))
}

/// A number of steps as the database takes it; none has so many that it does not fit.
pub(super) fn place(steps: usize) -> i32 {
    i32::try_from(steps).unwrap_or(i32::MAX)
}

impl PostgresStore {
    pub(super) fn read_session(&self, row: &Row) -> Result<Option<LoginSession>, StoreError> {
        let mut session = kept(&self.sealed, row)?;
        session.iter_mut().for_each(|session| self.used.merge(session));
        Ok(session)
    }

    pub(super) async fn prune_all(&self, now: UnixTime) -> Result<(), StoreError> {
        let noted = note_uses(&self.used.snapshot());
        self.writer.write(vec![noted], |_rows| Ok(Effect::only(()))).await?;
        // In small steps, so that others' writes get in between.
        while self.prune_some(now).await? {}
        self.used.forget_before(now);
        self.forget_nonces(now.as_secs().saturating_mul(1_000)).await
    }

    /// Removes some of what may be forgotten at `now`; answers whether there may be more.
    async fn prune_some(&self, now: UnixTime) -> Result<bool, StoreError> {
        let (end, keys) = (bound(now.as_secs()), bound(now.minus(records::KEY_MEMORY).as_secs()));
        let statements = vec![
            say!(PRUNE_SESSIONS, end, STEP),
            say!(PRUNE_TOKENS, end, STEP),
            say!(PRUNE_KEYS, keys, STEP),
            say!(revocations::PRUNE, bound(now.minus(AFTER_EXPIRY).as_secs()), STEP, end),
        ];
        let step = usize::try_from(STEP).unwrap_or(usize::MAX);
        let sealed = self.sealed.clone();
        let pruned = self.writer.write(statements, move |rows| {
            let over = rows.first().map(Vec::as_slice).unwrap_or_default();
            let over = over.iter().filter_map(|row| kept(&sealed, row).transpose());
            let entries = over.map(|session| run_out(&session?, now)).collect::<Result<_, _>>()?;
            Ok(Effect::on_record(rows.iter().any(|rows| rows.len() >= step), entries))
        });
        pruned.await
    }
}
