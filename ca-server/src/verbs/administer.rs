//! What those may do who operate the service: who they are, and whom they mean.

use super::{authenticate::Caller, issue::refuse, refusals::on_record};
use crate::{
    app::App,
    audit::{Actor, Entry, RevocationEvent},
    clock::moment,
    refusal::Refusal,
    store::Known,
};
use api::{Code, Whose};
use policy::Identity;
use std::collections::BTreeSet;

/// So many addresses are looked up to find the accounts of one person. Nobody honest has a tenth of them.
const MOST_ADDRESSES: usize = 256;

/// Goes on only for whom policy lets administer and who is not frozen. Whoever may not leaves a trace: `attempt` says what
/// they tried.
pub(super) async fn only_administrators(app: &App, caller: &Caller, attempt: &str) -> Result<(), Refusal> {
    refuse::unless_allowed(app, caller).await?;
    unless_frozen(app, caller, attempt).await?;
    if administers(app, caller).await? {
        return Ok(());
    }
    let refusal = Refusal::new(Code::Denied, format!("policy does not let you {attempt}"))
        .hint("ask whom policy lets administer; a reviewer denies a request: `jit-ssh deny ID`");
    Err(noted(app, caller, attempt, refusal).await)
}

/// Whether policy lets the caller administer, by this login and by what the last one of their account told: who lost a group
/// since has lost this.
pub(super) async fn administers(app: &App, caller: &Caller) -> Result<bool, Refusal> {
    let (me, source) = (&caller.session.identity, caller.origin.source);
    let latest = app.store.latest_identity(&me.issuer, &me.subject).await?;
    let today = latest.map(|latest| me.learnt(&latest));
    let (loaded, now) = (app.policies.current(), moment(app.clock.now(), &app.zone));
    Ok([Some(me), today.as_ref()]
        .into_iter()
        .flatten()
        .all(|who| policy::administers(&loaded.policies, who, source, now)))
}

/// Goes on for nobody who is frozen: an account that may be in other hands gives nobody access and takes it from nobody.
pub(super) async fn unless_frozen(app: &App, caller: &Caller, attempt: &str) -> Result<(), Refusal> {
    let freezes = app.store.freezes().await?;
    if freezes.all.is_empty() {
        return Ok(());
    }
    let known = caller.known(app).await?;
    if !freezes.all.iter().any(|freeze| freeze.what.is_of(&known.session.identity)) {
        return Ok(());
    }
    let refusal = Refusal::new(Code::Frozen, format!("you are frozen, and whoever is may not {attempt}"))
        .hint("ask security; two administrators together thaw it: `jit-ssh thaw`");
    Err(noted(app, caller, attempt, refusal).await)
}

/// Puts on record that somebody tried what they may not; answers the refusal, or that it cannot be recorded.
pub(super) async fn noted(app: &App, caller: &Caller, attempt: &str, refusal: Refusal) -> Refusal {
    let event = RevocationEvent::Refused {
        actor: Actor::from(&caller.session.identity),
        session: &caller.session.id,
        attempt,
        refusal: &refusal.message,
        source: caller.origin.source,
    };
    let entry = Entry::new(app.clock.now_ms(), &caller.origin.request_id, &event);
    on_record(app, caller, entry, refusal).await
}

/// The accounts of one person or machine: whoever is known by that name, and whoever is known to be one with them through
/// verified addresses that they have or had, over however many accounts.
///
/// # Errors
/// `not_found` if nobody of that name ever logged in, `conflict` if several did who are not known to be one.
pub(super) async fn accounts(app: &App, whose: &Whose) -> Result<Vec<Identity>, Refusal> {
    let mut named = app.store.known(&Known::Named(whose.name.as_str().to_owned())).await?;
    named.retain(|one| whose.issuer.as_ref().is_none_or(|issuer| one.issuer == *issuer));
    let Some(first) = named.first() else {
        return Err(Refusal::new(Code::NotFound, "nobody of that name has ever logged in; nothing was changed")
            .hint("name the verified e-mail address or the subject, as `login.opened` in the audit log has it"));
    };
    let theirs = everything_of(app, first).await?;
    if let Some(other) = named.iter().find(|one| !theirs.iter().any(|known| policy::same_person(known, one))) {
        let (one, other) = (&first.issuer, &other.issuer);
        return Err(Refusal::new(Code::Conflict, "more than one is known by that name; nothing was changed")
            .hint(format!("say which, with `--at {one}` or `--at {other}`, or by e-mail address")));
    }
    Ok(theirs)
}

/// All accounts that are known to be one person's with this, this one first.
async fn everything_of(app: &App, first: &Identity) -> Result<Vec<Identity>, Refusal> {
    let (mut theirs, mut looked_up, mut next) = (vec![first.clone()], BTreeSet::new(), 0);
    while let Some(one) = theirs.get(next).cloned() {
        next += 1;
        for address in one.addresses() {
            if looked_up.len() >= MOST_ADDRESSES || !looked_up.insert(address.as_str().to_ascii_lowercase()) {
                continue;
            }
            let known = app.store.known(&Known::Named(address.as_str().to_owned())).await?;
            let more = known.into_iter().filter(|other| other.is_known_as(address.as_str()));
            let more: Vec<_> = more.filter(|other| !theirs.contains(other)).collect();
            theirs.extend(more);
        }
    }
    Ok(theirs)
}
