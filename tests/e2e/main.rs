//! The stories, one file each. Real sshd, ssh, ssh-agent, ssh-keygen and OpenID Provider.
#![expect(clippy::indexing_slicing, reason = "a story that finds less than it looks for has failed")]

mod approval;
mod audit;
mod break_glass;
mod certificate_matrix;
mod crashes;
mod fuzz;
mod house;
mod issued;
mod login_to_shell;
mod operations;
mod provider;
mod provider_trouble;
mod same_bytes;
mod sinks;
mod slow_and_large;
mod stock_tools;
mod strangers;
mod tls;
mod vendor;
mod workloads;
