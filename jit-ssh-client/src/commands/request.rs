//! `jit-ssh request`: asks for access, in words that others decide on.

use super::Globals;
use crate::{
    access,
    ca_client::{CaClient, Tagged},
    cli, clock,
    error::{Failure, unmet_sentence},
    issuance::Wish,
    screen,
    state::session::Session,
    terminal, words,
};
use api::{FileRequest, RequestBody};
use policy::{Stage, UnixTime, Unmet};

/// Files it, or says what would come of it.
///
/// # Errors
/// If policy says no whoever approves; with `--wait` also if people do.
pub fn run(globals: &Globals, args: &cli::RequestAccess) -> Result<(), Failure> {
    let targets = args.targets.iter().map(|text| cli::target(text)).collect::<Result<Vec<_>, _>>()?;
    let (ca, session) = globals.signed_in()?;
    let asked = FileRequest {
        start: args.start.map(|start| start.0),
        under: args.under.clone(),
        dry_run: args.dry_run,
        ..access::asking_for(targets, args.why.wish())
    };
    if args.dry_run {
        let (body, missing) = would_be(&ca, &session, &asked, &args.why.wish())?;
        return told_dry(globals, &session, &body, &missing);
    }
    let filed = ca.file(&session, &asked)?;
    told(globals, &ca, &session, filed, args.wait)
}

/// Says that it is filed, and with `wait` how it went.
///
/// # Errors
/// If people say no, or nobody wants to wait.
pub fn told(
    globals: &Globals,
    ca: &CaClient,
    session: &Session,
    filed: RequestBody,
    wait: bool,
) -> Result<(), Failure> {
    let Some(id) = filed.id.clone() else { return Err(Failure::failed("the server gave the request no id")) };
    let now = now(session);
    let pending = matches!(filed.stage, Stage::Pending { .. });
    if !globals.json {
        terminal::print(&format!("{}  {}", terminal::bold(id.as_str()), screen::stage(&filed.stage, now)));
        if let Stage::Pending { needs, .. } = &filed.stage {
            needs.iter().for_each(|need| terminal::say(&format!("  {}", screen::lacking(need))));
            // In words of its own, for whoever meant another time zone.
            let begins = filed.start.map(|start| screen::instant(start, now));
            begins.iter().for_each(|at| terminal::say(&format!("  it begins at {at}")));
        }
    }
    let body = if wait {
        let next = format!("it stays filed: jit-ssh show {id}; take it back: jit-ssh cancel {id}");
        let Tagged { body, .. } = access::wait(ca, session, &id, &next)?;
        if !globals.json && pending {
            let now = self::now(session);
            terminal::print(&format!("{} {id} {}", terminal::green("ok"), screen::stage(&body.stage, now)));
        }
        body
    } else {
        filed
    };
    if globals.json { print_json(&body) } else { Ok(()) }
}

/// What would come of it, and of which terms something is missing: then as if it had been said. That is an answer too.
fn would_be(
    ca: &CaClient,
    session: &Session,
    asked: &FileRequest,
    wish: &Wish,
) -> Result<(RequestBody, Vec<Unmet>), Failure> {
    /// A reason, a ticket, less time: there is no more to say.
    const TERMS: usize = 3;
    let (mut asked, mut missing) = (asked.clone(), Vec::new());
    for _ in 0..=TERMS {
        let no = match ca.file(session, &asked) {
            Ok(body) => {
                return Ok((RequestBody { reason: wish.reason.clone(), ticket: wish.ticket.clone(), ..body }, missing));
            }
            Err(no) => no,
        };
        let Some(decision) = no.decision().filter(|decision| !decision.unmet.is_empty()) else { return Err(no) };
        missing.extend(decision.unmet.iter().filter(|unmet| !missing.contains(unmet)).cloned().collect::<Vec<_>>());
        match words::least(decision) {
            Some(wants) => {
                let said = wants.said(&Wish { reason: asked.reason, ticket: asked.ticket, ..Wish::default() });
                (asked.reason, asked.ticket) = (said.reason, said.ticket);
            }
            None => asked.duration = None,
        }
    }
    Err(Failure::failed("the server does not say what this request lacks"))
}

fn told_dry(globals: &Globals, session: &Session, body: &RequestBody, missing: &[Unmet]) -> Result<(), Failure> {
    if globals.json {
        let mut value = serde_json::to_value(body).map_err(|_unwritable| unwritable())?;
        if let Some(object) = value.as_object_mut() {
            object.insert("missing".to_owned(), serde_json::to_value(missing).map_err(|_unwritable| unwritable())?);
        }
        terminal::print_json(&value);
        return Ok(());
    }
    screen::full(body, now(session)).iter().for_each(|line| terminal::print(line));
    // What would do too and wants more stands among the offers.
    let elsewhere = |unmet: &&Unmet| !body.offers.iter().any(|offer| offer.unmet.contains(unmet));
    for unmet in missing.iter().filter(elsewhere) {
        terminal::print(&screen::row("missing", unmet_sentence(unmet)));
    }
    Ok(())
}

fn unwritable() -> Failure {
    Failure::failed("the answer cannot be written")
}

/// The server's clock, as far as we know.
pub fn now(session: &Session) -> UnixTime {
    clock::shifted(clock::now(), session.clock_offset_ms)
}

/// As the server sent it.
///
/// # Errors
/// If it cannot be written.
pub fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let value = serde_json::to_value(value).map_err(|_unwritable| unwritable())?;
    terminal::print_json(&value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ca_client::tests::{answer_with, serving, session},
        screen::tests::request,
    };
    use serde_json::json;

    fn lacks(unmet: &serde_json::Value) -> String {
        let decision = json!({ "outcome": "denied", "policies": [], "cause": "terms-unmet", "unmet": unmet });
        let error = json!({ "error": { "code": "denied", "message": "no", "decision": decision } });
        answer_with("403 x", "", &error.to_string())
    }

    /// One policy wants a reason and a ticket, the other less time.
    #[test]
    fn what_a_dry_run_lacks_is_an_answer() {
        let would = answer_with("200 OK", "", &serde_json::to_string(&request("to be said")).unwrap());
        let ticket = json!({ "policy": "db/two", "term": "ticket" });
        let most = json!({ "policy": "db/lead", "term": { "duration": "1h" } });
        for (terms, said) in [
            (json!([{ "policy": "db/two", "term": "reason" }, ticket, most]), &["\"reason\"", "\"ticket\"", "8h"][..]),
            (json!([most]), &[]),
        ] {
            let (server, heard) = serving(vec![lacks(&terms), would.clone()]);
            let (session, _key) = session(&server);
            let wish = Wish { duration: Some("8h".parse().unwrap()), ..Wish::default() };
            let asked = FileRequest { dry_run: true, ..access::asking_for(Vec::new(), wish.clone()) };
            let ca = CaClient::new(server, None).unwrap();
            let (body, missing) = would_be(&ca, &session, &asked, &wish).unwrap();
            assert_eq!((body.reason, body.ticket), (None, None), "nobody said that");
            assert_eq!(json!(missing), terms);
            let again = heard.join().unwrap().remove(1);
            assert!(said.iter().all(|word| again.contains(word)) && again.contains("\"dry_run\":true"), "{again}");
            assert_eq!(again.contains("duration"), !said.is_empty(), "{again}");
        }
    }
}
