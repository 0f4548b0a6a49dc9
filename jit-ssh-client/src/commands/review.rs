//! `jit-ssh review`: what waits for one's word, one screen each.

use super::{Globals, approve, deny, request::now, requests};
use crate::{
    ca_client::{CaClient, View},
    cli::{self, RequestRef},
    error::Failure,
    screen,
    state::session::Session,
    terminal,
};
use api::RequestBody;
use policy::RequestId;

/// Lists what waits; on a terminal shows one whole and asks what to do with it.
///
/// # Errors
/// If nobody is logged in, the server does not answer, or does not let this person decide.
pub fn run(globals: &Globals, args: &cli::Review) -> Result<(), Failure> {
    let asks = terminal::interactive() && !globals.json;
    let id = match &args.id {
        Some(RequestRef(id)) if asks => id.clone(),
        Some(id) => return super::show::run(globals, &cli::Show { id: id.clone() }),
        None if !asks => return requests::run(globals, &waiting_for_me()),
        None => {
            let (ca, session) = globals.signed_in()?;
            let waiting = ca.requests(&session, View::Review, usize::from(MOST), None)?.requests;
            match pick(&waiting, &session) {
                Some(id) => id,
                None => return Ok(()),
            }
        }
    };
    let (ca, session) = globals.signed_in()?;
    decide(globals, &ca, &session, &id)
}

const MOST: u16 = 50;

fn waiting_for_me() -> cli::Requests {
    cli::Requests { mine: false, review: true, all: false, only: cli::Sought::default(), limit: MOST }
}

fn pick(waiting: &[RequestBody], session: &Session) -> Option<RequestId> {
    match waiting {
        [] => {
            terminal::say("Nothing waits for you.");
            None
        }
        [one] => one.id.clone(),
        many => {
            requests::list(many, now(session));
            let answer = terminal::ask(&format!("Which one? [1-{}]", many.len()))?;
            let at = answer.parse::<usize>().ok()?.checked_sub(1)?;
            many.get(at)?.id.clone()
        }
    }
}

fn decide(globals: &Globals, ca: &CaClient, session: &Session, id: &RequestId) -> Result<(), Failure> {
    let seen = ca.request(session, id)?;
    screen::full(&seen.body, now(session)).iter().for_each(|line| terminal::print(line));
    if !seen.body.may_review {
        terminal::say("It is not for you to decide.");
        return Ok(());
    }
    match terminal::ask("approve (a), deny (d), leave it (Enter)?").as_deref() {
        Some("a" | "approve") => {
            let whole = cli::Approve {
                id: RequestRef(id.clone()),
                duration: terminal::ask(&format!("For how long [{}]?", seen.body.duration))
                    .map(|text| text.parse())
                    .transpose()?,
                only: Vec::new(),
                reason: None,
                yes: false,
            };
            approve::approve(globals, ca, session, &seen, &whole)
        }
        Some("d" | "deny") => deny::deny(globals, ca, session, id, None),
        _ => {
            terminal::say(&format!("Left as it is. jit-ssh approve {id} --only HOST narrows it."));
            Ok(())
        }
    }
}
