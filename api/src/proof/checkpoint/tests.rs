use super::{Checkpoint, Seal, cosign, origin};
use crate::proof::note::{Kind, Note, Sign, Verifier};
use ed25519_dalek::{Signer as _, SigningKey};
use std::sync::Arc;

struct Key(SigningKey);

impl Sign for Key {
    fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }
    fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

fn ca_key(seed: u8) -> Key {
    Key(SigningKey::from_bytes(&[seed; 32]))
}

fn seal(origin: &str, seed: u8) -> Seal {
    Seal::new(origin, Arc::new(ca_key(seed))).unwrap()
}

/// The example of c2sp.org/signed-note's reference implementation (golang.org/x/mod/sumdb/note): key, text and signature.
#[test]
fn the_example_of_the_specification_verifies() {
    let key: Verifier = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW".parse().unwrap();
    let note = "If you think cryptography is the answer to your problem,\n\
                then you don't know what your problem is.\n\n\
                \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
    let parsed = Note::parse(note).unwrap();
    assert_eq!(parsed.verify(&key).unwrap().0.lines().count(), 2);
    assert!(Note::parse(&note.replace("answer", "Answer")).unwrap().verify(&key).is_err());
    assert_eq!(key.to_string(), "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW");
}

#[test]
fn a_checkpoint_is_three_lines_and_a_signature() {
    let seal = seal("ssh-ca.example.com", 3);
    let note = seal.checkpoint(7, [5; 32]);
    let lines: Vec<&str> = note.split('\n').collect();
    assert_eq!(lines[..4], ["ssh-ca.example.com", "7", "BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU=", ""]);
    assert!(lines[4].starts_with("\u{2014} ssh-ca.example.com "), "{note}");
    assert_eq!((lines.len(), lines[5]), (6, ""));
    let read = Checkpoint::verify(&note, &seal.verifier().to_string().parse().unwrap()).unwrap();
    assert_eq!(read, Checkpoint { origin: "ssh-ca.example.com".to_owned(), size: 7, root: [5; 32] });
}

#[test]
fn what_another_key_or_name_signed_is_not_believed() {
    let ours = seal("ssh-ca.example.com", 3);
    let rows = [
        ("another key", seal("ssh-ca.example.com", 4).checkpoint(7, [5; 32])),
        ("another name", seal("ssh-ca.example.org", 3).checkpoint(7, [5; 32])),
        ("another size", ours.checkpoint(7, [5; 32]).replacen("\n7\n", "\n8\n", 1)),
        ("a leading zero", ours.checkpoint(7, [5; 32]).replacen("\n7\n", "\n07\n", 1)),
        ("an extension", ours.checkpoint(7, [5; 32]).replacen("\n\n", "\nmore\n\n", 1)),
        ("no signature", ours.checkpoint(7, [5; 32]).split("\u{2014}").next().unwrap().to_owned()),
        ("no end", ours.checkpoint(7, [5; 32]).trim_end().to_owned()),
        ("control characters", ours.checkpoint(7, [5; 32]).replacen('7', "\u{1b}[2J", 1)),
        ("nothing", String::new()),
    ];
    for (what, note) in rows {
        assert!(Checkpoint::verify(&note, ours.verifier()).is_err(), "{what}");
    }
    // A valid signature of ours over another log's checkpoint: someone had the key sign under two names.
    let text = Checkpoint { origin: "other".to_owned(), size: 1, root: [0; 32] }.text();
    let line = ours.verifier().line(&Sign::sign(&ca_key(3), text.as_bytes()));
    assert!(Checkpoint::verify(&format!("{text}\n{line}"), ours.verifier()).is_err());
}

#[test]
fn a_verifier_key_that_was_mistyped_is_refused() {
    let key = seal("ssh-ca.example.com", 3).verifier().to_string();
    let other = seal("ssh-ca.example.com", 4).verifier().to_string();
    let (name, rest) = key.split_once('+').unwrap();
    let (id, public) = rest.split_once('+').unwrap();
    let other_public = other.rsplit_once('+').unwrap().1;
    for wrong in [
        format!("x{key}"),
        format!("{name}+{id}+{other_public}"),
        format!("{name}+00000000+{public}"),
        format!("{name}+{id}"),
        format!("{name} +{id}+{public}"),
        key[..key.len() - 4].to_owned(),
        String::new(),
    ] {
        assert!(wrong.parse::<Verifier>().is_err(), "{wrong}");
    }
    assert!(format!("  {key}\n").parse::<Verifier>().is_ok(), "as pasted");
}

#[test]
fn a_witness_signs_under_a_time() {
    let (log, witness) = (seal("ssh-ca.example.com", 3), ca_key(9));
    let public = Sign::public(&witness);
    let verifier = Verifier::new("witness.example.com/1", Kind::Cosignature, &public).unwrap();
    let note = log.checkpoint(7, [5; 32]);
    let note = cosign(&note, log.verifier(), "witness.example.com/1", &witness, 1_800_000_000).unwrap();
    let again = cosign(&note, log.verifier(), "witness.example.com/1", &witness, 1_800_000_060).unwrap();
    assert_eq!(again.matches('\u{2014}').count(), 2, "others' lines, and its own older one, are not passed on");
    assert!(cosign(&note, seal("ssh-ca.example.com", 4).verifier(), "w", &witness, 0).is_err());
    assert_eq!(Note::parse(&note).unwrap().verify(&verifier).unwrap().1, Some(1_800_000_000));
    assert_eq!(Checkpoint::verify(&note, log.verifier()).unwrap(), Checkpoint::verify(&note, &verifier).unwrap());
    let other = seal("ssh-ca.example.com", 3).checkpoint(8, [5; 32]);
    let moved = format!("{other}{}", &note[note.rfind('\u{2014}').unwrap()..]);
    assert!(Checkpoint::verify(&moved, &verifier).is_err(), "a cosignature moved to another checkpoint");
    let as_text = Verifier::new("witness.example.com/1", Kind::Text, &public).unwrap();
    assert!(Checkpoint::verify(&note, &as_text).is_err());
}

#[test]
fn a_log_is_named_after_its_server() {
    assert_eq!(origin("https://ssh-ca.example.com"), "ssh-ca.example.com");
    assert_eq!(origin("http://127.0.0.1:8443"), "127.0.0.1:8443");
}

#[test]
fn a_secret_follows_from_key_and_label_and_from_nothing_else() {
    let secret = seal("ssh-ca.example.com", 3).secret("one");
    assert_eq!(seal("elsewhere.example", 3).secret("one"), secret, "a log may get another name");
    assert_ne!(seal("ssh-ca.example.com", 3).secret("two"), secret);
    assert_ne!(seal("ssh-ca.example.com", 4).secret("one"), secret);
}
