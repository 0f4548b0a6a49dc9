//! The words that policy wants to hear before it says yes, or lets people say it: a reason, a ticket. Which policy wants
//! them and who may approve is told before anybody is asked for one.

use crate::{
    ca_client::CaClient,
    error::{Exit, Failure},
    issuance::Wish,
    screen,
    state::session::Session,
    terminal,
};
use api::{Code, DecisionBody, ExplainRequest, Outcome};
use policy::{PolicyId, Reason, Target, Ticket, UnmetTerm};

/// What somebody has not said yet, and what the CA would answer to it.
pub struct Lacking {
    wants: Wants,
    /// The answer to whoever says it.
    pub then: DecisionBody,
    /// Policies that would do too, and want more.
    others: Vec<(PolicyId, Wants)>,
}

/// Which words a policy wants beyond those that were said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wants {
    ticket: bool,
    reason: bool,
}

/// What `wish` lacks, if it is words alone that are missing. The CA is asked what it would say with them, without effect.
pub fn lacking(ca: &CaClient, session: &Session, target: &Target, wish: &Wish, no: &Failure) -> Option<Lacking> {
    lacking_by(ca, session, target, wish, no.decision()?)
}

/// The same by a decision that was only asked about.
pub fn lacking_by(
    ca: &CaClient,
    session: &Session,
    target: &Target,
    wish: &Wish,
    decision: &DecisionBody,
) -> Option<Lacking> {
    let first = least(decision)?;
    let said = first.said(wish);
    let asked =
        ExplainRequest { target: target.clone(), duration: said.duration, reason: said.reason, ticket: said.ticket };
    let then = ca.explain(session, &asked).ok()?.decision;
    if then.outcome == Outcome::Denied {
        return None;
    }
    let mut others = wanted(decision);
    others.retain(|(policy, wants)| !then.policies.contains(policy) && *wants != first);
    Some(Lacking { wants: first, then, others })
}

/// The fewest words that would satisfy one of the policies; none where words alone do not.
pub fn least(decision: &DecisionBody) -> Option<Wants> {
    let wants = wanted(decision).into_iter().map(|(_, wants)| wants);
    wants.min_by_key(|wants| (u8::from(wants.ticket) + u8::from(wants.reason), *wants))
}

/// By policy, of those that words alone would satisfy.
fn wanted(decision: &DecisionBody) -> Vec<(PolicyId, Wants)> {
    let mut wanted: Vec<(PolicyId, Option<Wants>)> = Vec::new();
    for unmet in &decision.unmet {
        let at = wanted.iter().position(|(policy, _)| *policy == unmet.policy).unwrap_or_else(|| {
            wanted.push((unmet.policy.clone(), Some(Wants::default())));
            wanted.len() - 1
        });
        let Some((_, wants)) = wanted.get_mut(at) else { continue };
        *wants = match unmet.term {
            UnmetTerm::Reason => wants.map(|wants| Wants { reason: true, ..wants }),
            UnmetTerm::Ticket => wants.map(|wants| Wants { ticket: true, ..wants }),
            UnmetTerm::Duration(_) => None,
        };
    }
    wanted.into_iter().filter_map(|(policy, wants)| Some((policy, wants?))).collect()
}

impl Lacking {
    /// Whether people must approve once it is said.
    pub fn needs_approval(&self) -> bool {
        self.then.outcome == Outcome::NeedsApproval
    }

    /// What to say, before anything else is said of it.
    pub fn headline(&self) -> String {
        format!("takes {}: {}", self.wants.words(), self.wants.flags())
    }

    /// What comes of saying it.
    pub fn outcome(&self) -> String {
        let policies: Vec<&str> = self.then.policies.iter().map(PolicyId::as_str).collect();
        let terms = self.then.terms.as_ref().filter(|_| self.needs_approval());
        let demands = terms.map(|terms| format!(", {}", screen::demands(terms))).unwrap_or_default();
        let by = match self.then.approver_groups.join(", ") {
            none if none.is_empty() => none,
            groups => format!(" (may approve: {})", terminal::plain(&groups)),
        };
        let what = if self.needs_approval() { "people must approve" } else { "granted" };
        format!("{what}, under {}{demands}{by}", policies.join(", "))
    }

    /// Which policy it is, who may approve, what it wants; and what else would do.
    pub fn told(&self, target: &Target) -> Vec<String> {
        let mut lines = if self.needs_approval() {
            first(target, &self.then)
        } else {
            let policies: Vec<&str> = self.then.policies.iter().map(PolicyId::as_str).collect();
            vec![
                format!("jit-ssh: {target} takes {}", self.wants.words()),
                format!("  policy: {}", policies.join(", ")),
            ]
        };
        for (policy, wants) in &self.others {
            lines.push(format!("  or under {policy}, with {}: {}", wants.words(), wants.flags()));
        }
        lines
    }

    /// `wish`, with what the person at the terminal says.
    ///
    /// # Errors
    /// If they leave it open.
    pub fn ask(&self, wish: &Wish) -> Option<Wish> {
        let mut fuller = wish.clone();
        if self.wants.reason {
            let what = if self.needs_approval() { "Reason, for those who decide:" } else { "Reason for this access:" };
            fuller.reason = Some(terminal::ask_for(what)?);
        }
        if self.wants.ticket {
            fuller.ticket = Some(terminal::ask_for("Ticket:")?);
        }
        Some(fuller)
    }

    /// As a failure for whoever cannot be asked: the command to type.
    pub fn unsaid(&self, target: &Target, wish: &Wish, no: Failure) -> Failure {
        let wants = self.wants;
        let flags = wants.flags_with(wish);
        if !self.needs_approval() {
            return no.hint(format!("say it: jit-ssh ensure{flags} {target}"));
        }
        let mut refusal = no.refusal;
        if let Some(detail) = &mut refusal {
            detail.code = Code::NeedsApproval;
            detail.decision = Some(Box::new(self.then.clone()));
        }
        let message = wants.before_approval();
        let hint = format!("ask for it: jit-ssh request {target}{flags}");
        Failure { exit: Exit::NeedsApproval, message, hint: Some(hint), refusal, ..no }
    }
}

/// That people must approve, under which policy, and who.
pub fn first(target: &Target, decision: &DecisionBody) -> Vec<String> {
    let mut lines = vec![format!("jit-ssh: people must approve {target} first")];
    lines.extend(crate::error::decision_lines(decision));
    lines.extend(decision.terms.as_ref().map(|terms| format!("  it wants {}", screen::demands(terms))));
    lines
}

impl Wants {
    /// `wish` as if these had been said: to ask what would come of it. What it is, the person says later.
    pub fn said(self, wish: &Wish) -> Wish {
        let (reason, ticket): (Option<Reason>, Option<Ticket>) = ("to be said".parse().ok(), "to-be-said".parse().ok());
        Wish {
            reason: wish.reason.clone().or_else(|| reason.filter(|_| self.reason)),
            ticket: wish.ticket.clone().or_else(|| ticket.filter(|_| self.ticket)),
            ..wish.clone()
        }
    }

    /// These and `more`.
    pub fn and(self, more: Self) -> Self {
        Self { reason: self.reason || more.reason, ticket: self.ticket || more.ticket }
    }

    /// That people must approve, and want to hear these first.
    pub fn before_approval(self) -> String {
        format!("people must approve this before there is access, and it takes {}", self.words())
    }

    /// What `wish` says, and a place for what it lacks: as it is typed, with a space before each.
    pub fn flags_with(self, wish: &Wish) -> String {
        let Wish { duration, reason, ticket, .. } = wish;
        let open = |lacks: bool, place: &str| lacks.then(|| place.to_owned());
        let given = [
            ("for", duration.map(|span| span.to_string())),
            ("reason", reason.as_ref().map(Reason::quoted).or_else(|| open(self.reason, "'…'"))),
            ("ticket", ticket.as_ref().map(Ticket::to_string).or_else(|| open(self.ticket, "ID"))),
        ];
        let given = given.into_iter().filter_map(|(flag, value)| Some(format!(" --{flag} {}", value?)));
        given.collect()
    }

    fn words(self) -> &'static str {
        match (self.reason, self.ticket) {
            (true, true) => "a reason and a ticket",
            (false, true) => "a ticket",
            _ => "a reason",
        }
    }

    fn flags(self) -> &'static str {
        match (self.reason, self.ticket) {
            (true, true) => "--reason '…' --ticket ID",
            (false, true) => "--ticket ID",
            _ => "--reason '…'",
        }
    }
}

#[cfg(test)]
mod tests;
