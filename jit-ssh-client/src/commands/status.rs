//! `jit-ssh status`: who, until when, which certificates, against which CA.

use super::{Globals, freezes};
use crate::{
    access,
    agent::Agent,
    ca_client::{CaClient, View},
    certificate, cli, clock,
    error::Failure,
    screen,
    state::{
        StateDir,
        certs::{Certs, Entry},
        session::Session,
    },
    terminal,
};
use api::{FreezeBody, RequestBody};
use serde_json::json;
use std::time::Duration;

/// Requests that concern the caller: one's own that are not over, and those that wait for one's word.
struct Open {
    mine: Vec<RequestBody>,
    review: Vec<RequestBody>,
    /// Emergency access that nobody has reviewed: one's own, and what one may review.
    unreviewed: Vec<RequestBody>,
    /// Freezes that stop them.
    freezes: Vec<FreezeBody>,
}

/// Shows it. Requests are shown where the server answers at once; only `--check` insists that it does.
///
/// # Errors
/// If nobody is logged in: exit code 4.
pub fn run(globals: &Globals, args: &cli::Status) -> Result<(), Failure> {
    let state = StateDir::open()?;
    let session = globals.session(&state)?;
    if args.check {
        CaClient::for_session(&session)?.session(&session)?;
    }
    let held: Vec<Vec<u8>> = Agent::connect()
        .and_then(|mut agent| agent.list())
        .map(|list| list.into_iter().map(|listed| listed.blob).collect())
        .unwrap_or_default();
    let is_held = |text: &str| {
        let blob = certificate::parse(text).and_then(|certificate| certificate.to_bytes().ok());
        blob.is_some_and(|blob| held.contains(&blob))
    };
    let certificates: Vec<(Entry, bool)> = Certs::open(&state)?
        .all()
        .into_iter()
        .filter(|(entry, _)| !entry.is_over(clock::now()))
        .map(|(entry, text)| (entry, is_held(&text)))
        .collect();
    let open = if args.offline { None } else { open(&session) };
    if globals.json {
        print_json(&session, &certificates, open.as_ref());
    } else {
        print(&session, &certificates);
        if let Some(open) = &open {
            print_requests(&session, open);
        } else if !args.offline {
            terminal::say("requests: the server does not answer");
        }
    }
    Ok(())
}

fn open(session: &Session) -> Option<Open> {
    /// Who asks for the status does not want to wait for it.
    const PATIENCE: Duration = Duration::from_secs(3);
    const MOST: usize = 50;
    let ca = CaClient::for_session(session).ok()?;
    let mut mine = ca.requests(session, View::Mine, MOST, Some(PATIENCE)).ok()?.requests;
    mine.retain(|request| access::is_open(&request.stage));
    let review = ca.requests(session, View::Review, MOST, Some(PATIENCE)).ok()?.requests;
    let freezes = ca.freezes(session, Some(PATIENCE)).ok()?.freezes;
    // A server from before there was any knows nothing of it.
    let unreviewed = ca.requests(session, View::Unreviewed, MOST, Some(PATIENCE));
    Some(Open { mine, review, unreviewed: unreviewed.map(|page| page.requests).unwrap_or_default(), freezes })
}

fn print_requests(session: &Session, open: &Open) {
    let now = clock::shifted(clock::now(), session.clock_offset_ms);
    for freeze in &open.freezes {
        terminal::print(&format!("{}: {}", terminal::red("frozen"), freezes::line(freeze)));
    }
    let (theirs, own): (Vec<_>, Vec<_>) = open.unreviewed.iter().cloned().partition(|request| request.may_review);
    for (title, requests) in [
        ("your requests", &open.mine),
        ("waiting for you: jit-ssh review", &open.review),
        ("you broke the glass, and somebody else must review it", &own),
        ("others broke the glass, for you to review: jit-ssh review", &theirs),
    ] {
        if requests.is_empty() {
            continue;
        }
        terminal::print(title);
        for request in requests {
            let [id, stage, who, targets, duration, _] = screen::brief(request, now);
            let line = format!("  {id}  {who}: {targets} for {duration}, {stage}");
            terminal::print(&terminal::plain(&line));
        }
    }
}

fn print_json(session: &Session, certificates: &[(Entry, bool)], open: Option<&Open>) {
    let certificates: Vec<_> = certificates
        .iter()
        .map(|(entry, held)| {
            json!({ "target": entry.target, "serial": entry.serial, "grant": entry.grant, "policy": entry.policy,
                    "expires": entry.expires, "until": entry.until, "in_agent": held })
        })
        .collect();
    terminal::print_json(&json!({
        "server": session.server,
        "session": session.session,
        "identity": session.identity,
        "expires": session.expires,
        "idle_seconds": session.idle_seconds,
        "user_ca": session.user_ca,
        "certificates": certificates,
        "freezes": open.map(|open| &open.freezes),
        "requests": open.map(|open| json!({
            "mine": open.mine, "review": open.review, "unreviewed": open.unreviewed,
        })),
    }));
}

fn print(session: &Session, certificates: &[(Entry, bool)]) {
    let identity = &session.identity;
    let name = identity.email.as_ref().map_or(identity.subject.as_str(), |email| email.as_str());
    let now = clock::at_server(session.clock_offset_ms);
    let factors = if identity.mfa { ", more than one factor" } else { "" };
    terminal::print(&format!("{} at {}{factors}", terminal::bold(&terminal::plain(name)), session.server));
    let groups: Vec<&str> = identity.groups.iter().map(policy::Group::as_str).collect();
    if !groups.is_empty() {
        terminal::print(&format!("  groups: {}", terminal::plain(&groups.join(", "))));
    }
    let (until, left) = (clock::rfc3339(session.expires), clock::left(now, session.expires));
    terminal::print(&format!("  login session {} until {until} ({left} left)", session.session));
    if certificates.is_empty() {
        terminal::print("no live certificates");
    }
    for (entry, held) in certificates {
        let place = if *held { "in the agent" } else { "not in the agent" };
        let left = clock::left(clock::shifted(clock::now(), entry.clock_offset_ms), entry.expires);
        let line = format!(
            "{}  {left} left, grant until {}, policy {}, {place}",
            entry.target,
            clock::rfc3339(entry.until),
            entry.policy
        );
        terminal::print(&line);
    }
}
