//! `jit-ssh approve`: a yes to exactly what was shown, or to less of it.

use super::{
    Globals,
    request::{now, print_json},
};
use crate::{
    ca_client::{CaClient, Tagged},
    cli,
    error::Failure,
    screen,
    state::session::Session,
    terminal,
};
use api::{ApproveRequest, RequestBody};

/// Shows it, asks, approves.
///
/// # Errors
/// If the server does not let this person approve it, or it changed since it was shown.
pub fn run(globals: &Globals, args: &cli::Approve) -> Result<(), Failure> {
    if !args.yes && !terminal::interactive() {
        return Err(Failure::usage("approve shows the request and asks, and there is no terminal to ask on")
            .hint("look at it with jit-ssh show, then say --yes"));
    }
    let (ca, session) = globals.signed_in()?;
    let seen = ca.request(&session, &args.id.0)?;
    if !globals.json {
        screen::full(&seen.body, now(&session)).iter().for_each(|line| terminal::say(line));
    }
    approve(globals, &ca, &session, &seen, args)
}

/// Asks about what was just shown, and approves it.
///
/// # Errors
/// As [`run`].
pub fn approve(
    globals: &Globals,
    ca: &CaClient,
    session: &Session,
    seen: &Tagged,
    args: &cli::Approve,
) -> Result<(), Failure> {
    only_less(&seen.body, args)?;
    if !args.yes && !terminal::agrees(&question(&seen.body, args)) {
        return Err(Failure::failed("nothing was approved"));
    }
    let approval = ApproveRequest {
        digest: seen.body.digest.clone(),
        duration: args.duration,
        only: args.only.clone(),
        reason: args.reason.clone(),
    };
    let approved = ca.approve(session, seen, &approval)?;
    if globals.json {
        return print_json(&approved.body);
    }
    let stage = screen::stage(&approved.body.stage, now(session));
    match screen::not_yet(&seen.body, &approved.body) {
        None => terminal::say(&format!("{} {} {stage}", terminal::green("ok"), args.id.0)),
        Some(why) => {
            terminal::say(&format!("{} is recorded, but does not count yet: {why}", args.id.0));
            terminal::say(&format!("  it {stage}"));
        }
    }
    Ok(())
}

/// More than was asked for would be granted to nobody, so it is a mistake to be told about.
fn only_less(request: &RequestBody, args: &cli::Approve) -> Result<(), Failure> {
    if let Some(duration) = args.duration.filter(|duration| *duration > request.duration) {
        return Err(Failure::usage(format!("{duration} is more than the {} that was asked for", request.duration))
            .hint("an approval can only shorten; a longer one is a new request"));
    }
    let asked = |host: &policy::HostName| request.targets.iter().any(|target| target.host() == host);
    match args.only.iter().find(|host| !asked(host)) {
        Some(host) => Err(Failure::usage(format!("{host} was not asked for")).hint("an approval can only narrow")),
        None => Ok(()),
    }
}

/// What a yes means, in one line.
fn question(request: &RequestBody, args: &cli::Approve) -> String {
    let targets = request.targets.iter().filter(|target| args.only.is_empty() || args.only.contains(target.host()));
    let targets: Vec<String> = targets.map(ToString::to_string).collect();
    let duration = args.duration.unwrap_or(request.duration);
    let who = terminal::plain(screen::name(&request.requester));
    let more = if request.extends.is_some() { " more" } else { "" };
    format!("Approve {who} on {} for {duration}{more}? [y/N]", targets.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cli::RequestRef, screen::tests::request};

    fn approve(duration: Option<&str>, only: &[&str]) -> cli::Approve {
        cli::Approve {
            id: RequestRef("r-00112233445566778899aabb".parse().unwrap()),
            duration: duration.map(|text| text.parse().unwrap()),
            only: only.iter().map(|text| text.parse().unwrap()).collect(),
            reason: None,
            yes: false,
        }
    }

    #[test]
    fn the_question_names_exactly_what_is_approved() {
        let request = request("need it");
        let whole = question(&request, &approve(None, &[]));
        assert_eq!(whole, "Approve alice@corp.example on deploy@db-1, deploy@web-1 for 45m? [y/N]");
        let less = question(&request, &approve(Some("20m"), &["db-1"]));
        assert_eq!(less, "Approve alice@corp.example on deploy@db-1 for 20m? [y/N]");
    }

    #[test]
    fn an_approval_narrows_and_never_widens() {
        let request = request("need it");
        for (duration, only, fine) in [
            (None, &[][..], true),
            (Some("45m"), &[], true),
            (Some("20m"), &["web-1"], true),
            (Some("46m"), &[], false),
            (None, &["web-2"], false),
            (None, &["db-1", "web-2"], false),
        ] {
            assert_eq!(only_less(&request, &approve(duration, only)).is_ok(), fine, "{duration:?} {only:?}");
        }
    }
}
