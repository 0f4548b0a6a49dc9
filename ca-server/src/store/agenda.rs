//! What the clock does to requests: which of them are to be looked at now, and what came of it.

use super::{Due, Look, StoreError};
use crate::audit::Entry;
use async_trait::async_trait;
use policy::UnixTime;

/// One arrangement for each request that is not over: when to look at it next. The promises of [`super::Store`] hold for each
/// verb. Filing arranges the first look ([`super::records::reminder`], else the expiry); each step arranges one for its own time
/// and leaves [`Look::reminded`] as it is, and one that ends the request arranges none; so does the step of a claim. A
/// step of a request for which nothing was arranged any more arranges a look without a reminder.
#[async_trait]
pub trait Agenda {
    /// Up to `most` requests that are to be looked at by `now`, the longest due first. It costs no more for all the
    /// others that there are.
    async fn due(&self, now: UnixTime, most: usize) -> Result<Vec<Due>, StoreError>;

    /// Arranges the next look in the place of this one and appends the entry, if there is one, in one transaction. Without
    /// a next look the request waits for nobody from then on ([`super::Which::Waiting`]). If anything else was arranged
    /// meanwhile, or the request has other than `due.kept`'s steps, nothing changes and the answer is no: so of many who
    /// found it due, one records what came of it.
    async fn attend(&self, due: &Due, next: Option<Look>, entry: Option<Entry>) -> Result<bool, StoreError>;
}
