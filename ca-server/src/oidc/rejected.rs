//! A token that is not believed: what the caller is told, and what the audit log may hold of it.

use crate::{config::issuer::Required, refusal::Refusal};
use api::Code;
use policy::{Issuer, Subject};
use serde_json::{Map, Value};

/// A token that is not believed.
#[derive(Debug)]
pub struct Rejected {
    /// What the caller is told.
    pub refusal: Refusal,
    /// Whose token it was. Absent while the issuer's signature is unproven, or where it is no business of ours: then
    /// it is a stranger's rubbish, which belongs in no audit log.
    pub proven: Option<Box<Proven>>,
}

/// Who a token with a good signature spoke of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// The issuer that signed it.
    pub issuer: Issuer,
    /// `sub`, if it is one.
    pub subject: Option<Subject>,
}

impl Rejected {
    pub(super) fn proven_by(mut self, issuer: &Issuer, claims: &Map<String, Value>) -> Self {
        let subject = claims.get("sub").and_then(Value::as_str).and_then(|text| text.parse().ok());
        self.proven = Some(Box::new(Proven { issuer: issuer.clone(), subject }));
        self
    }
}

impl From<Refusal> for Rejected {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, proven: None }
    }
}

/// The token is not one that can be believed, whoever made it. `cause` goes to log and audit and holds no text of the token's.
pub(super) fn refused(cause: &'static str) -> Rejected {
    Refusal::new(Code::TokenRefused, "the token was refused")
        .hint("log in again; if it stays, the server's log says why, under the request id")
        .cause(cause)
        .into()
}

/// As [`refused`], with a hint that helps the one who logs in.
pub(super) fn refused_with(cause: &'static str, hint: &'static str) -> Rejected {
    Refusal::new(Code::TokenRefused, "the token was refused").hint(hint).cause(cause).into()
}

/// The token does not carry what the server requires of its issuer.
pub(super) fn lacking(required: Required) -> Rejected {
    let (what, cause) = match required {
        Required::Email => {
            ("a verified e-mail address", "it has no verified e-mail address, and require_claims asks for one")
        }
        Required::Groups => ("its claim of groups", "it has no claim of groups, and require_claims asks for it"),
    };
    Refusal::new(Code::TokenRefused, format!("the token lacks {what}, which this server requires"))
        .hint(
            "log in with `jit-ssh login`, which asks for it; if the issuer sends none, an administrator has it sent: \
             `scopes`, `email_claim`, `groups_claim` and `require_claims` of the [[issuer]]",
        )
        .cause(cause)
        .into()
}

pub(super) fn unknown_issuer() -> Rejected {
    Refusal::new(Code::UnknownIssuer, "the token's issuer is not one that this server trusts")
        .hint("compare `iss` of the token with the url of each [[issuer]] of the server, letter by letter")
        .into()
}

pub(super) fn issuer_unavailable(cause: impl std::fmt::Display) -> Rejected {
    Refusal::new(
        Code::IssuerUnavailable,
        "the issuer's keys cannot be fetched just now, so its tokens cannot be checked",
    )
    .hint("try again in a moment; the server keeps trying")
    .cause(cause)
    .into()
}

pub(super) fn overage(cause: &'static str) -> Rejected {
    Refusal::new(Code::GroupsOverage, "there are more groups than fit into the token, so none can be relied on")
        .hint(
            "have the issuer send only groups assigned to jit-ssh (Entra: \"Groups assigned to the application\", or app \
             roles with groups_claim = \"roles\"), at most 256",
        )
        .cause(cause)
        .into()
}
