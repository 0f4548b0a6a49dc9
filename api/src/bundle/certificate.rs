//! Are the certificates what their entries say, and within their grant? Read from the exact bytes that were signed.

use super::{Faults, record::Record};
use crate::entry;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use policy::{GrantId, KeyId};
use ssh_key::{Certificate, HashAlg, PublicKey, certificate::CertType};

/// A certificate of the bundle, read from its to-be-signed bytes. Its signature is none: it was made after the entry.
pub(super) struct Read {
    /// In which entry.
    pub(super) index: u64,
    /// What it says.
    pub(super) made: Certificate,
    /// The bytes that were signed.
    pub(super) to_be_signed: Vec<u8>,
}

/// Checks every certificate; answers those that can be read.
pub(super) fn check(record: &Record<'_>, about: &GrantId, faults: &mut Faults) -> Vec<Read> {
    let mut all: Vec<Read> = Vec::new();
    for (at, entry) in record.certificates() {
        let bytes = STANDARD.decode(&entry.to_be_signed).unwrap_or_default();
        let Some(made) = read(&bytes) else {
            faults.at(at.index, "the bytes that were signed are no certificate");
            continue;
        };
        if entry.grant != *about {
            faults.at(at.index, format!("the certificate is of grant {}, not of {about}", entry.grant));
        }
        if entry.under.as_ref().is_some_and(|request| *request != about.request()) {
            faults.at(at.index, "the certificate is under another request than its grant came of");
        }
        if all.iter().any(|other| other.made.serial() == entry.serial.get()) {
            faults.at(at.index, "another certificate has its serial");
        }
        let ca = record.user_ca(at.index);
        if let Some(field) = differs(&made, entry, ca) {
            faults.at(at.index, format!("the certificate differs from its entry: {field}"));
        }
        all.push(Read { index: at.index, made, to_be_signed: bytes });
    }
    all
}

/// The certificate in bytes that are to be signed: a signature of zeros stands for the one that was made later.
fn read(to_be_signed: &[u8]) -> Option<Certificate> {
    let mut bytes = to_be_signed.to_vec();
    let blob = [&11_u32.to_be_bytes()[..], b"ssh-ed25519", &64_u32.to_be_bytes(), &[0; 64]].concat();
    bytes.extend_from_slice(&u32::try_from(blob.len()).ok()?.to_be_bytes());
    bytes.extend_from_slice(&blob);
    Certificate::from_bytes(&bytes).ok()
}

fn differs(made: &Certificate, entry: &entry::Certificate, ca: Option<&str>) -> Option<&'static str> {
    let Some(ca) = ca.and_then(|ca| PublicKey::from_openssh(ca).ok()) else {
        return Some("the bundle holds no start of the server that names the CA's key");
    };
    if made.signature_key() != ca.key_data() {
        return Some("it is for another CA's signature");
    }
    if made.cert_type() != CertType::User {
        return Some("it is no user certificate");
    }
    if made.serial() != entry.serial.get() {
        return Some("serial");
    }
    if made.public_key().fingerprint(HashAlg::Sha256).to_string() != entry.user_key {
        return Some("user key");
    }
    if KeyId::parse(made.key_id()).is_none_or(|(grant, _)| grant != entry.grant) {
        return Some("key id");
    }
    let bound = entry.target.to_string();
    let principals = made.valid_principals();
    if !matches!(principals, [one] if *one == bound || one == entry.target.account().as_str()) {
        return Some("principals");
    }
    let (after, before) = (made.valid_after(), made.valid_before());
    if before != entry.expires.as_secs() || before > entry.until.as_secs() || after >= before {
        return Some("validity");
    }
    None
}
