//! `jit-ssh done`: gives access back. Here at once, at the CA in the same breath.

use super::Globals;
use crate::{
    access,
    ca_client::CaClient,
    cli::{self, RequestRef},
    clock, ended,
    error::Failure,
    state::{StateDir, certs::Certs, session::Session},
    terminal,
};
use api::{Code, EndRequest, Receipt};
use policy::{EndReason, GrantId, RequestId};
use std::collections::BTreeSet;

/// Gives it back.
///
/// # Errors
/// If the CA cannot be told; what is on this machine is gone all the same.
pub fn run(globals: &Globals, args: &cli::Done) -> Result<(), Failure> {
    let state = StateDir::open()?;
    let session = globals.session(&state)?;
    let certs = Certs::open(&state)?;
    let grants = named(args).unwrap_or_else(|| live(&certs));
    if grants.is_empty() {
        if globals.json {
            terminal::print_json(
                &serde_json::json!({ "removed_from_agent": 0, "receipts": [], "standing": [], "over": [] }),
            );
        }
        terminal::say("There is nothing to give back: no certificate is live.");
        return Ok(());
    }
    // Out of the agent first: whatever the network does, nobody logs in from here any more. An agent that does not do it is
    // no reason to keep the access.
    let first = ended::remove(&certs, &session, &grants);
    let ca = CaClient::for_session(&session)?;
    let mut ends = Ends::default();
    for grant in &grants {
        match end(&ca, &session, &grant.request()) {
            Ok(receipt) => ends.receipts.push(receipt),
            Err(failure) if args.ids.is_empty() => match code(&failure) {
                // A certificate of standing access is a grant of its own, and no request that could be ended.
                Some(Code::NotFound) => ends.standing.push(grant),
                // Somebody else ended it before.
                Some(Code::Conflict) => ends.over.push(grant),
                _ => ends.failure = ends.failure.or(Some(failure)),
            },
            Err(failure) => ends.failure = ends.failure.or(Some(failure)),
        }
    }
    // An `ensure` beside us may have got one more before the CA knew.
    let removed = first.and_then(|first| Ok(first + ended::remove(&certs, &session, &grants)?));
    match (ends.failure.take(), removed) {
        (Some(failure), Ok(removed)) => {
            if !globals.json {
                ends.receipts.iter().for_each(|receipt| terminal::say(&line(receipt)));
            }
            Err(not_told(failure, removed))
        }
        (Some(failure), Err(_neither)) => Err(failure),
        (None, removed) => {
            report(globals, removed?, &ends);
            Ok(())
        }
    }
}

/// What became of each grant.
#[derive(Default)]
struct Ends<'a> {
    receipts: Vec<Receipt>,
    standing: Vec<&'a GrantId>,
    over: Vec<&'a GrantId>,
    failure: Option<Failure>,
}

fn named(args: &cli::Done) -> Option<BTreeSet<GrantId>> {
    let grants = args.ids.iter().map(|RequestRef(id)| id.grant());
    (!args.ids.is_empty()).then(|| grants.collect())
}

fn live(certs: &Certs) -> BTreeSet<GrantId> {
    let live = certs.all().into_iter().filter(|(entry, _)| !entry.is_over(clock::now()));
    live.map(|(entry, _)| entry.grant).collect()
}

fn end(ca: &CaClient, session: &Session, id: &RequestId) -> Result<Receipt, Failure> {
    let done = EndRequest { why: EndReason::Done, reason: None };
    access::on_the_latest(ca, session, id, |seen| ca.end(session, seen, &done))
}

fn code(failure: &Failure) -> Option<Code> {
    failure.refusal.as_ref().map(|detail| detail.code)
}

fn not_told(failure: Failure, removed: usize) -> Failure {
    if removed == 0 {
        return failure;
    }
    let message = format!("{} ({removed} of our certificates are out of the agent all the same)", failure.message);
    Failure { message, ..failure }
}

fn report(globals: &Globals, removed: usize, ends: &Ends<'_>) {
    let Ends { receipts, standing, over, .. } = ends;
    if globals.json {
        terminal::print_json(&serde_json::json!({
            "removed_from_agent": removed,
            "receipts": receipts,
            "standing": standing,
            "over": over,
        }));
        return;
    }
    terminal::say(&format!(
        "{} given back; {removed} of our certificates removed from the agent",
        terminal::green("ok")
    ));
    receipts.iter().for_each(|receipt| terminal::say(&line(receipt)));
    for grant in standing {
        terminal::say(&format!("  {grant} was standing access: it is yours to take again"));
    }
    for grant in over {
        terminal::say(&format!("  {grant} was over already"));
    }
}

/// What an end did, in one line.
fn line(receipt: &Receipt) -> String {
    let ids: Vec<&str> = receipt.requests.iter().map(RequestId::as_str).collect();
    let last = receipt.last_expiry.map_or_else(
        || "no certificate of it is live".to_owned(),
        |last| format!("the last certificate of it is revoked, and runs out at {}", clock::rfc3339(last)),
    );
    format!("  {}: nothing more is issued; {last}", ids.join(", "))
}
