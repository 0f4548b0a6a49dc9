//! `jit-ssh sessions`: where one is logged in, and how to end a login that is on a lost machine.

use super::{Globals, logout};
use crate::{cli, clock, error::Failure, state::StateDir, terminal};
use api::SessionEntry;
use policy::SessionId;

/// Lists them, or ends one.
///
/// # Errors
/// If nobody is logged in, the server does not answer, or there is no such login session.
pub fn run(globals: &Globals, args: &cli::Sessions) -> Result<(), Failure> {
    match &args.what {
        None => list(globals),
        Some(cli::OfSessions::End { session }) => end(globals, session),
    }
}

fn list(globals: &Globals) -> Result<(), Failure> {
    let (ca, session) = globals.signed_in()?;
    let answer = ca.sessions(&session)?;
    if globals.json {
        let value =
            serde_json::to_value(&answer).map_err(|_unwritable| Failure::failed("the list cannot be written"))?;
        terminal::print_json(&value);
    } else {
        lines(&answer.sessions).iter().for_each(|line| terminal::print(line));
    }
    Ok(())
}

fn end(globals: &Globals, id: &SessionId) -> Result<(), Failure> {
    let (ca, session) = globals.signed_in()?;
    ca.end_session_by_id(&session, id)?;
    let ours = *id == session.session;
    if ours {
        // It would be refused from now on: what is left of it here is of no use.
        logout::remove_from_agent(&session.user_ca);
        logout::wipe(&StateDir::open()?)?;
    }
    if globals.json {
        terminal::print_json(&serde_json::json!({ "ended": id, "current": ours }));
    } else {
        let whose = if ours { ", which was this machine's" } else { "" };
        terminal::say(&format!("{} Ended login session {id}{whose}.", terminal::green("ok")));
        if !ours {
            terminal::say("  It gets no more certificates; those it has hold until they run out.");
        }
    }
    Ok(())
}

/// Every cell but the last has a fixed width.
fn lines(sessions: &[SessionEntry]) -> Vec<String> {
    let row = |cells: [&str; 4], last: &str| {
        let [session, started, used, expires] = cells;
        format!("{session:26}  {started:20}  {used:20}  {expires:20}  {last}")
    };
    let mut lines = vec![row(["SESSION", "STARTED", "LAST USED", "ENDS"], "FROM")];
    lines.extend(sessions.iter().map(|entry| {
        let [started, used, expires] = [entry.started, entry.used, entry.expires].map(clock::rfc3339);
        let mark = if entry.current { "  (this one)" } else { "" };
        row([entry.session.as_str(), &started, &used, &expires], &format!("{}{mark}", entry.source))
    }));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: u8, source: &str, current: bool) -> SessionEntry {
        let identity =
            serde_json::json!({ "kind": "user", "issuer": "https://i", "subject": "a", "groups": [], "mfa": false });
        SessionEntry {
            session: SessionId::from_random([id; 12]),
            identity: serde_json::from_value(identity).unwrap(),
            started: policy::UnixTime::from_secs(1_767_225_600),
            used: policy::UnixTime::from_secs(1_767_225_660),
            expires: policy::UnixTime::from_secs(1_767_268_800),
            idle_seconds: 7200,
            source: source.parse().unwrap(),
            current,
        }
    }

    #[test]
    fn the_current_one_is_marked_and_no_other() {
        let lines = lines(&[entry(1, "192.0.2.7", false), entry(2, "2001:db8::1", true)]);
        assert_eq!(
            lines[1],
            "s-010101010101010101010101  2026-01-01T00:00:00Z  2026-01-01T00:01:00Z  2026-01-01T12:00:00Z  192.0.2.7"
        );
        assert!(lines[2].ends_with("  2001:db8::1  (this one)"), "{}", lines[2]);
        assert_eq!(lines[0].find("FROM"), lines[1].find("192.0.2.7"));
    }
}
