//! `jit-ssh review`: what waits for one's word, one screen each.

use super::{
    Globals, approve, deny,
    request::{now, print_json},
    requests, reviewed,
};
use crate::{
    ca_client::{CaClient, View},
    cli::{self, RequestRef},
    error::Failure,
    screen,
    state::session::Session,
    terminal,
};
use api::RequestBody;
use policy::{RequestId, Review, Seconds, UnixTime, Verdict};

/// Lists what waits; on a terminal shows one whole and asks what to do with it.
///
/// # Errors
/// If nobody is logged in, the server does not answer, or does not let this person decide.
pub fn run(globals: &Globals, args: &cli::Review) -> Result<(), Failure> {
    let asks = terminal::interactive() && !globals.json;
    let id = match &args.id {
        Some(RequestRef(id)) if asks => id.clone(),
        Some(id) => return super::show::run(globals, &cli::Show { id: id.clone() }),
        None => {
            let (ca, session) = globals.signed_in()?;
            if !asks {
                return listed(globals, &ca, &session);
            }
            let mut waiting = ca.requests(&session, View::Review, MOST, None)?.requests;
            waiting.extend(after_the_fact(&ca, &session)?);
            match pick(&waiting, &session) {
                Some(id) => id,
                None => return Ok(()),
            }
        }
    };
    let (ca, session) = globals.signed_in()?;
    decide(globals, &ca, &session, &id)
}

const MOST: usize = 50;

/// Emergency access of others that this person may review.
///
/// # Errors
/// If the server does not answer, or the login session is over.
fn after_the_fact(ca: &CaClient, session: &Session) -> Result<Vec<RequestBody>, Failure> {
    let mut unreviewed = ca.requests(session, View::Unreviewed, MOST, None)?.requests;
    unreviewed.retain(|request| request.may_review);
    Ok(unreviewed)
}

fn listed(globals: &Globals, ca: &CaClient, session: &Session) -> Result<(), Failure> {
    let waiting = ca.requests(session, View::Review, MOST, None)?;
    let unreviewed = after_the_fact(ca, session)?;
    if globals.json {
        return print_json(&serde_json::json!({
            "requests": waiting.requests, "next": waiting.next, "unreviewed": unreviewed,
        }));
    }
    if waiting.requests.is_empty() && unreviewed.is_empty() {
        terminal::say("Nothing waits for you.");
        return Ok(());
    }
    requests::list(&waiting.requests.into_iter().chain(unreviewed).collect::<Vec<_>>(), now(session));
    Ok(())
}

fn pick(waiting: &[RequestBody], session: &Session) -> Option<RequestId> {
    match waiting {
        [] => {
            terminal::say("Nothing waits for you.");
            None
        }
        [one] => one.id.clone(),
        many => {
            terminal::table(&numbered(many, now(session)));
            loop {
                let answer = terminal::ask(&format!("Which one? [1-{}]", many.len()))?;
                match chosen(many, &answer) {
                    Some(one) => return one.id.clone(),
                    None => terminal::say(&format!("  a number from 1 to {}, or an id", many.len())),
                }
            }
        }
    }
}

/// One a row, each with the number by which it is chosen.
fn numbered(many: &[RequestBody], now: UnixTime) -> Vec<[String; 6]> {
    let number = |n: &str, mut row: [String; 6]| {
        if let Some(first) = row.first_mut() {
            *first = format!("{n:>2}  {first}");
        }
        row
    };
    let heads = number("", screen::HEADS.map(str::to_owned));
    let rows = (1..).zip(many).map(|(n, request): (usize, _)| number(&n.to_string(), screen::brief(request, now)));
    std::iter::once(heads).chain(rows).collect()
}

fn chosen<'r>(many: &'r [RequestBody], answer: &str) -> Option<&'r RequestBody> {
    let by_number = answer.parse::<usize>().ok().and_then(|n| many.get(n.checked_sub(1)?));
    by_number.or_else(|| {
        let RequestRef(id) = answer.parse().ok()?;
        many.iter().find(|request| request.id.as_ref() == Some(&id))
    })
}

fn decide(globals: &Globals, ca: &CaClient, session: &Session, id: &RequestId) -> Result<(), Failure> {
    let seen = ca.request(session, id)?;
    screen::full(&seen.body, now(session)).iter().for_each(|line| terminal::print(line));
    if !seen.body.may_review {
        terminal::say("It is not for you to decide.");
        return Ok(());
    }
    if let Some(Review::Open { .. } | Review::Overdue { .. }) = &seen.body.review {
        return looked_at(globals, ca, session, id);
    }
    match terminal::ask("approve (a), deny (d), leave it (Enter)?").as_deref() {
        Some("a" | "approve") => {
            let whole = cli::Approve {
                id: RequestRef(id.clone()),
                duration: for_how_long(&seen.body),
                only: Vec::new(),
                reason: None,
                yes: false,
            };
            approve::approve(globals, ca, session, &seen, &whole)
        }
        Some("d" | "deny") => deny::deny(globals, ca, session, id, None),
        _ => {
            terminal::say(&format!("Left as it is. On one host only: jit-ssh approve {id} --only HOST"));
            Ok(())
        }
    }
}

/// As long as was asked for, or less: whoever mistypes is asked again.
fn for_how_long(request: &RequestBody) -> Option<Seconds> {
    loop {
        let span: Seconds = terminal::ask_for(&format!("For how long [{}]?", request.duration))?;
        if (1..=request.duration.as_secs()).contains(&span.as_secs()) {
            return Some(span);
        }
        terminal::say(&format!("  an approval can only shorten the {} that were asked for", request.duration));
    }
}

/// Emergency access: there is nothing to approve, but something to say.
fn looked_at(globals: &Globals, ca: &CaClient, session: &Session, id: &RequestId) -> Result<(), Failure> {
    match terminal::ask("it was fine (f), it is a concern (c), end it now (d), leave it (Enter)?").as_deref() {
        Some("f" | "fine") => reviewed::say(globals, ca, session, id, Verdict::Fine, None),
        Some("c" | "concern") => reviewed::say(globals, ca, session, id, Verdict::Concern, None),
        Some("d" | "deny") => deny::deny(globals, ca, session, id, None),
        _ => {
            terminal::say("Left as it is.");
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::screen::tests::request;

    #[test]
    fn one_is_chosen_by_its_number_in_the_list_or_its_id() {
        let mut second = request("b");
        second.id = Some("r-00112233445566778899aacc".parse().unwrap());
        let many = [request("a"), second];
        let rows = numbered(&many, UnixTime::from_secs(1));
        assert!(rows[0][0].ends_with("  REQUEST") && rows[2][0] == " 2  r-00112233445566778899aacc", "{rows:?}");
        for (answer, at) in [
            ("1", Some(0)),
            ("2", Some(1)),
            ("r-00112233445566778899aacc", Some(1)),
            ("g-00112233445566778899aabb", Some(0)),
            ("0", None),
            ("3", None),
            ("a", None),
            ("r-00112233445566778899aadd", None),
        ] {
            let found = chosen(&many, answer).map(|found| found.id.clone());
            assert_eq!(found, at.map(|at: usize| many[at].id.clone()), "{answer}");
        }
    }
}
