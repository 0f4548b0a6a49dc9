//! Taking access from whoever has it: nothing more can be issued, and what was issued is revoked.

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
use api::{Receipt, RevokeRequest};
use policy::{Reason, Serial};
use std::sync::Arc;
use wanted::Wanted;

/// Ends the login sessions of this scope, then its certificates, then its requests. To do it again finds less to end and the
/// same certificates.
///
/// # Errors
/// `denied` unless policy lets the caller administer, `frozen`, `not_found` for what nobody knows and `conflict` for what
/// may be several (nothing is changed then), `rate_limited`. After anything else some of it is done, and what could be: do it
/// again.
pub async fn revoke(app: &App, caller: &Caller, asked: RevokeRequest) -> Result<Receipt, Refusal> {
    only_administrators(app, caller, "revoke").await?;
    let RevokeRequest { scope, reason } = asked;
    let wanted = Wanted::find(app, &scope).await?;
    fault::point("revoke.decided");

    // In this order: what is recorded after its session has ended is refused, and a request that ends revokes what was
    // recorded under it, so nothing slips in between. What cannot be ended keeps nothing else from being ended: whoever is
    // to lose access may act on their requests at the same time.
    let (mut trouble, mut logins) = (None, 0);
    for session in &wanted.sessions {
        match sessions::record_end(app, caller, session, "revoked").await {
            Ok(ended) => logins += u64::from(ended),
            Err(refusal) => trouble = trouble.or(Some(refusal)),
        }
    }
    let account = account(app, caller, wanted.kind, &wanted.named, Some(&reason), false);
    let revoked = app.store.revoke(wanted.certificates, app.clock.now(), account).await;
    let (mut serials, mut last_expiry) = revoked.as_deref().map(told).unwrap_or_default();
    trouble = trouble.or(revoked.err().map(Refusal::from));
    fault::point("revoke.recorded");
    let mut ended = Vec::new();
    for id in wanted.requests {
        match ends::taken(app, caller, &id, &reason).await {
            Ok(Some(receipt)) => {
                ended.push(id);
                serials.extend(receipt.serials);
                last_expiry = last_expiry.max(receipt.last_expiry);
            }
            Ok(None) => {}
            Err(refusal) => trouble = trouble.or(Some(refusal)),
        }
    }
    if let Some(refusal) = trouble {
        return Err(refusal.hint("some of it may be done: do it again; it ends what is left"));
    }
    fault::point("revoke.ended");
    serials.sort_unstable();
    serials.dedup();
    let krl = if serials.is_empty() { None } else { Some(super::krl::list(app).await?.version) };
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
    given_back: bool,
) -> Account {
    let (time_ms, named, reason) = (app.clock.now_ms(), named.to_owned(), reason.cloned());
    let (session, origin) = (caller.session.clone(), caller.origin.clone());
    Arc::new(move |revoked, krl| {
        let new: Vec<u64> = revoked.iter().filter(|one| !one.revoked).map(|one| one.serial.get()).collect();
        let entry = |serials: &[u64]| {
            let event = RevocationEvent::Revoked {
                given_back,
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
