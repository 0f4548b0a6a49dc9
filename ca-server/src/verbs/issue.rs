//! The one door to a signature: decide → record serial and exact to-be-signed bytes durably → sign → release.

mod answer;
pub mod possession;
mod refuse;

use super::authenticate::Caller;
use crate::{
    app::App,
    audit::{Actor, Entry, Event},
    ca::{Unsigned, UserKey},
    clock, fault,
    refusal::Refusal,
    store::Recorded,
};
use api::{CertificateRequest, CertificateResponse, Code};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use policy::{Ask, Decision, Grant, GrantId, Serial};

/// Issues one certificate, or says why not.
///
/// # Errors
/// `rate_limited`, `key_refused`, `proof_required`, `denied`, `needs_approval`, `login_required` if the session ended meanwhile,
/// `store_unavailable` if the record cannot be made durable. On every error nothing was released.
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

    let loaded = app.policies.current();
    let now = app.clock.now();
    let ask = Ask {
        identity: caller.session.identity.clone(),
        target: request.target,
        duration: request.duration,
        reason: request.reason,
        ticket: request.ticket,
        source: caller.origin.source,
    };
    let decision = policy::decide(&loaded.policies, &ask, clock::moment(now, &app.zone));
    fault::point("issue.decided");
    let grant = match decision {
        Decision::Granted(grant) => grant,
        no => return Err(refuse::decision(app, caller, &ask, &no, &loaded.digest).await),
    };

    let id = GrantId::from_random(clock::random()?);
    let unsigned = app.authority.prepare(&grant, &id, &key, serial()?, now).map_err(answer::not_made)?;
    let entry = record(app, caller, &ask, &grant, &id, &key, &unsigned, &loaded.digest)?;

    // The point of no return: once this record is durable, the certificate counts as issued, whatever happens after.
    // Signing overlaps the commit; nothing is released before both are done.
    let (recorded, signed) = tokio::join!(app.store.record_issue(&caller.session.id, binding, entry), async {
        let signed = app.authority.sign(&unsigned);
        fault::point("issue.signed");
        signed
    });
    match recorded? {
        Recorded::Yes => {}
        Recorded::KeyTaken => return Err(refuse::key(app, caller, &ask.target, &key, answer::key_taken()).await),
        Recorded::SessionEnded => return Err(answer::session_ended()),
    }
    fault::point("issue.recorded");
    let certificate = signed.map_err(answer::not_made)?.release();
    fault::point("issue.released");
    Ok(CertificateResponse {
        certificate,
        serial: unsigned.serial(),
        grant: id,
        policy: grant.policy().clone(),
        expires: unsigned.expires(),
        until: grant.end(),
        now,
    })
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
    grant: &Grant,
    id: &GrantId,
    key: &UserKey,
    unsigned: &Unsigned<'_>,
    policy_digest: &str,
) -> Result<Entry, Refusal> {
    let event = Event::CertificateIssued {
        actor: Actor::from(&ask.identity),
        session: &caller.session.id,
        target: grant.target(),
        grant: id,
        until: grant.end(),
        policy: grant.policy(),
        policy_digest,
        reason: ask.reason.as_ref().map(policy::Reason::as_str),
        ticket: ask.ticket.as_ref().map(policy::Ticket::as_str),
        source: ask.source,
        serial: unsigned.serial().get(),
        user_key: key.fingerprint(),
        expires: unsigned.expires(),
        to_be_signed: &STANDARD.encode(unsigned.to_be_signed()),
    };
    Entry::new(app.clock.now_ms(), &caller.origin.request_id, &event).map_err(Refusal::internal)
}

#[cfg(test)]
mod tests;
