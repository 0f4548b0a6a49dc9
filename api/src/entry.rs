//! Entries of the audit log as an outsider reads them: what verifiers and replays look at, of every version that ever was.
//! docs/AUDIT.md says what each is.

mod access;
mod life;
mod policies;
mod revocation;

pub use access::{Certificate, GlassRefused, Login, Pinned, Refused};
pub use life::{Beside, Filed, Step};
pub use policies::{File, Part, Set};
pub use revocation::{FreezeSet, FreezeStopped, FreezeThawed, Revoked};

use policy::{Approval, Email, EndReason, Frozen, Identity, Issuer, Kind, Reason, SessionId, Subject, Verdict};
use serde::Deserialize;

/// What every entry has, and what says where a step belongs.
#[derive(Clone, Debug, Deserialize)]
pub struct Head {
    /// The server's clock, milliseconds.
    pub time_ms: u64,
    /// The id of the HTTP request, or what else was the cause.
    pub request: String,
    /// What happened.
    pub code: String,
    /// Of a step in a request's life: how many came before it.
    #[serde(default)]
    pub step: Option<usize>,
}

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Who {
    /// Person or machine.
    pub kind: Kind,
    /// Their issuer.
    pub issuer: Issuer,
    /// Their subject there.
    pub subject: Subject,
    /// Their e-mail address, where it was verified.
    #[serde(default)]
    pub email: Option<Email>,
}

impl Who {
    /// Whether this is the account of `identity`.
    pub fn is(&self, identity: &Identity) -> bool {
        (&self.issuer, &self.subject) == (&identity.issuer, &identity.subject)
    }

    /// Whether this is how `identity` is named: the account, and what people read of it.
    pub fn names(&self, identity: &Identity) -> bool {
        self.is(identity) && (self.kind, &self.email) == (identity.kind, &identity.email)
    }

    /// Whether it is they who are frozen.
    pub fn is_frozen(&self, frozen: &Frozen) -> bool {
        frozen.is_of_account(&self.issuer, &self.subject, self.email.as_ref())
    }

    /// The shortest name that people know them by.
    pub fn name(&self) -> &str {
        self.email.as_ref().map_or(self.subject.as_str(), Email::as_str)
    }
}

/// What happened, as far as it is looked at here.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "code")]
pub enum Fact {
    /// A server began to serve.
    #[serde(rename = "server.started")]
    Started {
        /// Its user CA's public key, OpenSSH form.
        user_ca: String,
    },
    /// A policy set took the place of another.
    #[serde(rename = "policy.loaded")]
    Policies(Set),
    /// A file of a policy set, or a part of it.
    #[serde(rename = "policy.source")]
    Source(Part),
    /// A login session was opened.
    #[serde(rename = "login.opened")]
    Login(Box<Login>),
    /// A login session ended.
    #[serde(rename = "login.ended")]
    LoginEnded {
        /// The session.
        session: SessionId,
        /// Why.
        reason: String,
    },
    /// A decision that issued nothing.
    #[serde(rename = "decision.refused")]
    Refused(Box<Refused>),
    /// Emergency access that was refused.
    #[serde(rename = "break-glass.refused")]
    GlassRefused(Box<GlassRefused>),
    /// A certificate.
    #[serde(rename = "certificate.issued")]
    Certificate(Box<Certificate>),
    /// A request.
    #[serde(rename = "request.filed", alias = "break-glass.opened")]
    Filed(Box<Filed>),
    /// A reviewer's yes.
    #[serde(rename = "request.approved")]
    Approved {
        /// The step.
        #[serde(flatten)]
        step: Step,
        /// The approval.
        approval: Approval,
    },
    /// A reviewer's no.
    #[serde(rename = "request.denied")]
    Denied {
        /// The step.
        #[serde(flatten)]
        step: Step,
        /// The digest that was denied, hex.
        digest: String,
        /// Why.
        reason: Reason,
    },
    /// Withdrawn by its requester.
    #[serde(rename = "request.cancelled")]
    Cancelled {
        /// The step.
        #[serde(flatten)]
        step: Step,
    },
    /// The first certificate.
    #[serde(rename = "request.claimed")]
    Claimed {
        /// The step.
        #[serde(flatten)]
        step: Step,
        /// The digest that was claimed, hex.
        digest: String,
    },
    /// Ended before its time.
    #[serde(rename = "grant.ended")]
    Ended {
        /// The step.
        #[serde(flatten)]
        step: Step,
        /// Which kind of end.
        why: EndReason,
        /// In somebody's words.
        #[serde(default)]
        reason: Option<Reason>,
    },
    /// Somebody looked at emergency access after the fact.
    #[serde(rename = "break-glass.reviewed")]
    Reviewed {
        /// The step.
        #[serde(flatten)]
        step: Step,
        /// The digest that was reviewed, hex.
        digest: String,
        /// What they found.
        verdict: Verdict,
        /// In their words.
        reason: Reason,
    },
    /// Certificates that were revoked.
    #[serde(rename = "certificates.revoked")]
    Revoked(Box<Revoked>),
    /// A freeze that was set.
    #[serde(rename = "freeze.set")]
    FreezeSet(Box<FreezeSet>),
    /// A word to thaw one.
    #[serde(rename = "freeze.thawed")]
    FreezeThawed(Box<FreezeThawed>),
    /// A freeze that stopped something.
    #[serde(rename = "freeze.stopped")]
    FreezeStopped(Box<FreezeStopped>),
    /// Anything else.
    #[serde(other)]
    Other,
}

impl Fact {
    /// The step that this is, if it is one.
    pub fn step(&self) -> Option<&Step> {
        match self {
            Self::Approved { step, .. }
            | Self::Denied { step, .. }
            | Self::Cancelled { step }
            | Self::Claimed { step, .. }
            | Self::Ended { step, .. }
            | Self::Reviewed { step, .. } => Some(step),
            _ => None,
        }
    }
}

/// The exact bytes of the member `name` of the JSON object `text`, which must be well-formed: what a digest is over.
pub fn member<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let mut rest = text.trim().strip_prefix('{')?;
    loop {
        let (key, after) = value(rest.trim_start())?;
        let (found, after) = value(after.trim_start().strip_prefix(':')?.trim_start())?;
        if serde_json::from_str::<String>(key).ok()? == name {
            return Some(found);
        }
        rest = after.trim_start().strip_prefix(',')?;
    }
}

/// The JSON value at the beginning of `text`, and what follows it.
fn value(text: &str) -> Option<(&str, &str)> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<serde::de::IgnoredAny>();
    // A number or a word ends where something that no value begins with follows; that is said as an error, and the value
    // before it is whole all the same.
    if text.starts_with(['{', '[', '"']) {
        values.next()?.ok()?;
        return text.split_at_checked(values.byte_offset());
    }
    text.split_at_checked(text.find([',', '}', ']'])?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_found_by_its_place_and_not_by_its_look() {
        let text = r#"{"v":1,"who":"x\"filed\":{\"a\":1}","deep":{"filed":[1,"}"]}, "n":-1.5e3,"t":true,"filed":{"b":"é{"} ,"z":[]}"#;
        assert_eq!(member(text, "filed"), Some(r#"{"b":"é{"}"#));
        assert_eq!(member(text, "deep"), Some(r#"{"filed":[1,"}"]}"#));
        assert_eq!(
            (member(text, "n"), member(text, "t"), member(text, "z")),
            (Some("-1.5e3"), Some("true"), Some("[]"))
        );
        for broken in ["", "{", "{}", "[1]", r#"{"a""#, r#"{"a":"#, r#"{"a":1"#] {
            assert_eq!(member(broken, "filed"), None, "{broken}");
        }
    }
}
