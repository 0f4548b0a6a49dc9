//! `jit-ssh explain`: why, or why not. A "no" is an answer here, not a failure.

use super::Globals;
use crate::{
    cli,
    error::{Failure, cause_sentence, decision_lines},
    terminal,
    words::{self, Lacking},
};
use api::{Emergency, ExplainRequest, ExplainResponse, Outcome};
use policy::Target;

/// Explains.
///
/// # Errors
/// If nobody is logged in or the server does not answer.
pub fn run(globals: &Globals, args: &cli::Explain) -> Result<(), Failure> {
    let target = cli::target(&args.target)?;
    let (ca, session) = globals.signed_in()?;
    let answer = ca.explain(&session, &request(&target, &args.why))?;
    if globals.json {
        let value =
            serde_json::to_value(&answer).map_err(|_unwritable| Failure::failed("the answer cannot be written"))?;
        terminal::print_json(&value);
    } else {
        let lacking = words::lacking_by(&ca, &session, &target, &args.why.wish(), &answer.decision);
        lines(&target, &answer, lacking.as_ref()).iter().for_each(|line| terminal::print(line));
    }
    Ok(())
}

/// The question.
pub fn request(target: &Target, why: &cli::Why) -> ExplainRequest {
    let wish = why.wish();
    ExplainRequest { target: target.clone(), duration: wish.duration, reason: wish.reason, ticket: wish.ticket }
}

fn lines(target: &Target, answer: &ExplainResponse, lacking: Option<&Lacking>) -> Vec<String> {
    let decision = &answer.decision;
    let headline = match (lacking, decision.outcome) {
        (Some(lacking), _) => terminal::bold(&lacking.headline()),
        (None, Outcome::Granted) => terminal::green("granted"),
        (None, Outcome::NeedsApproval) => terminal::bold("needs approval"),
        (None, Outcome::Denied) => {
            terminal::red(&format!("denied ({})", decision.cause.map_or("no cause given", cause_sentence)))
        }
    };
    let mut lines = vec![format!("{target}: {headline}")];
    lines.extend(lacking.map(|lacking| format!("  then: {}", lacking.outcome())));
    lines.extend(decision_lines(decision));
    if let Some(terms) = &decision.terms {
        let extensions: Vec<&str> = terms.extensions.iter().map(|extension| extension.as_str()).collect();
        lines.push(format!("  for at most {}, certificates of {}", terms.max_duration, terms.cert_ttl));
        if terms.approvals > 0 {
            lines.push(format!("  approvals: {}", terms.approvals));
        }
        lines.push(format!(
            "  allowed: {}",
            if extensions.is_empty() { "commands only".to_owned() } else { extensions.join(", ") }
        ));
        if let Some(command) = &terms.force_command {
            lines.push(format!("  only this command: {}", terminal::plain(command)));
        }
    }
    if !decision.others.is_empty() {
        let others: Vec<&str> = decision.others.iter().map(policy::PolicyId::as_str).collect();
        lines.push(format!("  would do too: {}", others.join(", ")));
    }
    if let Some(glass) = &answer.break_glass {
        let ticket = if glass.ticket_required { " --ticket …" } else { "" };
        lines.push(format!("  in an emergency: jit-ssh break-glass {target} --incident … --reason …{ticket}"));
        let Emergency { policy, max_duration, review_within, .. } = glass;
        lines.push(format!(
            "    at once, for at most {max_duration}, recorded, reviewed within {review_within} (policy {policy})"
        ));
    }
    let explanation = &answer.explanation;
    if !explanation.matched.is_empty() {
        let matched: Vec<&str> = explanation.matched.iter().map(policy::PolicyId::as_str).collect();
        lines.push(format!("  matched: {}", matched.join(", ")));
    }
    for near in &explanation.nearly {
        let kind = if near.permits { "permit" } else { "forbid" };
        lines.push(format!("  nearly: {kind} {}", near.policy));
        lines.extend(near.changes.iter().map(|change| format!("    {}", terminal::plain(change))));
    }
    lines
}
