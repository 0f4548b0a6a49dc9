use super::source;
use hyper::HeaderMap;
use std::net::IpAddr;

#[test]
fn forwarded_for_is_believed_from_our_proxies_alone() {
    let proxies = ["10.0.0.0/24".parse().unwrap(), "fd00::/64".parse().unwrap()];
    // Peer, headers, who it is.
    let rows: [(&str, &[&str], &str); 11] = [
        ("198.51.100.1", &["192.0.2.1"], "198.51.100.1"),
        ("198.51.100.1", &[], "198.51.100.1"),
        ("10.0.0.1", &[], "10.0.0.1"),
        ("10.0.0.1", &["192.0.2.1"], "192.0.2.1"),
        ("10.0.0.1", &["203.0.113.9, 192.0.2.1"], "192.0.2.1"),
        ("10.0.0.1", &["203.0.113.9", "192.0.2.1"], "192.0.2.1"),
        ("10.0.0.1", &["192.0.2.1, 10.0.0.7"], "192.0.2.1"),
        ("10.0.0.1", &["192.0.2.1, rubbish"], "10.0.0.1"),
        ("10.0.0.1", &["192.0.2.1, rubbish, 10.0.0.7"], "10.0.0.7"),
        ("::ffff:10.0.0.1", &["2001:db8::1"], "2001:db8::1"),
        ("fd00::5", &["::ffff:192.0.2.1"], "192.0.2.1"),
    ];
    for (peer, values, expected) in rows {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("x-forwarded-for", value.parse().unwrap());
        }
        let found = source(peer.parse().unwrap(), &headers, &proxies);
        assert_eq!(found, expected.parse::<IpAddr>().unwrap(), "{peer} {values:?}");
    }
}
