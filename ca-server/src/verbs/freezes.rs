//! Freezes: nothing is issued to somebody, for a host or at all, until two people agree to go on.

use super::{
    administer::{accounts, administers, noted, only_administrators},
    authenticate::Caller,
    case::oversees,
    issue::refuse,
    revoke::told,
};
use crate::{
    app::App,
    audit::{Actor, Entry, RevocationEvent},
    clock::{self, moment},
    fault,
    refusal::Refusal,
    store::{Selection, Stepped},
};
use api::{Code, FreezeBody, FreezeRequest, FreezeScope, FreezesResponse, ThawRequest};
use policy::{Freeze, FreezeId, Frozen, Kind, MayNotThaw, Thaw};

/// How often it is tried anew because another freeze was set or thawed in between.
const TRIES: usize = 16;

/// Freezes it; answers the freeze, and whether it is new: what is frozen already stays as it is.
///
/// # Errors
/// `denied` unless policy lets the caller administer, `frozen`, `not_found` for what nobody knows, `conflict` for a name
/// that may be several; nothing is changed then.
pub async fn freeze(app: &App, caller: &Caller, asked: FreezeRequest) -> Result<(FreezeBody, bool), Refusal> {
    only_administrators(app, caller, "freeze").await?;
    let (what, certificates) = find(app, &asked.scope).await?;
    for _ in 0..TRIES {
        let freezes = app.store.freezes().await?;
        let now = app.clock.now();
        if let Some(before) = freezes.all.iter().find(|freeze| freeze.what == what) {
            return Ok((shown(before), false));
        }
        let freeze = Freeze {
            id: FreezeId::from_random(clock::random()?),
            what: what.clone(),
            by: caller.session.identity.clone(),
            reason: asked.reason.clone(),
            at: now,
            thaws: Vec::new(),
        };
        let event = RevocationEvent::Frozen {
            actor: Actor::from(&freeze.by),
            session: &caller.session.id,
            id: &freeze.id,
            frozen: &freeze.what,
            reason: freeze.reason.as_str(),
            source: caller.origin.source,
        };
        let entry = Entry::new(app.clock.now_ms(), &caller.origin.request_id, &event).map_err(Refusal::internal)?;
        fault::point("freeze.decided");
        if app.store.freeze(freezes.version, freeze.clone(), entry).await? == Stepped::Yes {
            fault::point("freeze.recorded");
            // Looked at afterwards: no further certificate can be recorded.
            let live = app.store.live(&certificates, now).await?;
            let alive: Vec<_> = live.into_iter().filter(|one| !one.revoked).collect();
            let mut body = shown(&freeze);
            body.live = Some(u64::try_from(alive.len()).unwrap_or(u64::MAX));
            body.last_expiry = told(&alive).1;
            return Ok((body, true));
        }
    }
    Err(kept_changing())
}

/// The freezes in force. Who may neither administer nor audit sees those that stop them everywhere, without reasons and names.
///
/// # Errors
/// If the store cannot say.
pub async fn list(app: &App, caller: &Caller) -> Result<FreezesResponse, Refusal> {
    let freezes = app.store.freezes().await?;
    let now = moment(app.clock.now(), &app.zone);
    let identity = &caller.known(app).await?.session.identity;
    let theirs = |freeze: &&Freeze| freeze.what == Frozen::Everything || freeze.what.is_of(identity);
    let freezes = if oversees(&app.policies.current().policies, caller, now) {
        freezes.all.iter().map(shown).collect()
    } else {
        freezes
            .all
            .iter()
            .filter(theirs)
            .map(|freeze| FreezeBody { by: None, reason: None, thawed_by: Vec::new(), ..shown(freeze) })
            .collect()
    };
    Ok(FreezesResponse { freezes })
}

/// The caller's word that it may go on; with that of another person it is over.
///
/// # Errors
/// `denied` for whoever may not thaw, `not_found`, `conflict` if things kept changing.
pub async fn thaw(app: &App, caller: &Caller, id: &str, asked: ThawRequest) -> Result<FreezeBody, Refusal> {
    refuse::unless_allowed(app, caller).await?;
    let caller = &caller.known(app).await?;
    let id: FreezeId = id.parse().map_err(|_not_an_id| not_found())?;
    for _ in 0..TRIES {
        let freezes = app.store.freezes().await?;
        let now = app.clock.now();
        may_thaw(app, caller, &freezes.all).await?;
        let freeze = freezes.all.iter().find(|freeze| freeze.id == id).ok_or_else(not_found)?;
        let by = caller.session.identity.clone();
        let word = Thaw { by, at: now, source: caller.origin.source, reason: Some(asked.reason.clone()) };
        let mut words = still_counting(app, freeze, &freezes.all).await?;
        words.push(word.clone());
        let lifted = policy::thawed(&words, now);
        if !lifted && freeze.thaws.iter().any(|before| counts_again(before, &word, now)) {
            return Ok(shown(freeze));
        }
        let event = RevocationEvent::Thawed {
            actor: Actor::from(&word.by),
            session: &caller.session.id,
            id: &id,
            lifted,
            reason: word.reason.as_ref().map(policy::Reason::as_str),
            source: word.source,
        };
        let entry = Entry::new(app.clock.now_ms(), &caller.origin.request_id, &event).map_err(Refusal::internal)?;
        let mut after = freeze.clone();
        after.thaws.push(word.clone());
        fault::point("thaw.decided");
        if app.store.thaw(&id, freezes.version, word, lifted, entry).await? == Stepped::Yes {
            fault::point("thaw.recorded");
            return Ok(FreezeBody { thawed: lifted, ..shown(&after) });
        }
    }
    Err(kept_changing())
}

/// Whether this word says no more than one that still counts: by the same account, not long ago.
fn counts_again(before: &Thaw, word: &Thaw, now: policy::UnixTime) -> bool {
    let same = (&before.by.issuer, &before.by.subject) == (&word.by.issuer, &word.by.subject);
    same && now.since(before.at) < Freeze::TOGETHER.as_secs()
}

async fn may_thaw(app: &App, caller: &Caller, freezes: &[Freeze]) -> Result<(), Refusal> {
    let (identity, source) = (&caller.session.identity, caller.origin.source);
    let now = moment(app.clock.now(), &app.zone);
    let policies = app.policies.current();
    let may_not = match policy::may_thaw(&policies.policies, freezes, identity, source, now) {
        Err(may_not) => may_not,
        Ok(()) if administers(app, caller).await? => return Ok(()),
        Ok(()) => MayNotThaw::NoPolicy,
    };
    let code = if may_not == MayNotThaw::Frozen { Code::Frozen } else { Code::Denied };
    let refusal = Refusal::new(code, may_not.to_string()).hint("two people whom policy lets administer thaw together");
    Err(noted(app, caller, "thaw", refusal).await)
}

/// The words of whoever may still thaw today: as they were last learnt to be, in the circumstances of their word.
async fn still_counting(app: &App, freeze: &Freeze, freezes: &[Freeze]) -> Result<Vec<Thaw>, Refusal> {
    let policies = app.policies.current();
    let mut words = Vec::new();
    for word in &freeze.thaws {
        let mut word = word.clone();
        if let Some(latest) = app.store.latest_identity(&word.by.issuer, &word.by.subject).await? {
            word.by = word.by.learnt(&latest);
        }
        let then = moment(word.at, &app.zone);
        if policy::may_thaw(&policies.policies, freezes, &word.by, word.source, then).is_ok() {
            words.push(word);
        }
    }
    Ok(words)
}

/// What is meant, and the certificates that this stops from being renewed.
async fn find(app: &App, scope: &FreezeScope) -> Result<(Frozen, Selection), Refusal> {
    let (whose, kind) = match scope {
        FreezeScope::Everything => return Ok((Frozen::Everything, Selection::All)),
        FreezeScope::Host(named) => {
            let loaded = app.policies.current();
            let host = loaded.policies.inventory().host(named).ok_or_else(|| {
                Refusal::new(Code::NotFound, "there is no such host; nothing was changed")
                    .hint("name it as hosts.toml of the policy directory does")
            })?;
            let opening = loaded.policies.inventory().opening(host).map(|host| host.name().clone()).collect();
            return Ok((Frozen::Host { host: host.name().clone() }, Selection::Hosts(opening)));
        }
        FreezeScope::User(whose) => (whose, Kind::User),
        FreezeScope::Workload(whose) => (whose, Kind::Workload),
    };
    let accounts = accounts(app, whose).await?;
    if accounts.len() > Frozen::MOST_ALSO {
        return Err(Refusal::new(
            Code::Conflict,
            "they have more accounts than one freeze can name; nothing was changed",
        )
        .hint("freeze everything, or revoke everything of the issuer: `jit-ssh revoke --all-of-issuer`"));
    }
    let Some(first) = accounts.iter().find(|one| one.kind == kind) else {
        return Err(Refusal::new(Code::NotFound, "whoever has that name is of the other kind; nothing was changed")
            .hint("`--user` is for people, `--workload` for machines"));
    };
    let holders = accounts.iter().map(|one| (one.issuer.clone(), one.subject.clone())).collect();
    Ok((Frozen::holder(first, &accounts), Selection::Holders(holders)))
}

fn shown(freeze: &Freeze) -> FreezeBody {
    FreezeBody {
        id: freeze.id.clone(),
        frozen: freeze.what.clone(),
        at: freeze.at,
        by: Some(freeze.by.name().to_owned()),
        reason: Some(freeze.reason.clone()),
        thawed_by: freeze.thaws.iter().map(|word| word.by.name().to_owned()).collect(),
        thawed: false,
        live: None,
        last_expiry: None,
    }
}

fn not_found() -> Refusal {
    Refusal::new(Code::NotFound, "there is no such freeze in force").hint("`jit-ssh freezes` lists them")
}

fn kept_changing() -> Refusal {
    Refusal::new(Code::Conflict, "others kept freezing and thawing meanwhile").hint("look again: `jit-ssh freezes`")
}
