//! `jit-ssh status`: who, until when, which certificates, against which CA.

use super::{Globals, freezes};
use crate::{
    access,
    agent::Agent,
    ca_client::{CaClient, View},
    certificate, cli, clock,
    ended::{self, Ended, Left},
    error::{Exit, Failure},
    screen,
    state::{
        StateDir,
        certs::{Certs, Entry},
        session::Session,
    },
    terminal,
};
use api::{Code, FreezeBody, RequestBody};
use policy::RequestId;
use serde_json::json;
use std::time::{Duration, Instant};

/// Requests that concern the caller: one's own that are not over, and those that wait for one's word.
struct Open {
    mine: Vec<RequestBody>,
    /// One's own that are over, as far as certificates of them may still live.
    over: Vec<RequestBody>,
    review: Vec<RequestBody>,
    /// Emergency access that nobody has reviewed: one's own, and what one may review.
    unreviewed: Vec<RequestBody>,
    /// Freezes that stop them.
    freezes: Vec<FreezeBody>,
}

/// Shows it. Requests are shown where the server answers at once; only `--check` insists that it does.
///
/// # Errors
/// If nobody is logged in, here or by the server's word: exit code 4.
pub fn run(globals: &Globals, args: &cli::Status) -> Result<(), Failure> {
    let state = StateDir::open()?;
    let session = globals.session(&state)?;
    if args.check {
        CaClient::for_session(&session)?.session(&session)?;
    }
    let certs = Certs::open(&state)?;
    let open = (!args.offline).then(|| open(&session, &live(&certs)));
    let ended = match &open {
        Some(Ok(open)) => ended::learn(&certs, &session, &open.over),
        _ => Vec::new(),
    };
    let certificates = held(live(&certs));
    match open {
        // Whatever lies here, whose login session is over is not logged in.
        Some(Err(failure)) if failure.exit == Exit::NeedsLogin => {
            if !globals.json {
                print(&session, &certificates, &ended, Some("is over, the server says"));
            }
            Err(failure)
        }
        open if globals.json => {
            print_json(&session, &certificates, &ended, open.and_then(Result::ok).as_ref());
            Ok(())
        }
        open => {
            print(&session, &certificates, &ended, None);
            match open {
                Some(Ok(open)) => print_requests(&session, &open),
                Some(Err(failure)) => {
                    terminal::say(&format!("requests are not known: {}", terminal::plain(&failure.message)));
                }
                None => {}
            }
            Ok(())
        }
    }
}

/// What has not run out.
fn live(certs: &Certs) -> Vec<(Entry, String)> {
    certs.all().into_iter().filter(|(entry, _)| !entry.is_over(clock::now())).collect()
}

/// Whether the agent holds each.
fn held(certificates: Vec<(Entry, String)>) -> Vec<(Entry, bool)> {
    let listed = Agent::connect().and_then(|mut agent| agent.list()).unwrap_or_default();
    let is_held = |text: &str| {
        let blob = certificate::parse(text).and_then(|certificate| certificate.to_bytes().ok());
        blob.is_some_and(|blob| listed.iter().any(|listed| listed.blob == blob))
    };
    certificates.into_iter().map(|(entry, text)| (entry, is_held(&text))).collect()
}

fn open(session: &Session, live: &[(Entry, String)]) -> Result<Open, Failure> {
    /// Who asks for the status does not want to wait for it.
    const PATIENCE: Duration = Duration::from_secs(3);
    const MOST: usize = 50;
    let ca = CaClient::for_session(session)?;
    let mine = ca.requests(session, View::Mine, MOST, Some(PATIENCE))?;
    let (next, mine) = (mine.next, mine.requests);
    let listed = |id: &RequestId| mine.iter().any(|request| request.id.as_ref() == Some(id));
    let mut unlisted: Vec<RequestId> = live.iter().map(|(entry, _)| entry.grant.request()).collect();
    unlisted.retain(|id| next.is_some() && !listed(id));
    unlisted.truncate(MOST);
    let older = older(&ca, session, &unlisted, PATIENCE);
    let (mine, mut over): (Vec<_>, Vec<_>) = mine.into_iter().partition(|request| access::is_open(&request.stage));
    over.extend(older);
    let review = ca.requests(session, View::Review, MOST, Some(PATIENCE))?.requests;
    let freezes = ca.freezes(session, Some(PATIENCE))?.freezes;
    // A server from before there was any knows nothing of it.
    let unreviewed = ca.requests(session, View::Unreviewed, MOST, Some(PATIENCE));
    Ok(Open { mine, over, review, unreviewed: unreviewed.map(|page| page.requests).unwrap_or_default(), freezes })
}

/// The requests of these ids, as far as the server tells them before `patience` with all of them is over.
fn older(ca: &CaClient, session: &Session, ids: &[RequestId], patience: Duration) -> Vec<RequestBody> {
    let begun = Instant::now();
    let mut older = Vec::new();
    for id in ids {
        let left = patience.saturating_sub(begun.elapsed());
        if left.is_zero() {
            break;
        }
        match ca.request_within(session, id, left) {
            Ok(seen) => older.push(seen.body),
            // Of standing access there is no request.
            Err(no) if no.refusal.as_ref().is_some_and(|detail| detail.code == Code::NotFound) => {}
            // The next would be answered no better.
            Err(_does_not_say) => break,
        }
    }
    older
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

fn print_json(session: &Session, certificates: &[(Entry, bool)], ended: &[Ended], open: Option<&Open>) {
    let certificates: Vec<_> = certificates
        .iter()
        .map(|(entry, held)| {
            json!({ "target": entry.target, "serial": entry.serial, "grant": entry.grant, "policy": entry.policy,
                    "expires": entry.expires, "until": entry.until, "in_agent": held })
        })
        .collect();
    let ended: Vec<_> = ended
        .iter()
        .map(|Ended { entry, how, left }| {
            json!({ "target": entry.target, "serial": entry.serial, "grant": entry.grant, "how": how,
                    "removed": *left == Left::Gone })
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
        "ended": ended,
        "freezes": open.map(|open| &open.freezes),
        "requests": open.map(|open| json!({
            "mine": open.mine, "review": open.review, "unreviewed": open.unreviewed,
        })),
    }));
}

fn print(session: &Session, certificates: &[(Entry, bool)], ended: &[Ended], over: Option<&str>) {
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
    let until = over.map_or_else(|| format!("until {until} ({left} left)"), str::to_owned);
    terminal::print(&format!("  login session {} {until}", session.session));
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
    ended.iter().for_each(|ended| terminal::print(&ended::line(ended)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ca_client::tests::{answer_with, serving, session},
        screen::tests::request,
    };

    #[test]
    fn a_server_that_does_not_answer_is_not_asked_about_the_next() {
        let refused = |status: &str, code: &str| {
            answer_with(status, "", &format!("{{\"error\":{{\"code\":\"{code}\",\"message\":\"no\"}}}}"))
        };
        let told = || answer_with("200 OK", "ETag: \"2\"\r\n", &serde_json::to_string(&request("x")).unwrap());
        let (standing, away) = (|| refused("404 x", "not_found"), refused("503 x", "store_unavailable"));
        // The last answer is there for whoever asks after all.
        let (server, _heard) = serving(vec![standing(), told(), away, told()]);
        let (session, _key) = session(&server);
        let ca = CaClient::for_session(&session).unwrap();
        let ids: Vec<RequestId> = (0..4).map(|n| RequestId::from_random([n; 12])).collect();
        assert_eq!(older(&ca, &session, &ids, Duration::ZERO).len(), 0, "there is no time");
        assert_eq!(older(&ca, &session, &ids, Duration::from_secs(60)).len(), 1);
    }
}
