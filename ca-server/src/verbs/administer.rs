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
use policy::{Frozen, Identity};

/// Goes on only for whom policy lets administer and who is not frozen. Whoever may not leaves a trace: `attempt` says what
/// they tried.
pub(super) async fn only_administrators(app: &App, caller: &Caller, attempt: &str) -> Result<(), Refusal> {
    refuse::unless_allowed(app, caller).await?;
    let (identity, source) = (&caller.session.identity, caller.origin.source);
    unless_frozen(app, caller, attempt).await?;
    let now = moment(app.clock.now(), &app.zone);
    if policy::administers(&app.policies.current().policies, identity, source, now) {
        return Ok(());
    }
    let refusal = Refusal::new(Code::Denied, format!("policy does not let you {attempt}"))
        .hint("ask whom policy lets administer; a reviewer denies a request: `jit-ssh deny ID`");
    Err(noted(app, caller, attempt, refusal).await)
}

/// Goes on for nobody who is frozen: an account that may be in other hands gives nobody access and takes it from nobody.
pub(super) async fn unless_frozen(app: &App, caller: &Caller, attempt: &str) -> Result<(), Refusal> {
    let freezes = app.store.freezes().await?;
    if !freezes.all.iter().any(|freeze| freeze.what.is_of(&caller.session.identity)) {
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

/// The accounts of one person or machine: whoever is known by that name, and whoever has the same verified e-mail address.
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
    let mut theirs = named.clone();
    if let Some(email) = &first.email {
        for one in app.store.known(&Known::Named(email.as_str().to_owned())).await? {
            if !theirs.contains(&one) {
                theirs.push(one);
            }
        }
    }
    let person = Frozen::holder(first);
    theirs.retain(|one| named.contains(one) || person.is_of(one));
    if let Some(other) = theirs.iter().find(|one| !person.is_of(one)) {
        let (one, other) = (&first.issuer, &other.issuer);
        return Err(Refusal::new(Code::Conflict, "more than one is known by that name; nothing was changed")
            .hint(format!("say which, with `--at {one}` or `--at {other}`, or by e-mail address")));
    }
    Ok(theirs)
}
