//! The SSH certificate authority of jit-ssh.
//!
//! main → app → http → verbs → oidc, ca, custody, store, audit. Nothing below the verbs knows http; `store` never calls
//! `ca` and `ca` never calls `store`: only a verb joins them.

pub mod app;
pub mod audit;
pub mod ca;
pub mod clock;
pub mod config;
pub mod custody;
pub mod dev;
pub mod fault;
#[cfg(test)]
mod fixture;
pub mod http;
pub mod logging;
pub mod oidc;
mod outbound;
pub mod policies;
pub mod refusal;
pub mod sinks;
pub mod start;
pub mod store;
pub mod systemd;
pub mod verbs;
