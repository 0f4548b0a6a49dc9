//! One question to the CA, and what comes back, checked against what was asked.

use super::Wish;
use crate::{
    ca_client::CaClient,
    certificate::{self, Expected, Refused},
    clock,
    error::Failure,
    state::{certs::Entry, session::Session},
};
use api::{CertificateRequest, CertificateResponse};
use policy::{HostName, Target};
use ssh_key::{Certificate, public::KeyData};

/// A target by the name that was typed, which is the one to ask for: it may have moved to another host.
pub struct Names {
    pub(super) asked: Target,
    /// By the name in the inventory that this was when it was last heard of.
    pub(super) known: Target,
}

impl Names {
    /// Nothing is known of it but what was typed.
    pub fn as_typed(target: &Target) -> Self {
        Self { asked: target.clone(), known: target.clone() }
    }
}

/// A certificate that passed every check.
pub struct Issued {
    /// What is known of it.
    pub entry: Entry,
    /// Its text.
    pub text: String,
    /// Itself.
    pub certificate: Certificate,
}

/// Asks for a certificate over `key` and checks what comes back.
///
/// # Errors
/// If policy says no or not yet, or what comes back is not what was asked for.
pub fn issue(
    ca: &CaClient,
    session: &Session,
    names: &Names,
    key: &KeyData,
    public_key: &str,
    proof: impl FnOnce() -> Result<Option<String>, Failure>,
    wish: &Wish,
) -> Result<Issued, Failure> {
    let request = CertificateRequest {
        target: names.asked.clone(),
        public_key: public_key.to_owned(),
        proof: proof()?,
        duration: wish.duration,
        reason: wish.reason.clone(),
        ticket: wish.ticket.clone(),
        request: wish.request.clone(),
    };
    let answer = ca.certificate(session, &request)?;
    let (certificate, target) = check(ca, session, names, key, &answer)?;
    let entry = Entry {
        target,
        serial: answer.serial,
        grant: answer.grant,
        policy: answer.policy,
        issued: answer.now,
        expires: answer.expires,
        until: answer.until,
        clock_offset_ms: clock::offset_ms(answer.now.as_secs().saturating_mul(1000)),
        duration: wish.duration,
        reason: wish.reason.clone(),
        ticket: wish.ticket.clone(),
        request: wish.request.clone(),
        standing: false,
    };
    Ok(Issued { entry, text: answer.certificate.trim().to_owned(), certificate })
}

fn check(
    ca: &CaClient,
    session: &Session,
    names: &Names,
    key: &KeyData,
    answer: &CertificateResponse,
) -> Result<(Certificate, Target), Failure> {
    let expected = |host: &HostName| {
        let target = Target::new(names.asked.account().clone(), host.clone());
        let expected = Expected { key, target: &target, user_ca: &session.user_ca };
        certificate::check(answer, &expected).map(|certificate| (certificate, target))
    };
    // Asked for by an alias, the host appears by its name in the inventory: as before, or as the list says now.
    let by_name = match expected(names.asked.host()) {
        Err(Refused::Principals) => expected(names.known.host()),
        checked => checked,
    };
    match by_name {
        Err(Refused::Principals) => {
            let hosts = ca.hosts(session)?.hosts;
            let named = hosts.iter().find(|entry| entry.aliases.contains(names.asked.host()));
            Ok(expected(&named.ok_or(Refused::Principals)?.host)?)
        }
        checked => Ok(checked?),
    }
}
