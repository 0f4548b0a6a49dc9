//! What happened, in words, and what all of it proves.

use super::{
    certificate::Read,
    record::{Entry, Record},
};
use crate::{
    entry::{Certificate, Fact, Filed, Step},
    proof::checkpoint::Checkpoint,
};
use policy::{Approval, EndReason, Kind, Verdict};
use serde_json::{Map, Value};
use ssh_key::HashAlg;
use std::fmt::Display;

/// One thing that happened.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Told {
    /// The entry's number.
    pub index: u64,
    /// When, by the server's clock, milliseconds.
    pub time_ms: u64,
    /// The entry's code.
    pub code: String,
    /// What, in our words. Names in it are other people's: escape them before a terminal sees them.
    pub text: String,
    /// What else is known of it, label and value. Values are other people's words.
    pub more: Vec<(String, String)>,
}

/// Labels and values.
#[derive(Default)]
struct More(Vec<(String, String)>);

impl More {
    fn put(&mut self, label: &str, value: impl Display) {
        self.0.push((label.to_owned(), value.to_string()));
    }

    fn all<T: Display>(&mut self, label: &str, values: impl IntoIterator<Item = T>) {
        values.into_iter().for_each(|value| self.put(label, value));
    }
}

/// Everything that happened, in order.
pub(super) fn told(record: &Record<'_>, certificates: &[Read]) -> Vec<Told> {
    record.entries.iter().filter_map(|entry| tell(entry, certificates)).collect()
}

fn tell(entry: &Entry<'_>, certificates: &[Read]) -> Option<Told> {
    let mut more = More::default();
    let text = match &entry.fact {
        Fact::Source(_) => return None,
        Fact::Started { .. } => "a server began to serve".to_owned(),
        Fact::Policies(set) => {
            more.all("file", set.files.iter().flatten().map(|file| &file.name));
            format!("policy set {}", set.to)
        }
        Fact::Login(login) => {
            if let Some(identity) = &login.identity {
                more.put("issuer", &identity.issuer);
                more.put("subject", &identity.subject);
                more.all("group", identity.groups.iter());
                more.put("factors", if identity.mfa { "more than one" } else { "one" });
            }
            let kind = if login.actor.kind == Kind::User { "" } else { ", a workload," };
            format!("{}{kind} logged in: {}", login.actor.name(), login.session)
        }
        Fact::LoginEnded { session, reason } => format!("login session {session} ended: {reason}"),
        Fact::Refused(refused) => format!("{} was refused {}", refused.actor.name(), refused.target),
        Fact::GlassRefused(refused) => {
            more.put("incident", &refused.incident);
            more.all("reason", refused.reason.iter());
            format!("{} was refused emergency access to {}", refused.actor.name(), refused.target)
        }
        Fact::Filed(filed) => asked(filed, &mut more),
        Fact::Approved { step, approval } => approved(step, approval, &mut more),
        Fact::Denied { step, digest, reason } => {
            more.put("digest", digest);
            more.put("reason", reason);
            format!("{} denied {}", step.actor.name(), step.id)
        }
        Fact::Cancelled { step } => format!("{} withdrew {}", step.actor.name(), step.id),
        Fact::Claimed { step, .. } => format!("first use of {}: the work window runs", step.id),
        Fact::Ended { step, why, reason } => {
            more.all("reason", reason.iter());
            let how = match why {
                EndReason::Done => "gave back",
                EndReason::Revoked => "revoked",
            };
            format!("{} {how} {}", step.actor.name(), step.id)
        }
        Fact::Certificate(certificate) => {
            let made = certificates.iter().find(|read| read.index == entry.index);
            issued(certificate, made, &mut more)
        }
        Fact::Reviewed { step, verdict, reason, .. } => {
            more.put("reason", reason);
            let found = if *verdict == Verdict::Fine { "found it right" } else { "found something to look into" };
            format!("{} reviewed {}: {found}", step.actor.name(), step.id)
        }
        Fact::Other => other(entry, &mut more),
    };
    let Entry { index, head, .. } = entry;
    Some(Told { index: *index, time_ms: head.time_ms, code: head.code.clone(), text, more: more.0 })
}

/// An entry of a kind that has no words here: its code, who did it, and its members as they stand.
fn other(entry: &Entry<'_>, more: &mut More) -> String {
    const SAID: [&str; 6] = ["v", "time_ms", "request", "code", "actor", "to_be_signed"];
    let members: Map<String, Value> = serde_json::from_str(entry.text).unwrap_or_default();
    for (name, value) in members.iter().filter(|(name, _)| !SAID.contains(&name.as_str())) {
        match value {
            Value::String(text) => more.put(name, text),
            other => more.put(name, other),
        }
    }
    let actor = members.get("actor").and_then(|actor| actor.get("email").or_else(|| actor.get("subject")));
    match actor.and_then(Value::as_str) {
        Some(actor) => format!("{}, {actor}", entry.head.code),
        None => entry.head.code.clone(),
    }
}

fn asked(filed: &Filed, more: &mut More) -> String {
    let request = &filed.filed;
    more.put("digest", &filed.digest);
    more.put("policy set", &filed.policy_digest);
    more.put("from", request.source);
    more.all("reason", request.reason.iter());
    more.all("ticket", request.ticket.iter());
    let targets: Vec<String> = request.targets.iter().map(ToString::to_string).collect();
    if let Some(glass) = &request.break_glass {
        more.put("incident", &glass.incident);
        more.put("review by", instant(glass.review_by.as_secs()));
        more.all("policy", request.under.iter());
    }
    let what = match &request.extends {
        _ if request.break_glass.is_some() => {
            format!("broke the glass for {} for {}", targets.join(", "), request.duration)
        }
        None => format!("asked for {} for {}", targets.join(", "), request.duration),
        Some(prolonged) => format!("asked to prolong {prolonged} by {}", request.duration),
    };
    format!("{} {what}: {}", filed.actor.name(), filed.id)
}

fn approved(step: &Step, approval: &Approval, more: &mut More) -> String {
    more.put("digest", crate::digest::hex(&approval.digest.0));
    more.all("policy set", step.policy_digest.iter());
    more.all("at most", approval.duration.iter());
    more.all("only on", approval.only.iter());
    more.all("reason", approval.reason.iter());
    format!("{} approved {}", step.actor.name(), step.id)
}

fn issued(certificate: &Certificate, read: Option<&Read>, more: &mut More) -> String {
    more.put("policy", &certificate.policy);
    more.put("policy set", &certificate.policy_digest);
    if let Some(Read { made, .. }) = read {
        more.put("valid", format!("{} to {}", instant(made.valid_after()), instant(made.valid_before())));
        more.put("principals", made.valid_principals().join(", "));
        more.put("key id", made.key_id());
        more.put("signed by", made.signature_key().fingerprint(HashAlg::Sha256));
    }
    more.put("user key", &certificate.user_key);
    more.put("grant ends", instant(certificate.until.as_secs()));
    more.put("from", certificate.source);
    format!("certificate {} for {} on {}", certificate.serial, certificate.actor.name(), certificate.target)
}

/// What a bundle without a fault proves, and what it cannot.
pub(super) fn conclusions(
    record: &Record<'_>,
    checkpoint: &Checkpoint,
    witnessed: &[(String, u64)],
    certificates: &[Read],
    doubts: Vec<String>,
) -> (Vec<String>, Vec<String>) {
    let count = record.entries.len();
    let mut proven = vec![format!(
        "each of these {count} entries is, byte for byte and at its number, in the log of {} whose first {} entries its key signed",
        checkpoint.origin, checkpoint.size
    )];
    for (name, time) in witnessed {
        proven.push(format!(
            "{name} saw this log continue what it had seen before, and cosigned it at {}",
            instant(*time)
        ));
    }
    if record.filed().next().is_some() {
        proven.push(
            "each approval, denial, first use and review names the digest of exactly the request that is shown"
                .to_owned(),
        );
    }
    if !certificates.is_empty() {
        proven.push(
            "each certificate is what was to be signed: its principals, validity, key id and options are within its grant, and \
             it is for the CA key that the server said was its own"
                .to_owned(),
        );
    }
    let numbered = record.certificates().any(|(_, certificate)| !certificate.pinned.is_empty());
    if numbered {
        proven.push("no step of the request before the last certificate that is shown is left out".to_owned());
    }
    if record.sets().next().is_some() && doubts.is_empty() {
        proven.push(
            "the policy sets are those that decided, and on these facts they decide so again, by this program's policy engine"
                .to_owned(),
        );
    }
    let mut not_proven = doubts;
    not_proven.push(
        "that nothing else happened: entries may be left out of a bundle, such as further certificates or an end after the last \
         entry. Who has the whole log can tell (ca-server audit verify)"
            .to_owned(),
    );
    if witnessed.is_empty() {
        not_proven.push(
            "that others see the same log: whoever holds its key can sign another. A witness' key (--witness-key) rules that out"
                .to_owned(),
        );
    }
    not_proven.push("what is outside the log: the server's clock, what the issuer said of people, that the certificates were released or used".to_owned());
    (proven, not_proven)
}

/// `2026-11-22T01:02:03Z`.
fn instant(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days since 0000-03-01, in eras of 400 years (Howard Hinnant, chrono-compatible date algorithms).
    let shifted = days + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let year = era * 400 + year + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3_600, rest / 60 % 60, rest % 60)
}

#[cfg(test)]
mod tests {
    use super::instant;

    #[test]
    fn instants_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_767_225_600, "2026-01-01T00:00:00Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(instant(seconds), text);
        }
    }
}
