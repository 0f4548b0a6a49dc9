//! `ca-server policy explain`: what the policies would decide for somebody, without anybody having to log in.

use super::{policy::examine, print, run::load};
use crate::cli::Explain;
use api::{DecisionBody, Emergency, ExplainResponse, Outcome};
use ca_server::{
    clock::{Clock as _, SystemClock, moment},
    policies,
    verbs::glass::possible,
};
use policy::{Ask, Cause, Identity, Kind, Now, Policies, Seconds, Target, UnixTime, UnmetTerm};
use serde_json::json;
use std::{fmt::Write as _, process::ExitCode};

pub(super) fn explain(asked: &Explain) -> anyhow::Result<ExitCode> {
    let (directory, targets) = asked.split()?;
    let config = asked.config.as_deref().map(load).transpose()?;
    let zone = config.as_ref().map_or(jiff::tz::TimeZone::UTC, |config| config.timezone.get());
    let directory = directory.or_else(|| config.map(|config| config.policy.directory)).unwrap_or_default();
    let policies = policies::read(&directory).and_then(|sources| Policies::load(&sources)).map_err(|_findings| {
        let told: Vec<_> = examine(&directory).findings.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("the policy set cannot be used:\n{}", told.join("\n"))
    })?;
    let now = moment(at(asked), &zone);
    let mut text = String::new();
    for target in targets {
        let ask = ask(asked, &target, now)?;
        let (decision, explanation) = policy::explain(&policies, &ask, now);
        let break_glass = possible(&policies, &ask, now);
        let answer = ExplainResponse { decision: (&decision).into(), explanation, break_glass };
        if asked.json {
            let ExplainResponse { decision, explanation, break_glass } = answer;
            let body =
                json!({"target": target, "decision": decision, "explanation": explanation, "break_glass": break_glass});
            writeln!(text, "{body}")?;
        } else {
            tell(&mut text, &target, &answer)?;
        }
    }
    print(&text)
}

fn at(asked: &Explain) -> UnixTime {
    match asked.at {
        Some(at) => UnixTime::from_secs(u64::try_from(at.as_second()).unwrap_or(0)),
        None => SystemClock.now(),
    }
}

fn ask(asked: &Explain, target: &Target, now: Now) -> anyhow::Result<Ask> {
    let subject = asked.user.parse().map_err(|error| anyhow::anyhow!("--user: {error}"))?;
    let claims = asked.claims.iter().map(|claim| {
        let pair = claim.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        pair.ok_or_else(|| anyhow::anyhow!("--claim: write it as name=value"))
    });
    let identity = Identity {
        kind: if asked.workload { Kind::Workload } else { Kind::User },
        issuer: asked.issuer.clone(),
        subject,
        // What looks like an address is taken as one that the issuer has verified.
        email: asked.user.parse().ok().filter(|_| !asked.workload),
        groups: asked.groups.clone(),
        amr: Vec::new(),
        acr: None,
        mfa: asked.mfa,
        auth_time: asked.logged_in.map(|ago| now.time.minus(ago)),
        claims: claims.collect::<anyhow::Result<_>>()?,
        known_as: Vec::new(),
    };
    Ok(Ask {
        identity,
        target: target.clone(),
        duration: asked.duration,
        reason: asked.reason.clone(),
        ticket: asked.ticket.clone(),
        source: asked.source,
    })
}

fn tell(text: &mut String, target: &Target, answer: &ExplainResponse) -> std::fmt::Result {
    let ExplainResponse { decision, explanation, break_glass } = answer;
    writeln!(text, "{target}: {}", verdict(decision))?;
    if let Some(terms) = &decision.terms {
        let sooner = |span: Seconds| span.to_string();
        writeln!(text, "  for at most {}, in certificates of {}", sooner(terms.max_duration), sooner(terms.cert_ttl))?;
    }
    for advice in &decision.advice {
        writeln!(text, "  advice: {advice}")?;
    }
    for unmet in &decision.unmet {
        let lacks = match unmet.term {
            UnmetTerm::Reason => "a reason (--reason)".to_owned(),
            UnmetTerm::Ticket => "a ticket (--ticket)".to_owned(),
            UnmetTerm::Duration(most) => format!("a duration of at most {most} (--duration)"),
        };
        writeln!(text, "  {} wants {lacks}", unmet.policy)?;
    }
    if !decision.others.is_empty() {
        writeln!(text, "  also permitted by {}", list(&decision.others))?;
    }
    if let Some(Emergency { policy, max_duration, review_within, .. }) = break_glass {
        writeln!(text, "  emergency access by {policy}: at most {max_duration}, reviewed within {review_within}")?;
    }
    for near in &explanation.nearly {
        let would = if near.permits { "would permit" } else { "would forbid" };
        writeln!(text, "  {} {would}, if:", near.policy)?;
        for change in &near.changes {
            writeln!(text, "    - {change}")?;
        }
    }
    Ok(())
}

fn verdict(decision: &DecisionBody) -> String {
    let by = list(&decision.policies);
    match decision.outcome {
        Outcome::Granted => format!("granted by {by}"),
        Outcome::NeedsApproval => {
            let count = decision.terms.as_ref().map_or(0, |terms| terms.approvals);
            let from = match decision.approver_groups.as_slice() {
                [] => String::new(),
                groups => format!(" from {}", groups.join(", ")),
            };
            format!("needs {count} approval(s){from}, by {by}")
        }
        Outcome::Denied => match decision.cause {
            Some(Cause::Forbidden) => format!("denied: forbidden by {by}"),
            Some(Cause::NoPermit) | None => "denied: no permit matches".to_owned(),
            Some(Cause::TermsUnmet) => format!("denied: {by} matches, but its terms are not met"),
            Some(Cause::UnknownTarget) => "denied: the inventory has no such host or account".to_owned(),
            Some(Cause::NotRequested) => {
                "denied: the request does not hold this target, or is somebody else's".to_owned()
            }
            Some(Cause::NotYet) => "denied: the request begins later".to_owned(),
            Some(Cause::RequestOver) => "denied: the request is over".to_owned(),
            Some(Cause::EvaluationFailed) => format!("denied: a policy could not be evaluated ({by})"),
        },
    }
}

fn list(ids: &[policy::PolicyId]) -> String {
    ids.iter().map(policy::PolicyId::as_str).collect::<Vec<_>>().join(", ")
}
