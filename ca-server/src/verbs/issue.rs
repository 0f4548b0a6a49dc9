//! The one door to a signature: decide → record serial and exact to-be-signed bytes durably → sign → release.

pub(super) mod answer;
pub mod possession;
pub(super) mod refuse;
mod under;

use super::authenticate::Caller;
use crate::{
    app::App,
    audit::{Actor, Entry, Event, Pinned},
    ca::{Unsigned, UserKey},
    clock, fault,
    policies::Loaded,
    refusal::Refusal,
    store::{Claim, Issued, KeyBinding, Recorded},
};
use api::{CertificateRequest, CertificateResponse, Code};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use policy::{Ask, Grant, GrantId, RequestId, Serial, UnixTime};
use under::{Found, Under};

/// How often it is decided anew because something happened to the request in between.
const TRIES: usize = 8;

/// Issues one certificate, or says why not.
///
/// # Errors
/// `rate_limited`, `key_refused`, `proof_required`, `denied`, `needs_approval`, `not_found` for somebody else's request,
/// `conflict` if things kept happening to it, `login_required` if the session ended meanwhile, `store_unavailable` if the
/// record cannot be made durable. On every error nothing was released.
pub async fn issue(app: &App, caller: &Caller, request: CertificateRequest) -> Result<CertificateResponse, Refusal> {
    refuse::unless_allowed(app, caller).await?;
    let key = UserKey::parse(&request.public_key).map_err(answer::key_refused)?;
    if key.is(&app.host_ca) {
        return Err(answer::key_refused(crate::ca::KeyError::BelongsToCa));
    }
    let binding = match possession::of(app, caller, &key, request.proof.as_deref()).await {
        // Who gave none is asked for one, every day; who gives one that fails may hold a key that is not theirs.
        Err(no) if no.code == Code::ProofRequired && request.proof.is_some() => {
            return Err(refuse::key(app, caller, &request.target, &key, no).await);
        }
        other => other?,
    };
    app.certificates.take(&caller.session.identity)?;
    let ask = Ask {
        identity: caller.session.identity.clone(),
        target: request.target,
        duration: request.duration,
        reason: request.reason,
        ticket: request.ticket,
        source: caller.origin.source,
    };
    for _ in 0..TRIES {
        if let Some(issued) = attempt(app, caller, &key, binding, &ask, request.request.as_ref()).await? {
            return Ok(issued);
        }
    }
    Err(answer::kept_changing())
}

/// Once through: nothing where something happened to the request, or was frozen, between decision and record.
async fn attempt(
    app: &App,
    caller: &Caller,
    key: &UserKey,
    binding: Option<KeyBinding>,
    ask: &Ask,
    named: Option<&RequestId>,
) -> Result<Option<CertificateResponse>, Refusal> {
    let loaded = app.policies.current();
    let now = app.clock.now();
    let decided = clock::moment(now, &app.zone);
    // Looked at before the decision: a freeze that is set from here on is found when the certificate is to be recorded.
    let freezes = app.store.freezes().await?;
    let access = decide(app, caller, ask, named, &loaded, decided).await?;
    fault::point("issue.decided");

    let (grant, id) = (access.grant(), access.id()?);
    if !freezes.all.is_empty() {
        // By all that is known of them: an older login does not say which addresses they had since.
        let holder = caller.known(app).await?.session.identity;
        if let Some(freeze) = policy::frozen(&freezes.all, &holder, grant.target(), loaded.policies.inventory()) {
            return Err(refuse::frozen(app, caller, freeze, Some(grant.target())).await);
        }
    }
    let unsigned = app.authority.prepare(grant, &id, key, serial()?, now).map_err(answer::not_made)?;
    let claim = access.claim(app, caller, unsigned.expires(), decided)?;
    let entry = record(app, caller, ask, &access, &id, key, &unsigned, &loaded.digest, decided, claim.as_ref())?;
    let claims = claim.as_ref().is_some_and(|claim| claim.step.is_some());

    let issued = Issued {
        serial: unsigned.serial(),
        expires: unsigned.expires(),
        holder: (ask.identity.issuer.clone(), ask.identity.subject.clone()),
        host: grant.target().host().clone(),
        policy: grant.policy().clone(),
        grant: id.clone(),
        freezes: freezes.version,
    };

    // The point of no return: once this record is durable, the certificate counts as issued, whatever happens after.
    // Signing overlaps the commit; nothing is released before both are done.
    let (recorded, signed) =
        tokio::join!(app.store.record_issue(&caller.session.id, binding, claim, issued, entry), async {
            let signed = app.authority.sign(&unsigned);
            fault::point("issue.signed");
            signed
        });
    match recorded? {
        Recorded::Yes => {}
        Recorded::KeyTaken => return Err(refuse::key(app, caller, &ask.target, key, answer::key_taken()).await),
        Recorded::SessionEnded => return Err(answer::session_ended()),
        Recorded::RequestChanged | Recorded::FreezesChanged => return Ok(None),
    }
    fault::point("issue.recorded");
    let certificate = signed.map_err(answer::not_made)?.release();
    fault::point("issue.released");
    if let Some(request) = access.request().filter(|_| claims) {
        app.waiting.wake(&request.id);
    }
    Ok(Some(CertificateResponse {
        certificate,
        serial: unsigned.serial(),
        grant: id,
        policy: grant.policy().clone(),
        expires: unsigned.expires(),
        until: grant.end(),
        now,
    }))
}

/// Standing access, unless a request is named; where that takes approvals, or a reason that was given with a request, one of
/// the caller's requests that has them.
async fn decide(
    app: &App,
    caller: &Caller,
    ask: &Ask,
    named: Option<&RequestId>,
    loaded: &Loaded,
    now: policy::Now,
) -> Result<Access, Refusal> {
    let found = match named {
        Some(id) => under::named(app, caller, loaded, ask, id, now).await?,
        None => match policy::standing(&loaded.policies, ask, now) {
            Some(grant) => return Ok(Access::Standing(grant)),
            None => under::any(app, caller, loaded, ask, now).await?,
        },
    };
    match found {
        Found::Granted(under) => Ok(Access::Under(under)),
        Found::No(no, waits) => {
            let refusal = refuse::decision(app, caller, ask, &no, &loaded.digest, now, named).await;
            Err(under::refusal(refusal, ask, waits.as_ref()))
        }
    }
}

/// What a certificate is issued under.
enum Access {
    /// A permit without approvals: a grant of its own.
    Standing(Box<Grant>),
    /// An approved request.
    Under(Box<Under>),
}

impl Access {
    fn grant(&self) -> &Grant {
        match self {
            Self::Standing(grant) => grant,
            Self::Under(under) => &under.grant,
        }
    }

    fn request(&self) -> Option<&policy::Request> {
        match self {
            Self::Standing(_) => None,
            Self::Under(under) => Some(under.request()),
        }
    }

    fn id(&self) -> Result<GrantId, Refusal> {
        Ok(match self {
            Self::Standing(_) => GrantId::from_random(clock::random()?),
            Self::Under(under) => under.request().id.grant(),
        })
    }

    fn claim(&self, app: &App, caller: &Caller, expires: UnixTime, now: policy::Now) -> Result<Option<Claim>, Refusal> {
        match self {
            Self::Standing(_) => Ok(None),
            Self::Under(under) => under.claim(app, caller, expires, now).map(Some),
        }
    }
}

fn serial() -> Result<Serial, Refusal> {
    let random = u64::from_be_bytes(clock::random()?);
    Serial::from_random(random).ok_or_else(|| Refusal::internal("63 random bits were all zero"))
}

#[expect(clippy::too_many_arguments, reason = "the record is made of everything that led to the certificate")]
fn record(
    app: &App,
    caller: &Caller,
    ask: &Ask,
    access: &Access,
    id: &GrantId,
    key: &UserKey,
    unsigned: &Unsigned<'_>,
    policy_digest: &str,
    decided: policy::Now,
    claim: Option<&Claim>,
) -> Result<Entry, Refusal> {
    let grant = access.grant();
    // What was approved is what counts, not what was said now.
    let request = access.request();
    let (reason, ticket) = request.map_or((&ask.reason, &ask.ticket), |request| (&request.reason, &request.ticket));
    let event = Event::CertificateIssued {
        actor: Actor::from(&ask.identity),
        session: &caller.session.id,
        target: grant.target(),
        grant: id,
        until: grant.end(),
        policy: grant.policy(),
        policy_digest,
        reason: reason.as_ref().map(policy::Reason::as_str),
        ticket: ticket.as_ref().map(policy::Ticket::as_str),
        source: ask.source,
        serial: unsigned.serial().get(),
        user_key: key.fingerprint(),
        expires: unsigned.expires(),
        under: request.map(|request| &request.id),
        duration: ask.duration.filter(|_| request.is_none()),
        decided,
        pinned: &pinned(claim),
        to_be_signed: &STANDARD.encode(unsigned.to_be_signed()),
    };
    let notify = &grant.terms().notify;
    Entry::notifying(app.clock.now_ms(), &caller.origin.request_id, &event, notify).map_err(Refusal::internal)
}

/// What the decision under a request looked at: so many steps and no others, the first use among them if this is it.
fn pinned(claim: Option<&Claim>) -> Vec<Pinned<'_>> {
    let Some(claim) = claim else { return Vec::new() };
    let request = Pinned { id: &claim.request, steps: claim.seen + usize::from(claim.step.is_some()) };
    let prolonging = claim.extensions.iter().map(|(id, steps)| Pinned { id, steps: *steps });
    std::iter::once(request).chain(prolonging).collect()
}

#[cfg(test)]
pub(in crate::verbs) mod tests;
