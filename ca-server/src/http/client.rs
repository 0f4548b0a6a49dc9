//! Who is asking, as an address: the key of every limit.

use policy::Network;
use std::net::{IpAddr, Ipv6Addr};

/// What limits count by: an IPv4 address, or the /64 that one subscriber of IPv6 is given (and would otherwise walk
/// through, one address a request).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Client(u64, bool);

impl Client {
    /// The client behind `address`.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(u64::from(address.to_bits()), false),
            IpAddr::V6(address) => Self(prefix(address), true),
        }
    }

    /// A number that spreads clients over shards.
    pub(super) fn spread(self) -> u64 {
        // SplitMix64's finaliser: neighbours in a subnet land in different shards.
        let mut mixed = self.0.wrapping_add(u64::from(self.1)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed ^= mixed >> 31;
        mixed
    }
}

fn prefix(address: Ipv6Addr) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = address.octets();
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// The address a request came from: the peer's, unless the peer is a proxy of ours. Then the last address of
/// `X-Forwarded-For` that is no proxy of ours: everything before it is what the client wrote itself.
pub fn source(peer: IpAddr, headers: &hyper::HeaderMap, proxies: &[Network]) -> IpAddr {
    let ours = |address: IpAddr| proxies.iter().any(|network| network.holds(address));
    let peer = peer.to_canonical();
    if !ours(peer) {
        return peer;
    }
    let mut source = peer;
    for value in headers.get_all("x-forwarded-for").iter().rev() {
        for hop in value.to_str().unwrap_or_default().rsplit(',') {
            match hop.trim().parse::<IpAddr>() {
                Ok(address) if ours(address) => source = address.to_canonical(),
                Ok(address) => return address.to_canonical(),
                // A proxy of ours would not write that; what stands before it is worth no more.
                Err(_) => return source,
            }
        }
    }
    source
}

#[cfg(test)]
mod tests;
