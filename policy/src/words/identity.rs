//! Who asks.

use super::{Email, Group, Issuer, Subject, UnixTime};

/// A person or a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A person: Cedar's `User`.
    User,
    /// A CI job, a service, an agent: Cedar's `Workload`.
    Workload,
}

/// Who asks, as a verified token said it. The key is issuer and subject together: an e-mail address may change hands.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Identity {
    /// Person or machine.
    pub kind: Kind,
    /// `iss`.
    pub issuer: Issuer,
    /// `sub`.
    pub subject: Subject,
    /// `email`, present only when the issuer says that it is verified.
    pub email: Option<Email>,
    /// Groups from the configured claim, with the issuer's prefix where one is configured.
    pub groups: Vec<Group>,
    /// Authentication methods (RFC 8176), as claimed.
    pub amr: Vec<String>,
    /// Authentication context class, as claimed.
    pub acr: Option<String>,
    /// More than one factor, judged from `amr` and `acr` by the issuer's configuration.
    pub mfa: bool,
    /// When the person last typed something at the issuer; absent means unknown, and unknown is never fresh.
    pub auth_time: Option<UnixTime>,
    /// Further string claims of a workload's token that its issuer's configuration names (`repository`, `ref`, …).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<(String, String)>,
}

impl Identity {
    /// The shortest name that people know them by: e-mail where verified, else subject.
    pub fn name(&self) -> &str {
        self.email.as_ref().map_or(self.subject.as_str(), Email::as_str)
    }
}
