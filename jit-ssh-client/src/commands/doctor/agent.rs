//! Can the agent do what we need? Tried with a certificate that opens nothing.

use crate::{
    agent::{Agent, AgentError},
    clock,
    error::Failure,
    keys::{self, UserKey},
};
use ssh_key::{
    Certificate, PrivateKey,
    certificate::{Builder, CertType},
    private::Ed25519Keypair,
};

/// How many entries the agent holds.
///
/// # Errors
/// If it does not answer.
pub fn reachable() -> Result<usize, Failure> {
    Ok(Agent::connect()?.list()?.len())
}

/// Adds a certificate signed by a key that nobody trusts and that is forgotten at once, and takes it out again.
///
/// # Errors
/// If the agent refuses certificates or lifetimes.
pub fn holds_certificates() -> Result<(), Failure> {
    let mut agent = Agent::connect()?;
    let key = UserKey::fresh()?;
    let certificate = throwaway(&key)?;
    let blob = certificate.to_bytes().map_err(|_unwritable| AgentError::Garbled)?;
    agent.add(&certificate, &key, "jit-ssh doctor, opens nothing", 2)?;
    Ok(agent.remove(&blob)?)
}

fn throwaway(key: &UserKey) -> Result<Certificate, Failure> {
    let odd = |error: ssh_key::Error| Failure::failed(format!("a trial certificate cannot be made: {error}"));
    let nobody = PrivateKey::from(Ed25519Keypair::from_seed(&keys::session_key()?.to_bytes()));
    let now = clock::now().as_secs();
    let mut builder = Builder::new(keys::nonce()?, key.public().clone(), now, now.saturating_add(60)).map_err(odd)?;
    builder.serial(1).map_err(odd)?;
    builder.cert_type(CertType::User).map_err(odd)?;
    builder.key_id("jit-ssh doctor").map_err(odd)?;
    builder.valid_principal("jit-ssh-doctor@nowhere.invalid").map_err(odd)?;
    builder.sign(&nobody).map_err(odd)
}
