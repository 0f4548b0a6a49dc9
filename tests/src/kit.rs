//! One file per part of the world that a story needs.

pub mod accounts;
pub mod binaries;
pub mod browser;
pub mod caller;
pub mod chance;
pub mod client;
pub mod failover;
pub mod gate;
pub mod idp;
pub mod keygen;
pub mod postgres;
pub mod process;
pub mod receiver;
pub mod server;
pub mod signing;
pub mod ssh;
pub mod ssh_agent;
pub mod sshd;
pub mod token;
pub mod world;
