//! Who sends a request: the holder of the session key that signed exactly these bytes, just now, for the first time.

use super::replay::{Seen, Timing};
use crate::{
    app::{App, Origin},
    refusal::Refusal,
    store::{LoginSession, Spent},
};
use api::{
    Code,
    signature::{Authorization, Request},
};
use ed25519_dalek::{SignatureError, VerifyingKey};
use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex, PoisonError},
    time::Duration,
};

/// A caller whose request was proven to be theirs. Only [`authenticate`] makes one.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The login session whose key signed.
    pub session: LoginSession,
    /// Where the request came from.
    pub origin: Origin,
    _proof: Proof,
}

#[derive(Clone, Debug)]
struct Proof;

impl Caller {
    /// The same caller, by every address that their account is known by today. An older login does not say what was learnt
    /// since.
    ///
    /// # Errors
    /// If the store cannot say.
    pub(super) async fn known(&self, app: &App) -> Result<Self, Refusal> {
        let mut known = self.clone();
        let identity = &mut known.session.identity;
        if let Some(latest) = app.store.latest_identity(&identity.issuer, &identity.subject).await? {
            identity.remember(&latest);
        }
        Ok(known)
    }
}

/// Proves who sent the request with this header and body.
///
/// # Errors
/// `login_required` without a live login session, `bad_signature` for anything that its key did not sign, `clock_skew`
/// outside the window, `replayed` for what was seen before, `rate_limited` for more than can be remembered.
pub async fn authenticate(
    app: &App,
    origin: &Origin,
    method: &str,
    path: &str,
    header: Option<&str>,
    body: &[u8],
) -> Result<Caller, Refusal> {
    // Once more, though a door that reads the body after its header has done it: that may have taken a while.
    let (session, unverified, timing) = precheck(app, header).await?;
    let key = decompressed(&session.key).map_err(Refusal::internal)?;
    let request = Request { audience: &app.audience, method, path, body };
    if !request.verify(&key, &unverified) {
        return Err(bad_signature());
    }
    let authorization = unverified;

    // Taken before its time, a request could be sent once more to the process that follows this one.
    if let Timing::WaitMs(ahead) = timing {
        #[expect(clippy::disallowed_methods, reason = "its time is the event")]
        tokio::time::sleep(Duration::from_millis(ahead)).await;
    }
    let now_ms = app.clock.now_ms();
    match app.replay.first(&session.id, &authorization.nonce, authorization.time_ms, now_ms) {
        Seen::First => {}
        Seen::Before => return Err(replayed()),
        Seen::Forgotten => return Err(forgotten(now_ms)),
        Seen::TooMany => return Err(too_many()),
    }

    // Another server on this store may have taken it.
    match app.store.spend_nonce(&session.id, &authorization.nonce.0, authorization.time_ms, now_ms).await? {
        Spent::First => {}
        Spent::Before => return Err(replayed()),
        // A retry by this time is known to be new, and waits until its time has come.
        Spent::Forgotten { since_ms } => return Err(forgotten(since_ms.max(now_ms))),
    }

    let now = policy::UnixTime::from_secs(now_ms / 1000);
    if !session.alive(now) {
        return Err(login_required("the session ran out"));
    }
    app.store.touch_session(&session.id, now).await?;
    Ok(Caller { session, origin: origin.clone(), _proof: Proof })
}

/// What can be told from the header alone: that it is one, names a session that there is, and a time that is now. It
/// proves nothing; it keeps bodies unread that nobody could have signed.
///
/// # Errors
/// Those of [`authenticate`] but `replayed` and `rate_limited`.
pub async fn precheck(app: &App, header: Option<&str>) -> Result<(LoginSession, Authorization, Timing), Refusal> {
    let unverified_header = header.ok_or_else(|| login_required("the request is not signed"))?;
    let unverified: Authorization = unverified_header.parse().map_err(|malformed| bad_signature().cause(malformed))?;
    let session = app.store.session(&unverified.session).await?.ok_or_else(|| login_required("no such session"))?;
    match app.replay.timing(unverified.time_ms, app.clock.now_ms()) {
        Timing::Outside => Err(clock_skew(app.clock.now_ms())),
        timing => Ok((session, unverified, timing)),
    }
}

/// The point that a session key stands for. Finding it takes a tenth of the time that verifying a signature does, so it
/// is remembered: the same bytes always give the same point.
fn decompressed(bytes: &[u8; 32]) -> Result<VerifyingKey, SignatureError> {
    static POINTS: LazyLock<Mutex<HashMap<[u8; 32], VerifyingKey>>> = LazyLock::new(Mutex::default);
    const MOST: usize = 4_096;
    if let Some(key) = POINTS.lock().unwrap_or_else(PoisonError::into_inner).get(bytes) {
        return Ok(*key);
    }
    let key = VerifyingKey::from_bytes(bytes)?;
    let mut points = POINTS.lock().unwrap_or_else(PoisonError::into_inner);
    if points.len() >= MOST {
        points.clear();
    }
    points.insert(*bytes, key);
    Ok(key)
}

fn login_required(cause: &str) -> Refusal {
    Refusal::new(Code::LoginRequired, "there is no login session for this request, or it has ended")
        .hint("run `jit-ssh login`")
        .cause(cause)
}

fn bad_signature() -> Refusal {
    Refusal::new(Code::BadSignature, "the signature of this request does not verify")
        .hint("run `jit-ssh login` again; a proxy that changes paths or bodies also causes this")
}

fn clock_skew(now_ms: u64) -> Refusal {
    let mut refusal = Refusal::new(Code::ClockSkew, "the time of this request is too far from the server's clock")
        .hint("sign it again with the server's time, and set this machine's clock");
    refusal.server_time_ms = Some(now_ms);
    refusal
}

/// Nothing is wrong with anybody's clock: `known_ms` is from when on the server knows what it took.
fn forgotten(known_ms: u64) -> Refusal {
    let mut refusal = Refusal::new(
        Code::ClockSkew,
        "this request was signed before the server's memory of requests began, so it cannot tell whether it is new",
    )
    .hint("try again: after an outage of its database the server refuses, once, what was signed before");
    refusal.server_time_ms = Some(known_ms);
    refusal
}

fn replayed() -> Refusal {
    Refusal::new(Code::Replayed, "this very request was seen before").hint("sign a new request with a new nonce")
}

fn too_many() -> Refusal {
    Refusal::new(Code::RateLimited, "too many requests within a minute").hint("wait a minute, then try again")
}

#[cfg(test)]
mod tests;
