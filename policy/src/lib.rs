//! The words of jit-ssh and the decision. Pure: no I/O, no async, no clock, no ssh library.
//!
//! Everything that can be said about access is a type here that cannot be wrong: a [`Principals`] is never empty, a
//! [`Serial`] is never 0, a [`Validity`] is ordered and capped. [`decide`] is the one place that makes a [`Grant`].

mod decision;
mod explain;
mod terms;
mod words;

pub use decision::{Ask, Cause, Decision, Denied, Grant, NeedsApproval, Now, Unmet, UnmetTerm};
pub use explain::{Explanation, Near};
pub use terms::{Extension, Network, SourceAddress, Terms};
pub use words::{
    Account, Email, GrantId, Group, HostGroup, HostName, Identity, Issuer, KeyId, Kind, PolicyId, Principal,
    Principals, Reason, Seconds, Serial, SessionId, Subject, Target, Ticket, UnixTime, Validity, WordError,
};
