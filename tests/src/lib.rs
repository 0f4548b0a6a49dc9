//! The kit of the end-to-end stories, the demo and the benchmarks: real sshd, ssh, ssh-agent and OpenID Provider, all on
//! loopback, all temporary, all gone with the value that holds them.

pub mod fuzz;
pub mod kit;
