//! The stories, one file each. Real sshd, ssh, ssh-agent, ssh-keygen and OpenID Provider.
#![expect(clippy::indexing_slicing, reason = "a story that finds less than it looks for has failed")]

mod approval;
mod asking;
mod audit;
mod auditor;
mod break_glass;
mod bundle;
mod certificate_matrix;
mod contract;
mod crashes;
mod doctor;
mod fuzz;
mod house;
mod issued;
mod login_to_shell;
mod names_and_queues;
mod operations;
mod pages;
mod policy_change;
mod provider;
mod provider_trouble;
mod request_crashes;
mod revocation;
mod same_bytes;
mod sinks;
mod slow_and_large;
mod stock_tools;
mod strangers;
mod supply;
mod tls;
mod two_servers;
mod vendor;
mod walk;
mod workloads;
