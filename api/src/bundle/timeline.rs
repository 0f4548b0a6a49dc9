//! What happened, in words.

use super::{
    certificate::Read,
    instant::instant,
    record::{Entry, Record},
};
use crate::entry::{Certificate, Fact, Filed, Revoked, Step};
use policy::{Approval, EndReason, GrantId, Kind, Verdict};
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
        Fact::Revoked(revoked) => taken(revoked, certificates, &mut more),
        Fact::FreezeSet(set) => {
            more.put("freeze", &set.id);
            more.put("reason", &set.reason);
            format!("{} froze {}: nothing more was issued", set.actor.name(), set.frozen)
        }
        Fact::FreezeThawed(word) => {
            more.put("freeze", &word.id);
            more.all("reason", word.reason.iter());
            let enough = if word.lifted { "it was lifted" } else { "one more had to" };
            format!("{} agreed to thaw a freeze: {enough}", word.actor.name())
        }
        Fact::FreezeStopped(stopped) => {
            more.put("freeze", &stopped.id);
            more.all("target", stopped.target.iter());
            format!("a freeze stopped {}", stopped.actor.name())
        }
        Fact::Other => other(entry, &mut more),
    };
    let Entry { index, head, .. } = entry;
    Some(Told { index: *index, time_ms: head.time_ms, code: head.code.clone(), text, more: more.0 })
}

/// An entry of a kind that has no words here: its code, who did it, and its members as they stand.
fn other(entry: &Entry<'_>, more: &mut More) -> String {
    const LONGEST_LABEL: usize = 24;
    const SAID: [&str; 6] = ["v", "time_ms", "request", "code", "actor", "to_be_signed"];
    let members: Map<String, Value> = serde_json::from_str(entry.text).unwrap_or_default();
    for (name, value) in members.iter().filter(|(name, _)| !SAID.contains(&name.as_str())) {
        // Names of members are ours, and short. If not, they are not ours.
        let label = if name.len() <= LONGEST_LABEL { name } else { "(a long name)" };
        match value {
            Value::String(text) => more.put(label, text),
            other => more.put(label, other),
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

/// A revocation, with those of its certificates that are told here.
fn taken(revoked: &Revoked, certificates: &[Read], more: &mut More) -> String {
    let here = |serial: &&u64| certificates.iter().any(|read| read.made.serial() == **serial);
    more.all("certificate", revoked.serials.iter().filter(here));
    more.all("reason", revoked.reason.iter());
    more.put("KRL version", revoked.krl);
    let named = revoked.named.as_deref().or(revoked.grant.as_ref().map(GrantId::as_str)).unwrap_or_default();
    let what = match revoked.which.as_str() {
        "user" => format!("all that {named} had: requests, logins and certificates"),
        "issuer" => format!("all that {named} vouched for: requests, logins and certificates"),
        "host" => format!("all access to {named}"),
        "policy" => format!("all that policy {named} granted"),
        "serial" => format!("certificate {named}"),
        "grant" => format!("the certificates of {named}"),
        other => format!("{other} {named}"),
    };
    format!("{} revoked {what}", revoked.actor.name())
}
