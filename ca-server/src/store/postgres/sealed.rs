//! Login sessions as they lie in the database: each behind a code that only a server with the log's key can make. Whoever has
//! the server's password there can write rows, but none that a server takes for somebody's login.

use crate::{
    audit::checkpoint::Seal,
    store::{LoginSession, StoreError},
};
use aws_lc_rs::hmac;

use super::change::{decode, encode};

/// The bytes of a code, which come first.
const CODE: usize = 32;

/// Makes and checks the codes. All servers on one database have the same: they share the log's key.
#[derive(Clone)]
pub(super) struct Sealed(hmac::Key);

impl Sealed {
    pub(super) fn new(seal: &Seal) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, &seal.secret("login sessions in a database")))
    }

    /// The session as it is kept.
    pub(super) fn keep(&self, session: &LoginSession) -> Result<Vec<u8>, StoreError> {
        encode(session).map(|json| self.coded(&json))
    }

    /// The same of a session's JSON.
    pub(super) fn coded(&self, json: &[u8]) -> Vec<u8> {
        [hmac::sign(&self.0, json).as_ref(), json].concat()
    }

    /// The session, if a server kept it; none where somebody else wrote it.
    pub(super) fn read(&self, kept: &[u8]) -> Result<Option<LoginSession>, StoreError> {
        let sound = kept.split_at_checked(CODE).filter(|(code, json)| hmac::verify(&self.0, json, code).is_ok());
        if sound.is_none() {
            tracing::error!("a login session in the database was not written by a server: treat this as an intrusion");
        }
        sound.map(|(_, json)| decode(json)).transpose()
    }
}
