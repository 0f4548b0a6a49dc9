//! Grants that ended before their certificates run out: somebody denied them, security took them, they were given back
//! elsewhere. Hosts learn it from the list of revoked certificates; what this machine holds of them goes when it hears.

use crate::{
    agent::{Agent, AgentError},
    ca_client::CaClient,
    clock,
    error::{Exit, Failure},
    issuance::Ready,
    screen,
    state::{
        StateDir,
        certs::{Certs, Entry},
        session::Session,
    },
    terminal,
};
use api::{Code, RequestBody};
use policy::{GrantId, Over, Stage};
use std::{collections::BTreeSet, time::Duration};

/// A live certificate whose grant is over.
pub struct Ended {
    /// The certificate.
    pub entry: Entry,
    /// How its grant ended, in words that are others' too.
    pub how: String,
    /// Where that leaves the certificate.
    pub left: Left,
}

/// Where a certificate is after its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// Nowhere here: the agent has let go of it.
    Gone,
    /// Still in the agent.
    InAgent,
    /// In the agent of another session, perhaps: here is none.
    NoAgent,
}

/// Takes out of the agent and the directory what `requests`, as the CA tells them, say is over. Without an agent the files
/// stay: they are how the next one that has an agent finds it.
pub fn learn(certs: &Certs, session: &Session, requests: &[RequestBody]) -> Vec<Ended> {
    learn_with(Agent::connect, certs, session, requests)
}

fn learn_with(
    connect: impl FnOnce() -> Result<Agent, AgentError>,
    certs: &Certs,
    session: &Session,
    requests: &[RequestBody],
) -> Vec<Ended> {
    let mut ended = Vec::new();
    for (entry, _) in certs.all().into_iter().filter(|(entry, _)| !entry.is_over(clock::now())) {
        let of_it = |request: &&RequestBody| request.id.as_ref() == Some(&entry.grant.request());
        if let Some(how) = requests.iter().find(of_it).and_then(for_good) {
            ended.push(Ended { entry, how, left: Left::NoAgent });
        }
    }
    if let Some(mut agent) = (!ended.is_empty()).then(connect).and_then(Result::ok) {
        let grants = ended.iter().map(|ended| ended.entry.grant.clone()).collect();
        let gone = discard_all(&mut agent, session, &grants).is_ok();
        if gone {
            // Files that stay are of no use to anybody: ssh finds no private half to them.
            drop(forget(certs, &grants));
        }
        ended.iter_mut().for_each(|ended| ended.left = if gone { Left::Gone } else { Left::InAgent });
    }
    ended
}

/// As [`learn`], for verbs that are about something else: told in a line each.
///
/// # Errors
/// If the state directory cannot be used.
pub fn learn_aside(session: &Session, requests: &[RequestBody]) -> Result<(), Failure> {
    let certs = Certs::open(&StateDir::open()?)?;
    learn(&certs, session, requests).iter().for_each(|ended| terminal::say(&format!("jit-ssh: {}", line(ended))));
    Ok(())
}

/// What is said of it.
pub fn line(ended: &Ended) -> String {
    let Ended { entry, how, left } = ended;
    let left = match left {
        Left::Gone => "removed from the agent",
        Left::InAgent => "STILL IN THE AGENT: jit-ssh logout",
        Left::NoAgent => "no agent here to take it out of",
    };
    terminal::plain(&format!("{} is over: {how} ({left})", entry.target)).into_owned()
}

/// Why there is nothing more under the grant of `entry`, if somebody ended it; what is left of it here goes.
pub fn why(ca: &CaClient, session: &Session, certs: &Certs, entry: &Entry) -> Option<String> {
    let request = ca.request(session, &entry.grant.request()).ok()?.body;
    let how = for_good(&request)?;
    // What cannot be removed is as useless as before: the refusal is told all the same.
    drop(remove(certs, session, &BTreeSet::from([entry.grant.clone()])));
    Some(format!("{} for {} is over: {how}", entry.grant.request(), entry.target))
}

/// Whether the grant of a kept certificate has ended meanwhile, where the CA says so at once. One of standing access is
/// found out as such, and asked about no more.
///
/// It spares a riddle, and opens nothing: whatever fails here, on this machine too, does not say, and ssh goes on.
pub fn meanwhile(state: &StateDir, ready: &Ready) -> bool {
    ready.kept && !ready.entry.standing && said_meanwhile(state, ready).unwrap_or(false)
}

fn said_meanwhile(state: &StateDir, ready: &Ready) -> Result<bool, Failure> {
    /// Who connects does not want to wait for it.
    const PATIENCE: Duration = Duration::from_millis(700);
    let certs = Certs::open(state)?;
    let Some(session) = Session::load(state)? else { return Ok(false) };
    let ca = CaClient::for_session(&session)?;
    match ca.request_within(&session, &ready.entry.grant.request(), PATIENCE) {
        Ok(seen) => {
            let ended = learn(&certs, &session, &[seen.body]);
            ended.iter().for_each(|ended| terminal::say(&format!("jit-ssh: {}", line(ended))));
            return Ok(!ended.is_empty());
        }
        Err(no) if no.refusal.as_ref().is_some_and(|detail| detail.code == Code::NotFound) => {
            certs.mark_standing(&ready.entry)?;
        }
        Err(no) if no.exit == Exit::NeedsLogin => {
            terminal::say(&format!("jit-ssh: {}; if the host refuses: jit-ssh login", terminal::plain(&no.message)));
        }
        Err(_does_not_say) => {}
    }
    Ok(false)
}

/// Out of agent and directory: all of `grants`; how many the agent held. Without an agent, out of the directory.
///
/// # Errors
/// If the agent keeps one, or a file stays.
pub fn remove(certs: &Certs, session: &Session, grants: &BTreeSet<GrantId>) -> Result<usize, Failure> {
    let ours = match Agent::connect() {
        Ok(mut agent) => discard_all(&mut agent, session, grants)?,
        Err(_no_agent) => 0,
    };
    forget(certs, grants)?;
    Ok(ours)
}

fn discard_all(agent: &mut Agent, session: &Session, grants: &BTreeSet<GrantId>) -> Result<usize, Failure> {
    let mut ours = agent.ours(&session.user_ca)?;
    ours.retain(|entry| grants.contains(&entry.grant));
    ours.iter().try_for_each(|entry| discard(agent, &entry.blob))?;
    Ok(ours.len())
}

fn forget(certs: &Certs, grants: &BTreeSet<GrantId>) -> Result<(), Failure> {
    let all = certs.all().into_iter().filter(|(entry, _)| grants.contains(&entry.grant));
    all.map(|(entry, _)| entry).try_for_each(|entry| certs.forget(&entry))
}

/// Another process may have been quicker, or the agent itself.
fn discard(agent: &mut Agent, blob: &[u8]) -> Result<(), Failure> {
    match agent.remove(blob) {
        Err(refused) if agent.holds(blob)? => Err(refused.into()),
        _gone => Ok(()),
    }
}

/// The end that somebody made, which nothing turns back. What time or policy end is theirs to turn back, and its
/// certificates are not revoked.
fn for_good(request: &RequestBody) -> Option<String> {
    let Stage::Over { how } = request.stage else { return None };
    matches!(how, Over::Denied | Over::Cancelled | Over::Done | Over::Revoked).then(|| screen::ending(request, how))
}

#[cfg(test)]
mod tests;
