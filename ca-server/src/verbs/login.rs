//! login: a token in, a login session out, bound to the session key.

use crate::{
    app::{App, Origin},
    audit::{Actor, Entry, Event},
    clock::random,
    oidc::{Rejected, Verified},
    refusal::Refusal,
    store::{LoginSession, Opened},
};
use api::{Code, LoginRequest, LoginResponse};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{Signature, VerifyingKey};
use policy::{Identity, SessionId};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

/// Opens a login session for the bearer of the token. Durable and on record before it is answered.
///
/// # Errors
/// If the proof of possession fails, the token is not believed or was used before, or nothing can be recorded.
pub async fn login(app: &App, origin: &Origin, request: LoginRequest) -> Result<LoginResponse, Refusal> {
    let key = possessed_key(app, &request)?;
    let mut verified = match app.issuers.verify(&request.token, &key).await {
        Ok(verified) => verified,
        Err(rejected) => return Err(note_refusal(app, origin, &request.token, rejected).await),
    };
    carry_over(app, &mut verified.identity).await?;
    let session = session(app, origin, &key, &verified)?;
    let (time_ms, token_digest) = (app.clock.now_ms(), hex(&Sha256::digest(request.token.as_bytes())));
    let event = Event::LoginOpened {
        actor: Actor::from(&session.identity),
        session: &session.id,
        groups: &session.identity.groups,
        mfa: session.identity.mfa,
        identity: &session.identity,
        source: origin.source,
        binding: verified.binding,
        token_digest: &token_digest,
        session_key: &request.session_key,
        expires: session.expires,
    };
    let entry = Entry::new(time_ms, &origin.request_id, &event).map_err(Refusal::internal)?;
    match app.store.open_session(session.clone(), verified.token, app.sessions.most_per_identity, entry).await? {
        Opened::Yes => {}
        Opened::TokenUsed => return Err(note_refusal(app, origin, &request.token, used_before(&verified)).await),
    }
    // From here on the session exists, whether or not the answer arrives.
    Ok(LoginResponse {
        session: session.id,
        identity: (&session.identity).into(),
        expires: session.expires,
        idle_seconds: session.idle_seconds,
    })
}

/// The session key, whose holder signed this very token for this very server. Checked first: it costs least and needs nobody.
fn possessed_key(app: &App, request: &LoginRequest) -> Result<VerifyingKey, Refusal> {
    let bytes: Option<[u8; 32]> = exact(&request.session_key);
    let key = bytes.and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok()).filter(|key| !key.is_weak()).ok_or_else(
        || {
            Refusal::new(
                Code::BadRequest,
                "session_key is not an Ed25519 public key: 32 bytes in base64url without padding",
            )
        },
    )?;
    let proof = exact(&request.proof).map(|bytes: [u8; 64]| Signature::from_bytes(&bytes)).ok_or_else(|| {
        Refusal::new(Code::BadRequest, "proof is not an Ed25519 signature: 64 bytes in base64url without padding")
    })?;
    key.verify_strict(&api::signature::login_proof(&app.audience, &request.token), &proof).map_err(|error| {
        Refusal::new(Code::BadSignature, "proof is not the session key's signature over this token for this server")
            .hint("the server's URL in your configuration must be exactly the `audience` that /v1/about shows")
            .cause(error)
    })?;
    Ok(key)
}

/// Gives an account that logs in every address that earlier logins of it bore: what a client asks its issuer for is its own
/// choice, and must not decide whether this is known to be one person with another account. Of two logins at once one may not
/// know what the other brings; none forgets what was known before both.
pub(crate) async fn carry_over(app: &App, identity: &mut Identity) -> Result<(), Refusal> {
    if let Some(before) = app.store.latest_identity(&identity.issuer, &identity.subject).await? {
        identity.remember(&before);
        identity.known_as.truncate(Identity::MOST_KNOWN_AS);
    }
    Ok(())
}

fn session(app: &App, origin: &Origin, key: &VerifyingKey, verified: &Verified) -> Result<LoginSession, Refusal> {
    let started = app.clock.now();
    let longest = started.plus(app.sessions.lifetime);
    let expires = verified.ends.map_or(longest, |end| end.min(longest));
    if expires <= started {
        // Its token still holds within the clock skew, but a session that has ended is no session.
        return Err(Refusal::new(Code::TokenRefused, "the token has just expired").hint("log in again"));
    }
    Ok(LoginSession {
        id: SessionId::from_random(random()?),
        identity: verified.identity.clone(),
        key: key.to_bytes(),
        started,
        used: started,
        expires,
        idle_seconds: app.sessions.idle.as_secs(),
        source: origin.source,
    })
}

fn used_before(verified: &Verified) -> Rejected {
    let refusal = Refusal::new(Code::TokenUsed, "the token was used before; each opens one login session")
        .hint("run `jit-ssh login` again. If it was not you who used it first, tell your security team")
        .cause("the token was used before");
    let subject = Some(verified.identity.subject.clone());
    let proven = crate::oidc::Proven { issuer: verified.identity.issuer.clone(), subject };
    Rejected { refusal, proven: Some(Box::new(proven)) }
}

/// Puts on record that a token which its issuer did sign was refused: that is somebody's, and may be an attack. A
/// stranger's rubbish is only logged, or anybody could fill the audit log. Answers the refusal, whatever becomes of the record,
/// for nothing is released here.
async fn note_refusal(app: &App, origin: &Origin, token: &str, rejected: Rejected) -> Refusal {
    let Rejected { refusal, proven } = rejected;
    let Some(proven) = proven else { return refusal };
    // Once for each token and answer, or whoever finds an old token could send it until the disk is full. The signed
    // part alone counts: a signature can be written in several ways.
    let signed = token.rsplit_once('.').map_or(token, |(signed, _)| signed);
    let digest = Sha256::new().chain_update(format!("{:?}\n", refusal.code)).chain_update(signed).finalize();
    if !app.refusals.first(digest.into()) {
        return refusal;
    }
    let event = Event::LoginRefused {
        issuer: proven.issuer.as_str(),
        subject: proven.subject.as_ref().map(policy::Subject::as_str),
        refusal: refusal.code,
        reason: refusal.cause.as_deref().unwrap_or(&refusal.message),
        source: origin.source,
    };
    let noted = match Entry::new(app.clock.now_ms(), &origin.request_id, &event) {
        Ok(entry) => app.store.append(entry).await.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    if let Err(error) = noted {
        tracing::error!(request = %origin.request_id, error = ?error, "login.refused: not on record");
    }
    refusal
}

/// Exactly `N` bytes in the one spelling they have.
fn exact<const N: usize>(text: &str) -> Option<[u8; N]> {
    (text.len() <= 2 * N).then(|| URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok())?
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests;
