//! `jit-ssh reviewed`: what one found about somebody else's emergency access.

use super::{
    Globals,
    request::{now, print_json},
};
use crate::{access, ca_client::CaClient, cli, error::Failure, screen, state::session::Session, terminal};
use api::ReviewRequest;
use policy::{Reason, RequestId, Verdict};

/// Puts it on record.
///
/// # Errors
/// If the server does not let this person, it is still in use, or somebody was first.
pub fn run(globals: &Globals, args: &cli::Reviewed) -> Result<(), Failure> {
    let (ca, session) = globals.signed_in()?;
    say(globals, &ca, &session, &args.id.0, args.verdict.into(), args.reason.clone())
}

/// As [`run`], for a session at hand.
///
/// # Errors
/// As [`run`].
pub fn say(
    globals: &Globals,
    ca: &CaClient,
    session: &Session,
    id: &RequestId,
    verdict: Verdict,
    reason: Option<Reason>,
) -> Result<(), Failure> {
    let reason = match reason {
        Some(reason) => reason,
        None => terminal::ask_for("What did you find?").ok_or_else(|| unsaid(id, verdict))?,
    };
    let review = ReviewRequest { verdict, reason };
    let seen = access::on_the_latest(ca, session, id, |seen| ca.review(session, seen, &review))?;
    if globals.json {
        return print_json(&seen.body);
    }
    let review = seen.body.review.as_ref().map(|review| screen::review(review, now(session)));
    terminal::say(&format!("{} {id} {}", terminal::green("ok"), review.unwrap_or_default()));
    Ok(())
}

fn unsaid(id: &RequestId, verdict: Verdict) -> Failure {
    let verdict = match verdict {
        Verdict::Fine => "fine",
        Verdict::Concern => "concern",
    };
    Failure::usage("what did you find?").hint(format!("jit-ssh reviewed {id} --verdict {verdict} --reason '…'"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::Parser as _;

    #[test]
    fn what_is_to_be_typed_can_be_typed() {
        let id: RequestId = "r-00112233445566778899aabb".parse().unwrap();
        for verdict in [Verdict::Fine, Verdict::Concern] {
            let hint = unsaid(&id, verdict).hint.unwrap();
            assert!(Cli::try_parse_from(hint.split(' ')).is_ok(), "{hint}");
        }
    }
}
