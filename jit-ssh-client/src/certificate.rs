//! The certificate that came back, checked before it is used: a server that errs must not put a strange one into the
//! user's agent.

use crate::error::Failure;
use api::CertificateResponse;
use policy::{KeyId, Principal, Target, UnixTime, Validity};
use ssh_key::{Certificate, Fingerprint, HashAlg, PublicKey, certificate::CertType, public::KeyData};

/// Critical options that stock OpenSSH enforces. Any other means that the certificate says something we cannot read.
const KNOWN_OPTIONS: [&str; 3] = ["force-command", "source-address", "verify-required"];

/// Why a certificate was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not a certificate.
    #[error("it cannot be read as an OpenSSH certificate")]
    Unreadable,
    /// A host certificate.
    #[error("it is not a user certificate")]
    NotForUsers,
    /// Another key than ours.
    #[error("it certifies another key than ours")]
    OtherKey,
    /// Not signed by a pinned CA.
    #[error("no CA key known since login signed it")]
    UnknownCa,
    /// Empty or other principals.
    #[error("its principals are not what was asked for")]
    Principals,
    /// Not valid now, or for too long.
    #[error("its validity is not sane")]
    Validity,
    /// Key id, serial, grant or expiry are not what the answer says.
    #[error("it is not the certificate that the answer describes")]
    OtherThanSaid,
    /// An option that we cannot read.
    #[error("it carries a critical option that OpenSSH does not know")]
    UnknownOption,
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        Self::failed(format!("the server's certificate was not taken: {refused}"))
            .hint("log in again (jit-ssh login); if that does not help, tell whoever runs the CA")
    }
}

/// What the certificate must be.
pub struct Expected<'a> {
    /// The key we asked to have certified.
    pub key: &'a KeyData,
    /// What it is for, the host by its name in the inventory.
    pub target: &'a Target,
    /// CA keys pinned at login.
    pub user_ca: &'a [String],
}

/// Checks the certificate in `answer` against what was asked.
///
/// # Errors
/// With the first thing that is wrong.
pub fn check(answer: &CertificateResponse, expected: &Expected<'_>) -> Result<Certificate, Refused> {
    let certificate = parse(&answer.certificate).ok_or(Refused::Unreadable)?;
    if certificate.cert_type() != CertType::User {
        return Err(Refused::NotForUsers);
    }
    if certificate.public_key() != expected.key {
        return Err(Refused::OtherKey);
    }
    if !is_signed_by(&certificate, expected.user_ca) {
        return Err(Refused::UnknownCa);
    }
    let (grant, _user) = KeyId::parse(certificate.key_id()).ok_or(Refused::OtherThanSaid)?;
    let as_said = grant == answer.grant
        && certificate.serial() == answer.serial.get()
        && certificate.valid_before() == answer.expires.as_secs();
    if !as_said {
        return Err(Refused::OtherThanSaid);
    }
    if !is_sane(&certificate, answer.now, answer.until) {
        return Err(Refused::Validity);
    }
    if certificate.critical_options().keys().any(|name| !KNOWN_OPTIONS.contains(&name.as_str())) {
        return Err(Refused::UnknownOption);
    }
    // Last, because the caller may look up the host's name in the inventory and try again.
    if !names_only(&certificate, expected.target) {
        return Err(Refused::Principals);
    }
    Ok(certificate)
}

/// A certificate from one line of OpenSSH's form.
pub fn parse(line: &str) -> Option<Certificate> {
    (line.len() <= 64 * 1024).then(|| Certificate::from_openssh(line.trim()).ok()).flatten()
}

/// Whether one of the keys in `user_ca` signed it.
pub fn is_signed_by(certificate: &Certificate, user_ca: &[String]) -> bool {
    let fingerprints: Vec<Fingerprint> = user_ca
        .iter()
        .filter_map(|line| PublicKey::from_openssh(line).ok())
        .map(|key| key.fingerprint(HashAlg::Sha256))
        .collect();
    // Only the signature is asked about here: any moment inside the certificate's own life will do.
    certificate.validate_at(certificate.valid_after(), &fingerprints).is_ok()
}

/// By the server's clock, for ours may be wrong.
fn is_sane(certificate: &Certificate, now: UnixTime, until: UnixTime) -> bool {
    let (after, before) = (certificate.valid_after(), certificate.valid_before());
    after <= now.as_secs()
        && now.as_secs() < before
        && before <= until.as_secs()
        && before - now.as_secs() <= Validity::CAP.as_secs()
        && now.as_secs() - after <= 10 * Validity::SKEW.as_secs()
}

fn names_only(certificate: &Certificate, target: &Target) -> bool {
    // The bare account is for hosts that the inventory declares so; which those are is the CA's to know.
    let allowed = [Principal::on_host(target), Principal::bare(target.account())];
    let allowed = |name: &String| allowed.iter().any(|principal| principal.as_str() == name);
    // An empty list would let anybody in as anybody (CVE-2024-7594).
    !certificate.valid_principals().is_empty() && certificate.valid_principals().iter().all(allowed)
}

#[cfg(test)]
mod tests;
