use super::*;
use proptest::prelude::*;

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn session() -> SessionId {
    "s-00112233445566778899aabb".parse().unwrap()
}

const REQUEST: Request<'static> =
    Request { audience: "https://ca.example", method: "POST", path: "/v1/certificates", body: b"{}" };

#[test]
fn the_signed_text_is_what_protocol_md_says() {
    let text = REQUEST.text(&session(), 1_700_000_000_123, &Nonce([0; 16]));
    let expected = "jit-ssh request v1\nhttps://ca.example\nPOST\n/v1/certificates\ns-00112233445566778899aabb\n\
        1700000000123\nAAAAAAAAAAAAAAAAAAAAAA\n44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\n";
    assert_eq!(String::from_utf8(text).unwrap(), expected);
}

#[test]
fn a_signature_serves_its_own_request_only() {
    let signed = REQUEST.sign(&key(), &session(), 1, Nonce([1; 16]));
    assert!(REQUEST.verify(&key().verifying_key(), &signed));
    let others = [
        Request { audience: "https://other.example", ..REQUEST },
        Request { method: "DELETE", ..REQUEST },
        Request { path: "/v1/certificates?x=1", ..REQUEST },
        Request { body: b"{} ", ..REQUEST },
    ];
    for other in others {
        assert!(!other.verify(&key().verifying_key(), &signed), "{other:?}");
    }
    for changed in [
        Authorization { time_ms: 2, ..signed.clone() },
        Authorization { nonce: Nonce([2; 16]), ..signed.clone() },
        Authorization { session: "s-000000000000000000000000".parse().unwrap(), ..signed.clone() },
    ] {
        assert!(!REQUEST.verify(&key().verifying_key(), &changed), "{changed:?}");
    }
    assert!(!REQUEST.verify(&SigningKey::from_bytes(&[8; 32]).verifying_key(), &signed));
}

#[test]
fn a_small_order_key_verifies_nothing() {
    // The identity point verifies any message under RFC 8032's cofactored equation with an all-zero signature.
    let mut bytes = [0; 32];
    bytes[0] = 1;
    let weak = VerifyingKey::from_bytes(&bytes).unwrap();
    let mut signature = [0; 64];
    signature[0] = 1;
    let forged = Authorization {
        session: session(),
        time_ms: 1,
        nonce: Nonce([1; 16]),
        signature: Signature::from_bytes(&signature),
    };
    assert!(!REQUEST.verify(&weak, &forged));
}

#[test]
fn the_header_has_one_form() {
    let header = REQUEST.sign(&key(), &session(), 1_700_000_000_123, Nonce([1; 16])).to_string();
    assert!(header.parse::<Authorization>().is_ok());
    let broken = [
        String::new(),
        header.replace("JitSSH1 ", "Bearer "),
        header.replace("JitSSH1 ", "jitssh1 "),
        header.replace("session=", " session="),
        header.replace("time=1", "time=+1"),
        header.replace("time=1", "time=01"),
        header.replace(",nonce", ", nonce"),
        format!("{header}="),
        format!("{header},x=y"),
        header.replace("signature=", "signature=A"),
    ];
    for text in broken {
        assert_eq!(text.parse::<Authorization>(), Err(Malformed), "{text}");
    }
}

#[test]
fn the_nonce_depends_on_every_byte_of_the_key() {
    let other = SigningKey::from_bytes(&[8; 32]).verifying_key();
    assert_eq!(login_nonce(&key().verifying_key()).len(), 43);
    assert_ne!(login_nonce(&key().verifying_key()), login_nonce(&other));
}

proptest! {
    #[test]
    fn any_text_parses_to_what_it_was_or_to_nothing(text in "\\PC{0,300}") {
        if let Ok(parsed) = text.parse::<Authorization>() {
            prop_assert_eq!(parsed.to_string(), text);
        }
    }

    #[test]
    fn what_is_signed_survives_the_header(seed: [u8; 32], time: u64, nonce: [u8; 16], body: Vec<u8>) {
        let key = SigningKey::from_bytes(&seed);
        let request = Request { body: &body, ..REQUEST };
        let signed = request.sign(&key, &session(), time, Nonce(nonce));
        let read: Authorization = signed.to_string().parse().unwrap();
        prop_assert!(request.verify(&key.verifying_key(), &read));
    }
}
