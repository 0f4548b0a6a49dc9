//! What was revoked, and what was frozen.

use super::Who;
use policy::{FreezeId, Frozen, GrantId, Reason, Target};
use serde::Deserialize;

/// Certificates that were revoked.
#[derive(Clone, Debug, Deserialize)]
pub struct Revoked {
    /// Who revoked them, or whose step did.
    pub actor: Who,
    /// Which: `grant`, `user`, `host`, `policy`, `serial` or `issuer`.
    pub which: String,
    /// Which grant's, where a step of its request did it.
    #[serde(default)]
    pub grant: Option<GrantId>,
    /// Which of another kind, as it was named.
    #[serde(default)]
    pub named: Option<String>,
    /// Why.
    #[serde(default)]
    pub reason: Option<Reason>,
    /// Those that were not revoked before.
    pub serials: Vec<u64>,
    /// The version of the KRL from there on.
    pub krl: u64,
}

/// A freeze that was set.
#[derive(Clone, Debug, Deserialize)]
pub struct FreezeSet {
    /// By whom.
    pub actor: Who,
    /// The freeze.
    pub id: FreezeId,
    /// What is frozen.
    pub frozen: Frozen,
    /// Why.
    pub reason: Reason,
}

/// Somebody's word that what is frozen may go on.
#[derive(Clone, Debug, Deserialize)]
pub struct FreezeThawed {
    /// Whose.
    pub actor: Who,
    /// The freeze.
    pub id: FreezeId,
    /// Whether it was enough.
    pub lifted: bool,
    /// Why.
    #[serde(default)]
    pub reason: Option<Reason>,
}

/// A freeze that stopped what policy would have allowed.
#[derive(Clone, Debug, Deserialize)]
pub struct FreezeStopped {
    /// Whom.
    pub actor: Who,
    /// The freeze.
    pub id: FreezeId,
    /// For what a certificate was asked; none where it was not.
    #[serde(default)]
    pub target: Option<Target>,
}
