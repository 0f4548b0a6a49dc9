//! Certificates that live, those of them that are revoked, and freezes: the third part of [`super::Store`].

use super::{Stepped, StoreError};
use crate::audit::{Actor, Entry, RevocationEvent};
use async_trait::async_trait;
use policy::{
    EndReason, Freeze, FreezeId, GrantId, HostName, Identity, Issuer, PolicyId, Seconds, Serial, Step, Subject, Thaw,
    UnixTime, What,
};
use std::sync::Arc;

/// For how long after its expiry a certificate is remembered and, if it is revoked, stays in the KRL: for hosts whose
/// clocks are behind.
pub const AFTER_EXPIRY: Seconds = Seconds::new(600);

/// The most serials in one audit entry; more are told in several.
pub const SERIALS_IN_ENTRY: usize = 500;

/// What is kept of a certificate while it lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// Its serial.
    pub serial: Serial,
    /// `valid_before`.
    pub expires: UnixTime,
    /// Whose it is.
    pub holder: (Issuer, Subject),
    /// The host it is for.
    pub host: HostName,
    /// The permit that granted it.
    pub policy: PolicyId,
    /// Its grant.
    pub grant: GrantId,
    /// The version of the freezes that were looked at before it was decided.
    pub freezes: u64,
}

/// Which certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// Those under this grant.
    Grant(GrantId),
    /// Those of these accounts.
    Holders(Vec<(Issuer, Subject)>),
    /// Those for these hosts.
    Hosts(Vec<HostName>),
    /// Those that this permit granted.
    Policy(PolicyId),
    /// This one.
    Serial(Serial),
    /// Those of everybody whom this issuer vouches for.
    Issuer(Issuer),
    /// All.
    All,
}

/// Whom of those who ever logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// Whoever has this subject, or this verified e-mail address in whatever case.
    Named(String),
    /// All whom this issuer vouches for.
    Of(Issuer),
}

/// A certificate that has not expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LiveCertificate {
    /// When it expires.
    pub expires: UnixTime,
    /// Its serial.
    pub serial: Serial,
    /// Whether it had been revoked.
    pub revoked: bool,
}

/// Which list it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edition {
    /// How often it had changed.
    pub version: u64,
    /// What no other change has. A store that lost its last changes, as a standby that took over may have, goes through
    /// their numbers again, with other lists. Empty where changes are not lost under a running server.
    pub mark: String,
}

/// What the KRL holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// Which one this is. Its version grows with each change.
    pub edition: Edition,
    /// When it last changed; 0 where it never did.
    pub changed: UnixTime,
    /// The serials, in order, each once.
    pub serials: Vec<Serial>,
}

/// The freezes in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Freezes {
    /// How often anything about freezes changed.
    pub version: u64,
    /// They, oldest first.
    pub all: Vec<Freeze>,
}

/// Makes the entries about a revocation of the certificates that it concerns, those revoked before included, and of the
/// version of the KRL from here on. It may be called more than once for one revocation.
pub type Account = Arc<dyn Fn(&[LiveCertificate], u64) -> Result<Vec<Entry>, StoreError> + Send + Sync>;

/// A place for what ends before its time. The promises of [`super::Store`] hold for each verb.
#[async_trait]
pub trait Revocations {
    /// The certificates of this selection that have not expired at `now`, by expiry, then serial.
    async fn live(&self, which: &Selection, now: UnixTime) -> Result<Vec<LiveCertificate>, StoreError>;

    /// Revokes those, in one transaction: all that were recorded before it are in it, and none that was recorded under what
    /// ended before it can follow. Appends the entries that `account` makes. The version of the KRL grows if there was any that
    /// had not been revoked; so to do it again changes nothing but the log.
    async fn revoke(
        &self,
        which: Selection,
        now: UnixTime,
        account: Account,
    ) -> Result<Vec<LiveCertificate>, StoreError>;

    /// What the KRL holds now; none where it is still `known`. The same edition always holds the same.
    async fn revoked(&self, known: Option<&Edition>) -> Result<Option<Revoked>, StoreError>;

    /// The freezes in force.
    async fn freezes(&self) -> Result<Arc<Freezes>, StoreError>;

    /// Puts a freeze in force and appends the entry, in one transaction, if the freezes still have version `seen`; else
    /// nothing changes and the answer is [`Stepped::Changed`].
    async fn freeze(&self, seen: u64, freeze: Freeze, entry: Entry) -> Result<Stepped, StoreError>;

    /// Adds a word to a freeze, or with `lift` ends the freeze, and appends the entry, in one transaction, if the freezes
    /// still have version `seen` and there is such a freeze; else nothing changes and the answer is [`Stepped::Changed`].
    async fn thaw(&self, id: &FreezeId, seen: u64, word: Thaw, lift: bool, entry: Entry)
    -> Result<Stepped, StoreError>;

    /// Everybody who ever logged in and is meant by `who`, as of their last login, by issuer, then subject.
    async fn known(&self, who: &Known) -> Result<Vec<Identity>, StoreError>;
}

impl Known {
    /// Whether `identity` is meant.
    pub(super) fn is(&self, identity: &Identity) -> bool {
        match self {
            Self::Named(name) => {
                let email = identity.email.as_ref().is_some_and(|email| email.as_str().eq_ignore_ascii_case(name));
                email || identity.subject.as_str() == name
            }
            Self::Of(issuer) => identity.issuer == *issuer,
        }
    }
}

/// Whether with `step` somebody laid down what was theirs.
pub(crate) fn given_back(step: &Step) -> bool {
    matches!(step.what, What::Cancelled | What::Ended { why: EndReason::Done, .. })
}

/// The entries about certificates that a step of their request revoked.
pub(super) fn by_step(
    step: &Step,
    grant: &GrantId,
    revoked: &[LiveCertificate],
    krl: u64,
) -> Result<Vec<Entry>, StoreError> {
    let new: Vec<u64> = revoked.iter().filter(|one| !one.revoked).map(|one| one.serial.get()).collect();
    let entries = new.chunks(SERIALS_IN_ENTRY).map(|serials| {
        let (actor, grant) = (Actor::from(&step.by), Some(grant));
        let event = RevocationEvent::Revoked {
            given_back: given_back(step),
            actor,
            session: None,
            which: "grant",
            grant,
            named: None,
            reason: None,
            serials,
            krl,
            source: None,
        };
        Entry::new(step.at.as_secs().saturating_mul(1000), "step", &event)
    });
    entries.collect::<Result<_, _>>().map_err(|error| StoreError(format!("a revocation cannot be recorded: {error}")))
}
