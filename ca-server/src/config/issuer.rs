//! `[[issuer]]`: one OpenID Provider or workload issuer, and what its tokens are taken to mean.

mod algorithm;
mod check;
mod condition;
mod required;

pub use algorithm::{Algorithm, KeyType};
pub(crate) use check::is_loopback;
pub use check::{IssuerFault, check_all};
pub use condition::Condition;
pub use required::{Required, for_people, required};

use policy::{Issuer, Kind, Seconds};
use std::path::{Path, PathBuf};

/// One `[[issuer]]` of the configuration. Checked by [`check_all`] before anything uses it.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerConfig {
    /// `iss`, byte for byte; the discovery document is looked for below it.
    pub url: Issuer,
    /// A name for people; absent means the URL's host.
    #[serde(default)]
    pub name: Option<String>,
    /// Whose tokens these are.
    #[serde(default)]
    pub kind: IssuerKind,
    /// The client id of `jit-ssh` at a people's issuer: tokens must be meant for it.
    #[serde(default)]
    pub client_id: Option<String>,
    /// What a workload's token must be meant for.
    #[serde(default)]
    pub audience: Option<String>,
    /// Scopes to ask for.
    #[serde(default = "scopes")]
    pub scopes: Vec<String>,
    /// Loopback ports for the redirect, for providers that match redirect URIs exactly; empty means any free port.
    #[serde(default)]
    pub redirect_ports: Vec<u16>,
    /// Whether the device grant is accepted. Off, because it can be phished and its tokens carry no nonce.
    #[serde(default)]
    pub device_grant: bool,
    /// The claim that holds groups: a name, a path such as `realm_access.roles`, a URL, which is taken whole, or a
    /// JSON pointer for names that hold dots. People's issuers default to `groups`; workloads have groups only if this is
    /// set.
    #[serde(default)]
    pub groups_claim: Option<String>,
    /// Put before every group of this issuer, so that two issuers can never mean different groups by one name.
    #[serde(default)]
    pub group_prefix: String,
    /// The claim that holds the e-mail address.
    #[serde(default = "email_claim")]
    pub email_claim: String,
    /// The claim that says whether the address is verified (Entra: `xms_edov`).
    #[serde(default = "email_verified_claim")]
    pub email_verified_claim: String,
    /// Whether the text `"true"` counts as verified, as the boolean always does.
    #[serde(default)]
    pub email_verified_as_text: bool,
    /// What a person's token must carry. Absent means: a verified e-mail address if people may log in at another issuer
    /// too, else nothing.
    #[serde(default)]
    pub require_claims: Option<Vec<Required>>,
    /// Signature algorithms that are accepted.
    #[serde(default = "algorithm::defaults")]
    pub algorithms: Vec<Algorithm>,
    /// `amr` values of which any one means several factors. Absent means: `mfa`, or methods of two different kinds
    /// (something known, something held, something one is).
    #[serde(default)]
    pub mfa_amr: Option<Vec<String>>,
    /// `acr` values of which any one means several factors.
    #[serde(default)]
    pub mfa_acr: Vec<String>,
    /// `acr_values` that `jit-ssh` asks for. Never evidence: what was done is read from the token.
    #[serde(default)]
    pub acr_values: Option<String>,
    /// How old a token may be; absent means 10 minutes for people and an hour for workloads.
    #[serde(default)]
    pub max_token_age: Option<Seconds>,
    /// How long ago the person may have typed something at the issuer. Set, a token without a plausible `auth_time` is refused.
    #[serde(default)]
    pub max_auth_age: Option<Seconds>,
    /// Certificates (PEM) that may vouch for the issuer's TLS certificate, beside the system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Claims of a workload's token that policies may look at.
    #[serde(default)]
    pub claims: Vec<String>,
    /// What a workload's token must say; all must hold, and a workload issuer has at least one.
    #[serde(default)]
    pub require: Vec<Condition>,
}

/// Whose tokens an issuer signs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IssuerKind {
    /// ID tokens of people.
    #[default]
    People,
    /// JWTs of CI jobs, services, agents.
    Workload,
}

impl IssuerConfig {
    /// A people's issuer with every setting at its default.
    pub fn people(url: Issuer, client_id: impl Into<String>) -> Self {
        Self {
            url,
            name: None,
            kind: IssuerKind::People,
            client_id: Some(client_id.into()),
            audience: None,
            scopes: scopes(),
            redirect_ports: Vec::new(),
            device_grant: false,
            groups_claim: None,
            group_prefix: String::new(),
            email_claim: email_claim(),
            email_verified_claim: email_verified_claim(),
            email_verified_as_text: false,
            require_claims: None,
            algorithms: algorithm::defaults(),
            mfa_amr: None,
            mfa_acr: Vec::new(),
            acr_values: None,
            max_token_age: None,
            max_auth_age: None,
            ca_file: None,
            claims: Vec::new(),
            require: Vec::new(),
        }
    }

    /// A workload issuer with every other setting at its default.
    pub fn workload(url: Issuer, audience: impl Into<String>, require: Vec<Condition>) -> Self {
        let people = Self::people(url, "");
        Self { kind: IssuerKind::Workload, client_id: None, audience: Some(audience.into()), require, ..people }
    }

    /// Takes relative paths as relative to `directory`.
    pub fn relative_to(&mut self, directory: &Path) {
        if let Some(file) = &mut self.ca_file {
            *file = directory.join(&*file);
        }
    }

    /// The name for people.
    pub fn shown_name(&self) -> String {
        let host = || url::Url::parse(self.url.as_str()).ok()?.host_str().map(str::to_owned);
        self.name.clone().or_else(host).unwrap_or_else(|| self.url.to_string())
    }

    /// What a token must be meant for.
    pub fn meant_for(&self) -> &str {
        match self.kind {
            IssuerKind::People => self.client_id.as_deref(),
            IssuerKind::Workload => self.audience.as_deref(),
        }
        .unwrap_or_default()
    }

    /// The kind of identity its tokens make.
    pub fn identity_kind(&self) -> Kind {
        match self.kind {
            IssuerKind::People => Kind::User,
            IssuerKind::Workload => Kind::Workload,
        }
    }

    /// How old a token may be.
    pub fn token_age(&self) -> Seconds {
        let default = match self.kind {
            IssuerKind::People => Seconds::new(600),
            IssuerKind::Workload => Seconds::new(3600),
        };
        self.max_token_age.unwrap_or(default)
    }

    /// The claim that holds groups, if this issuer gives any.
    pub fn groups_from(&self) -> Option<&str> {
        let default = (self.kind == IssuerKind::People).then_some("groups");
        self.groups_claim.as_deref().or(default)
    }
}

fn scopes() -> Vec<String> {
    ["openid", "profile", "email"].map(str::to_owned).to_vec()
}

fn email_claim() -> String {
    "email".to_owned()
}

fn email_verified_claim() -> String {
    "email_verified".to_owned()
}
