//! Asking for access that people must approve, or that begins later.

mod before;
pub(super) mod draft;
mod filter;
mod read;
mod view;

pub use filter::{Filter, Wanted};
pub use read::{MOST_LISTED, MOST_WAIT, Page, View, list, show};
pub use view::Shown;

pub(in crate::verbs) use draft::ask as asked;
pub(super) use view::{etag, shown};

use super::{authenticate::Caller, case, case::Case, glass, issue::refuse};
use crate::{
    app::App,
    audit::{Actor, Entry, RequestEvent},
    clock::moment,
    fault,
    policies::Loaded,
    refusal::Refusal,
    store::{Filed, Idempotency, Which},
};
use api::{Code, FileRequest};
use policy::{Now, RequestId, Stage, UnixTime};
use sha2::{Digest as _, Sha256};

/// What a request asks for one of its targets.
pub(super) fn ask(request: &policy::Request, target: &policy::Target) -> policy::Ask {
    draft::ask(request, target, Some(request.duration))
}

/// The most requests of one person that are not over.
const MOST_OPEN: usize = 50;
/// The most requests of one person within an hour, whatever became of them.
const MOST_AN_HOUR: usize = 200;
const HOUR: u64 = 3_600;

/// The answer to filing.
#[derive(Debug)]
pub enum Outcome {
    /// It is filed.
    Filed(Shown),
    /// The same key filed it before; or it was only a question.
    AsBefore(Shown),
}

/// Files a request, or says what would become of it.
///
/// # Errors
/// `denied` if policy says no whoever approves (`decision` says why, and what is missing), `bad_request`,
/// `idempotency_mismatch`, `conflict` for what cannot be prolonged, `rate_limited`.
pub async fn file(app: &App, caller: &Caller, asked: FileRequest, key: Option<&str>) -> Result<Outcome, Refusal> {
    let idempotency = key.map(|key| idempotency(key, &asked)).transpose()?;
    if let Some(before) = filed_before(app, caller, idempotency.as_ref()).await? {
        return again(app, caller, &before).await;
    }
    let dry_run = asked.dry_run;
    if !dry_run {
        refuse::unless_allowed(app, caller).await?;
    }
    let loaded = app.policies.current();
    let now = moment(app.clock.now(), &app.zone);
    let request = draft::request(app, caller, &loaded, asked, now).await?;
    if dry_run {
        let case = Case::filed(request)?;
        return view::dry(&loaded.policies, &case, now).map(Outcome::AsBefore);
    }
    // An emergency has bounds of its own: it must not fail for what somebody once asked for.
    if request.break_glass.is_none() {
        within_bounds(app, caller, &loaded, now).await?;
    }

    let case = Case::filed(request.clone())?;
    let digest = case::hex(&case.digest);
    let filed = RequestEvent::Filed {
        actor: Actor::from(&request.requester),
        session: &caller.session.id,
        id: &request.id,
        filed: &request,
        digest: &digest,
        decided: now,
        policy_digest: &loaded.digest,
    };
    let (at, http, notify) = (app.clock.now_ms(), &caller.origin.request_id, case.channels(app, &loaded.policies));
    let entry = match &request.break_glass {
        Some(broken) => {
            let opened = glass::opened(caller, &request, broken, &digest, now, &loaded.digest);
            Entry::notifying(at, http, &opened, &notify)
        }
        None => Entry::notifying(at, http, &filed, &notify),
    };
    let entry = entry.map_err(Refusal::internal)?;
    fault::point("file.decided");
    let filed = app.store.file_request(request, idempotency, entry).await?;
    fault::point("file.recorded");
    match filed {
        Filed::Yes => shown(&loaded.policies, caller, &case, now).map(Outcome::Filed),
        Filed::Before(id) => again(app, caller, &id).await,
        Filed::Mismatch => Err(mismatch()),
    }
}

fn idempotency(key: &str, asked: &FileRequest) -> Result<Idempotency, Refusal> {
    if !(1..=64).contains(&key.len()) || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Refusal::new(Code::BadRequest, "Idempotency-Key must be 1 to 64 visible ASCII characters"));
    }
    let body = serde_json::to_vec(asked).map_err(Refusal::internal)?;
    Ok(Idempotency { key: Sha256::digest(key).into(), body: Sha256::digest(body).into() })
}

/// The request that this key filed before, judged by nothing but the key: a retry is answered like the first time,
/// whatever has changed in between.
async fn filed_before(
    app: &App,
    caller: &Caller,
    idempotency: Option<&Idempotency>,
) -> Result<Option<RequestId>, Refusal> {
    let Some(Idempotency { key, body }) = idempotency else { return Ok(None) };
    let identity = &caller.session.identity;
    match app.store.filed_with(&identity.issuer, &identity.subject, key).await? {
        Some((before, id)) if before == *body => Ok(Some(id)),
        Some(_) => Err(mismatch()),
        None => Ok(None),
    }
}

async fn again(app: &App, caller: &Caller, id: &RequestId) -> Result<Outcome, Refusal> {
    let case = Case::load(app, id).await?.ok_or_else(|| Refusal::internal("a key leads to no request"))?;
    let now = moment(app.clock.now(), &app.zone);
    shown(&app.policies.current().policies, caller, &case, now).map(Outcome::AsBefore)
}

fn mismatch() -> Refusal {
    Refusal::new(Code::IdempotencyMismatch, "this Idempotency-Key was used before for another request")
        .hint("use a new key for a new request")
}

/// Many requests hide the one that matters from those who review them.
async fn within_bounds(app: &App, caller: &Caller, loaded: &Loaded, now: Now) -> Result<(), Refusal> {
    let identity = &caller.session.identity;
    let which = Which::Of(identity.issuer.clone(), identity.subject.clone());
    let latest = app.store.requests(&which, None, MOST_AN_HOUR).await?;
    let hour_ago = UnixTime::from_secs(now.time.as_secs().saturating_sub(HOUR));
    if latest.get(MOST_AN_HOUR - 1).is_some_and(|oldest| hour_ago < oldest.request.filed) {
        return Err(Refusal::new(Code::RateLimited, format!("more than {MOST_AN_HOUR} requests within an hour"))
            .hint("wait for an hour; one request may name up to 32 targets"));
    }
    let mut open = 0;
    if latest.len() >= MOST_OPEN {
        for kept in latest.into_iter().filter(|kept| case::ending(&kept.steps).is_none()) {
            let stage = Case::of(app, kept).await?.stage(&loaded.policies, now);
            open += usize::from(!matches!(stage, Stage::Over { .. } | Stage::Added { .. }));
        }
    }
    if open >= MOST_OPEN {
        return Err(Refusal::new(Code::RateLimited, format!("{MOST_OPEN} of your requests are open already"))
            .hint("cancel those that nobody needs: `jit-ssh requests`, `jit-ssh cancel ID`"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
