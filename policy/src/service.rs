//! Who may operate the service and who may read its records: policy too, on `Service::"jit-ssh"`.

use crate::{Identity, Now, Policies};
use std::net::IpAddr;

/// Whether policy lets `identity`, coming from `source`, operate the service: `Action::"administer"`.
pub fn administers(policies: &Policies, identity: &Identity, source: IpAddr, now: Now) -> bool {
    let _ = (policies, identity, source, now);
    false
}

/// Whether policy lets `identity`, coming from `source`, read the audit log: `Action::"audit"`.
pub fn audits(policies: &Policies, identity: &Identity, source: IpAddr, now: Now) -> bool {
    let _ = (policies, identity, source, now);
    false
}
