//! The entries of a bundle, read, and found by what they are about.

use super::{Faults, ProvenLine};
use crate::entry::{Certificate, Fact, Filed, Head, Login, Part, Set, Step};
use policy::{Identity, RequestId, SessionId};

/// An entry.
#[derive(Debug)]
pub(super) struct Entry<'b> {
    pub(super) index: u64,
    /// Its exact bytes.
    pub(super) text: &'b str,
    pub(super) head: Head,
    pub(super) fact: Fact,
}

/// All of them, in the order of the log.
#[derive(Debug)]
pub(super) struct Record<'b> {
    pub(super) entries: Vec<Entry<'b>>,
}

impl<'b> Record<'b> {
    /// Reads them; one that makes no sense is a fault.
    pub(super) fn read(lines: &'b [ProvenLine], faults: &mut Faults) -> Self {
        let mut entries = Vec::with_capacity(lines.len());
        for line in lines {
            match (serde_json::from_str(&line.entry), serde_json::from_str(&line.entry)) {
                (Ok(head), Ok(fact)) => {
                    entries.push(Entry { index: line.index, text: &line.entry, head, fact });
                }
                (Err(error), _) | (_, Err(error)) => faults.at(line.index, format!("it cannot be read: {error}")),
            }
        }
        Self { entries }
    }

    /// Every certificate.
    pub(super) fn certificates(&self) -> impl Iterator<Item = (&Entry<'b>, &Certificate)> {
        self.entries.iter().filter_map(|entry| match &entry.fact {
            Fact::Certificate(certificate) => Some((entry, &**certificate)),
            _ => None,
        })
    }

    /// Every request.
    pub(super) fn filed(&self) -> impl Iterator<Item = (&Entry<'b>, &Filed)> {
        self.entries.iter().filter_map(|entry| match &entry.fact {
            Fact::Filed(filed) => Some((entry, &**filed)),
            _ => None,
        })
    }

    /// The request `id`.
    pub(super) fn request(&self, id: &RequestId) -> Option<(&Entry<'b>, &Filed)> {
        self.filed().find(|(_, filed)| filed.id == *id)
    }

    /// Every step, of any request.
    pub(super) fn steps(&self) -> impl Iterator<Item = (&Entry<'b>, &Step)> {
        self.entries.iter().filter_map(|entry| Some((entry, entry.fact.step()?)))
    }

    /// The login that opened `session`.
    pub(super) fn login(&self, session: &SessionId) -> Option<(&Entry<'b>, &Login)> {
        self.logins().find(|(_, login)| login.session == *session)
    }

    /// When `session` was ended, Unix seconds, if that was before the entry `index`.
    pub(super) fn ended(&self, session: &SessionId, index: u64) -> Option<u64> {
        let before = self.entries.iter().take_while(|entry| entry.index < index);
        let end = |entry: &Entry<'_>| match &entry.fact {
            Fact::LoginEnded { session: ended, .. } if ended == session => Some(entry.head.time_ms / 1_000),
            _ => None,
        };
        before.filter_map(end).next()
    }

    /// Every login.
    pub(super) fn logins(&self) -> impl Iterator<Item = (&Entry<'b>, &Login)> {
        self.entries.iter().filter_map(|entry| match &entry.fact {
            Fact::Login(login) => Some((entry, &**login)),
            _ => None,
        })
    }

    /// Who the person of `identity` was by their last login before the entry `index`.
    pub(super) fn latest(&self, identity: &Identity, index: u64) -> Option<&Identity> {
        let before = self.logins().take_while(|(entry, _)| entry.index < index);
        before.filter(|(_, login)| login.actor.is(identity)).filter_map(|(_, login)| login.identity.as_ref()).last()
    }

    /// The user CA's key as the last start before the entry `index` said it.
    pub(super) fn user_ca(&self, index: u64) -> Option<&str> {
        let before = self.entries.iter().take_while(|entry| entry.index < index);
        let starts = before.filter_map(|entry| match &entry.fact {
            Fact::Started { user_ca } => Some(user_ca.as_str()),
            _ => None,
        });
        starts.last()
    }

    /// Every policy set.
    pub(super) fn sets(&self) -> impl Iterator<Item = (&Entry<'b>, &Set)> {
        self.entries.iter().filter_map(|entry| match &entry.fact {
            Fact::Policies(set) => Some((entry, set)),
            _ => None,
        })
    }

    /// Every part of every file of policy sets.
    pub(super) fn parts(&self) -> impl Iterator<Item = (&Entry<'b>, &Part)> {
        self.entries.iter().filter_map(|entry| match &entry.fact {
            Fact::Source(part) => Some((entry, part)),
            _ => None,
        })
    }
}
