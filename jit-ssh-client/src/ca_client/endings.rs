//! What security asks of the CA: revoke, freeze, thaw.

use super::{CaClient, Call, written};
use crate::{error::Failure, state::session::Session};
use api::{FreezeBody, FreezeRequest, FreezesResponse, Receipt, RevokeRequest, ThawRequest, paths};
use policy::FreezeId;
use reqwest::Method;
use std::time::Duration;

/// A large house has many requests to be looked through.
const PATIENCE: Duration = Duration::from_secs(60);

impl CaClient {
    /// Ends what lives. To send it again is harmless.
    ///
    /// # Errors
    /// If policy does not let the caller administer, or nobody knows what is named.
    pub fn revoke(&self, session: &Session, asked: &RevokeRequest) -> Result<Receipt, Failure> {
        let call = Call::new(Method::POST, paths::REVOCATIONS, written(asked)?).patience(PATIENCE);
        self.read(&self.exchanged(session, &call)?)
    }

    /// Freezes it. To send it again is harmless.
    ///
    /// # Errors
    /// As [`Self::revoke`].
    pub fn freeze(&self, session: &Session, asked: &FreezeRequest) -> Result<FreezeBody, Failure> {
        self.read(&self.exchanged(session, &Call::new(Method::POST, paths::FREEZES, written(asked)?))?)
    }

    /// The freezes that the caller may see.
    ///
    /// # Errors
    /// If the login session is over, or `patience` is.
    pub fn freezes(&self, session: &Session, patience: Option<Duration>) -> Result<FreezesResponse, Failure> {
        let mut call = Call::new(Method::GET, paths::FREEZES, Vec::new());
        if let Some(patience) = patience {
            call = call.patience(patience);
        }
        self.read(&self.exchanged(session, &call)?)
    }

    /// The caller's word that it may go on.
    ///
    /// # Errors
    /// If it does not count, or there is no such freeze.
    pub fn thaw(&self, session: &Session, id: &FreezeId, asked: &ThawRequest) -> Result<FreezeBody, Failure> {
        let path = format!("{}/{id}/thaw", paths::FREEZES);
        self.read(&self.exchanged(session, &Call::new(Method::POST, &path, written(asked)?))?)
    }
}
