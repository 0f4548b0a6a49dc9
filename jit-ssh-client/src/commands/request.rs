//! `jit-ssh request`: asks for access, in words that others decide on.

use super::Globals;
use crate::{
    access,
    ca_client::{CaClient, Tagged},
    cli, clock,
    error::{Exit, Failure, unmet_sentence},
    issuance::Wish,
    screen,
    state::session::Session,
    terminal,
    words::{self, Wants},
};
use api::{Code, FileRequest, RequestBody};
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
        let Would { body, missing, .. } = would_be(&ca, &session, &asked, &args.why.wish())?;
        return told_dry(globals, &session, &body, &missing);
    }
    let filed = ca.file(&session, &asked).map_err(|no| unsaid(&ca, &session, &asked, &args.why.wish(), no))?;
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
    access::warn(ca, session, &filed);
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

/// What would come of a request once everything that it lacks is said.
struct Would {
    body: RequestBody,
    missing: Vec<Unmet>,
    /// The words among what is missing.
    wants: Wants,
    /// Whether it would have to be for less time.
    too_long: bool,
}

/// What would come of it, and of which terms something is missing: then as if it had been said. That is an answer too.
fn would_be(ca: &CaClient, session: &Session, asked: &FileRequest, wish: &Wish) -> Result<Would, Failure> {
    /// A reason, a ticket, less time: there is no more to say.
    const TERMS: usize = 3;
    let mut asked = asked.clone();
    let (mut missing, mut wants, mut too_long) = (Vec::new(), Wants::default(), false);
    for _ in 0..=TERMS {
        let no = match ca.file(session, &asked) {
            Ok(body) => {
                let body = RequestBody { reason: wish.reason.clone(), ticket: wish.ticket.clone(), ..body };
                return Ok(Would { body, missing, wants, too_long });
            }
            Err(no) => no,
        };
        let Some(decision) = no.decision().filter(|decision| !decision.unmet.is_empty()) else { return Err(no) };
        missing.extend(decision.unmet.iter().filter(|unmet| !missing.contains(unmet)).cloned().collect::<Vec<_>>());
        match words::least(decision) {
            Some(more) => {
                let said = more.said(&Wish { reason: asked.reason, ticket: asked.ticket, ..Wish::default() });
                (asked.reason, asked.ticket) = (said.reason, said.ticket);
                wants = wants.and(more);
            }
            None => (asked.duration, too_long) = (None, true),
        }
    }
    Err(Failure::failed("the server does not say what this request lacks"))
}

/// `no`, as `jit-ssh ssh` says it: where words are all that is missing, the command to type; where people must approve then,
/// that they must.
fn unsaid(ca: &CaClient, session: &Session, asked: &FileRequest, wish: &Wish, mut no: Failure) -> Failure {
    if no.decision().is_none_or(|decision| decision.unmet.is_empty()) {
        return no;
    }
    let dry = FileRequest { dry_run: true, ..asked.clone() };
    let Ok(Would { body, wants, too_long: false, .. }) = would_be(ca, session, &dry, wish) else { return no };
    let command = command(asked, &wants.flags_with(wish));
    if !matches!(body.stage, Stage::Pending { .. }) {
        return no.hint(format!("say it: {command}"));
    }
    if let Some(detail) = &mut no.refusal {
        detail.code = Code::NeedsApproval;
        if let Some(decision) = &mut detail.decision {
            decision.approver_groups = body.offers.into_iter().flat_map(|offer| offer.approver_groups).collect();
            decision.approver_groups.sort_unstable();
            decision.approver_groups.dedup();
        }
    }
    let message = wants.before_approval();
    Failure { exit: Exit::NeedsApproval, message, hint: Some(format!("ask for it: {command}")), ..no }
}

fn command(asked: &FileRequest, flags: &str) -> String {
    let targets: Vec<String> = asked.targets.iter().map(ToString::to_string).collect();
    let start = asked.start.map(|start| format!(" --start {}", clock::rfc3339(start))).unwrap_or_default();
    let under = asked.under.as_ref().map(|under| format!(" --under {under}")).unwrap_or_default();
    format!("jit-ssh request {}{flags}{start}{under}", targets.join(" "))
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
            let Would { body, missing, .. } = would_be(&ca, &session, &asked, &wish).unwrap();
            assert_eq!((body.reason, body.ticket), (None, None), "nobody said that");
            assert_eq!(json!(missing), terms);
            let again = heard.join().unwrap().remove(1);
            assert!(said.iter().all(|word| again.contains(word)) && again.contains("\"dry_run\":true"), "{again}");
            assert_eq!(again.contains("duration"), !said.is_empty(), "{again}");
        }
    }

    /// As `jit-ssh ssh` says it, with everything that was typed.
    #[test]
    fn a_request_that_lacks_words_is_told_like_a_connection_that_does() {
        let ticket = json!([{ "policy": "db/two", "term": "ticket" }]);
        let would = answer_with("200 OK", "", &serde_json::to_string(&request("x")).unwrap());
        let (server, _heard) = serving(vec![lacks(&ticket), lacks(&ticket), would]);
        let (session, _key) = session(&server);
        let ca = CaClient::new(server, None).unwrap();
        let said = Some("8h".parse().unwrap());
        let wish = Wish { duration: said, reason: Some("roll back".parse().unwrap()), ..Wish::default() };
        let targets = vec!["deploy@db-1".parse().unwrap(), "deploy@db-2".parse().unwrap()];
        let under = Some("db/two".parse().unwrap());
        let asked = FileRequest { under, ..access::asking_for(targets, wish.clone()) };
        let no = ca.file(&session, &asked).unwrap_err();
        let no = unsaid(&ca, &session, &asked, &wish, no);
        assert_eq!(no.exit, Exit::NeedsApproval);
        assert_eq!(no.message, "people must approve this before there is access, and it takes a ticket");
        let line = "jit-ssh request deploy@db-1 deploy@db-2 --for 8h --reason 'roll back' --ticket ID --under db/two";
        assert_eq!(no.hint.as_deref(), Some(format!("ask for it: {line}").as_str()));
        assert_eq!(no.decision().unwrap().approver_groups, ["leads", "security"]);
    }
}
