//! Proof of possession: nobody gets a certificate for a key that they do not hold.

use super::answer;
use crate::{app::App, ca::UserKey, refusal::Refusal, store::KeyBinding, verbs::authenticate::Caller};
use api::signature::{USER_KEY_NAMESPACE, user_key_proof};
use ssh_key::{Algorithm, SshSig};

/// The binding that a proof in this request earns; none where this login session has proven the key before.
pub(super) async fn of(
    app: &App,
    caller: &Caller,
    key: &UserKey,
    unverified_proof: Option<&str>,
) -> Result<Option<KeyBinding>, Refusal> {
    let Some(unverified_proof) = unverified_proof else {
        let proven = app.store.key_proven(&caller.session.id, key.digest()).await?;
        return if proven { Ok(None) } else { Err(answer::proof_required()) };
    };
    verify(key, unverified_proof, &user_key_proof(&app.audience, &caller.session.id))?;
    Ok(Some(KeyBinding { key: *key.digest(), at: app.clock.now() }))
}

/// Whether whoever holds `key` has signed `message` for our purpose; with a security key: by a touch.
///
/// # Errors
/// `proof_required`, with the cause for the log.
pub fn verify(key: &UserKey, unverified_proof: &str, message: &[u8]) -> Result<(), Refusal> {
    let unverified = SshSig::from_pem(unverified_proof).map_err(answer::proof_refused)?;
    // Checks that key and namespace are the ones we mean, then the signature.
    key.public().verify(USER_KEY_NAMESPACE, message, &unverified).map_err(answer::proof_refused)?;
    if !touched(&unverified) {
        return Err(answer::proof_refused("the security key was not touched"));
    }
    Ok(())
}

/// A security key's signature ends in a byte of flags and a counter; the lowest flag says that somebody was there.
fn touched(proof: &SshSig) -> bool {
    match proof.algorithm() {
        Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256 => {
            proof.signature_bytes().iter().rev().nth(4).is_some_and(|flags| flags & 1 == 1)
        }
        _ => true,
    }
}
