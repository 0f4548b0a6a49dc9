use super::*;
use crate::keys::UserKey;
use policy::{GrantId, Serial};
use ssh_key::{PrivateKey, certificate::Builder, private::Ed25519Keypair};

const NOW: u64 = 1_800_000_000;

fn ca(seed: u8) -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]))
}

/// What a certificate says; the right one by default.
struct Says {
    ca: u8,
    kind: CertType,
    principals: &'static [&'static str],
    after: u64,
    before: u64,
    serial: u64,
    key_id: String,
    option: Option<&'static str>,
}

fn right() -> Says {
    Says {
        ca: 1,
        kind: CertType::User,
        principals: &["deploy@web-1"],
        after: NOW - 60,
        before: NOW + 300,
        serial: 9,
        key_id: format!("jit1 grant={} user=alice", GrantId::from_random([1; 12])),
        option: None,
    }
}

fn checked(says: &Says, key: &UserKey) -> Result<Certificate, Refused> {
    let mut builder = Builder::new([7; 16], key.public().clone(), says.after, says.before).unwrap();
    builder.serial(says.serial).unwrap();
    builder.cert_type(says.kind).unwrap();
    builder.key_id(says.key_id.as_str()).unwrap();
    for principal in says.principals {
        builder.valid_principal(*principal).unwrap();
    }
    if says.principals.is_empty() {
        #[expect(clippy::disallowed_methods, reason = "the certificate that must be refused")]
        builder.all_principals_valid().unwrap();
    }
    if let Some(option) = says.option {
        builder.critical_option(option, "").unwrap();
    }
    let answer = CertificateResponse {
        certificate: builder.sign(&ca(says.ca)).unwrap().to_openssh().unwrap(),
        serial: Serial::from_random(9).unwrap(),
        grant: GrantId::from_random([1; 12]),
        policy: "web".parse().unwrap(),
        expires: UnixTime::from_secs(says.before),
        until: UnixTime::from_secs(NOW + 3600).max(UnixTime::from_secs(says.before)),
        now: UnixTime::from_secs(NOW),
    };
    let target: Target = "deploy@web-1".parse().unwrap();
    let user_ca = [ca(1).public_key().to_openssh().unwrap()];
    check(&answer, &Expected { key: our_key().public(), target: &target, user_ca: &user_ca })
}

fn our_key() -> &'static UserKey {
    static KEY: std::sync::OnceLock<UserKey> = std::sync::OnceLock::new();
    KEY.get_or_init(|| UserKey::fresh().unwrap())
}

#[test]
fn what_was_asked_for_is_taken() {
    assert!(checked(&right(), our_key()).is_ok());
    assert!(checked(&Says { principals: &["deploy"], ..right() }, our_key()).is_ok());
    assert!(checked(&Says { option: Some("force-command"), ..right() }, our_key()).is_ok());
}

#[test]
fn anything_else_is_refused() {
    let rows = [
        ("another CA", Says { ca: 2, ..right() }, Refused::UnknownCa),
        ("a host certificate", Says { kind: CertType::Host, ..right() }, Refused::NotForUsers),
        ("another account", Says { principals: &["root@web-1"], ..right() }, Refused::Principals),
        ("another host", Says { principals: &["deploy@web-2"], ..right() }, Refused::Principals),
        ("one principal too many", Says { principals: &["deploy@web-1", "root"], ..right() }, Refused::Principals),
        ("over", Says { before: NOW, ..right() }, Refused::Validity),
        ("not yet", Says { after: NOW + 1, ..right() }, Refused::Validity),
        ("too long", Says { before: NOW + 86_401, ..right() }, Refused::Validity),
        ("begun long ago", Says { after: 0, ..right() }, Refused::Validity),
        ("another serial", Says { serial: 8, ..right() }, Refused::OtherThanSaid),
        ("another grant", Says { key_id: right().key_id.replace("g-0", "g-1"), ..right() }, Refused::OtherThanSaid),
        ("a strange key id", Says { key_id: "alice".to_owned(), ..right() }, Refused::OtherThanSaid),
        ("a strange option", Says { option: Some("x@y"), ..right() }, Refused::UnknownOption),
    ];
    for (name, says, refused) in rows {
        assert_eq!(checked(&says, our_key()).unwrap_err(), refused, "{name}");
    }
    let other = UserKey::fresh().unwrap();
    assert_eq!(checked(&right(), &other).unwrap_err(), Refused::OtherKey);
}

/// An empty list of principals lets its holder in as anybody.
#[test]
fn cve_2024_7594_no_principals_is_no_certificate() {
    assert_eq!(checked(&Says { principals: &[], ..right() }, our_key()).unwrap_err(), Refused::Principals);
}
