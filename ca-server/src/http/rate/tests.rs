use super::{MOST_CLIENTS, Rate, SHARDS};
use crate::http::client::Client;
use std::{net::IpAddr, time::Duration};

fn client(text: &str) -> Client {
    Client::of(text.parse::<IpAddr>().unwrap())
}

#[test]
fn a_burst_is_allowed_then_the_rate_holds() {
    let rate = Rate::new(2, Duration::from_secs(1), 3);
    let ada = client("192.0.2.1");
    let at = Duration::from_millis;
    let answers: Vec<bool> = [0, 0, 0, 0, 499, 500, 501, 1000, 1001].map(|ms| rate.allows(ada, at(ms))).to_vec();
    assert_eq!(answers, [true, true, true, false, false, true, false, true, false]);
    assert!(rate.allows(client("192.0.2.2"), at(0)), "another client has its own");
}

#[test]
fn one_ipv6_subscriber_is_one_client() {
    let rate = Rate::new(1, Duration::from_secs(60), 1);
    assert!(rate.allows(client("2001:db8:0:1::1"), Duration::ZERO));
    assert!(!rate.allows(client("2001:db8:0:1:ffff::2"), Duration::ZERO), "same /64");
    assert!(rate.allows(client("2001:db8:0:2::1"), Duration::ZERO), "another /64");
    assert!(rate.allows(client("192.0.2.9"), Duration::ZERO));
    assert!(!rate.allows(client("::ffff:192.0.2.9"), Duration::ZERO), "IPv4 in IPv6 is the same IPv4");
}

#[test]
fn a_flood_of_addresses_is_bounded_and_known_clients_keep_theirs() {
    let rate = Rate::new(1, Duration::from_secs(60), 2);
    let known = client("192.0.2.1");
    assert!(rate.allows(known, Duration::ZERO));
    let flood = (0..200_000u64).map(|n| Client::of(std::net::Ipv6Addr::from_bits(u128::from(n) << 64).into()));
    let let_in = flood.filter(|&stranger| rate.allows(stranger, Duration::ZERO)).count();
    assert!(rate.clients() <= SHARDS * MOST_CLIENTS, "{}", rate.clients());
    assert!(let_in <= SHARDS * (MOST_CLIENTS + 2), "{let_in}");
    assert!(rate.allows(known, Duration::ZERO), "its second of two");
    assert!(!rate.allows(known, Duration::ZERO));
    assert!(rate.allows(Client::of("198.51.100.7".parse().unwrap()), Duration::from_secs(300)), "room again");
}
