//! From a target to a certificate that is ready for ssh: kept one if fresh, else a new one, checked, into the agent.

mod ask;
mod under;

pub use ask::{Issued, Names, issue};

use crate::{
    agent::{self, Agent, Ours},
    ca_client::CaClient,
    certificate, clock,
    error::{Exit, Failure},
    keys::UserKey,
    state::{
        StateDir,
        certs::{Certs, Entry},
        session::Session,
    },
    terminal,
};
use policy::{Reason, RequestId, Seconds, Target, Ticket, UnixTime};
use std::path::PathBuf;

/// What is said beside the target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// For how long.
    pub duration: Option<Seconds>,
    /// Why.
    pub reason: Option<Reason>,
    /// Under which ticket.
    pub ticket: Option<Ticket>,
    /// Under this approved request, which says all of the above.
    pub request: Option<RequestId>,
}

/// A certificate in the agent.
pub struct Ready {
    /// What is known of it; names the host as the inventory does.
    pub entry: Entry,
    /// Its text.
    pub certificate: String,
    /// Where it lies, for ssh.
    pub path: PathBuf,
    /// Whether it was there before.
    pub kept: bool,
}

/// Sees to it that the agent holds a live certificate for `target`. With a fresh one there is no network, no lock and
/// no need of a login session.
///
/// # Errors
/// If policy says no, nobody is logged in, or the agent cannot hold it.
pub fn ensure(state: &StateDir, asked: &Target, wish: &Wish, renew: bool) -> Result<Ready, Failure> {
    let certs = Certs::open(state)?;
    let known = certs.canonical(asked);
    if !renew && let Some(ready) = held(&certs, &known, wish, Entry::is_fresh)? {
        return Ok(ready);
    }
    let session = Session::live(state)?;
    let mut agent = Agent::connect()?;
    let before = certs.unanswered(&known);
    let _lock = certs.lock(&known)?;
    // Whoever held the lock may have done it for us, or have learnt what the host is called, or have waited in vain.
    let names = Names { asked: asked.clone(), known: certs.canonical(asked) };
    if !renew && let Some(ready) = held(&certs, &names.known, wish, Entry::is_fresh)? {
        return Ok(ready);
    }
    let done = match certs.unanswered(&known).filter(|attempt| before.as_ref() != Some(attempt)) {
        Some(in_vain) => Err(in_vain.into()),
        None => under::granted(&certs, &session, &mut agent, &names, wish, renew),
    };
    match done {
        Err(failure) if failure.exit == Exit::Unreachable => {
            certs.keep_unanswered(&known, &failure)?;
            // The CA is away, but what we hold lives a little longer.
            let held = if renew { None } else { held(&certs, &names.known, wish, |entry, now| !entry.is_over(now))? };
            held.ok_or(failure)
        }
        done => done,
    }
}

fn renewed(
    certs: &Certs,
    session: &Session,
    agent: &mut Agent,
    names: &Names,
    wish: &Wish,
    renew: bool,
) -> Result<Ready, Failure> {
    let key = UserKey::fresh()?;
    let issued = {
        let _waiting = terminal::Waiting::on(&format!("asking {} for a certificate", session.server));
        issue(
            &CaClient::for_session(session)?,
            session,
            names,
            key.public(),
            &key.public_line()?,
            || key.proof(&session.audience, &session.session).map(Some),
            wish,
        )?
    };
    keep(certs, session, agent, &names.asked, issued, &key, if renew { None } else { Some(wish) })
}

/// Into the agent and the directory. Where it was asked for by another name meanwhile, and that one serves `wish`, it
/// stays and ours is let go: ssh may be about to use it.
fn keep(
    certs: &Certs,
    session: &Session,
    agent: &mut Agent,
    asked: &Target,
    issued: Issued,
    key: &UserKey,
    wish: Option<&Wish>,
) -> Result<Ready, Failure> {
    let target = issued.entry.target.clone();
    let _kept = certs.lock_kept(&target)?;
    certs.learn_alias(asked, &target)?;
    if let Some(wish) = wish
        && let Some(theirs) = held(certs, &target, wish, Entry::is_fresh)?
    {
        return Ok(theirs);
    }
    hand_over(agent, session, &issued, key)?;
    certs.save(&issued.entry, &issued.text)?;
    Ok(Ready { path: certs.path(&target), entry: issued.entry, certificate: issued.text, kept: false })
}

/// The certificate we have, if it is still good enough and the agent really holds it. A wish that differs from what it
/// was issued for (another ticket, another duration) wants a new one.
fn held(
    certs: &Certs,
    target: &Target,
    wish: &Wish,
    good: impl FnOnce(&Entry, UnixTime) -> bool,
) -> Result<Option<Ready>, Failure> {
    let Some((entry, text)) = certs.load(target) else { return Ok(None) };
    if !suits(wish, &entry) || !good(&entry, clock::now()) {
        return Ok(None);
    }
    let Some(blob) = certificate::parse(&text).and_then(|certificate| certificate.to_bytes().ok()) else {
        return Ok(None);
    };
    let path = certs.path(target);
    Ok(Agent::connect()?.holds(&blob)?.then_some(Ready { entry, certificate: text, path, kept: true }))
}

fn suits(wish: &Wish, entry: &Entry) -> bool {
    (wish.request.is_none() || wish.request == entry.request)
        && (wish.duration.is_none() || wish.duration == entry.duration)
        && (wish.reason.is_none() || wish.reason == entry.reason)
        && (wish.ticket.is_none() || wish.ticket == entry.ticket)
}

/// A renewal says again why, as long as the grant it was said for lives, and never asks beyond that grant's end.
pub fn with_former(certs: &Certs, target: &Target, wish: &Wish) -> Wish {
    let former = certs.load(target).map(|(entry, _)| entry).filter(|entry| {
        entry.duration.is_some() || entry.reason.is_some() || entry.ticket.is_some() || entry.request.is_some()
    });
    let Some(former) = former.filter(|_| *wish == Wish::default()) else { return wish.clone() };
    if former.request.is_some() {
        return Wish { request: former.request, ..Wish::default() };
    }
    let left = u32::try_from(former.grant_left(clock::now())).unwrap_or(u32::MAX);
    if left == 0 {
        return wish.clone();
    }
    Wish { duration: Some(Seconds::new(left)), reason: former.reason, ticket: former.ticket, request: None }
}

/// Into the agent, for exactly as long as it lives; then our former entry for the target goes, and our expired ones. In
/// this order there is no moment without one.
fn hand_over(agent: &mut Agent, session: &Session, issued: &Issued, key: &UserKey) -> Result<(), Failure> {
    let entry = &issued.entry;
    let target = &entry.target;
    let server_now = clock::shifted(clock::now(), entry.clock_offset_ms);
    let mut former = agent.ours(&session.user_ca)?;
    former.retain(|old| old.target == *target || old.expires <= server_now);
    let life = u32::try_from(entry.expires.since(entry.issued)).unwrap_or(u32::MAX);
    agent.add(&issued.certificate, key, &agent::comment(&entry.grant, target, entry.expires), life)?;
    former.iter().try_for_each(|old| discard(agent, old, target))
}

/// Another process may have been quicker, or the agent itself; and what is another target's is not ours to fail over.
fn discard(agent: &mut Agent, old: &Ours, target: &Target) -> Result<(), Failure> {
    match agent.remove(&old.blob) {
        Err(refused) if old.target == *target && agent.holds(&old.blob)? => Err(refused.into()),
        _gone_or_not_this_targets => Ok(()),
    }
}

#[cfg(test)]
mod tests;
