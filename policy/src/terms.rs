//! Terms: what a permit allows once it matched. They ride as annotations on the policy.

use crate::{Ask, Group, PolicyId, Seconds, UnmetTerm};
use std::{collections::BTreeSet, fmt, net::IpAddr, str::FromStr};

/// A certificate extension that OpenSSH knows (PROTOCOL.certkeys). Nothing outside this list is ever signed as a permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Extension {
    /// No touch needed on a FIDO key.
    NoTouchRequired,
    /// X11 forwarding.
    #[serde(rename = "permit-X11-forwarding")]
    PermitX11Forwarding,
    /// Agent forwarding.
    PermitAgentForwarding,
    /// Port forwarding.
    PermitPortForwarding,
    /// A terminal.
    PermitPty,
    /// `~/.ssh/rc`.
    PermitUserRc,
}

impl Extension {
    /// Every extension, in the order in which a certificate lists them.
    pub const ALL: [Self; 6] = [
        Self::NoTouchRequired,
        Self::PermitX11Forwarding,
        Self::PermitAgentForwarding,
        Self::PermitPortForwarding,
        Self::PermitPty,
        Self::PermitUserRc,
    ];

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoTouchRequired => "no-touch-required",
            Self::PermitX11Forwarding => "permit-X11-forwarding",
            Self::PermitAgentForwarding => "permit-agent-forwarding",
            Self::PermitPortForwarding => "permit-port-forwarding",
            Self::PermitPty => "permit-pty",
            Self::PermitUserRc => "permit-user-rc",
        }
    }
}

impl FromStr for Extension {
    type Err = crate::WordError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|known| known.as_str() == text).ok_or(crate::WordError::new(
            "extension",
            "use permit-pty, permit-port-forwarding, permit-agent-forwarding, permit-X11-forwarding, permit-user-rc \
             or no-touch-required",
        ))
    }
}

/// A network in CIDR form, host bits zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    base: IpAddr,
    bits: u8,
}

impl Network {
    /// The network that holds just `address` (an IPv4-mapped IPv6 address counts as IPv4).
    pub fn host(address: IpAddr) -> Self {
        let base = address.to_canonical();
        Self { base, bits: if base.is_ipv4() { 32 } else { 128 } }
    }

    /// Whether `address` lies in it.
    pub fn holds(&self, address: IpAddr) -> bool {
        match (self.base, address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                base.to_bits() == address.to_bits() & mask
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.bits)).unwrap_or(0);
                base.to_bits() == address.to_bits() & mask
            }
            _ => false,
        }
    }

    /// Whether every address of `other` lies in it.
    pub fn covers(&self, other: &Self) -> bool {
        self.bits <= other.bits && self.holds(other.base)
    }
}

impl FromStr for Network {
    type Err = crate::WordError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const RULE: crate::WordError =
            crate::WordError::new("network", "write it as 198.51.100.0/24 or 2001:db8::/32, host bits zero");
        let (base, bits) = text.split_once('/').ok_or(RULE)?;
        let base: IpAddr = base.parse().map_err(|_not_an_address| RULE)?;
        let most = if base.is_ipv4() { 32 } else { 128 };
        let plain = bits.bytes().all(|b| b.is_ascii_digit()) && (bits == "0" || !bits.starts_with('0'));
        let bits: u8 = bits.parse().ok().filter(|&bits| plain && bits <= most).ok_or(RULE)?;
        let network = Self { base, bits };
        network.holds(base).then_some(network).ok_or(RULE)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.bits)
    }
}

impl TryFrom<String> for Network {
    type Error = crate::WordError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

/// Where a certificate may be used from: `@source_address`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceAddress {
    /// Only from the address that asked for it.
    Request,
    /// Only from these networks.
    Networks(Vec<Network>),
}

/// The terms of one permit, parsed and validated at load.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Terms {
    /// `@id` of the permit.
    pub policy: PolicyId,
    /// `@max_duration`: the longest grant. Default 1 h, 30 min for emergency access.
    pub max_duration: Seconds,
    /// `@cert_ttl`: the life of one certificate under it. Default 5 min, at most 24 h.
    pub cert_ttl: Seconds,
    /// `@approvals`: how many distinct people must approve. Default 0.
    pub approvals: u8,
    /// `@approvers_from_groups`: from how many distinct groups they must come. Default 0: any.
    pub approvers_from_groups: u8,
    /// `@approval_levels`: groups whose members must approve one after the other, one of each, the first of all
    /// approvals. Default none.
    #[serde(default)]
    pub approval_levels: Vec<Group>,
    /// `@claim_within`: how long after the last approval (or the start asked for) the first use may come. Default 1 h.
    pub claim_within: Seconds,
    /// `@reason("required")`.
    pub reason_required: bool,
    /// `@ticket("required")`.
    pub ticket_required: bool,
    /// `@extensions`: default `permit-pty` alone.
    pub extensions: BTreeSet<Extension>,
    /// `@force_command`: the only command that may run.
    pub force_command: Option<String>,
    /// `@source_address`.
    pub source_address: Option<SourceAddress>,
    /// `@verify_required("true")`: a FIDO key that verifies its user (PIN or biometrics); other keys are refused.
    pub verify_required: bool,
    /// `@elevate`: what may be run with raised rights.
    pub elevate: Option<String>,
    /// `@record("required")`: no record, no session.
    pub record: bool,
    /// `@review_within`: when a review is due after the fact.
    pub review_within: Option<Seconds>,
    /// `@notify`: channels to tell: the audit entries of what is granted under it carry these names, and sinks choose by them.
    pub notify: Vec<String>,
}

impl Terms {
    /// The terms of a permit that has no annotation but its id.
    pub(crate) fn of(policy: PolicyId) -> Self {
        Self {
            policy,
            max_duration: Seconds::new(3600),
            cert_ttl: Seconds::new(300),
            approvals: 0,
            approvers_from_groups: 0,
            approval_levels: Vec::new(),
            claim_within: Seconds::new(3600),
            reason_required: false,
            ticket_required: false,
            extensions: BTreeSet::from([Extension::PermitPty]),
            force_command: None,
            source_address: None,
            verify_required: false,
            elevate: None,
            record: false,
            review_within: None,
            notify: Vec::new(),
        }
    }

    /// What `ask` lacks.
    pub(crate) fn unmet(&self, ask: &Ask) -> impl Iterator<Item = UnmetTerm> {
        let reason = self.reason_required && ask.reason.is_none();
        let ticket = self.ticket_required && ask.ticket.is_none();
        let duration = ask.duration.is_some_and(|span| span == Seconds::new(0) || span > self.max_duration);
        [
            reason.then_some(UnmetTerm::Reason),
            ticket.then_some(UnmetTerm::Ticket),
            duration.then_some(UnmetTerm::Duration(self.max_duration)),
        ]
        .into_iter()
        .flatten()
    }
}
