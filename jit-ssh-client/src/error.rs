//! What went wrong and what to do next. Exit codes are a promise: scripts act on them.

use crate::terminal;
use api::{DecisionBody, ErrorDetail};
use policy::{Cause, RequestId, Unmet, UnmetTerm};
use std::{fmt, process::ExitCode};

/// How the program ends when it does not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 1: it did not work.
    Failed,
    /// 2: the command line cannot be understood.
    Usage,
    /// 3: policy says no.
    Denied,
    /// 4: there is no login session, or it is over.
    NeedsLogin,
    /// 5: people must approve first.
    NeedsApproval,
    /// 6: the server, the issuer or the agent does not answer.
    Unreachable,
    /// 7: what was to be verified is not what it claims to be.
    Unverified,
}

impl Exit {
    /// The exit status.
    pub const fn code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Denied => 3,
            Self::NeedsLogin => 4,
            Self::NeedsApproval => 5,
            Self::Unreachable => 6,
            Self::Unverified => 7,
        }
    }

    /// The same as a word, for `--json`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::Denied => "denied",
            Self::NeedsLogin => "needs_login",
            Self::NeedsApproval => "needs_approval",
            Self::Unreachable => "unreachable",
            Self::Unverified => "unverified",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command ended, in words for people. Texts from elsewhere are escaped when shown, not when kept.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The exit status.
    pub exit: Exit,
    /// What happened.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
    /// The server's refusal, where it was the server.
    pub refusal: Option<Box<ErrorDetail>>,
    /// What served so far and is over, where somebody ended it.
    pub ended: Option<String>,
    /// One's own request that is approved and begins later, where that is why there is nothing yet.
    pub begins: Option<RequestId>,
}

impl Failure {
    /// A failure that ends with `exit`.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None, refusal: None, ended: None, begins: None }
    }

    /// It did not work.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }

    /// The command line is wrong.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Nobody is logged in.
    pub fn needs_login(message: impl Into<String>) -> Self {
        Self::new(Exit::NeedsLogin, message).hint("log in: jit-ssh login")
    }

    /// Somebody does not answer.
    pub fn unreachable(message: impl Into<String>) -> Self {
        Self::new(Exit::Unreachable, message)
    }

    /// With what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The decision behind it, where policy made it.
    pub fn decision(&self) -> Option<&DecisionBody> {
        self.refusal.as_deref()?.decision.as_deref()
    }

    /// Whether people, words or the clock may still make a yes of it.
    pub fn may_come(&self) -> bool {
        self.exit == Exit::NeedsApproval
            || self.begins.is_some()
            || self.decision().is_some_and(|decision| !decision.unmet.is_empty())
    }

    /// Tells the person, on stderr, and with `json` the program too, on stdout.
    pub fn report(&self, json: bool) {
        if json {
            terminal::print_json(&serde_json::json!({ "error": {
                "code": self.exit.word(),
                "exit": self.exit.code(),
                "message": self.message,
                "hint": self.hint,
                "ended": self.ended,
                "server": self.refusal,
            }}));
        }
        for line in self.lines() {
            terminal::say(&line);
        }
    }

    /// One line for ssh's terminal, where more would be noise.
    pub fn brief(&self) -> String {
        let cause = self.cause().map(|cause| format!(": {cause}")).unwrap_or_default();
        let advice = self.decision().and_then(|decision| decision.advice.first());
        let why = advice.filter(|advice| self.hint.as_ref() != Some(advice)).map(|advice| format!(" ({advice})"));
        let next = self.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
        let ended = self.ended.as_ref().map(|ended| format!("{ended}; now: ")).unwrap_or_default();
        let line = format!("jit-ssh: {ended}{}{cause}{}{next}", self.message, why.unwrap_or_default());
        terminal::plain(&line).into_owned()
    }

    fn cause(&self) -> Option<&'static str> {
        self.decision()?.cause.map(cause_sentence)
    }

    fn lines(&self) -> Vec<String> {
        let ours = |text: &str| format!("{} {}", terminal::red("jit-ssh:"), terminal::plain(text));
        let mut lines: Vec<String> = self.ended.iter().map(|ended| ours(ended)).collect();
        lines.push(ours(&self.message));
        lines.extend(self.cause().map(|cause| format!("  cause: {cause}")));
        if let Some(decision) = self.decision() {
            lines.extend(decision_lines(decision));
        }
        // The server's hint may be the policy's advice, which stands above already.
        let advised = |hint: &&String| self.decision().is_some_and(|decision| decision.advice.contains(hint));
        if let Some(hint) = self.hint.as_ref().filter(|hint| !advised(hint)) {
            lines.push(format!("  {} {}", terminal::bold("next:"), terminal::plain(hint)));
        }
        if let Some(id) = self.refusal.as_ref().map(|detail| &detail.request_id).filter(|id| !id.is_empty()) {
            lines.push(format!("  trace: {}", terminal::plain(id)));
        }
        lines
    }
}

/// What a person wants to know of a decision.
pub fn decision_lines(decision: &DecisionBody) -> Vec<String> {
    let mut lines = Vec::new();
    if !decision.policies.is_empty() {
        let ids: Vec<&str> = decision.policies.iter().map(policy::PolicyId::as_str).collect();
        lines.push(format!("  policy: {}", ids.join(", ")));
    }
    for advice in &decision.advice {
        lines.push(format!("  advice: {}", terminal::plain(advice)));
    }
    for unmet in &decision.unmet {
        lines.push(format!("  {}", unmet_sentence(unmet)));
    }
    if !decision.approver_groups.is_empty() {
        lines.push(format!("  may approve: {}", terminal::plain(&decision.approver_groups.join(", "))));
    }
    lines
}

/// Why policy says no.
pub fn cause_sentence(cause: Cause) -> &'static str {
    match cause {
        Cause::Forbidden => "a policy forbids it",
        Cause::NoPermit => "no policy permits it",
        Cause::TermsUnmet => "a policy would permit it on terms that are not met",
        Cause::UnknownTarget => "the inventory has no such host, or no such account on it",
        Cause::NotRequested => "your request does not hold it",
        Cause::NotYet => "your request begins later",
        Cause::RequestOver => "your request is over",
        Cause::EvaluationFailed => "a policy could not be evaluated",
    }
}

/// What a policy lacks, and how it is said.
pub fn unmet_sentence(unmet: &Unmet) -> String {
    let policy = &unmet.policy;
    match unmet.term {
        UnmetTerm::Reason => format!("{policy} needs a reason: --reason '…'"),
        UnmetTerm::Ticket => format!("{policy} needs a ticket: --ticket ID"),
        UnmetTerm::Duration(most) => format!("{policy} allows at most {most}: --for {most}"),
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<policy::WordError> for Failure {
    fn from(error: policy::WordError) -> Self {
        Self::usage(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied(cause: &str, advice: &[&str], hint: &str) -> Failure {
        let decision = serde_json::json!({
            "outcome": "denied", "policies": [], "cause": cause, "advice": advice, "unmet": [],
        });
        let refusal = serde_json::json!({
            "code": "denied", "message": "policy does not allow this", "request_id": "r-1", "decision": decision,
        });
        let refusal: ErrorDetail = serde_json::from_value(refusal).unwrap();
        let failure = Failure::new(Exit::Denied, refusal.message.clone()).hint(hint);
        Failure { refusal: Some(Box::new(refusal)), ..failure }
    }

    #[test]
    fn a_denial_names_its_cause() {
        let failure = denied("unknown-target", &[], "jit-ssh explain says more");
        let told = failure.lines();
        assert_eq!(told[1], "  cause: the inventory has no such host, or no such account on it");
        assert_eq!(told[2], "  next: jit-ssh explain says more");
        let brief = "jit-ssh: policy does not allow this: the inventory has no such host, or no such account on it; ";
        assert!(failure.brief().starts_with(brief), "{}", failure.brief());
    }

    #[test]
    fn advice_is_given_once() {
        let failure = denied("forbidden", &["Ask the database team."], "Ask the database team.");
        let told = failure.lines().join("\n");
        assert_eq!(told.matches("Ask the database team.").count(), 1, "{told}");
        assert_eq!(failure.brief().matches("Ask the database team.").count(), 1);
        let other = denied("forbidden", &["Ask the database team."], "jit-ssh explain").lines().join("\n");
        assert!(other.contains("advice: Ask") && other.contains("next: jit-ssh explain"), "{other}");
    }
}
