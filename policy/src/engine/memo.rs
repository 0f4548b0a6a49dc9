//! What was asked lately, and what the policies answered. A set of policies never changes, and a question is made of
//! nothing but [`Facts`] and the action, so under the same of them the answer that is remembered is the one that would be
//! found again. They are spelled out as bytes: that costs a fraction of the question itself.

use super::{
    facts::{Facts, duration, named_groups},
    named::Named,
    names::{Action, Duty},
};
use crate::{Ask, Email, Identity, Kind, Now, PolicyId, Reason, Ticket, UnixTime};
use std::{
    collections::HashMap,
    fmt,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The most answers that are remembered; then all are forgotten.
const MOST: usize = 2_048;
/// What is spelled out at more length is asked anew each time. It is callers who say how long some of it is.
const LONGEST: usize = 2_048;

/// Which policies are satisfied, by their places in the set.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) permits: Vec<usize>,
    pub(super) forbids: Vec<usize>,
    /// Policies that could not be evaluated.
    pub(super) failed: Vec<PolicyId>,
}

#[derive(Default)]
pub(super) struct Memo(Mutex<HashMap<Box<[u8]>, Arc<Answer>>>);

impl Memo {
    /// The answer under `key`: the one remembered, else what `find` finds. What cannot be told is not remembered.
    pub(super) fn or_find<E>(&self, key: Key, find: impl FnOnce() -> Result<Answer, E>) -> Result<Arc<Answer>, E> {
        let known = self.known().get(key.0.as_slice()).map(Arc::clone);
        if let Some(answer) = known {
            return Ok(answer);
        }
        let answer = Arc::new(find()?);
        if key.0.len() <= LONGEST {
            let mut known = self.known();
            if known.len() >= MOST {
                known.clear();
            }
            known.insert(key.0.into_boxed_slice(), Arc::clone(&answer));
        }
        Ok(answer)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.known().len()
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Box<[u8]>, Arc<Answer>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Memo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Memo({} answers)", self.known().len())
    }
}

/// All that a question is made of. Left out is only what the policies cannot tell apart: groups that none of them names,
/// claims where none reads any, and times where none looks at the clock.
pub(super) struct Key(Vec<u8>);

impl Key {
    pub(super) fn of(facts: &Facts<'_>, action: Action, named: &Named) -> Self {
        let Facts { who, ask, host, now, also_in } = facts;
        let Ask { identity: asker, target, duration: _, reason, ticket, source } = ask;
        let mut key = Self::about(who, *source, *now, named);
        key.number(match action {
            Action::Connect => 0,
            Action::BreakGlass => 1,
            Action::Approve => 2,
        });
        if action == Action::Approve {
            key.identity(asker, named);
        }
        key.text(target.account().as_str());
        key.text(host.name().as_str());
        key.number(duration(ask).as_secs());
        key.maybe(reason.as_ref().map(Reason::as_str));
        key.maybe(ticket.as_ref().map(Ticket::as_str));
        key.maybe(also_in.map(ToString::to_string).as_deref());
        key
    }

    pub(super) fn of_duty(duty: Duty, who: &Identity, source: IpAddr, now: Now, named: &Named) -> Self {
        let mut key = Self::about(who, source, now, named);
        key.number(match duty {
            Duty::Administer => 3,
            Duty::Audit => 4,
        });
        key
    }

    fn about(who: &Identity, source: IpAddr, now: Now, named: &Named) -> Self {
        let mut key = Self(Vec::with_capacity(1_024));
        key.identity(who, named);
        match source {
            IpAddr::V4(v4) => key.bytes(&v4.octets()),
            IpAddr::V6(v6) => key.bytes(&v6.octets()),
        }
        let Now { time, weekday, minute } = now;
        if named.attribute("time") || named.attribute("auth_age") {
            key.number(time.as_secs());
        }
        if named.attribute("utc") || named.attribute("local") {
            key.number(time.as_secs() / 60);
            key.number(weekday.into());
            key.number(minute.into());
        }
        key
    }

    fn identity(&mut self, identity: &Identity, named: &Named) {
        // Earlier addresses are nothing that policies see; groups follow, as far as they see them.
        let Identity { kind, issuer, subject, email, groups: _, amr, acr, mfa, auth_time, claims, known_as: _ } =
            identity;
        self.number(match kind {
            Kind::User => 0,
            Kind::Workload => 1,
        });
        self.text(issuer.as_str());
        self.text(subject.as_str());
        self.maybe(email.as_ref().map(Email::as_str));
        self.all(named_groups(identity, named).map(|group| group.id().unescaped()));
        self.all(amr.iter().map(String::as_str));
        self.maybe(acr.as_deref());
        self.number((*mfa).into());
        let typed = auth_time.filter(|_| named.attribute("auth_age"));
        self.number(typed.map_or(u64::MAX, UnixTime::as_secs));
        let claims = claims.iter().filter(|_| named.tags());
        self.all(claims.flat_map(|(name, value)| [name.as_str(), value.as_str()]));
    }

    fn all<'t>(&mut self, texts: impl Iterator<Item = &'t str>) {
        texts.for_each(|text| self.maybe(Some(text)));
        self.maybe(None);
    }

    fn maybe(&mut self, text: Option<&str>) {
        self.0.push(text.is_some().into());
        text.into_iter().for_each(|text| self.text(text));
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// With their length before them, so that no two lists of texts look the same.
    fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(&bytes.len().to_le_bytes());
        self.0.extend_from_slice(bytes);
    }

    fn number(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }
}
