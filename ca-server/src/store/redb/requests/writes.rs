//! What is written of requests in one transaction.

use super::{Tables, corrupt, encode};
use crate::{
    audit::Entry,
    store::{Filed, Idempotency, Stepped, records, revocations},
};
use ::redb::{Error, ReadableTable as _};
use policy::{Request, RequestId, Step, UnixTime};

/// Files a request with its indexes.
pub(super) fn file(
    tables: &mut Tables<'_>,
    request: &Request,
    idempotency: Option<Idempotency>,
    entry: &Entry,
) -> Result<Filed, Error> {
    let owner = records::owner(&request.requester.issuer, &request.requester.subject);
    let json = encode(request)?;
    let asked = &mut tables.asked;
    let (id, filed) = (request.id.as_str(), request.filed.as_secs());
    if let Some(Idempotency { key, body }) = idempotency {
        let before = asked.keys.get((&owner, &key))?.map(|used| (*used.value().0, used.value().1.to_owned()));
        match before {
            Some((same, id)) if same == body => return Ok(Filed::Before(id.parse().map_err(corrupt)?)),
            Some(_) => return Ok(Filed::Mismatch),
            None => asked.keys.insert((&owner, &key), (&body, id))?,
        };
    }
    asked.requests.insert(id, json.as_slice())?;
    asked.filed.insert((filed, id), ())?;
    asked.of.insert((&owner, filed, id), ())?;
    asked.waiting.insert((filed, id), request.expires.as_secs())?;
    if request.break_glass.is_some() {
        asked.unreviewed.insert((filed, id), ())?;
    }
    asked.looks.arrange(id, Some(records::first_look(request)))?;
    asked.found_by(request)?;
    if let Some(prolonged) = &request.extends {
        asked.prolonging.insert((prolonged.as_str(), filed, id), ())?;
    }
    tables.append(entry)?;
    Ok(Filed::Yes)
}

/// Takes a step, and what comes of it.
pub(super) fn add_step(
    tables: &mut Tables<'_>,
    id: &RequestId,
    seen: usize,
    step: &Step,
    entry: &Entry,
) -> Result<Stepped, Error> {
    if tables.asked.count(id)? != Some(seen) {
        return Ok(Stepped::Changed);
    }
    if records::too_late(step, tables.asked.looks.of(id.as_str())?) {
        return Ok(Stepped::Over);
    }
    if records::prolongs(step)
        && let Some(prolonged) = tables.asked.kept(id)?.and_then(|request| request.extends)
    {
        let looks = &mut tables.asked.looks;
        let Some(look) = looks.of(prolonged.as_str())? else { return Ok(Stepped::Over) };
        looks.arrange(prolonged.as_str(), Some(records::look_again(look, step.at)))?;
    }
    tables.asked.step(id, seen, step)?;
    tables.append(entry)?;
    if records::ends(step) {
        let grant = id.grant();
        let last = UnixTime::from_secs(tables.asked.expiries.get(id.as_str())?.map_or(0, |last| last.value()));
        let (revoked, krl) = tables.ended.revoke_under(&grant, last, step.at)?;
        tables.append_all(revocations::by_step((step, entry), &grant, &revoked, krl))?;
    }
    Ok(Stepped::Yes)
}
