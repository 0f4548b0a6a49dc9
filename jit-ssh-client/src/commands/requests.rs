//! `jit-ssh requests`: which there are and where they stand.

use super::{
    Globals,
    request::{now, print_json},
};
use crate::{
    ca_client::{Filter, View},
    cli, ended,
    error::Failure,
    screen, terminal,
};
use api::RequestBody;
use policy::UnixTime;

/// Lists them.
///
/// # Errors
/// If nobody is logged in, the server does not answer, or one may not see all.
pub fn run(globals: &Globals, args: &cli::Requests) -> Result<(), Failure> {
    let (ca, session) = globals.signed_in()?;
    let view = match (args.review, args.unreviewed, args.all) {
        (true, ..) => View::Review,
        (_, true, _) => View::Unreviewed,
        (.., true) => View::All,
        _ => View::Mine,
    };
    let cli::Sought { user, host, ticket, stage } = args.only.clone();
    let all = user.is_none() && host.is_none() && ticket.is_none() && stage.is_none();
    let only = Filter { user, host, ticket, stage };
    let answer = ca.search(&session, view, &only, usize::from(args.limit), None)?;
    ended::learn_aside(&session, &answer.requests)?;
    if globals.json {
        return print_json(&answer);
    }
    if answer.requests.is_empty() {
        terminal::say(match view {
            _ if !all => "There is none like that.",
            View::Mine => "You have asked for nothing. jit-ssh request ACCOUNT@HOST asks.",
            View::Review => "Nothing waits for you.",
            View::Unreviewed => "No emergency access of yours, or that you may review, waits for its review.",
            View::All => "Nobody has asked for anything.",
        });
        return Ok(());
    }
    list(&answer.requests, now(&session));
    if answer.next.is_some() {
        terminal::say("There may be more: --limit N shows them.");
    }
    Ok(())
}

/// One a row, newest first.
pub fn list(requests: &[RequestBody], now: UnixTime) {
    let heads = screen::HEADS.map(str::to_owned);
    let rows = requests.iter().map(|request| screen::brief(request, now));
    terminal::table(&std::iter::once(heads).chain(rows).collect::<Vec<_>>());
}
