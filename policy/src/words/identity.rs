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
    /// Verified addresses that earlier logins of this account bore, oldest first. What is known of an account stays known, or
    /// whoever leaves the address out of a token, or changes it, would be somebody else. Policies do not see them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub known_as: Vec<Email>,
}

impl Identity {
    /// So many earlier addresses are kept. The oldest stay: else whoever may choose addresses at an issuer could push
    /// one out that tells who they are.
    pub const MOST_KNOWN_AS: usize = 16;

    /// The shortest name that people know them by: e-mail where verified, else subject.
    pub fn name(&self) -> &str {
        self.email.as_ref().map_or(self.subject.as_str(), Email::as_str)
    }

    /// Every verified address they are known by, the present one first.
    pub fn addresses(&self) -> impl Iterator<Item = &Email> {
        self.email.iter().chain(&self.known_as)
    }

    /// Whether this is an address they are known by, in whatever case.
    pub fn is_known_as(&self, address: &str) -> bool {
        self.addresses().any(|known| known.as_str().eq_ignore_ascii_case(address))
    }

    /// Takes over the addresses by which `other`, the same account at another login, is known.
    pub fn remember(&mut self, other: &Self) {
        // An address that is also the present one keeps its place: it may not be the present one for long.
        for address in &other.known_as {
            if !self.known_as.iter().any(|known| known.as_str().eq_ignore_ascii_case(address.as_str())) {
                self.known_as.push(address.clone());
            }
        }
        if let Some(email) = other.email.as_ref().filter(|email| !self.is_known_as(email.as_str())) {
            self.known_as.push(email.clone());
        }
    }

    /// The same as what a later login of the account told: groups, addresses, claims. How and when they had authenticated
    /// stays as it was.
    #[must_use]
    pub fn learnt(&self, latest: &Self) -> Self {
        let Self { amr, acr, mfa, auth_time, .. } = self.clone();
        let mut learnt = Self { amr, acr, mfa, auth_time, ..latest.clone() };
        learnt.remember(self);
        learnt
    }
}
