//! The stories, one file each. Real sshd, ssh, ssh-agent, ssh-keygen and OpenID Provider.

mod certificate_matrix;
mod fuzz;
mod house;
mod provider;
mod same_bytes;
