//! Requests for access and what happens to them: the second half of [`super::Store`].

use super::{Filed, Idempotency, KeptRequest, Stepped, StoreError, Which};
use crate::audit::Entry;
use async_trait::async_trait;
use policy::{Group, Identity, Issuer, Request, RequestId, Step, Subject, UnixTime};

/// A place for requests. The promises of [`super::Store`] hold for each verb. A request never changes and is never
/// removed; steps are appended to it one by one, so the number of them is its version.
#[async_trait]
pub trait Requests {
    /// Keeps a request and appends the entry, in one transaction. A key that its requester used before changes nothing and
    /// answers with the request of then, or with [`Filed::Mismatch`] if the body was another.
    async fn file_request(
        &self,
        request: Request,
        idempotency: Option<Idempotency>,
        entry: Entry,
    ) -> Result<Filed, StoreError>;

    /// The body and the request that this identity used the key for; none where it did not.
    async fn filed_with(
        &self,
        issuer: &Issuer,
        subject: &Subject,
        key: &[u8; 32],
    ) -> Result<Option<([u8; 32], RequestId)>, StoreError>;

    /// The request with its steps, as of one instant.
    async fn request(&self, id: &RequestId) -> Result<Option<KeptRequest>, StoreError>;

    /// Up to `most` requests, newest first, from the one that follows `after`. Nothing follows one that is not kept.
    async fn requests(
        &self,
        which: &Which,
        after: Option<&RequestId>,
        most: usize,
    ) -> Result<Vec<KeptRequest>, StoreError>;

    /// The requests that prolong this one, oldest first.
    async fn extensions_of(&self, id: &RequestId) -> Result<Vec<KeptRequest>, StoreError>;

    /// Appends a step and the entry, in one transaction, if the request has `seen` steps. If it has any other number, or is
    /// not kept, nothing changes and the answer is [`Stepped::Changed`]; so it is with [`Stepped::Over`] where it is put away
    /// (see [`super::Agenda`]) and the step is an approval, a first use or an end. A step that ends the request (a denial, a
    /// withdrawal, an end) also revokes, in that transaction, the certificates that were recorded under it and have not expired
    /// at the time of the step; what [`super::revocations`] makes of them follows the entry.
    async fn add_step(&self, id: &RequestId, seen: usize, step: Step, entry: Entry) -> Result<Stepped, StoreError>;

    /// When the last of the certificates that were recorded under this request expires; none where there was none.
    async fn last_expiry(&self, id: &RequestId) -> Result<Option<UnixTime>, StoreError>;

    /// How often requests, or what is known of people, may have changed: what was read of them stays so while this does.
    /// Nothing where others write them too, so that nobody can tell.
    fn changes(&self) -> Option<u64>;

    /// Since when this person is known to be in each group of their latest login: since the first of the logins, without one
    /// in between that lacked it, that had the group. Groups of a login that left no such time count as held for ever.
    async fn groups_since(&self, issuer: &Issuer, subject: &Subject) -> Result<Vec<(Group, UnixTime)>, StoreError>;

    /// Who this was when they last logged in, whether or not a session of theirs is left.
    async fn latest_identity(&self, issuer: &Issuer, subject: &Subject) -> Result<Option<Identity>, StoreError>;
}
