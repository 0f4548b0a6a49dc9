//! A refusal speaks twice: a fixed safe sentence with a stable code to the caller, the cause to the log.

use api::{Code, DecisionBody};

/// The most characters of a cause: what made it may have been sent by anybody.
const LONGEST_CAUSE: usize = 256;

/// Why a verb said no.
#[derive(Debug)]
pub struct Refusal {
    /// The stable code.
    pub code: Code,
    /// A sentence for people; never holds what the caller sent.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
    /// The decision, where policy made it.
    pub decision: Option<Box<DecisionBody>>,
    /// The server's clock, where the clock is what is wrong.
    pub server_time_ms: Option<u64>,
    /// For the log only.
    pub cause: Option<String>,
}

impl Refusal {
    /// A refusal with a sentence for people.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None, decision: None, server_time_ms: None, cause: None }
    }

    /// With what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// With this request's id in the place of `ID` in what to do next, so that it can be typed as it stands.
    #[must_use]
    pub fn about(mut self, id: &policy::RequestId) -> Self {
        self.hint = self.hint.map(|hint| hint.replace(" ID", &format!(" {id}")));
        self
    }

    /// With the cause, for the log only.
    #[must_use]
    pub fn cause(mut self, cause: impl std::fmt::Display) -> Self {
        let mut cause = cause.to_string();
        if let Some((end, _)) = cause.char_indices().nth(LONGEST_CAUSE) {
            cause.truncate(end);
            cause.push('…');
        }
        self.cause = Some(cause);
        self
    }

    /// An error of the server's own.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        Self::new(Code::Internal, "the server could not do this; nothing was issued")
            .hint("try again; if it stays, give the request id to whoever runs the server")
            .cause(cause)
    }
}

impl From<crate::store::StoreError> for Refusal {
    fn from(error: crate::store::StoreError) -> Self {
        Self::new(
            Code::StoreUnavailable,
            "the server cannot read or durably record what this needs; nothing was issued",
        )
        .hint("try again in a moment; if it stays, give the request id to whoever runs the server")
        .cause(error)
    }
}

impl From<getrandom::Error> for Refusal {
    fn from(error: getrandom::Error) -> Self {
        Self::internal(error)
    }
}

#[cfg(test)]
mod tests {
    use super::Refusal;

    #[test]
    fn a_hint_is_about_one_request() {
        let id = policy::RequestId::from_random([7; 12]);
        let refusal = Refusal::internal("").hint("`jit-ssh deny ID` ends it; `jit-ssh show ID`").about(&id);
        assert_eq!(refusal.hint.unwrap(), format!("`jit-ssh deny {id}` ends it; `jit-ssh show {id}`"));
    }

    #[test]
    fn a_cause_is_cut_where_a_character_ends() {
        let cause = |text: &str| Refusal::internal(text).cause.unwrap();
        assert_eq!(cause("short"), "short");
        assert_eq!(cause(&"x".repeat(256)), "x".repeat(256));
        assert_eq!(cause(&"é".repeat(60_000)), format!("{}…", "é".repeat(256)));
    }
}
