//! Who somebody is: tokens of several issuers, verified. An issuer that is down never stops the server.
//!
//! [`Issuers::verify`] is the one place where a token stops being `unverified_`.

mod claims;
mod email;
mod factors;
mod fetch;
mod groups;
mod jwks;
mod keyring;
mod rejected;
mod strict_json;
mod token;
mod workload;

pub use keyring::IssuerStatus;
pub use rejected::{Proven, Rejected};

use crate::{
    clock::Clock,
    config::issuer::{self, IssuerConfig, IssuerKind},
    store::TokenUse,
};
use api::IssuerAbout;
use ed25519_dalek::VerifyingKey;
use keyring::Keyring;
use policy::{Identity, Issuer, UnixTime};
use std::{sync::Arc, time::Duration};
use token::UnverifiedToken;

/// The longest that one answer of an issuer may take, from connecting to its last byte: a slow one holds nobody up for longer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The issuers whose tokens are believed.
pub struct Issuers {
    all: Vec<Arc<Trusted>>,
    clock: Arc<dyn Clock>,
}

/// One issuer and its keys.
struct Trusted {
    config: IssuerConfig,
    keyring: Arc<Keyring>,
}

/// What a token proved.
#[derive(Clone, Debug)]
pub struct Verified {
    /// Who.
    pub identity: Identity,
    /// What is used up by believing it.
    pub token: TokenUse,
    /// What bound the token to the session key: `nonce`, `device` or `workload`.
    pub binding: &'static str,
    /// No login session may outlast this; a workload's ends with its token.
    pub ends: Option<UnixTime>,
}

impl Issuers {
    /// These issuers. Reads certificate files; speaks to nobody yet.
    ///
    /// # Errors
    /// If the configuration contradicts itself or a certificate file cannot be used, a sentence for each fault.
    pub fn new(configs: Vec<IssuerConfig>, clock: Arc<dyn Clock>) -> Result<Self, Vec<String>> {
        Self::with_patience(configs, clock, PATIENCE)
    }

    fn with_patience(
        configs: Vec<IssuerConfig>,
        clock: Arc<dyn Clock>,
        patience: Duration,
    ) -> Result<Self, Vec<String>> {
        crate::config::issuer::check_all(&configs)
            .map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        let (mut all, mut faults) = (Vec::new(), Vec::new());
        let required: Vec<_> = configs.iter().map(|config| issuer::required(config, &configs)).collect();
        for (mut config, required) in configs.into_iter().zip(required) {
            config.require_claims = Some(required);
            match Keyring::new(&config, clock.clone(), patience) {
                Ok(keyring) => all.push(Arc::new(Trusted { config, keyring: Arc::new(keyring) })),
                Err(fault) => faults.push(format!("issuer {}: {fault}", config.url)),
            }
        }
        if faults.is_empty() { Ok(Self { all, clock }) } else { Err(faults) }
    }

    /// Who the bearer of this token is, for a login with `session_key`.
    ///
    /// # Errors
    /// With what the caller is told and, if the issuer's signature held, whose token it was.
    pub async fn verify(&self, unverified_token: &str, session_key: &VerifyingKey) -> Result<Verified, Rejected> {
        let unverified = UnverifiedToken::parse(unverified_token)?;
        let issuer = self.named(unverified.unverified_issuer()).ok_or_else(rejected::unknown_issuer)?;
        let claims = issuer.keyring.verify(&unverified, &issuer.config.algorithms).await?;
        claims::believe(&issuer.config, &claims, &api::signature::login_nonce(session_key), self.clock.now())
            .map(|believed| believed.with_token(unverified.signed_part()))
            .map_err(|rejected| match claims::concern_us(&issuer.config, &claims) {
                true => rejected.proven_by(&issuer.config.url, &claims),
                false => rejected,
            })
    }

    /// Where people may log in.
    pub fn about(&self) -> Vec<IssuerAbout> {
        let people = self.all.iter().map(|issuer| &issuer.config).filter(|config| config.kind == IssuerKind::People);
        people
            .map(|config| IssuerAbout {
                issuer: config.url.clone(),
                name: config.shown_name(),
                client_id: config.meant_for().to_owned(),
                scopes: config.scopes.clone(),
                redirect_ports: config.redirect_ports.clone(),
                device_grant: config.device_grant,
                acr_values: config.acr_values.clone(),
            })
            .collect()
    }

    /// Keeps every issuer's keys fresh; an issuer that is down is tried again and again. To be spawned once; never ends.
    pub fn refresh_forever(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        let all = self.all.clone();
        async move {
            let mut tasks = tokio::task::JoinSet::new();
            for issuer in all {
                tasks.spawn(async move { issuer.keyring.refresh_forever().await });
            }
            while tasks.join_next().await.is_some() {}
        }
    }

    /// Asks every issuer for its keys now, and says what came of it.
    pub async fn refresh_now(&self) -> Vec<IssuerStatus> {
        for issuer in &self.all {
            issuer.keyring.refresh().await;
        }
        self.status()
    }

    /// How each issuer stands.
    pub fn status(&self) -> Vec<IssuerStatus> {
        self.all.iter().map(|issuer| issuer.keyring.status()).collect()
    }

    fn named(&self, unverified_issuer: &Issuer) -> Option<&Trusted> {
        self.all.iter().find(|issuer| issuer.config.url == *unverified_issuer).map(AsRef::as_ref)
    }
}

#[cfg(test)]
pub(crate) mod tests;
