//! A request as a person reads it. A requester wrote parts of it to be read by a reviewer: each of these is escaped and
//! stays in rows of its own.

mod after;
mod counting;
mod narrowed;

use crate::{clock, error::unmet_sentence, terminal};
pub use after::review;
use api::{IdentityBody, Offer, RequestBody, StepBody};
pub use counting::not_yet;
use policy::{Group, Kind, Need, Over, Stage, Terms, UnixTime, Unmet};

/// Everything that there is to know of it, for whoever decides.
pub fn full(request: &RequestBody, now: UnixTime) -> Vec<String> {
    let title = request.id.as_ref().map_or_else(|| "not filed".to_owned(), ToString::to_string);
    let mut lines = vec![format!("{}  {}", terminal::bold(&title), stage(&request.stage, now))];
    lines.extend(who(&request.requester, now));
    for target in &request.targets {
        let left_out = if narrowed::leaves_out(request, target) { ", left out by an approval" } else { "" };
        lines.push(row("what", format!("{target}{left_out}")));
    }
    let span = narrowed::span(request);
    if let Some(extended) = &request.extends {
        lines.push(row("extends", format!("{extended}, whose grant ends {span} later")));
    } else {
        lines.push(row("for", format!("{span}, counted from the first use")));
    }
    lines.extend(request.extensions.iter().map(|extension| row("extended", narrowed::extension(extension, now))));
    if let Some(start) = request.start {
        lines.push(row("not before", instant(start, now)));
    }
    lines.extend(words("reason", request.reason.as_ref().map(policy::Reason::as_str)));
    lines.push(row("ticket", request.ticket.as_ref().map_or("none", policy::Ticket::as_str)));
    if let Some(incident) = &request.incident {
        lines.push(row("incident", incident));
        lines.extend(request.review.as_ref().map(|review| row("review", after::review(review, now))));
    }
    lines.extend(request.offers.iter().flat_map(|offer| offered(offer, request)));
    if let Stage::Pending { needs, .. } = &request.stage {
        lines.extend(needs.iter().map(|need| row("lacks", lacking(need))));
        lines.extend(needs.iter().find_map(|need| counting::uncounted(request, need)).map(|text| row("", text)));
    }
    lines.push(row("asked", instant(request.filed, now)));
    lines.extend(request.steps.iter().flat_map(|step| happened(step, now)));
    lines.extend(after::before(&request.used_before, now));
    if !request.digest.is_empty() {
        lines.push(row("digest", terminal::plain(&request.digest)));
    }
    lines
}

/// One row of a list.
pub fn brief(request: &RequestBody, now: UnixTime) -> [String; 6] {
    let targets: Vec<String> = request.targets.iter().map(ToString::to_string).collect();
    let reason = request.reason.as_ref().map_or("-", policy::Reason::as_str);
    let mut shown: String = reason.chars().take(40).collect();
    if shown.len() < reason.len() {
        shown.push('…');
    }
    let review = request.review.as_ref().map(|review| format!(", {}", after::review(review, now)));
    [
        request.id.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string),
        format!("{}{}", stage(&request.stage, now), review.unwrap_or_default()),
        name(&request.requester).to_owned(),
        targets.join(" "),
        narrowed::left(request).to_string(),
        shown,
    ]
}

/// Above the rows of [`brief`].
pub const HEADS: [&str; 6] = ["REQUEST", "STANDS", "WHO", "TARGETS", "FOR", "REASON"];

/// Where it stands, in a few words.
pub fn stage(stage: &Stage, now: UnixTime) -> String {
    let left = |until: &UnixTime| clock::left(now, *until);
    match stage {
        Stage::Pending { needs, until } => {
            let missing = |need: &&Need| (need.approvals.saturating_sub(need.have), need.approvals);
            let most = needs.iter().max_by_key(missing);
            format!("waits for people: {}, {} left", most.map_or_else(|| "a word".to_owned(), wanted), left(until))
        }
        Stage::Scheduled { from } => format!("approved, begins in {}", left(from)),
        Stage::Claimable { until } => format!("approved, to be used within {}", left(until)),
        Stage::Active { until, .. } => format!("in use, {} left", left(until)),
        Stage::Added { .. } => "approved, added to the grant".to_owned(),
        Stage::Over { how } => ended(*how).to_owned(),
    }
}

/// How it ended.
pub const fn ended(how: Over) -> &'static str {
    match how {
        Over::Denied => "denied",
        Over::Forbidden => "forbidden by policy",
        Over::Cancelled => "cancelled",
        Over::Expired => "expired, nobody decided in time",
        Over::Unclaimed => "approved, never used in time",
        Over::Finished => "finished",
        Over::Done => "given back",
        Over::Revoked => "revoked",
    }
}

/// How it ended, by whom, and in whose words; to be escaped like all words of others.
pub fn ending(request: &RequestBody, how: Over) -> String {
    let by = match how {
        Over::Denied => "denied",
        Over::Cancelled => "cancelled",
        Over::Done => "done",
        Over::Revoked => "revoked",
        Over::Forbidden | Over::Expired | Over::Unclaimed | Over::Finished => return ended(how).to_owned(),
    };
    let step = request.steps.iter().rev().find(|step| step.what == by);
    step.map_or_else(
        || ended(how).to_owned(),
        |step| {
            let reason = step.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            format!("{} by {}{reason}", ended(how), step.by)
        },
    )
}

/// The name people know somebody by; to be escaped like all words of others.
pub fn name(identity: &IdentityBody) -> &str {
    identity.email.as_ref().map_or(identity.subject.as_str(), policy::Email::as_str)
}

fn who(identity: &IdentityBody, now: UnixTime) -> Vec<String> {
    let kind = match identity.kind {
        Kind::User => "a person",
        Kind::Workload => "a workload",
    };
    let factors = if identity.mfa { "more than one factor" } else { "one factor only" };
    let typed = identity.auth_time.map_or_else(
        || "when they last signed in at the issuer is unknown".to_owned(),
        |at| format!("last signed in at the issuer {}", clock::ago(now, at)),
    );
    let mut lines = vec![row("who", format!("{}, {kind}", terminal::plain(name(identity))))];
    // One a row: what a directory lets people call a group could read like the row below.
    lines.push(row("", format!("subject {}", terminal::plain(identity.subject.as_str()))));
    lines.push(row("", format!("issuer {}", terminal::plain(identity.issuer.as_str()))));
    lines.push(row("", format!("{factors}; {typed}")));
    if identity.groups.is_empty() {
        lines.push(row("groups", "none"));
    }
    lines.extend(identity.groups.iter().flat_map(|group| words("groups", Some(group.as_str()))));
    lines
}

/// What policy demands for one target, and what it gives.
fn offered(offer: &Offer, request: &RequestBody) -> Vec<String> {
    let named = request.under.as_ref().and_then(|under| offer.offers.iter().find(|terms| terms.policy == *under));
    let Some(terms) = named.or_else(|| offer.offers.first()) else {
        return vec![row("policy", format!("none grants {}", offer.target))];
    };
    let mut lines = vec![row("policy", format!("{} for {}: {}", terms.policy, offer.target, demands(terms)))];
    if !offer.approver_groups.is_empty() {
        lines.push(row("may decide", terminal::plain(&offer.approver_groups.join(", "))));
    }
    lines.push(row("gives", gives(terms)));
    if let Some(command) = &terms.force_command {
        lines.extend(words("command", Some(command)));
    }
    lines.extend(words("elevation", terms.elevate.as_deref()));
    for other in offer.offers.iter().filter(|other| other.policy != terms.policy) {
        lines.push(row("or under", format!("{}: {}", other.policy, demands(other))));
    }
    for other in &offer.further {
        lines.push(row("or under", format!("{}: {}", other.policy, demands(other))));
        let lacks = offer.unmet.iter().filter(|unmet| unmet.policy == other.policy);
        lines.extend(lacks.map(|unmet| row("", unmet_sentence(unmet))));
    }
    let untold = |unmet: &&Unmet| offer.further.iter().all(|other| other.policy != unmet.policy);
    lines.extend(offer.unmet.iter().filter(untold).map(|unmet| row("or under", unmet_sentence(unmet))));
    lines
}

/// What a permit wants before it grants.
pub fn demands(terms: &Terms) -> String {
    let mut demands = vec![match terms.approvals {
        0 => "no approval".to_owned(),
        some => approvals(some),
    }];
    if terms.approvers_from_groups > 1 {
        demands.push(format!("from {} groups", terms.approvers_from_groups));
    }
    if !terms.approval_levels.is_empty() {
        let levels: Vec<&str> = terms.approval_levels.iter().map(Group::as_str).collect();
        demands.push(format!("first {}", terminal::plain(&levels.join(", then "))));
    }
    if terms.reason_required {
        demands.push("a reason".to_owned());
    }
    if terms.ticket_required {
        demands.push("a ticket".to_owned());
    }
    format!("{}; at most {}", demands.join(", "), terms.max_duration)
}

fn gives(terms: &Terms) -> String {
    let extensions: Vec<&str> = terms.extensions.iter().map(|extension| extension.as_str()).collect();
    let mut gives = vec![if extensions.is_empty() { "commands only".to_owned() } else { extensions.join(", ") }];
    gives.push(if terms.record { "recorded" } else { "not recorded" }.to_owned());
    if terms.verify_required {
        gives.push("with a FIDO key that verifies its user".to_owned());
    }
    match &terms.source_address {
        Some(policy::SourceAddress::Request) => gives.push("from the address that asked".to_owned()),
        Some(policy::SourceAddress::Networks(networks)) => {
            let networks: Vec<String> = networks.iter().map(ToString::to_string).collect();
            gives.push(format!("from {}", networks.join(", ")));
        }
        None => {}
    }
    gives.push(format!("to be used within {} of its approval", terms.claim_within));
    gives.join("; ")
}

/// What people must still do for one target.
pub fn lacking(need: &Need) -> String {
    let Need { target, policy, from_groups, approver_groups, turn, .. } = need;
    let mut text = format!("{} for {target} ({policy})", wanted(need));
    let groups = || terminal::plain(&approver_groups.join(", ")).into_owned();
    match turn {
        Some(turn) => text.push_str(&format!(", now from {}", terminal::plain(turn.as_str()))),
        None if approver_groups.is_empty() => {}
        None if *from_groups > 1 && need.have < need.approvals => {
            text.push_str(&format!(", from {from_groups} of the groups {}", groups()));
        }
        None => text.push_str(&format!(", from {}", groups())),
    }
    text
}

/// How many more say yes, and who must be among them where it is no longer a matter of how many.
fn wanted(need: &Need) -> String {
    let missing = need.approvals.saturating_sub(need.have);
    match (missing, need.have) {
        (0, _) if need.turn.is_some() => "one more approval, in turn".to_owned(),
        (0, _) => "an approval by another group".to_owned(),
        (missing, 0) => approvals(missing),
        (missing, _) => format!("{missing} more of {}", approvals(need.approvals)),
    }
}

/// So many, as people say it.
pub fn approvals(count: u8) -> String {
    format!("{count} approval{}", if count == 1 { "" } else { "s" })
}

fn happened(step: &StepBody, now: UnixTime) -> Vec<String> {
    let mut text = format!("{} {}", terminal::plain(&step.by), terminal::plain(&step.what));
    if let Some(duration) = step.duration {
        text.push_str(&format!(" for {duration}"));
    }
    if !step.only.is_empty() {
        let only: Vec<&str> = step.only.iter().map(policy::HostName::as_str).collect();
        text.push_str(&format!(" only on {}", only.join(", ")));
    }
    let mut lines = vec![row("so far", format!("{text}, {}", instant(step.at, now)))];
    if let Some(reason) = &step.reason {
        lines.extend(words("", Some(reason.as_str())));
    }
    lines
}

/// When it is, in full, and how far off.
pub fn instant(time: UnixTime, now: UnixTime) -> String {
    let relative = if time > now { format!("in {}", clock::left(now, time)) } else { clock::ago(now, time) };
    format!("{} ({relative})", clock::rfc3339(time))
}

/// A labelled row.
pub fn row(label: &str, text: impl std::fmt::Display) -> String {
    format!("  {label:<11}{text}")
}

/// Somebody's words, marked as such in every row.
fn words(label: &str, text: Option<&str>) -> Vec<String> {
    let Some(text) = text else { return vec![row(label, "none")] };
    let rows = terminal::rows(text).into_iter().enumerate();
    rows.map(|(at, text)| row(if at == 0 { label } else { "" }, format!("> {text}"))).collect()
}

#[cfg(test)]
pub mod tests;
