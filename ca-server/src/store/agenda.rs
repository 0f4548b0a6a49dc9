//! What the clock does to requests: which of them are to be looked at now, and what came of it.

use super::{Due, Look, StoreError};
use crate::audit::Entry;
use async_trait::async_trait;
use policy::UnixTime;

/// One arrangement for each request that is not over: when to look at it next. The promises of [`super::Store`] hold for each
/// verb. Filing arranges the first look ([`super::records::reminder`], else the expiry). Each step, that of a claim among
/// them, arranges one for its own time and leaves [`Look::reminded`] as it is. A step that ends the request puts it away:
/// nothing is arranged any more. To a request that is put away no approval, first use or end is added
/// ([`super::Stepped::Over`]) and no certificate is recorded under it ([`super::Recorded::RequestChanged`]). What prolongs a
/// request goes with it: once that is put away no approval is added to it either, and each that is added before arranges
/// another look at the one that it prolongs, so that this is not put away by somebody who did not see it.
#[async_trait]
pub trait Agenda {
    /// Up to `most` requests that are to be looked at by `now`, the longest due first. It costs no more for all the
    /// others that there are.
    async fn due(&self, now: UnixTime, most: usize) -> Result<Vec<Due>, StoreError>;

    /// Arranges the next look in the place of this one and appends the entry, if there is one, in one transaction. Without
    /// a next look the request is put away, and waits for nobody from then on ([`super::Which::Waiting`]). If anything else was arranged
    /// meanwhile, or the request has other than `due.kept`'s steps, nothing changes and the answer is no: so of many who
    /// found it due, one records what came of it.
    async fn attend(&self, due: &Due, next: Option<Look>, entry: Option<Entry>) -> Result<bool, StoreError>;
}
