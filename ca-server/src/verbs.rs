//! The verbs: one file each, one straight path each.

mod administer;
pub mod agenda;
pub mod audit;
pub mod authenticate;
mod case;
pub mod cases;
pub mod certificates;
pub mod ends;
pub mod explain;
pub mod freezes;
pub mod glass;
pub mod hosts;
pub mod issue;
pub mod krl;
pub mod login;
pub mod policies;
pub mod refusals;
pub mod replay;
pub mod requests;
pub mod reviews;
pub mod revoke;
pub mod sessions;
pub mod sinks;
mod steps;
pub mod waiting;
