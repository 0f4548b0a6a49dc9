//! The bytes of a certificate (PROTOCOL.certkeys), written by hand and read back by ssh-key: two independent codecs that
//! must agree before anything leaves.

use super::CaError;
use api::options::{ELEVATE, GRANT, RECORD, UNTIL};
use policy::{Grant, GrantId, KeyId, Serial, Validity};
use ssh_key::{Certificate, PublicKey};
use std::collections::BTreeMap;

/// The fields of a user certificate that its signer chooses, as plain values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// The serial.
    pub serial: u64,
    /// The key id.
    pub key_id: String,
    /// The principals, in order.
    pub principals: Vec<String>,
    /// `valid_after`, seconds since the epoch.
    pub valid_after: u64,
    /// `valid_before`, seconds since the epoch.
    pub valid_before: u64,
    /// Critical options: name and value; an empty value makes a flag. A map, because sshd wants them sorted and single.
    pub critical_options: BTreeMap<String, String>,
    /// Extensions: name and value; an empty value makes a flag.
    pub extensions: BTreeMap<String, String>,
}

impl Spec {
    /// What `grant` allows, and nothing else.
    pub fn of(grant: &Grant, id: &GrantId, key_id: &KeyId, serial: Serial, validity: Validity) -> Self {
        Self {
            serial: serial.get(),
            key_id: key_id.to_string(),
            principals: grant.principals().iter().map(ToString::to_string).collect(),
            valid_after: validity.after().as_secs(),
            valid_before: validity.before().as_secs(),
            critical_options: critical_options(grant),
            extensions: extensions(grant, id),
        }
    }

    /// The bytes that `ca` signs for `subject`.
    ///
    /// # Errors
    /// If a field is longer than SSH's strings can be.
    pub fn to_be_signed(
        &self,
        nonce: &[u8; 32],
        subject: &PublicKey,
        ca: &PublicKey,
    ) -> Result<Vec<u8>, ssh_key::Error> {
        let (subject_wire, ca_wire) = (subject.to_bytes()?, ca.to_bytes()?);
        // The wire form is the algorithm's name and the key; a certificate has its own name, then the bare key.
        let bare_key =
            subject_wire.get(4 + subject.algorithm().as_str().len()..).ok_or(ssh_key::Error::FormatEncoding)?;
        let mut out = Vec::with_capacity(1024);
        put(&mut out, subject.algorithm().to_certificate_type().as_bytes());
        put(&mut out, nonce);
        out.extend_from_slice(bare_key);
        out.extend_from_slice(&self.serial.to_be_bytes());
        out.extend_from_slice(&USER.to_be_bytes());
        put(&mut out, self.key_id.as_bytes());
        nested(&mut out, |list| self.principals.iter().for_each(|principal| put(list, principal.as_bytes())));
        out.extend_from_slice(&self.valid_after.to_be_bytes());
        out.extend_from_slice(&self.valid_before.to_be_bytes());
        nested(&mut out, |list| put_options(list, &self.critical_options));
        nested(&mut out, |list| put_options(list, &self.extensions));
        put(&mut out, b"");
        put(&mut out, &ca_wire);
        Ok(out)
    }
}

/// SSH_CERT_TYPE_USER.
const USER: u32 = 1;

/// The certificate: what was signed, and an Ed25519 signature over it.
pub(super) fn assemble(to_be_signed: &[u8], signature: &[u8; 64]) -> Vec<u8> {
    let mut out = Vec::with_capacity(to_be_signed.len() + 96);
    out.extend_from_slice(to_be_signed);
    nested(&mut out, |blob| {
        put(blob, b"ssh-ed25519");
        put(blob, signature);
    });
    out
}

fn critical_options(grant: &Grant) -> BTreeMap<String, String> {
    let mut options = BTreeMap::new();
    if let Some(command) = &grant.terms().force_command {
        options.insert("force-command".to_owned(), command.clone());
    }
    if let Some(sources) = grant.sources() {
        let list: Vec<String> = sources.iter().map(ToString::to_string).collect();
        options.insert("source-address".to_owned(), list.join(","));
    }
    if grant.terms().verify_required {
        options.insert("verify-required".to_owned(), String::new());
    }
    options
}

fn extensions(grant: &Grant, id: &GrantId) -> BTreeMap<String, String> {
    let permits = grant.terms().extensions.iter().map(|extension| (extension.as_str().to_owned(), String::new()));
    let mut extensions: BTreeMap<String, String> = permits.collect();
    extensions.insert(GRANT.to_owned(), id.to_string());
    extensions.insert(UNTIL.to_owned(), grant.end().as_secs().to_string());
    if grant.terms().record {
        extensions.insert(RECORD.to_owned(), String::new());
    }
    if let Some(elevate) = &grant.terms().elevate {
        extensions.insert(ELEVATE.to_owned(), elevate.clone());
    }
    extensions
}

/// Whether the options of the certificate as read back are exactly those of the grant.
pub(super) fn compare_options(made: &Certificate, grant: &Grant, id: &GrantId) -> Result<(), CaError> {
    api::options::compare(made, grant, id).map_err(CaError::Differs)
}

fn put_options(out: &mut Vec<u8>, options: &BTreeMap<String, String>) {
    for (name, value) in options {
        put(out, name.as_bytes());
        if value.is_empty() {
            put(out, b"");
        } else {
            nested(out, |wrapped| put(wrapped, value.as_bytes()));
        }
    }
}

/// An SSH string. Nothing here comes near 4 GiB; were it longer, the length would not fit its bytes and the comparison
/// with the grant would fail.
fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// An SSH string whose content `fill` appends.
fn nested(out: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    fill(out);
    let length = u32::try_from(out.len() - start - 4).unwrap_or(u32::MAX);
    if let Some(place) = out.get_mut(start..start + 4) {
        place.copy_from_slice(&length.to_be_bytes());
    }
}
