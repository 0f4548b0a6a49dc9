use super::{Authority, CaError, KeyError, Spec, UserKey};
use crate::fixture::{NOW, ask, ca_key, policies, user_key};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use policy::{Decision, Grant, GrantId, Now, Seconds, Serial};
use ssh_key::{Certificate, PublicKey};
use std::process::Command;

const FULL: &str = r#"
@id("full") @max_duration("1h") @cert_ttl("5m") @extensions("permit-pty,permit-port-forwarding,permit-X11-forwarding")
@force_command("/usr/bin/backup --all \"two words\"") @source_address("198.51.100.0/24,2001:db8::/32") @record("required")
@elevate("systemctl restart web")
permit (principal, action == Action::"connect", resource);
"#;
const PLAIN: &str = r#"@id("plain") permit (principal, action == Action::"connect", resource);"#;

fn grant(policy: &str) -> Grant {
    let now = Now { time: NOW, weekday: 1, minute: 600 };
    match policy::decide(&policies(policy), &ask("deploy@web-1"), now) {
        Decision::Granted(grant) => *grant,
        other => panic!("{other:?}"),
    }
}

fn key(seed: u8) -> UserKey {
    UserKey::parse(&user_key(seed).public_key().to_openssh().unwrap()).unwrap()
}

fn id() -> GrantId {
    GrantId::from_random([5; 12])
}

fn make(policy: &str) -> Certificate {
    let (authority, grant, key) = (Authority::new(ca_key(1)), grant(policy), key(3));
    let unsigned = authority.prepare(&grant, &id(), &key, Serial::from_random(77).unwrap(), NOW).unwrap();
    let text = authority.sign(&unsigned).unwrap().release();
    let certificate = Certificate::from_openssh(&text).unwrap();
    certificate.verify_signature().unwrap();
    certificate
}

#[test]
fn a_certificate_says_what_its_grant_says() {
    let made = make(FULL);
    assert_eq!(made.valid_principals(), ["deploy@web-1"]);
    assert_eq!(made.valid_after(), NOW.as_secs() - 60);
    assert_eq!(made.valid_before(), NOW.as_secs() + 300, "the life counts from now, not from the start put back");
    assert_eq!(made.serial(), 77);
    assert_eq!(made.key_id(), format!("jit1 grant={} user=ann@example.com", id()));
    let options: Vec<_> = made.critical_options().iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(
        options,
        [("force-command", "/usr/bin/backup --all \"two words\""), ("source-address", "198.51.100.0/24,2001:db8::/32")]
    );
    let until = (NOW.as_secs() + 3600).to_string();
    let extensions: Vec<_> = made.extensions().iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(
        extensions,
        [
            ("elevate@jit-ssh", "systemctl restart web"),
            ("grant@jit-ssh", id().as_str()),
            ("permit-X11-forwarding", ""),
            ("permit-port-forwarding", ""),
            ("permit-pty", ""),
            ("record@jit-ssh", ""),
            ("until@jit-ssh", until.as_str()),
        ]
    );
}

#[test]
fn a_plain_grant_gives_a_terminal_and_nothing_else() {
    let made = make(PLAIN);
    assert!(made.critical_options().is_empty());
    let names: Vec<_> = made.extensions().keys().map(String::as_str).collect();
    assert_eq!(names, ["grant@jit-ssh", "permit-pty", "until@jit-ssh"]);
}

/// CVE-2024-7594 and CVE-2026-35414: no certificate without principals, none with a pattern or a list in one.
#[test]
fn cve_2024_7594_cve_2026_35414_principals_are_one_account_on_one_host() {
    for policy in [FULL, PLAIN] {
        let made = make(policy);
        assert_eq!(made.valid_principals().len(), 1);
        for principal in made.valid_principals() {
            assert!(
                !principal.is_empty() && !principal.contains([',', '*', '?', '!', ' ', '\n', '\0']),
                "{principal:?}"
            );
        }
    }
}

/// I2: whatever is bent between preparing and signing is found when the result is read back.
#[test]
fn a_certificate_that_exceeds_its_grant_never_leaves() {
    let (authority, grant, key) = (Authority::new(ca_key(1)), grant(FULL), key(3));
    let prepare = || authority.prepare(&grant, &id(), &key, Serial::from_random(77).unwrap(), NOW).unwrap();
    let (subject, ca, nonce) = (key.public().clone(), ca_key(1).public().clone(), [9; 32]);
    let honest = {
        let unsigned = prepare();
        Spec::of(&grant, &id(), &unsigned.key_id, unsigned.serial, unsigned.validity)
    };
    let bend = |name: &str, change: &dyn Fn(&mut Spec)| {
        let (mut bent, mut unsigned) = (honest.clone(), prepare());
        change(&mut bent);
        unsigned.nonce = nonce;
        unsigned.to_be_signed = bent.to_be_signed(&nonce, &subject, &ca).unwrap();
        (name.to_owned(), authority.sign(&unsigned))
    };
    assert!(bend("nothing", &|_| ()).1.is_ok());
    let bends = [
        bend("no principals", &|spec| spec.principals.clear()),
        bend("one more principal", &|spec| spec.principals.push("root@web-1".to_owned())),
        bend("another principal", &|spec| spec.principals = vec!["root@web-1".to_owned()]),
        bend("empty principal", &|spec| spec.principals = vec![String::new()]),
        bend("a list in a principal", &|spec| spec.principals = vec!["deploy@web-1,root".to_owned()]),
        bend("a later end", &|spec| spec.valid_before += 4_000),
        bend("no end", &|spec| spec.valid_before = u64::MAX),
        bend("an earlier start", &|spec| spec.valid_after -= 1),
        bend("another serial", &|spec| spec.serial = 0),
        bend("another key id", &|spec| spec.key_id.push('x')),
        bend("no force-command", &|spec| drop(spec.critical_options.remove("force-command"))),
        bend("another command", &|spec| drop(spec.critical_options.insert("force-command".into(), "sh".into()))),
        bend("no source-address", &|spec| drop(spec.critical_options.remove("source-address"))),
        bend("wider networks", &|spec| {
            spec.critical_options.insert("source-address".into(), "0.0.0.0/0".into());
        }),
        bend("a strange option", &|spec| drop(spec.critical_options.insert("x@y".into(), "z".into()))),
        bend("verify-required", &|spec| drop(spec.critical_options.insert("verify-required".into(), String::new()))),
        bend("agent forwarding", &|spec| {
            spec.extensions.insert("permit-agent-forwarding".into(), String::new());
        }),
        bend("one permit for another", &|spec| {
            spec.extensions.remove("permit-pty");
            spec.extensions.insert("permit-user-rc".into(), String::new());
        }),
        bend("a permit with a value", &|spec| drop(spec.extensions.insert("permit-pty".into(), "x".into()))),
        bend("no record", &|spec| drop(spec.extensions.remove("record@jit-ssh"))),
        bend("a later until", &|spec| drop(spec.extensions.insert("until@jit-ssh".into(), "9999999999".into()))),
        bend("another grant", &|spec| drop(spec.extensions.insert("grant@jit-ssh".into(), "g-0".into()))),
        bend("another elevation", &|spec| drop(spec.extensions.insert("elevate@jit-ssh".into(), "sh".into()))),
    ];
    for (name, outcome) in bends {
        assert!(matches!(outcome, Err(CaError::Differs(_))), "{name}: {outcome:?}");
    }
    let mut unsigned = prepare();
    unsigned.to_be_signed = honest.to_be_signed(&nonce, user_key(4).public_key(), &ca).unwrap();
    unsigned.nonce = nonce;
    assert!(matches!(authority.sign(&unsigned), Err(CaError::Differs("keys"))));
    unsigned.to_be_signed = honest.to_be_signed(&nonce, &subject, ca_key(9).public()).unwrap();
    assert!(matches!(authority.sign(&unsigned), Err(CaError::Differs("keys"))));
}

#[test]
fn a_grant_that_is_over_gives_no_certificate() {
    let (authority, grant, key) = (Authority::new(ca_key(1)), grant(PLAIN), key(3));
    let serial = Serial::from_random(1).unwrap();
    let at = |seconds| authority.prepare(&grant, &id(), &key, serial, NOW.plus(Seconds::new(seconds)));
    assert!(matches!(at(3_600), Err(CaError::Over(_))));
    assert!(matches!(at(9_999), Err(CaError::Over(_))));
    assert_eq!(at(3_599).unwrap().expires(), grant.end(), "the last second");
}

#[test]
fn two_certificates_of_one_grant_differ_in_their_nonce() {
    assert_ne!(make(PLAIN).nonce(), make(PLAIN).nonce());
    assert_eq!(make(PLAIN).nonce().len(), 32);
}

#[test]
fn a_ca_certifies_neither_itself_nor_a_listed_key() {
    let grant = grant(PLAIN);
    let serial = Serial::from_random(1).unwrap();
    let itself = UserKey::parse(&ca_key(1).public().to_openssh().unwrap()).unwrap();
    let refused = Authority::new(ca_key(1)).prepare(&grant, &id(), &itself, serial, NOW);
    assert!(matches!(refused, Err(CaError::Key(KeyError::BelongsToCa))));
    let leaked = key(3);
    let refused = Authority::new(ca_key(1)).refusing([*leaked.digest()]).prepare(&grant, &id(), &leaked, serial, NOW);
    assert!(matches!(refused, Err(CaError::Key(KeyError::KnownBad))));
}

#[test]
fn verify_required_wants_a_security_key() {
    let grant =
        grant(r#"@id("v") @verify_required("true") permit (principal, action == Action::"connect", resource);"#);
    let (authority, serial) = (Authority::new(ca_key(1)), Serial::from_random(1).unwrap());
    let plain = key(3);
    let refused = authority.prepare(&grant, &id(), &plain, serial, NOW);
    assert!(matches!(refused, Err(CaError::Key(KeyError::SecurityKeyRequired))));
    let sk = UserKey::parse(&sk_ed25519(user_key(3).public_key())).unwrap();
    let unsigned = authority.prepare(&grant, &id(), &sk, serial, NOW).unwrap();
    let made = Certificate::from_openssh(&authority.sign(&unsigned).unwrap().release()).unwrap();
    assert_eq!(made.critical_options().get("verify-required").map(String::as_str), Some(""));
}

fn sk_ed25519(public: &PublicKey) -> String {
    let mut wire = Vec::new();
    for part in [b"sk-ssh-ed25519@openssh.com".as_slice(), &public.key_data().ed25519().unwrap().0, b"ssh:"] {
        wire.extend_from_slice(&u32::try_from(part.len()).unwrap().to_be_bytes());
        wire.extend_from_slice(part);
    }
    format!("sk-ssh-ed25519@openssh.com {}", STANDARD.encode(wire))
}

fn ed25519(point: [u8; 32]) -> String {
    let wire = [b"\0\0\0\x0bssh-ed25519\0\0\0\x20".as_slice(), &point].concat();
    format!("ssh-ed25519 {}", STANDARD.encode(wire))
}

fn rsa(exponent: &[u8], modulus: &[u8]) -> String {
    let mut wire = b"\0\0\0\x07ssh-rsa".to_vec();
    for number in [exponent, modulus] {
        wire.extend_from_slice(&u32::try_from(number.len()).unwrap().to_be_bytes());
        wire.extend_from_slice(number);
    }
    format!("ssh-rsa {}", STANDARD.encode(wire))
}

#[test]
fn keys_of_sound_types_and_sizes_are_taken_as_ssh_keygen_makes_them() {
    let home = tempfile::tempdir().unwrap();
    let rows = [
        ("ed25519", "256", Ok(())),
        ("ecdsa", "256", Ok(())),
        ("ecdsa", "384", Ok(())),
        ("ecdsa", "521", Ok(())),
        ("rsa", "3072", Ok(())),
        ("rsa", "2048", Err(KeyError::RsaSize)),
        ("rsa", "1024", Err(KeyError::RsaSize)),
    ];
    for (kind, bits, expected) in rows {
        let path = home.path().join(format!("{kind}{bits}"));
        let made = Command::new("ssh-keygen").args(["-q", "-t", kind, "-b", bits, "-N", "", "-f"]).arg(&path).status();
        assert!(made.unwrap().success());
        let text = std::fs::read_to_string(path.with_extension("pub")).unwrap();
        assert_eq!(UserKey::parse(&text).map(drop), expected, "{kind} {bits}");
    }
}

#[test]
fn weak_and_malformed_keys_are_refused() {
    let mut off_curve = b"\0\0\0\x13ecdsa-sha2-nistp256\0\0\0\x08nistp256\0\0\0\x41\x04".to_vec();
    off_curve.extend_from_slice(&[1; 64]);
    let mut identity = [0; 32];
    identity[0] = 1;
    let mut non_canonical = [0xff; 32];
    (non_canonical[0], non_canonical[31]) = (0xf0, 0x7f);
    let mut modulus = vec![0; 385];
    (modulus[1], modulus[384]) = (0x80, 0x01);
    let cases = [
        ("nothing", String::new(), KeyError::Malformed),
        ("no key", "ssh-ed25519 AAAA".to_owned(), KeyError::Malformed),
        ("two lines", format!("{}\nssh-ed25519 AAAA", ed25519(good())), KeyError::Malformed),
        ("options before the key", format!("cert-authority {}", ed25519(good())), KeyError::Malformed),
        ("endless", format!("{} {}", ed25519(good()), "x".repeat(9_000)), KeyError::Malformed),
        ("trailing bytes", trailing(), KeyError::Malformed),
        ("the zero point", ed25519([0; 32]), KeyError::Point),
        ("the identity", ed25519(identity), KeyError::Point),
        ("not canonical", ed25519(non_canonical), KeyError::Point),
        ("off the curve", format!("ecdsa-sha2-nistp256 {}", STANDARD.encode(off_curve)), KeyError::Point),
        ("exponent 1", rsa(&[1], &modulus), KeyError::RsaWeak),
        ("exponent 3", rsa(&[3], &modulus), KeyError::RsaWeak),
        ("even exponent", rsa(&[1, 0, 0], &modulus), KeyError::RsaWeak),
        ("endless exponent", rsa(&[1; 9], &modulus), KeyError::RsaWeak),
        ("small factor", rsa(&[1, 0, 1], &[&[0, 0x80][..], &[0; 382], &[0]].concat()), KeyError::RsaWeak),
        ("too large", rsa(&[1, 0, 1], &[&[0, 0x80][..], &[1; 2_100]].concat()), KeyError::RsaSize),
    ];
    for (name, text, expected) in cases {
        assert_eq!(UserKey::parse(&text).map(drop), Err(expected), "{name}");
    }
}

fn good() -> [u8; 32] {
    user_key(3).public_key().key_data().ed25519().unwrap().0
}

fn trailing() -> String {
    let wire = [b"\0\0\0\x0bssh-ed25519\0\0\0\x20".as_slice(), &good(), b"x"].concat();
    format!("ssh-ed25519 {}", STANDARD.encode(wire))
}

/// One key written in two ways would have two digests, and so could have two owners.
#[test]
fn a_key_has_one_form() {
    let modulus = [&[0, 0xc5][..], &[0x11; 382], &[0x0b]].concat();
    let padded = [&[0][..], &modulus].concat();
    assert_ne!(UserKey::parse(&rsa(&[1, 0, 1], &modulus)).map(drop), Err(KeyError::Malformed));
    assert_eq!(UserKey::parse(&rsa(&[1, 0, 1], &padded)).map(drop), Err(KeyError::Malformed));
    let (bare, commented) = (ed25519(good()), format!("{} ann@laptop", ed25519(good())));
    assert_eq!(UserKey::parse(&bare).unwrap().digest(), UserKey::parse(&commented).unwrap().digest());
}

/// CVE-2025-49825: a certificate in place of a key is refused, whatever it is called.
#[test]
fn cve_2025_49825_a_certificate_is_no_user_key() {
    let certificate = make(PLAIN).to_openssh().unwrap();
    assert_eq!(UserKey::parse(&certificate).map(drop), Err(KeyError::Certificate));
    let disguised = certificate.replace("ssh-ed25519-cert-v01@openssh.com", "ssh-ed25519");
    assert!(UserKey::parse(&disguised).is_err());
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in ".{0,200}") {
        let _either = UserKey::parse(&text);
    }

    #[test]
    fn no_wire_bytes_make_the_parser_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        for algorithm in ["ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "sk-ssh-ed25519@openssh.com"] {
            let mut wire = u32::try_from(algorithm.len()).unwrap().to_be_bytes().to_vec();
            wire.extend_from_slice(algorithm.as_bytes());
            wire.extend_from_slice(&bytes);
            let _either = UserKey::parse(&format!("{algorithm} {}", STANDARD.encode(wire)));
        }
    }

    /// Whatever a spec says, ssh-key reads the same from the bytes.
    #[test]
    fn bytes_say_what_the_spec_says(
        serial in proptest::num::u64::ANY,
        key_id in "[ -~]{0,80}",
        principals in proptest::collection::vec("[a-z0-9._@:-]{1,40}", 1..20),
        after in proptest::num::u64::ANY,
        before in proptest::num::u64::ANY,
        critical_options in proptest::collection::btree_map("[a-z-]{1,20}", "[ -~]{0,60}", 0..5),
        extensions in proptest::collection::btree_map("[a-zA-Z@-]{1,20}", "[ -~]{0,60}", 0..8),
    ) {
        let spec = Spec {
            serial, key_id, principals, valid_after: after, valid_before: before, critical_options, extensions,
        };
        let bytes = spec.to_be_signed(&[7; 32], user_key(3).public_key(), ca_key(1).public()).unwrap();
        let made = Certificate::from_bytes(&super::spec::assemble(&bytes, &[1; 64])).unwrap();
        proptest::prop_assert_eq!(made.serial(), spec.serial);
        proptest::prop_assert_eq!(made.key_id(), &spec.key_id);
        proptest::prop_assert_eq!(made.valid_principals(), &spec.principals);
        proptest::prop_assert_eq!((made.valid_after(), made.valid_before()), (after, before));
        proptest::prop_assert_eq!(&made.critical_options().0, &spec.critical_options);
        proptest::prop_assert_eq!(&made.extensions().0, &spec.extensions);
        proptest::prop_assert_eq!(made.to_bytes().unwrap(), super::spec::assemble(&bytes, &[1; 64]));
    }
}
