//! Deciding once more what was asked before, under two policy sets. One entry at a time: what is kept are the logins that
//! are alive.

mod told;

use api::entry::{Certificate, Fact, Filed, GlassRefused, Head, Login, Refused, Who};
use policy::{Ask, Changes, Decision, Identity, Now, Policies, PolicyId, SessionId, Target, UnixTime};
use serde::Serialize;
use std::collections::{BTreeSet, HashMap};
use told::{Then, Told};

/// Logins that have run out are forgotten whenever so many more have come.
const STRIDE: usize = 4_096;

/// How something is decided: as any access, or as an emergency.
type Decide = fn(&Policies, &Ask, Now) -> Decision;

/// The walk through a log.
pub(super) struct Replay<'p> {
    old: &'p Policies,
    new: &'p Policies,
    changed: BTreeSet<&'p PolicyId>,
    hosts_changed: BTreeSet<&'p str>,
    logins: HashMap<SessionId, (Identity, UnixTime)>,
    forget_at: usize,
    summary: Summary,
}

/// How many of what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Summary {
    /// Asks that were decided anew.
    pub(super) asks: u64,
    /// Of which with another outcome.
    pub(super) outcome: u64,
    /// Of which with the same outcome, by another policy or on other terms.
    pub(super) terms: u64,
    /// Certificates and refusals under a request.
    pub(super) under_requests: u64,
    /// Asks whose entries hold too little.
    pub(super) not_replayable: u64,
    /// Asks that the old set decides otherwise than they were decided.
    pub(super) recorded_otherwise: u64,
}

impl Summary {
    /// How many would be decided otherwise.
    pub(super) fn otherwise(&self) -> u64 {
        self.outcome + self.terms
    }
}

/// An ask that both sets decide, not alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Otherwise {
    /// In which entry it was asked.
    pub(super) index: u64,
    /// By whom.
    pub(super) who: String,
    /// Their issuer.
    pub(super) issuer: String,
    /// For what.
    pub(super) target: Target,
    /// What the old set decides.
    pub(super) old: Told,
    /// What the new set decides.
    pub(super) new: Told,
    /// What makes the difference: policies that changed, or the host.
    pub(super) because: Vec<String>,
}

impl<'p> Replay<'p> {
    /// From `old` to `new`, between which there are these `changes`.
    pub(super) fn new(old: &'p Policies, new: &'p Policies, changes: &'p Changes) -> Self {
        Self {
            old,
            new,
            changed: changes.policies.iter().map(|change| &change.policy).collect(),
            hosts_changed: changes.hosts.iter().map(|change| change.host.as_str()).collect(),
            logins: HashMap::new(),
            forget_at: STRIDE,
            summary: Summary::default(),
        }
    }

    /// Takes the next entry; answers what in it is decided otherwise.
    pub(super) fn entry(&mut self, index: u64, text: &str) -> Vec<Otherwise> {
        const CODES: [&str; 6] =
            ["login.opened", "login.ended", "decision.refused", "certificate.issued", "request.filed", "break-glass."];
        if !CODES.iter().any(|code| text.contains(code)) {
            return Vec::new();
        }
        match serde_json::from_str(text) {
            Ok(Fact::Login(login)) => self.login(*login, text),
            Ok(Fact::LoginEnded { session, .. }) => drop(self.logins.remove(&session)),
            Ok(Fact::Refused(refused)) => return self.refused(index, &refused),
            Ok(Fact::Certificate(certificate)) => return self.certificate(index, &certificate),
            Ok(Fact::Filed(filed)) => return self.filed(index, &filed),
            Ok(Fact::GlassRefused(refused)) => return self.glass_refused(index, &refused),
            Ok(_) => {}
            Err(_unreadable) => self.summary.not_replayable += 1,
        }
        Vec::new()
    }

    /// The counts, at the end.
    pub(super) fn finish(self) -> Summary {
        self.summary
    }

    fn login(&mut self, login: Login, text: &str) {
        let Some(identity) = login.identity else { return };
        self.logins.insert(login.session, (identity, login.expires));
        if self.logins.len() >= self.forget_at {
            let now = serde_json::from_str(text).map_or(0, |head: Head| head.time_ms / 1_000);
            self.logins.retain(|_, (_, expires)| now < expires.as_secs());
            self.forget_at = self.logins.len() + STRIDE;
        }
    }

    fn refused(&mut self, index: u64, refused: &Refused) -> Vec<Otherwise> {
        if refused.under.is_some() {
            self.summary.under_requests += 1;
            return Vec::new();
        }
        let then = match refused.decision.outcome {
            api::Outcome::Granted => Then::Granted,
            api::Outcome::NeedsApproval => Then::NeedsApproval,
            api::Outcome::Denied => Then::Denied,
        };
        let Refused { actor, session, target, reason, ticket, duration, decided, source, .. } = refused;
        let (Some(now), Some(identity)) = (*decided, self.identity(session, actor)) else { return self.untold() };
        let (target, reason, ticket) = (target.clone(), reason.clone(), ticket.clone());
        let ask = Ask { identity, target, duration: *duration, reason, ticket, source: *source };
        self.decide(index, &ask, now, then, policy::decide).into_iter().collect()
    }

    fn glass_refused(&mut self, index: u64, refused: &GlassRefused) -> Vec<Otherwise> {
        // A review that is overdue is in the way whatever policy says.
        if refused.decision.is_none() {
            return Vec::new();
        }
        let GlassRefused { actor, session, target, reason, ticket, duration, decided, source, .. } = refused;
        let (Some(now), Some(identity)) = (*decided, self.identity(session, actor)) else { return self.untold() };
        let (target, reason, ticket) = (target.clone(), reason.clone(), ticket.clone());
        let ask = Ask { identity, target, duration: *duration, reason, ticket, source: *source };
        self.decide(index, &ask, now, Then::Denied, policy::decide_break_glass).into_iter().collect()
    }

    fn certificate(&mut self, index: u64, certificate: &Certificate) -> Vec<Otherwise> {
        if certificate.under.is_some() {
            self.summary.under_requests += 1;
            return Vec::new();
        }
        let Certificate { actor, session, target, reason, ticket, duration, decided, source, .. } = certificate;
        let (Some(now), Some(identity)) = (*decided, self.identity(session, actor)) else { return self.untold() };
        let (target, reason, ticket) = (target.clone(), reason.clone(), ticket.clone());
        let ask = Ask { identity, target, duration: *duration, reason, ticket, source: *source };
        self.decide(index, &ask, now, Then::Granted, policy::decide).into_iter().collect()
    }

    /// A request is as many asks as it has targets. It holds its requester as of then, so no login is needed.
    fn filed(&mut self, index: u64, filed: &Filed) -> Vec<Otherwise> {
        let Some(now) = filed.decided else { return self.untold() };
        let request = &filed.filed;
        // Emergency access is decided by permits of its own, which no ask of the usual kind looks at.
        let (decide, then): (Decide, _) = match request.break_glass {
            Some(_) => (policy::decide_break_glass, Then::Granted),
            None => (policy::decide, Then::NotDenied),
        };
        let ask = |target: &Target| Ask {
            identity: request.requester.clone(),
            target: target.clone(),
            duration: Some(request.duration),
            reason: request.reason.clone(),
            ticket: request.ticket.clone(),
            source: request.source,
        };
        let asks: Vec<Ask> = request.targets.iter().map(ask).collect();
        asks.iter().filter_map(|ask| self.decide(index, ask, now, then, decide)).collect()
    }

    fn identity(&self, session: &SessionId, actor: &Who) -> Option<Identity> {
        self.logins.get(session).map(|(identity, _)| identity).filter(|identity| actor.is(identity)).cloned()
    }

    fn untold(&mut self) -> Vec<Otherwise> {
        self.summary.not_replayable += 1;
        Vec::new()
    }

    fn decide(&mut self, index: u64, ask: &Ask, now: Now, then: Then, decide: Decide) -> Option<Otherwise> {
        let old = Told::from(decide(self.old, ask, now));
        let new = Told::from(decide(self.new, ask, now));
        self.summary.asks += 1;
        let as_then = if then == Then::NotDenied { old.outcome() != Then::Denied } else { old.outcome() == then };
        self.summary.recorded_otherwise += u64::from(!as_then);
        if old == new {
            return None;
        }
        if old.outcome() == new.outcome() {
            self.summary.terms += 1;
        } else {
            self.summary.outcome += 1;
        }
        let because = self.because(ask, &old, &new);
        let (who, issuer) = (ask.identity.name().to_owned(), ask.identity.issuer.to_string());
        Some(Otherwise { index, who, issuer, target: ask.target.clone(), old, new, because })
    }

    /// Of the policies that made either decision, those that are not the same in both sets; and the host, if that is not.
    fn because(&self, ask: &Ask, old: &Told, new: &Told) -> Vec<String> {
        let made: BTreeSet<&PolicyId> = old.policies().chain(new.policies()).collect();
        let mut because: Vec<String> = made.intersection(&self.changed).map(|id| format!("policy {id}")).collect();
        let hosts =
            [self.old, self.new].map(|set| set.inventory().host(ask.target.host()).map(|host| host.name().as_str()));
        let name = hosts.into_iter().flatten().find(|name| self.hosts_changed.contains(name));
        because.extend(name.map(|name| format!("host {name}")));
        because
    }
}

#[cfg(test)]
mod tests;
