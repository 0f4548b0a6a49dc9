//! Tokens, forged and honest, from a real HTTP server with real keys.

mod forgeries;
pub(crate) mod issuer_server;
mod keys;
mod meaning;
mod outages;
mod parsers;
pub(crate) mod signer;

use super::{Issuers, Verified};
use crate::{clock::ManualClock, config::issuer::IssuerConfig};
use api::Code;
use ed25519_dalek::{SigningKey, VerifyingKey};
use issuer_server::IssuerServer;
use serde_json::{Value, json};
use signer::Signer;
use std::{sync::Arc, time::Duration};

/// 2026-01-01T00:00:00Z.
const NOW: u64 = 1_767_225_600;
const CLIENT: &str = "jit-ssh";

/// An issuer with an RSA, a P-256 and an Ed25519 key, and a server that trusts it.
struct World {
    server: IssuerServer,
    rsa: Signer,
    ec: Signer,
    ed: Signer,
    clock: Arc<ManualClock>,
    issuers: Issuers,
}

impl World {
    async fn new() -> Self {
        Self::with(|_config| {}).await
    }

    async fn with(change: impl FnOnce(&mut IssuerConfig)) -> Self {
        let server = IssuerServer::start().await;
        let (rsa, ec, ed) = (Signer::rsa("rsa-1"), Signer::p256("ec-1"), Signer::ed25519("ed-1"));
        server.publish(&[&rsa, &ec, &ed]);
        let clock = Arc::new(ManualClock::at(NOW * 1000));
        let mut config = IssuerConfig::people(server.url().parse().unwrap(), CLIENT);
        change(&mut config);
        let issuers = Issuers::with_patience(vec![config], clock.clone(), Duration::from_secs(2)).unwrap();
        Self { server, rsa, ec, ed, clock, issuers }
    }

    /// Claims with nothing wrong about them.
    fn claims(&self) -> Value {
        json!({
            "iss": self.server.url(), "sub": "u-1", "aud": CLIENT, "iat": NOW, "exp": NOW + 300,
            "nonce": api::signature::login_nonce(&session_key()),
        })
    }

    /// Those claims with some changed; null takes one away.
    fn claims_but(&self, changes: Value) -> Value {
        let mut claims = self.claims();
        for (name, value) in changes.as_object().unwrap() {
            let object = claims.as_object_mut().unwrap();
            if value.is_null() {
                object.remove(name);
            } else {
                object.insert(name.clone(), value.clone());
            }
        }
        claims
    }

    fn token_but(&self, changes: Value) -> String {
        self.ec.token(&self.claims_but(changes))
    }

    async fn verify(&self, token: &str) -> Result<Verified, Code> {
        self.issuers.verify(token, &session_key()).await.map_err(|rejected| rejected.refusal.code)
    }

    /// Why a token is refused, as the log has it.
    async fn cause(&self, token: &str) -> String {
        let rejected = self.issuers.verify(token, &session_key()).await.expect_err("it was believed");
        rejected.refusal.cause.unwrap_or_else(|| format!("{:?}", rejected.refusal.code))
    }
}

fn session_key() -> VerifyingKey {
    SigningKey::from_bytes(&[7; 32]).verifying_key()
}
