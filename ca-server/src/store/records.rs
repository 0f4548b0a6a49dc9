//! What a store keeps, as types.

use crate::audit::Entry;
use policy::{Group, Identity, Issuer, Seconds, SessionId, Subject, UnixTime, What};
use sha2::{Digest as _, Sha256};
use std::{collections::BTreeSet, net::IpAddr};

/// For how long a store remembers whose a user key is, counted from its last proof. Longer than any certificate lives.
pub const KEY_MEMORY: Seconds = Seconds::new(90 * 86_400);

/// What stands for an identity in an index: a digest of issuer and subject, of equal length for all.
pub(crate) fn owner(issuer: &Issuer, subject: &Subject) -> [u8; 32] {
    // Neither holds a newline, so no two pairs read alike.
    let digest = Sha256::new().chain_update(issuer.as_str()).chain_update(b"\n").chain_update(subject.as_str());
    digest.finalize().into()
}

/// A login session: proof of a recent login, bound to a session key.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LoginSession {
    /// Its id.
    pub id: SessionId,
    /// Whose it is.
    pub identity: Identity,
    /// The Ed25519 public key that signs its requests.
    pub key: [u8; 32],
    /// When it began.
    pub started: UnixTime,
    /// When it was last used.
    pub used: UnixTime,
    /// It ends then.
    pub expires: UnixTime,
    /// It ends after so many seconds without use.
    pub idle_seconds: u64,
    /// Where it was opened from.
    pub source: IpAddr,
}

impl LoginSession {
    /// Whether it is alive at `now`: neither run out nor idle for too long.
    pub fn alive(&self, now: UnixTime) -> bool {
        now < self.expires && now.since(self.used) < self.idle_seconds
    }
}

/// A token that is about to be used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenUse {
    /// What identifies it: a digest of issuer and `jti`, or of the token's signed part.
    pub digest: [u8; 32],
    /// It is refused for its age from then on, so it may be forgotten.
    pub forget: UnixTime,
}

/// The answer to opening a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// It is open.
    Yes,
    /// The token was used before.
    TokenUsed,
}

/// A user key whose possession was proven, to be bound to session and identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyBinding {
    /// SHA-256 of the key's wire form.
    pub key: [u8; 32],
    /// When it was proven.
    pub at: UnixTime,
}

/// The answer to recording an issue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It is recorded: from here on it counts as issued.
    Yes,
    /// The key belongs to somebody else.
    KeyTaken,
    /// The login session was ended in between.
    SessionEnded,
    /// Something happened to the request, or to one that prolongs it, since it was decided.
    RequestChanged,
    /// Something was frozen or thawed since it was decided.
    FreezesChanged,
}

/// A request with all that happened to it. Its version is the number of its steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptRequest {
    /// The request.
    pub request: policy::Request,
    /// What happened to it, in order.
    pub steps: Vec<policy::Step>,
}

/// Which requests to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// Those of one identity.
    Of(policy::Issuer, policy::Subject),
    /// Those that may wait for people at this instant, by anybody: not expired, and no step has ended them.
    Waiting(UnixTime),
    /// Those that are not put away (see [`super::Agenda`]), by anybody: all under which anything can be issued yet.
    Open,
    /// Emergency access, by anybody, that no step has reviewed. Neither time nor an end takes it from this list.
    Unreviewed,
    /// Those that have this word in the index.
    With(Word),
    /// All that are kept.
    All,
}

/// What requests are found by: who asked, a host, a ticket. Letters are not told apart by their case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Word(String);

impl Word {
    /// Whoever has this e-mail address or subject, at whichever issuer.
    pub fn user(name: &str) -> Self {
        Self::of("user", name)
    }

    /// This host, by its name in the inventory.
    pub fn host(name: &policy::HostName) -> Self {
        Self::of("host", name.as_str())
    }

    /// This ticket.
    pub fn ticket(ticket: &policy::Ticket) -> Self {
        Self::of("ticket", ticket.as_str())
    }

    /// As an index keeps it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn of(kind: &str, name: &str) -> Self {
        Self(format!("{kind}:{}", name.to_lowercase()))
    }
}

/// All words by which `request` is found, each once.
pub fn words(request: &policy::Request) -> BTreeSet<Word> {
    let requester = &request.requester;
    let people = [Some(requester.subject.as_str()), requester.email.as_ref().map(policy::Email::as_str)];
    let hosts = request.targets.iter().map(|target| Word::host(target.host()));
    people.into_iter().flatten().map(Word::user).chain(hosts).chain(request.ticket.as_ref().map(Word::ticket)).collect()
}

/// When a request is to be looked at next, because the clock alone may change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Not before then.
    pub at: UnixTime,
    /// Whether a reminder of it is on record, or none is due any more.
    pub reminded: bool,
}

/// A request that is to be looked at now, as of one instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// The request.
    pub kept: KeptRequest,
    /// What was arranged.
    pub look: Look,
}

/// The shortest wait of which anybody is reminded, and twice the least time that a reminder leaves.
const WORTH_REMINDING: u64 = 120;

/// When people are reminded of a request that waits for them: after three quarters of its time, a minute before its end
/// at the latest. None where it waits for less than two minutes.
pub fn reminder(request: &policy::Request) -> Option<UnixTime> {
    let patience = request.expires.since(request.filed);
    let after = (patience - patience / 4).min(patience.saturating_sub(WORTH_REMINDING / 2));
    (patience >= WORTH_REMINDING).then(|| UnixTime::from_secs(request.filed.as_secs().saturating_add(after)))
}

/// What is arranged for a request when it is filed.
pub(super) fn first_look(request: &policy::Request) -> Look {
    match reminder(request) {
        Some(at) => Look { at, reminded: false },
        None => Look { at: request.expires, reminded: true },
    }
}

/// What is arranged once `step` has been taken; none where it ended the request, or that was put away before. A review after
/// the fact changes nothing.
pub(super) fn look_after(step: &policy::Step, before: Option<Look>) -> Option<Look> {
    if reviews(step) {
        return before;
    }
    before.filter(|_| !ends(step)).map(|before| Look { at: step.at, ..before })
}

/// Whether `step` can still be taken by a request that was put away: an end that is on record is the end.
pub(super) fn too_late(step: &policy::Step, look: Option<Look>) -> bool {
    look.is_none() && (ends(step) || matches!(step.what, What::Approved(_) | What::Claimed))
}

/// Whether `step`, on a request that prolongs another, may make that one's time longer.
pub(super) fn prolongs(step: &policy::Step) -> bool {
    matches!(step.what, What::Approved(_))
}

/// The look at a grant once a step that may prolong it was taken at `at`: another than before in any case, so that whoever
/// was about to put it away, for all they knew, looks once more.
pub(super) fn look_again(before: Look, at: UnixTime) -> Look {
    let at = if before.at == at { at.plus(Seconds::new(1)) } else { at };
    Look { at, ..before }
}

/// Since when somebody is known to be in their groups, once `identity` has logged in at `at`: what was known of a group that
/// they are in still stays, what they left is forgotten.
pub(super) fn groups_since(known: &[(Group, UnixTime)], identity: &Identity, at: UnixTime) -> Vec<(Group, UnixTime)> {
    let since = |group: &Group| known.iter().find(|(name, _)| name == group).map_or(at, |(_, since)| *since);
    identity.groups.iter().map(|group| (group.clone(), since(group))).collect()
}

/// What makes filing again the same as filing once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// Digest of the key that the requester chose. Another requester's equal key is another key.
    pub key: [u8; 32],
    /// Digest of what was sent with it.
    pub body: [u8; 32],
}

/// The answer to filing a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filed {
    /// It is filed.
    Yes,
    /// The same key filed this one before, with the same body.
    Before(policy::RequestId),
    /// The same key was used before with another body.
    Mismatch,
}

/// The answer to a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stepped {
    /// It is taken.
    Yes,
    /// Somebody else's step came first; look again.
    Changed,
    /// The request is put away: its end is on record.
    Over,
}

/// The first use of a request's grant, to be recorded with the certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The request.
    pub request: policy::RequestId,
    /// How many steps it had when it was decided. If it has more by now, nothing is recorded.
    pub seen: usize,
    /// The step to add, and the entry about it, which comes before the certificate's; none where it was claimed before.
    pub step: Option<(policy::Step, Entry)>,
    /// When the certificate expires.
    pub expires: UnixTime,
    /// Requests that prolong it, with the number of steps that each had.
    pub extensions: Vec<(policy::RequestId, usize)>,
}

/// Whether `step` reviews emergency access.
pub(super) fn reviews(step: &policy::Step) -> bool {
    matches!(step.what, What::Reviewed { .. })
}

/// Whether `step` ends a request for good, whatever policy says.
pub(crate) fn ends(step: &policy::Step) -> bool {
    matches!(step.what, What::Denied { .. } | What::Cancelled | What::Ended { .. })
}
