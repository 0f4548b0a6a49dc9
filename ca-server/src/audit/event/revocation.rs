//! What ends before its time: certificates that are revoked, and freezes.

use super::Fact;
use crate::audit::{Actor, Severity};
use policy::{FreezeId, Frozen, GrantId, SessionId, Target};
use std::net::IpAddr;

/// What happened to certificates that still live, or to what may be issued.
#[derive(Debug, serde::Serialize)]
#[serde(tag = "code")]
pub enum RevocationEvent<'a> {
    /// Certificates that still live were revoked: the KRL holds their serials until they have expired.
    #[serde(rename = "certificates.revoked")]
    Revoked {
        /// Whether their holder gave them back: that is what everybody should do.
        #[serde(skip)]
        given_back: bool,
        /// Who revoked them.
        actor: Actor<'a>,
        /// Under which login session; none where a step of their request, the entry before, did it.
        #[serde(skip_serializing_if = "Option::is_none")]
        session: Option<&'a SessionId>,
        /// Which: `grant`, `user`, `host`, `policy`, `serial` or `issuer`.
        which: &'a str,
        /// Which grant, if it was by that.
        #[serde(skip_serializing_if = "Option::is_none")]
        grant: Option<&'a GrantId>,
        /// Which of another kind, as it was named.
        #[serde(skip_serializing_if = "Option::is_none")]
        named: Option<&'a str>,
        /// Why.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<&'a str>,
        /// The serials that were not revoked before, at most 500; more are told by further entries.
        serials: &'a [u64],
        /// The version of the KRL from here on.
        krl: u64,
        /// From where.
        #[serde(skip_serializing_if = "Option::is_none")]
        source: Option<IpAddr>,
    },
    /// Somebody tried to revoke, to freeze or to thaw, and may not.
    #[serde(rename = "revocation.refused")]
    Refused {
        /// Who tried.
        actor: Actor<'a>,
        /// Under which login session.
        session: &'a SessionId,
        /// What.
        attempt: &'a str,
        /// Why not.
        refusal: &'a str,
        /// From where.
        source: IpAddr,
    },
    /// Nothing is issued any more to somebody, for a host or at all, until two people thaw it.
    #[serde(rename = "freeze.set")]
    Frozen {
        /// Who froze it.
        actor: Actor<'a>,
        /// Under which login session.
        session: &'a SessionId,
        /// The freeze.
        id: &'a FreezeId,
        /// What is frozen.
        frozen: &'a Frozen,
        /// Why.
        reason: &'a str,
        /// From where.
        source: IpAddr,
    },
    /// Somebody agreed that what is frozen may go on.
    #[serde(rename = "freeze.thawed")]
    Thawed {
        /// Who.
        actor: Actor<'a>,
        /// Under which login session.
        session: &'a SessionId,
        /// The freeze.
        id: &'a FreezeId,
        /// Whether that was enough: it is no longer frozen.
        lifted: bool,
        /// Why.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<&'a str>,
        /// From where.
        source: IpAddr,
    },
    /// A freeze stopped what policy would have allowed: a certificate, or an approval by whoever is frozen.
    #[serde(rename = "freeze.stopped")]
    Stopped {
        /// Who tried.
        actor: Actor<'a>,
        /// Under which login session.
        session: &'a SessionId,
        /// The freeze.
        id: &'a FreezeId,
        /// For what a certificate was asked; none where it was not.
        #[serde(skip_serializing_if = "Option::is_none")]
        target: Option<&'a Target>,
        /// Why not.
        refusal: &'a str,
        /// From where.
        source: IpAddr,
    },
}

impl Fact for RevocationEvent<'_> {
    fn severity(&self) -> Option<Severity> {
        Some(match self {
            Self::Revoked { given_back: true, .. } => Severity::Info,
            Self::Revoked { .. } | Self::Refused { .. } => Severity::Warning,
            Self::Frozen { .. } | Self::Thawed { .. } | Self::Stopped { .. } => Severity::High,
        })
    }
}
