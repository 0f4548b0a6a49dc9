//! Taking access from whoever has it: first nothing more can be issued, then what was issued is revoked.

mod wanted;

use super::{administer::only_administrators, authenticate::Caller, ends, sessions};
use crate::{
    app::App,
    audit::{Actor, Entry, RevocationEvent},
    fault,
    refusal::Refusal,
    store::{
        LiveCertificate, StoreError,
        revocations::{Account, SERIALS_IN_ENTRY},
    },
};
use api::{EndRequest, Receipt, RevokeRequest};
use policy::{EndReason, Reason, Serial};
use std::sync::Arc;
use wanted::Wanted;

/// Ends the requests of this scope, then the login sessions, then the certificates. To do it again finds less to end and the
/// same certificates.
///
/// # Errors
/// `denied` unless policy lets the caller administer, `frozen`, `not_found` for what nobody knows and `conflict` for what
/// may be several (nothing is changed then), `rate_limited`. After `store_unavailable` some of it may be done: do it again.
pub async fn revoke(app: &App, caller: &Caller, asked: RevokeRequest) -> Result<Receipt, Refusal> {
    only_administrators(app, caller, "revoke").await?;
    let RevokeRequest { scope, reason } = asked;
    let wanted = Wanted::find(app, &scope).await?;
    fault::point("revoke.decided");

    // In this order: what is recorded after its request or session has ended is refused, so once the certificates are
    // looked at there is none to come.
    let mut ended = Vec::new();
    for id in wanted.requests {
        let end = EndRequest { why: EndReason::Revoked, reason: Some(reason.clone()) };
        ends::end(app, caller, id.as_str(), None, end).await?;
        ended.push(id);
    }
    let mut logins = 0;
    for session in &wanted.sessions {
        logins += u64::from(sessions::record_end(app, caller, session, "revoked").await?);
    }
    fault::point("revoke.ended");
    let now = app.clock.now();
    let account = account(app, caller, wanted.kind, &wanted.named, Some(&reason));
    let revoked = app.store.revoke(wanted.certificates, now, account).await?;
    fault::point("revoke.recorded");
    let krl = match revoked.as_slice() {
        [] => None,
        _ => Some(super::krl::list(app).await?.version),
    };
    let (serials, last_expiry) = told(&revoked);
    Ok(Receipt { requests: ended, sessions: logins, serials, last_expiry, krl, hint: wanted.hint })
}

/// What a receipt says of certificates.
pub(super) fn told(revoked: &[LiveCertificate]) -> (Vec<Serial>, Option<policy::UnixTime>) {
    let serials = revoked.iter().map(|one| one.serial).collect();
    (serials, revoked.iter().map(|one| one.expires).max())
}

/// What goes on record: all serials that were not revoked before, however many; and that it was done, if there was none.
pub(super) fn account(
    app: &App,
    caller: &Caller,
    which: &'static str,
    named: &str,
    reason: Option<&Reason>,
) -> Account {
    let (time_ms, named, reason) = (app.clock.now_ms(), named.to_owned(), reason.cloned());
    let (session, origin) = (caller.session.clone(), caller.origin.clone());
    Arc::new(move |revoked, krl| {
        let new: Vec<u64> = revoked.iter().filter(|one| !one.revoked).map(|one| one.serial.get()).collect();
        let entry = |serials: &[u64]| {
            let event = RevocationEvent::Revoked {
                actor: Actor::from(&session.identity),
                session: Some(&session.id),
                which,
                grant: None,
                named: Some(&named),
                reason: reason.as_ref().map(Reason::as_str),
                serials,
                krl,
                source: Some(origin.source),
            };
            let entry = Entry::new(time_ms, &origin.request_id, &event);
            entry.map_err(|error| StoreError(format!("a revocation cannot be recorded: {error}")))
        };
        if new.is_empty() { Ok(vec![entry(&[])?]) } else { new.chunks(SERIALS_IN_ENTRY).map(entry).collect() }
    })
}
