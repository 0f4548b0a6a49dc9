//! The verbs: one file each, one straight path each.

pub mod audit;
pub mod authenticate;
mod case;
pub mod ends;
pub mod explain;
pub mod glass;
pub mod hosts;
pub mod issue;
pub mod login;
pub mod policies;
pub mod refusals;
pub mod replay;
pub mod requests;
pub mod reviews;
pub mod sessions;
pub mod sinks;
mod steps;
pub mod waiting;
