//! How the door says no.

use crate::{
    ca::{CaError, KeyError},
    refusal::Refusal,
};
use api::{Code, DecisionBody, Outcome};
use policy::Frozen;

pub(in crate::verbs) fn no(decision: DecisionBody) -> Refusal {
    let mut refusal = if decision.outcome == Outcome::NeedsApproval {
        Refusal::new(Code::NeedsApproval, "people must approve this before there is access")
            .hint("ask one of the approvers named in the decision")
    } else {
        let hint = decision.advice.first().cloned();
        Refusal::new(Code::Denied, "policy does not allow this").hint(
            hint.unwrap_or_else(|| "run `jit-ssh explain` on this target to see what would have to change".to_owned()),
        )
    };
    refusal.decision = Some(Box::new(decision));
    refusal
}

/// The reason stays with those who administer: it may be about whoever asks.
pub(in crate::verbs) fn frozen(what: &Frozen) -> Refusal {
    let message = match what {
        Frozen::Holder { .. } => "you are frozen: nothing is issued to you".to_owned(),
        Frozen::Host { host } => format!("{host} is frozen: nothing is issued for it"),
        Frozen::Everything => "everything is frozen: nothing is issued to anybody".to_owned(),
    };
    Refusal::new(Code::Frozen, message).hint("ask security; two administrators together thaw it: `jit-ssh thaw`")
}

pub(super) fn key_refused(error: KeyError) -> Refusal {
    Refusal::new(Code::KeyRefused, error.to_string()).hint("make a new key with `ssh-keygen -t ed25519` and use that")
}

pub(super) fn key_taken() -> Refusal {
    Refusal::new(Code::KeyRefused, "this key was certified for somebody else")
        .hint("make a new key with `ssh-keygen -t ed25519` and use that")
}

pub(super) fn session_ended() -> Refusal {
    Refusal::new(Code::LoginRequired, "the login session was ended meanwhile").hint("run `jit-ssh login`")
}

pub(super) fn kept_changing() -> Refusal {
    Refusal::new(Code::Conflict, "things kept happening to the request; nothing was issued")
        .hint("look at it: `jit-ssh requests`; then try again")
}

pub(super) fn not_made(error: CaError) -> Refusal {
    match error {
        CaError::Key(KeyError::SecurityKeyRequired) => {
            Refusal::new(Code::KeyRefused, KeyError::SecurityKeyRequired.to_string())
                .hint("use a FIDO security key: `ssh-keygen -t ed25519-sk -O verify-required`")
        }
        CaError::Key(error) => key_refused(error),
        other => Refusal::internal(other),
    }
}

pub(super) fn proof_required() -> Refusal {
    Refusal::new(Code::ProofRequired, "possession of this key was not proven in this login session")
        .hint("sign the proof with the key: `jit-ssh` does so by itself")
}

pub(super) fn proof_refused(cause: impl std::fmt::Display) -> Refusal {
    Refusal::new(Code::ProofRequired, "the proof of possession does not verify")
        .hint("sign it anew with the very key that is to be certified")
        .cause(cause)
}
