//! The verbs: one file each, one straight path each.

pub mod audit;
pub mod authenticate;
pub mod explain;
pub mod hosts;
pub mod issue;
pub mod login;
pub mod refusals;
pub mod replay;
pub mod sessions;
pub mod sinks;
