//! Annotations → terms. An annotation that is unknown, malformed or without effect refuses the whole set: a misspelt
//! `@aprovals` that was skipped would be access without approval.

use crate::{Extension, Group, Network, PolicyId, Seconds, SourceAddress, Terms, Validity, source::suggestion};
use std::{collections::BTreeSet, str::FromStr};

/// What is wrong with an annotation: which one, what, and what to do.
pub(super) struct Complaint {
    pub(super) annotation: String,
    pub(super) message: String,
    pub(super) hint: String,
}

/// What kind of policy carries the annotations.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Carrier {
    /// A permit that can grant access.
    Access,
    /// A permit of emergency access.
    BreakGlass,
    /// A permit of another action: to approve, to audit.
    Other,
    /// A forbid.
    Forbid,
}

/// Every term, for suggestions.
const TERMS: [&str; 16] = [
    "max_duration",
    "cert_ttl",
    "approvals",
    "approvers_from_groups",
    "approval_levels",
    "claim_within",
    "reason",
    "ticket",
    "extensions",
    "force_command",
    "source_address",
    "verify_required",
    "elevate",
    "record",
    "review_within",
    "notify",
];

/// Terms that only a request which waits can have.
const WAITING: [&str; 4] = ["approvals", "approvers_from_groups", "approval_levels", "claim_within"];

/// How long emergency access lasts where the permit does not say.
const EMERGENCY: Seconds = Seconds::new(1800);

const MOST_APPROVALS: u8 = 10;
const LONGEST_TEXT: usize = 1000;

/// The terms (of a permit that grants access) and the advice (of a forbid) in `annotations`.
pub(super) fn read<'a>(
    id: &PolicyId,
    carrier: Carrier,
    annotations: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<(Option<Terms>, Option<String>), Vec<Complaint>> {
    let mut terms = Terms::of(id.clone());
    if carrier == Carrier::BreakGlass {
        terms.max_duration = EMERGENCY;
    }
    let (mut advice, mut complaints) = (None, Vec::new());
    for (name, value) in annotations {
        let result = match name {
            "id" => Ok(()),
            "advice" if carrier == Carrier::Forbid => line(value).map(|text| advice = Some(text)),
            "advice" => Err("is shown when a forbid matches, and this is a permit".to_owned()),
            term if TERMS.contains(&term) => match carrier {
                Carrier::BreakGlass if WAITING.contains(&term) => Err("makes emergency access wait".to_owned()),
                Carrier::Access | Carrier::BreakGlass => set(&mut terms, term, value),
                Carrier::Other => Err("is a term of access, and this policy permits no access".to_owned()),
                Carrier::Forbid => Err("is a term, and a forbid has none".to_owned()),
            },
            _ => Err("is not known".to_owned()),
        };
        if let Err(why) = result {
            let known = TERMS.into_iter().chain(["id", "advice"]);
            let hint = if why == "is not known" { suggestion(name, known) } else { form(name).to_owned() };
            complaints.push(Complaint { annotation: name.to_owned(), message: format!("@{name} {why}"), hint });
        }
    }
    if complaints.is_empty() {
        complaints = together(carrier, &terms);
    }
    let terms = matches!(carrier, Carrier::Access | Carrier::BreakGlass).then_some(terms);
    if complaints.is_empty() { Ok((terms, advice)) } else { Err(complaints) }
}

/// What is wrong with terms that are each right.
fn together(carrier: Carrier, terms: &Terms) -> Vec<Complaint> {
    let complaint = |annotation: &str, message: &str, hint: &str| Complaint {
        annotation: annotation.to_owned(),
        message: message.to_owned(),
        hint: form(hint).to_owned(),
    };
    let mut complaints = Vec::new();
    if terms.approvers_from_groups > terms.approvals {
        let message = "@approvers_from_groups asks for more groups than there are @approvals";
        complaints.push(complaint("approvers_from_groups", message, "approvals"));
    }
    if terms.approval_levels.len() > usize::from(terms.approvals) {
        let message = "@approval_levels names more levels than there are @approvals";
        complaints.push(complaint("approval_levels", message, "approvals"));
    }
    if carrier == Carrier::BreakGlass {
        let demanded = [
            ("reason", terms.reason_required),
            ("record", terms.record),
            ("review_within", terms.review_within.is_some()),
        ];
        for (name, _) in demanded.into_iter().filter(|(_, there)| !there) {
            complaints.push(Complaint {
                annotation: name.to_owned(),
                message: format!("emergency access demands @{name}"),
                hint: "write @reason(\"required\"), @record(\"required\") and @review_within(\"24h\")".to_owned(),
            });
        }
    }
    complaints
}

fn set(terms: &mut Terms, term: &str, value: &str) -> Result<(), String> {
    match term {
        "max_duration" => terms.max_duration = span(value, Seconds::MAX)?,
        "cert_ttl" => terms.cert_ttl = span(value, Validity::CAP)?,
        "approvals" => terms.approvals = count(value)?,
        "approvers_from_groups" => terms.approvers_from_groups = count(value)?,
        "approval_levels" => terms.approval_levels = list(value, word::<Group>)?,
        "claim_within" => terms.claim_within = span(value, Seconds::MAX)?,
        "reason" => terms.reason_required = required(value)?,
        "ticket" => terms.ticket_required = required(value)?,
        "record" => terms.record = required(value)?,
        "verify_required" => terms.verify_required = value == "true" || required(value)?,
        "extensions" if value == "none" => terms.extensions = BTreeSet::new(),
        "extensions" => terms.extensions = list(value, word::<Extension>)?.into_iter().collect(),
        "force_command" => terms.force_command = Some(line(value)?),
        "elevate" => terms.elevate = Some(line(value)?),
        "source_address" if value == "request" => terms.source_address = Some(SourceAddress::Request),
        "source_address" => terms.source_address = Some(SourceAddress::Networks(networks(value)?)),
        "review_within" => terms.review_within = Some(span(value, Seconds::MAX)?),
        _ => terms.notify = list(value, channel)?,
    }
    Ok(())
}

/// How an annotation is written: the hint of every complaint about it.
fn form(name: &str) -> &'static str {
    match name {
        "max_duration" => "write @max_duration(\"30m\"): more than nothing, at most 365d",
        "cert_ttl" => "write @cert_ttl(\"5m\"): more than nothing, at most 24h",
        "approvals" => "write @approvals(\"2\"): how many people, 0 to 10",
        "approvers_from_groups" => {
            "write @approvers_from_groups(\"2\"): how many groups, at most the number of @approvals"
        }
        "approval_levels" => {
            "write @approval_levels(\"leads,security\"): groups, one approval from each, in this order, and at least as \
             many @approvals"
        }
        "claim_within" => "write @claim_within(\"1h\"): more than nothing, at most 365d",
        "reason" => "write @reason(\"required\") or leave it out",
        "ticket" => "write @ticket(\"required\") or leave it out",
        "record" => "write @record(\"required\") or leave it out",
        "verify_required" => "write @verify_required(\"true\") or leave it out",
        "extensions" => "write @extensions(\"permit-pty,permit-agent-forwarding\") or @extensions(\"none\")",
        "force_command" => "write @force_command(\"/usr/bin/backup\"): one line of printable ASCII",
        "elevate" => "write @elevate(\"/usr/bin/systemctl restart nginx\"): one line of printable ASCII",
        "source_address" => "write @source_address(\"198.51.100.0/24,2001:db8::/32\") or @source_address(\"request\")",
        "review_within" => "write @review_within(\"24h\")",
        "notify" => "write @notify(\"security,oncall\"): names of channels",
        "advice" => "write @advice(\"what to do instead\") on a forbid",
        _ => "",
    }
}

fn span(value: &str, most: Seconds) -> Result<Seconds, String> {
    let span: Seconds = word(value)?;
    match span {
        _ if span == Seconds::new(0) => Err("is nothing at all".to_owned()),
        _ if span > most => Err(format!("is longer than {most}")),
        _ => Ok(span),
    }
}

fn count(value: &str) -> Result<u8, String> {
    let number = value.parse().ok().filter(|&number: &u8| number <= MOST_APPROVALS && number.to_string() == value);
    number.ok_or_else(|| format!("is not a number from 0 to {MOST_APPROVALS}"))
}

fn required(value: &str) -> Result<bool, String> {
    if value == "required" { Ok(true) } else { Err("has a value it cannot have".to_owned()) }
}

/// sshd hands a forced command to a shell and logs it: nothing in it may end the line or hide.
fn line(value: &str) -> Result<String, String> {
    let printable = value.bytes().all(|b| (0x20..0x7f).contains(&b));
    if printable && !value.trim().is_empty() && value.trim() == value && value.len() <= LONGEST_TEXT {
        Ok(value.to_owned())
    } else {
        Err(format!("is not one line of 1 to {LONGEST_TEXT} printable ASCII characters"))
    }
}

fn networks(value: &str) -> Result<Vec<Network>, String> {
    let all: Vec<Network> = list(value, word)?;
    let within = |one: &Network| all.iter().find(|other| *other != one && other.covers(one));
    match all.iter().find_map(|one| within(one).map(|other| (one, other))) {
        Some((one, other)) => Err(format!("lists {one}, which {other} holds already")),
        None => Ok(all),
    }
}

fn channel(value: &str) -> Result<String, String> {
    let plain = value.bytes().all(|b| b.is_ascii_alphanumeric() || b"._#@:/-".contains(&b));
    let name = (1..=64).contains(&value.len()) && plain && !value.starts_with('-');
    name.then(|| value.to_owned()).ok_or_else(|| "names a channel that is no channel".to_owned())
}

fn list<T: PartialEq>(value: &str, read: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    let mut all = Vec::new();
    for piece in value.split(',').map(str::trim) {
        let one = read(piece)?;
        if all.contains(&one) {
            return Err("lists something twice".to_owned());
        }
        all.push(one);
    }
    if all.len() > 64 { Err("lists more than 64".to_owned()) } else { Ok(all) }
}

fn word<T: FromStr<Err = crate::WordError>>(value: &str) -> Result<T, String> {
    value.parse().map_err(|error: crate::WordError| format!("is {error}"))
}
