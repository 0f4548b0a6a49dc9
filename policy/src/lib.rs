//! The words of jit-ssh and the decision. Pure: no I/O, no async, no clock, no ssh library.
//!
//! Everything that can be said about access is a type here that cannot be wrong: a [`Principals`] is never empty, a
//! [`Serial`] is never 0, a [`Validity`] is ordered and capped. [`decide`] is the one place that makes a [`Grant`].

mod changes;
mod decision;
mod engine;
mod expectations;
mod explain;
mod freeze;
mod inventory;
#[cfg(test)]
mod kit;
mod life;
mod request;
mod review;
mod service;
mod source;
mod terms;
mod toml_section;
mod words;

pub use changes::{Changes, Difference, HostChange, How, PolicyChange, changes};
pub use decision::{
    Ask, Cause, Decision, Denied, Grant, NeedsApproval, Now, Unmet, UnmetTerm, approver_groups, break_glass_offers,
    decide, decide_break_glass, decide_under, further, offers, standing, unmet,
};
pub use engine::Policies;
pub use expectations::TestOutcome;
pub use explain::{Explanation, Near, explain};
pub use freeze::{Freeze, Frozen, IssuerAccount, MayNotThaw, Thaw, frozen, may_thaw, thawed};
pub use inventory::{Binding, Host, Inventory};
pub use life::{Joined, Life, Need, Over, Review, Stage, asked, barred, people::same_person, reviewed, stage};
pub use request::{Approval, BreakGlass, Digest, EndReason, Request, Step, Verdict, What};
pub use review::{MayNot, may_approve, may_review};
pub use service::{administers, audits};
pub use source::{Finding, Source, Sources};
pub use terms::{Extension, Network, SourceAddress, Terms};
pub use words::{
    Account, Email, FreezeId, GrantId, Group, HostGroup, HostName, Identity, Incident, Issuer, KeyId, Kind, PolicyId,
    Principal, Principals, Reason, RequestId, Seconds, Serial, SessionId, Subject, Target, Ticket, UnixTime, Validity,
    WordError,
};
