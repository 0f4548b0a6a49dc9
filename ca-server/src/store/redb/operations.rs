//! What a write does inside a transaction. Each looks first and writes after, so a refusal leaves no trace in the batch
//! that it shares with others.

use super::{
    revocations::Row,
    tables::{Tables, owned_by, proofs_of},
};
use crate::{
    audit::Entry,
    store::{
        Claim, KeyBinding, LoginSession, Opened, Recorded, StoreError, TokenUse, made_room, most_sessions, records,
        run_out,
    },
};
use ::redb::{Error, ReadableTable as _, StorageError};
use policy::{SessionId, UnixTime};

/// The most rows that one step of pruning removes from a table.
const STEP: usize = 500;

pub(super) fn open_session(
    tables: &mut Tables<'_>,
    session: &LoginSession,
    token: TokenUse,
    most: usize,
    entry: &Entry,
) -> Result<Opened, Error> {
    if tables.tokens.get(&token.digest)?.is_some() {
        return Ok(Opened::TokenUsed);
    }
    let json = encode(session)?;
    tables.tokens.insert(&token.digest, token.forget.as_secs())?;
    tables.forgetting.insert((token.forget.as_secs(), &token.digest), ())?;
    tables.asked.met(&session.identity, session.started)?;
    let owner = records::owner(&session.identity.issuer, &session.identity.subject);
    tables.sessions.insert(session.id.as_str(), json.as_slice())?;
    tables.owned.insert((&owner, session.started.as_secs(), session.id.as_str()), ())?;
    tables.ending.insert((session.expires.as_secs(), session.id.as_str()), ())?;
    let mut theirs = Vec::new();
    for row in tables.owned.range(owned_by(&owner))? {
        let (key, ()) = (row?.0, ());
        let (_, started, id) = key.value();
        theirs.push((UnixTime::from_secs(started), id.parse::<SessionId>().map_err(corrupt)?));
    }
    tables.append(entry)?;
    for surplus in most_sessions(theirs, most) {
        if let Some(ended) = remove_session(tables, surplus.as_str())? {
            tables.append(&made_room(&ended, session).map_err(unrecorded)?)?;
        }
    }
    Ok(Opened::Yes)
}

pub(super) fn end_session(tables: &mut Tables<'_>, id: &SessionId, entry: &Entry) -> Result<bool, Error> {
    let was_there = remove_session(tables, id.as_str())?.is_some();
    if was_there {
        tables.append(entry)?;
    }
    Ok(was_there)
}

pub(super) fn record_issue(
    tables: &mut Tables<'_>,
    session: &SessionId,
    key: Option<KeyBinding>,
    claim: Option<&Claim>,
    issued: &Row,
    entry: &Entry,
) -> Result<Recorded, Error> {
    let read = |json: ::redb::AccessGuard<'_, &[u8]>| key.map(|_proven| decode(json.value())).transpose();
    let Some(kept) = tables.sessions.get(session.as_str())?.map(read).transpose()? else {
        return Ok(Recorded::SessionEnded);
    };
    if let Some(claim) = claim
        && !tables.asked.stands(claim)?
    {
        return Ok(Recorded::RequestChanged);
    }
    if !tables.ended.as_decided(issued)? {
        return Ok(Recorded::FreezesChanged);
    }
    if let (Some(binding), Some(LoginSession { identity, .. })) = (key, kept) {
        let owner = records::owner(&identity.issuer, &identity.subject);
        let known = tables.keys.get(&binding.key)?.map(|known| (*known.value().0, known.value().1));
        if known.is_some_and(|(known_owner, _)| known_owner != owner) {
            return Ok(Recorded::KeyTaken);
        }
        if let Some((_, before)) = known {
            tables.proven.remove((before, &binding.key))?;
        }
        tables.keys.insert(&binding.key, (&owner, binding.at.as_secs()))?;
        tables.proven.insert((binding.at.as_secs(), &binding.key), ())?;
        tables.proofs.insert((session.as_str(), &binding.key), ())?;
    }
    if let Some(claim) = claim
        && let Some(about) = tables.asked.claim(claim)?
    {
        tables.append(about)?;
    }
    let index = tables.next_index();
    tables.append(entry)?;
    tables.ended.issue(issued, index, claim.is_some())?;
    Ok(Recorded::Yes)
}

pub(super) fn append(tables: &mut Tables<'_>, entry: &Entry) -> Result<(), Error> {
    tables.append(entry)
}

/// Keeps the time of a session's last use, if the session is still there.
pub(super) fn note_use(tables: &mut Tables<'_>, id: &SessionId, at: UnixTime) -> Result<(), Error> {
    let kept = tables.sessions.get(id.as_str())?.map(|json| json.value().to_vec());
    let Some(mut session) = kept.map(|json| decode(&json)).transpose()? else { return Ok(()) };
    if session.used < at {
        session.used = at;
        tables.sessions.insert(id.as_str(), encode(&session)?.as_slice())?;
    }
    Ok(())
}

pub(super) fn note_uses(tables: &mut Tables<'_>, uses: &[(SessionId, UnixTime)]) -> Result<(), Error> {
    uses.iter().try_for_each(|(id, at)| note_use(tables, id, *at))
}

/// Removes some of what may be forgotten at `now`; answers whether there may be more.
pub(super) fn prune(tables: &mut Tables<'_>, now: UnixTime) -> Result<bool, Error> {
    let sessions = prune_sessions(tables, now)?;
    let tokens = prune_tokens(tables, now)?;
    let keys = prune_keys(tables, now)?;
    let certificates = tables.ended.prune(now, STEP)?;
    Ok(sessions.max(tokens).max(keys).max(certificates) >= STEP)
}

fn prune_sessions(tables: &mut Tables<'_>, now: UnixTime) -> Result<usize, Error> {
    let mut over = Vec::new();
    for row in tables.ending.range(..=(now.as_secs(), "\u{7f}"))?.take(STEP) {
        over.push(row?.0.value().1.to_owned());
    }
    for id in &over {
        if let Some(session) = remove_session(tables, id)? {
            tables.append(&run_out(&session, now).map_err(unrecorded)?)?;
        }
    }
    Ok(over.len())
}

fn prune_tokens(tables: &mut Tables<'_>, now: UnixTime) -> Result<usize, Error> {
    let mut over = Vec::new();
    for row in tables.forgetting.range(..=(now.as_secs(), &[0xff; 32]))?.take(STEP) {
        let (time, digest) = row.map(|(key, _)| (key.value().0, *key.value().1))?;
        over.push((time, digest));
    }
    for (time, digest) in &over {
        tables.forgetting.remove((*time, digest))?;
        tables.tokens.remove(digest)?;
    }
    Ok(over.len())
}

fn prune_keys(tables: &mut Tables<'_>, now: UnixTime) -> Result<usize, Error> {
    let latest = now.minus(records::KEY_MEMORY).as_secs();
    let mut over = Vec::new();
    for row in tables.proven.range(..=(latest, &[0xff; 32]))?.take(STEP) {
        let (time, digest) = row.map(|(key, _)| (key.value().0, *key.value().1))?;
        over.push((time, digest));
    }
    for (time, digest) in &over {
        tables.proven.remove((*time, digest))?;
        tables.keys.remove(digest)?;
    }
    Ok(over.len())
}

fn remove_session(tables: &mut Tables<'_>, id: &str) -> Result<Option<LoginSession>, Error> {
    let Some(json) = tables.sessions.remove(id)?.map(|json| json.value().to_vec()) else { return Ok(None) };
    let session = decode(&json)?;
    let owner = records::owner(&session.identity.issuer, &session.identity.subject);
    tables.owned.remove((&owner, session.started.as_secs(), id))?;
    tables.ending.remove((session.expires.as_secs(), id))?;
    tables.proofs.retain_in(proofs_of(id), |_, ()| false)?;
    Ok(Some(session))
}

fn unrecorded(error: StoreError) -> Error {
    StorageError::Io(std::io::Error::other(error)).into()
}

fn encode(session: &LoginSession) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(session).map_err(corrupt)
}

fn decode(json: &[u8]) -> Result<LoginSession, Error> {
    serde_json::from_slice(json).map_err(corrupt)
}

fn corrupt(error: impl std::fmt::Display) -> Error {
    StorageError::Corrupted(format!("a session cannot be read: {error}")).into()
}
