//! Every word: what is taken, what is refused, and that reading what was shown gives the same word back.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::let_underscore_must_use,
    reason = "a test that cannot go on fails"
)]

use policy::*;
use proptest::prelude::*;
use std::{fmt::Display, str::FromStr};

/// Reads `text` as `T`; if it is one, showing and reading it again gives the same, through JSON too.
fn same<T>(text: &str) -> Result<(), TestCaseError>
where
    T: FromStr<Err = WordError> + Display + PartialEq + std::fmt::Debug,
{
    if let Ok(word) = text.parse::<T>() {
        let shown = word.to_string();
        prop_assert!(!shown.is_empty());
        prop_assert!(!shown.chars().any(char::is_control), "{shown:?}");
        prop_assert_eq!(shown.parse::<T>().unwrap(), word);
    }
    Ok(())
}

fn all(text: &str) -> Result<(), TestCaseError> {
    same::<Account>(text)?;
    same::<HostName>(text)?;
    same::<HostGroup>(text)?;
    same::<Group>(text)?;
    same::<Subject>(text)?;
    same::<Issuer>(text)?;
    same::<Email>(text)?;
    same::<PolicyId>(text)?;
    same::<Reason>(text)?;
    same::<Ticket>(text)?;
    same::<GrantId>(text)?;
    same::<SessionId>(text)?;
    same::<Target>(text)?;
    same::<Principal>(text)?;
    same::<Seconds>(text)?;
    same::<Network>(text)?;
    let _ = KeyId::parse(text);
    let _ = text.parse::<Extension>();
    Ok(())
}

/// Near misses: strings that differ from good ones in a place or two.
fn nearly() -> impl Strategy<Value = String> {
    let seeds = vec![
        "deploy",
        "ann@corp.example",
        "web-1.example.com",
        "deploy@web-1",
        "deploy@group:web",
        "1h30m",
        "198.51.100.0/24",
        "2001:db8::/32",
        "g-0123456789abcdef01234567",
        "s-0123456789abcdef01234567",
        "https://issuer.example.com",
        "jit1 grant=g-0123456789abcdef01234567 user=ann",
    ];
    (proptest::sample::select(seeds), any::<proptest::sample::Index>(), any::<char>()).prop_map(|(seed, at, c)| {
        let mut chars: Vec<char> = seed.chars().collect();
        let at = at.index(chars.len());
        chars[at] = c;
        chars.into_iter().collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_is_misread(text in any::<String>()) { all(&text)?; }

    #[test]
    fn no_near_miss_is_misread(text in nearly()) { all(&text)?; }

    #[test]
    fn good_names_are_taken(
        account in "[A-Za-z0-9_][A-Za-z0-9._-]{0,40}", host in "[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?(\\.[a-z0-9]{1,10}){0,3}",
        group in "[a-z0-9][a-z0-9._-]{0,63}", id in "[A-Za-z0-9._/-]{1,64}",
    ) {
        let target: Target = format!("{account}@{host}").parse().unwrap();
        prop_assert_eq!(target.account().as_str(), account);
        prop_assert_eq!(target.host().as_str(), host);
        prop_assert!(group.parse::<HostGroup>().is_ok());
        prop_assert!(id.parse::<PolicyId>().is_ok() && id.parse::<Ticket>().is_ok());
    }

    #[test]
    fn a_principal_is_never_what_sshd_could_read_otherwise(text in prop_oneof![any::<String>(), nearly()]) {
        if let Ok(principal) = text.parse::<Principal>() {
            let text = principal.as_str();
            prop_assert!((1..=318).contains(&text.len()));
            prop_assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._@:-".contains(&b)), "{}", text);
            prop_assert!(!text.starts_with(['-', '@', '.', ':']), "{}", text);
        }
    }

    #[test]
    fn spans_count_up_and_show_themselves(seconds in 0u32..=31_536_000) {
        let span = Seconds::new(seconds);
        prop_assert_eq!(span.as_secs(), u64::from(seconds));
        prop_assert_eq!(span.to_string().parse::<Seconds>().unwrap(), span);
    }

    #[test]
    fn a_validity_is_ordered_and_capped(now in 0u64..=u64::MAX, ttl in any::<u32>(), end in any::<u64>()) {
        let (now, ttl, end) = (UnixTime::from_secs(now), Seconds::new(ttl), UnixTime::from_secs(end));
        match Validity::starting(now, ttl, end) {
            Ok(validity) => {
                prop_assert!(validity.after() <= now && now < validity.before());
                prop_assert!(validity.before() <= end);
                prop_assert!(validity.before().since(now) <= ttl.as_secs().min(86_400), "counted from now, not from the start");
            }
            Err(_) => prop_assert!(ttl == Seconds::new(0) || end <= now || now.as_secs() == u64::MAX),
        }
    }

    #[test]
    fn serials_fit_63_bits_and_are_never_0(random in any::<u64>()) {
        if let Some(serial) = Serial::from_random(random) {
            prop_assert!((1..=u64::MAX >> 1).contains(&serial.get()));
            prop_assert_eq!(Serial::try_from(serial.get()).unwrap(), serial);
        }
        prop_assert_eq!(Serial::try_from(random).is_ok(), random != 0 && random <= u64::MAX >> 1);
    }

    #[test]
    fn a_network_holds_what_it_covers(a in any::<[u8; 4]>(), bits in 0u32..=32, b in any::<[u8; 4]>()) {
        let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
        let base = std::net::Ipv4Addr::from(u32::from_be_bytes(a) & mask);
        let network: Network = format!("{base}/{bits}").parse().unwrap();
        let other = std::net::Ipv4Addr::from(b);
        prop_assert_eq!(network.holds(other.into()), u32::from(other) & mask == u32::from(base));
        prop_assert_eq!(network.holds(other.to_ipv6_mapped().into()), network.holds(other.into()));
        prop_assert_eq!(network.covers(&Network::host(other.into())), network.holds(other.into()));
    }

    #[test]
    fn a_key_id_can_be_read_back_and_adds_no_field(random in any::<[u8; 12]>(), name in "[ -~]{1,255}") {
        let Ok(subject) = name.parse::<Subject>() else { return Ok(()) };
        let grant = GrantId::from_random(random);
        let identity = Identity {
            kind: Kind::User, issuer: "https://issuer.example.com".parse().unwrap(), subject, email: None, groups: vec![],
            amr: vec![], acr: None, mfa: false, auth_time: None, claims: vec![], known_as: vec![],
        };
        let id = KeyId::new(&grant, &identity);
        prop_assert!(id.as_str().len() <= KeyId::MOST);
        prop_assert_eq!(id.as_str().matches('=').count(), 2);
        prop_assert_eq!(id.as_str().split(' ').count(), 3);
        prop_assert_eq!(KeyId::parse(id.as_str()).unwrap().0, grant);
    }
}

fn refused<T: FromStr>(texts: &[&str]) {
    for text in texts {
        assert!(text.parse::<T>().is_err(), "{} took {text:?}", std::any::type_name::<T>());
    }
}

/// A1: principals. What a list, a pattern, an option, a comment or an eye could take for something else.
#[test]
fn a1_hostile_principals_accounts_and_hosts_are_refused() {
    let long = "a".repeat(257);
    let hostile = [
        "",
        " ",
        "*",
        "?",
        "!",
        "!root",
        "root*",
        "ro?t",
        "root,admin",
        "root\n",
        "root\r\nadmin",
        "root\0",
        "root ",
        " root",
        "root\t",
        "\"root\"",
        "'root'",
        "root\\",
        "%u",
        "$(id)",
        "`id`",
        "-root",
        "-oProxyCommand=x",
        "@root",
        "root@",
        "@",
        "@@",
        "root;id",
        "root|id",
        "root&",
        "root#",
        "a=b",
        "{a}",
        "[a]",
        "<a>",
        "~root",
        "root\u{202e}",
        "root\u{200b}",
        "r\u{043e}\u{043e}t",
        "ｒｏｏｔ",
        "roo\u{0074}\u{0301}",
        "ro\u{f6}t",
        &long,
    ];
    refused::<Principal>(&hostile);
    refused::<Account>(&hostile);
    refused::<Target>(&hostile);
    for account in hostile {
        refused::<Target>(&[&format!("{account}@web-1")]);
        if account != "root@" && account != "@@" {
            refused::<Principal>(&[&format!("{account}@web-1"), &format!("{account}@group:web")]);
        }
    }
    let hosts = [
        "",
        ".",
        "-",
        "-web",
        "web-",
        ".web",
        "web.",
        "web..1",
        "web 1",
        "web_1",
        "*",
        "*.example.com",
        "web,db",
        "web\n",
        "web:22",
        "[::1]",
        "2001:db8::1",
        "web/1",
        "$(id)",
        "`id`",
        "%h",
        "web;id",
        "w\u{0435}b",
        "web\u{200b}",
        "ｗeb",
    ];
    refused::<HostName>(&hosts);
    for host in hosts {
        refused::<Target>(&[&format!("deploy@{host}")]);
    }
    refused::<HostName>(&[&format!("{}.example", "a".repeat(64)), &"a.".repeat(127)[..].repeat(2)]);
    refused::<Principal>(&["a@group:", "a@group:WEB", "a@group:a@b", "a@group:-x", "@group:web", "group:web"]);
}

#[test]
fn accounts_keep_their_case_and_hosts_lose_theirs() {
    assert_ne!("Root".parse::<Account>().unwrap(), "root".parse::<Account>().unwrap());
    assert_eq!("WEB-1.Example.COM".parse::<HostName>().unwrap().as_str(), "web-1.example.com");
}

#[test]
fn the_last_at_separates() {
    let target: Target = "ann@corp.example@web-1".parse().unwrap();
    assert_eq!((target.account().as_str(), target.host().as_str()), ("ann@corp.example", "web-1"));
    assert_eq!(target.to_string(), "ann@corp.example@web-1");
}

#[test]
fn a_list_of_principals_is_never_empty_sorted_and_bounded() {
    assert!(Principals::new([]).is_err());
    let many = |n: u32| (0..n).map(|n| format!("a{n:03}@web-1").parse::<Principal>().unwrap());
    assert!(Principals::new(many(64)).is_ok());
    assert!(Principals::new(many(65)).is_err());
    let twice = ["b@web-1", "a@web-1", "b@web-1"].map(|text| text.parse::<Principal>().unwrap());
    let list = Principals::new(twice).unwrap();
    assert_eq!(list.iter().map(Principal::as_str).collect::<Vec<_>>(), ["a@web-1", "b@web-1"]);
}

#[test]
fn spans_are_written_one_way() {
    refused::<Seconds>(&[
        "",
        "5",
        "m",
        "5 m",
        "m5",
        "-5m",
        "+5m",
        "1.5h",
        "1h1h",
        "30m1h",
        "5M",
        "366d",
        "99999999999999999999s",
        "1h\n",
        "５m",
        "1h30",
    ]);
    for (text, seconds) in [("0s", 0), ("90s", 90), ("1h30m", 5400), ("365d", 31_536_000), ("1d2h3m4s", 93_784)] {
        assert_eq!(text.parse::<Seconds>().unwrap().as_secs(), seconds, "{text}");
    }
}

#[test]
fn words_from_tokens_are_strict() {
    refused::<Issuer>(&[
        "",
        "issuer",
        "ftp://a",
        "https://a b",
        "https://a\n",
        "https://\u{e4}",
        &format!("https://{}", "a".repeat(512)),
    ]);
    refused::<Subject>(&["", " a", "a ", "a\n", "\u{e4}", &"a".repeat(256)]);
    refused::<Email>(&[
        "",
        "a",
        "@",
        "a@",
        "@b",
        "a@b@c",
        "a b@c",
        "a@b,c@d",
        "<a@b>",
        "\"a\"@b",
        "a@b;",
        "\u{e4}@b",
        "a@b\n",
        &format!("{}@b", "a".repeat(254)),
    ]);
    refused::<Group>(&["", "a\n", "a\u{202e}", "a\u{200b}b", "\u{feff}a", "a\u{e0041}", &"a".repeat(257)]);
    refused::<Reason>(&["", "  ", "a\nb", "a\u{1b}[2J", "a\u{202e}b", &"a".repeat(1001)]);
    refused::<Ticket>(&["", "a b", "a\n", "a?", &"a".repeat(65)]);
    refused::<PolicyId>(&["", "a b", "a\"", "a\n", &"a".repeat(65)]);
    refused::<GrantId>(&[
        "",
        "g-",
        "g-0123",
        "s-0123456789abcdef01234567",
        "g-0123456789ABCDEF01234567",
        "g-0123456789abcdef012345678",
    ]);
    refused::<SessionId>(&["", "g-0123456789abcdef01234567", "s-0123456789abcdef0123456g"]);
    refused::<Network>(&[
        "",
        "1.2.3.4",
        "1.2.3.4/24",
        "1.2.3.0/33",
        "1.2.3.0/024",
        "1.2.3.0/+24",
        "1.2.3.0/",
        "::/129",
        "1.2.3.0/24 ",
        "01.2.3.0/24",
        "::1%eth0/128",
    ]);
    refused::<Extension>(&["", "permit-PTY", "permit-pty ", "force-command"]);
}

#[test]
fn a_word_does_not_come_in_through_json_unread() {
    assert!(serde_json::from_str::<Account>("\"root,admin\"").is_err());
    assert!(serde_json::from_str::<Target>("\"root@*\"").is_err());
    assert!(serde_json::from_str::<Seconds>("\"1y\"").is_err());
    assert!(serde_json::from_str::<Serial>("0").is_err());
    assert!(serde_json::from_str::<Network>("\"1.2.3.4/8\"").is_err());
    assert_eq!(serde_json::from_str::<Target>("\"a@B\"").unwrap().to_string(), "a@b");
}

#[test]
fn an_error_names_the_rule_and_never_the_text() {
    let error = "\u{1b}[2J".parse::<Account>().unwrap_err().to_string();
    assert!(error.starts_with("not a valid account: use 1 to 64"), "{error}");
}
