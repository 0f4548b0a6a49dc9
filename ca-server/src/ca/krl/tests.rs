//! What the list says, told by OpenSSH's own reader and by a small one of ours.

use super::{Krl, NAMESPACE};
use crate::fixture::ca_key;
use policy::{Serial, UnixTime};
use proptest::prelude::*;
use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

const CHANGED: UnixTime = UnixTime::from_secs(1_800_000_000);

fn serials(numbers: impl IntoIterator<Item = u64>) -> Vec<Serial> {
    let numbers: BTreeSet<u64> = numbers.into_iter().collect();
    numbers.into_iter().map(|number| Serial::try_from(number).unwrap()).collect()
}

fn krl(numbers: impl IntoIterator<Item = u64>) -> Krl {
    Krl::new(ca_key(1).public(), 7, CHANGED, &serials(numbers)).unwrap()
}

/// A reader of PROTOCOL.krl: the serials by section, or what is wrong.
fn read(bytes: &[u8], ca: &[u8]) -> Result<BTreeSet<u64>, &'static str> {
    struct Reader<'b>(&'b [u8]);
    impl<'b> Reader<'b> {
        fn take(&mut self, many: usize) -> Result<&'b [u8], &'static str> {
            let (taken, rest) = self.0.split_at_checked(many).ok_or("too short")?;
            self.0 = rest;
            Ok(taken)
        }
        fn number(&mut self) -> Result<u64, &'static str> {
            Ok(u64::from_be_bytes(self.take(8)?.try_into().unwrap()))
        }
        fn string(&mut self) -> Result<&'b [u8], &'static str> {
            let length = u32::from_be_bytes(self.take(4)?.try_into().unwrap());
            self.take(length as usize)
        }
    }
    let mut file = Reader(bytes);
    let header = (file.number()?, file.take(4)?, file.number()?, file.number()?, file.number()?);
    if header != (0x5353_484b_524c_0a00, &[0, 0, 0, 1], 7, CHANGED.as_secs(), 0) {
        return Err("header");
    }
    file.string()?;
    file.string()?;
    let mut found = BTreeSet::new();
    while !file.0.is_empty() {
        if file.take(1)? != [1] {
            return Err("section");
        }
        let mut section = Reader(file.string()?);
        if section.string()? != ca || !section.string()?.is_empty() {
            return Err("CA");
        }
        while !section.0.is_empty() {
            let kind = section.take(1)?[0];
            let mut data = Reader(section.string()?);
            let mut last = 0;
            while !data.0.is_empty() {
                let first = data.number()?;
                let end = if kind == 0x21 { data.number()? } else { first };
                if first <= last || end < first || !(0x20..=0x21).contains(&kind) {
                    return Err("order, range or kind");
                }
                last = end;
                found.extend(first..=end);
            }
        }
    }
    Ok(found)
}

fn keygen(arguments: &[&str], directory: &Path) -> (bool, String) {
    let done = Command::new("ssh-keygen").args(arguments).current_dir(directory).output().unwrap();
    (done.status.success(), String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned())
}

/// The CA as files, and a certificate for each of `numbers`.
fn certificates(directory: &Path, numbers: &[u64]) {
    let private = ssh_key::PrivateKey::from(ssh_key::private::Ed25519Keypair::from_seed(&[1; 32]));
    fs::write(directory.join("ca"), private.to_openssh(ssh_key::LineEnding::LF).unwrap().as_bytes()).unwrap();
    let mode = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o600);
    fs::set_permissions(directory.join("ca"), mode).unwrap();
    assert!(keygen(&["-q", "-t", "ed25519", "-N", "", "-f", "user"], directory).0);
    for number in numbers {
        fs::copy(directory.join("user.pub"), directory.join(format!("{number}.pub"))).unwrap();
        let (serial, file) = (number.to_string(), format!("{number}.pub"));
        let (made, said) = keygen(&["-q", "-s", "ca", "-I", "x", "-n", "x", "-z", &serial, &file], directory);
        assert!(made, "{said}");
    }
}

/// Which of `numbers` OpenSSH's reader finds in the list.
fn revoked(directory: &Path, krl: &Krl, numbers: &[u64]) -> Vec<u64> {
    fs::write(directory.join("krl"), &krl.bytes).unwrap();
    let file = |number: &u64| format!("{number}-cert.pub");
    let files: Vec<String> = numbers.iter().map(file).collect();
    let mut arguments = vec!["-Q", "-f", "krl"];
    arguments.extend(files.iter().map(String::as_str));
    let (_, said) = keygen(&arguments, directory);
    let asked = |number: &&u64| {
        let line =
            said.lines().find(|line| line.starts_with(&file(number))).unwrap_or_else(|| panic!("{number}: {said}"));
        assert!(line.ends_with(": ok") || line.ends_with(": REVOKED"), "{line}");
        line.ends_with(": REVOKED")
    };
    numbers.iter().filter(asked).copied().collect()
}

#[test]
fn openssh_finds_what_is_revoked_and_nothing_else() {
    let home = tempfile::tempdir().unwrap();
    let top = (1 << 63) - 1;
    let numbers = [1, 2, 3, 4, 5, 9, 10, 100, 16_000, 16_384, 16_385, 40_000, 1 << 32, top - 1, top];
    certificates(home.path(), &numbers);
    let rows: [(&str, Vec<u64>); 7] = [
        ("none", vec![]),
        ("one", vec![9]),
        ("the ends", vec![1, top]),
        ("a short run", vec![1, 2, 3]),
        ("a run", (1..=5).chain([10]).collect()),
        ("a cluster wider than a bitmap may be", (1..=40_000).filter(|n| n % 2 == 0).collect()),
        ("runs far apart", (100..=16_384).chain((1 << 32) - 8..=1 << 32).chain(top - 5..=top).collect()),
    ];
    for (name, listed) in rows {
        let expect: Vec<u64> = numbers.iter().filter(|number| listed.contains(number)).copied().collect();
        assert_eq!(revoked(home.path(), &krl(listed), &numbers), expect, "{name}");
    }
    let mut other = krl([9]);
    other.bytes = Krl::new(ca_key(2).public(), 7, CHANGED, &serials([9])).unwrap().bytes;
    assert_eq!(revoked(home.path(), &other, &numbers), [0; 0], "another CA's serials are its own");
}

#[test]
fn openssh_reads_a_hundred_thousand() {
    let home = tempfile::tempdir().unwrap();
    let numbers = [1, 77_777, 1 << 40];
    certificates(home.path(), &numbers);
    let spread = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 1 | 1 << 50;
    let rows: [(&str, Vec<u64>, &[u64]); 3] = [
        ("sparse", (0..100_000).map(spread).chain([77_777]).collect(), &[77_777]),
        ("clustered", (0..100_000).map(|n| n * 3 + 1).collect(), &[1]),
        ("in one run", (1..=100_000).collect(), &[1, 77_777]),
    ];
    for (name, listed, expect) in rows {
        assert_eq!(revoked(home.path(), &krl(listed), &numbers), expect, "{name}");
    }
    assert!(krl(1..=100_000).bytes.len() < 200, "a run is a range");
}

#[test]
fn the_same_makes_the_same_bytes_and_an_empty_list_is_a_list() {
    assert_eq!(krl([5, 9]), krl([9, 5]));
    let empty = krl([]);
    assert!(!empty.bytes.is_empty(), "a file of no bytes is one that nobody checks");
    assert_eq!(read(&empty.bytes, b""), Ok(BTreeSet::new()));
    assert_ne!(empty.sha256, krl([5]).sha256);
}

#[test]
fn ssh_keygen_verifies_what_is_stated_and_finds_what_was_changed() {
    let home = tempfile::tempdir().unwrap();
    let krl = krl([5]);
    let stated = krl.stated(&ca_key(4), UnixTime::from_secs(1_800_000_059)).unwrap();
    let at = stated.find("-----BEGIN").unwrap();
    let (text, signature) = stated.split_at(at);
    let expect = format!(
        "jit-ssh krl v1\nversion 7\ngenerated 1800000000\nnext_update 1800003600\nsize {}\nsha256 {}\n",
        krl.bytes.len(),
        krl.sha256
    );
    assert_eq!(text, expect);
    let public = ca_key(4).public().to_openssh().unwrap();
    fs::write(home.path().join("signers"), format!("krl namespaces=\"{NAMESPACE}\" {public}\n")).unwrap();
    fs::write(home.path().join("sig"), signature).unwrap();
    let verified = |text: &str, namespace: &str| {
        let mut verify = Command::new("ssh-keygen")
            .args(["-Y", "verify", "-f", "signers", "-I", "krl", "-n", namespace, "-s", "sig"])
            .current_dir(home.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        verify.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        verify.wait().unwrap().success()
    };
    assert!(verified(text, NAMESPACE));
    assert!(!verified(&text.replace("version 7", "version 8"), NAMESPACE));
    assert!(!verified(&text.replace("1800003600", "1900003600"), NAMESPACE));
    assert!(!verified(text, "file"));
}

proptest! {
    #[test]
    fn any_serials_are_read_back(
        spread in prop::collection::btree_set(1..(1_u64 << 63), 0..40),
        near in prop::collection::btree_set(1_u64..300, 0..200),
        base in 1..(1_u64 << 62),
        run in 0_u64..20,
    ) {
        let all: BTreeSet<u64> = spread.into_iter().chain(near.iter().map(|n| base + n)).chain(base..base + run).collect();
        let krl = krl(all.clone());
        prop_assert_eq!(read(&krl.bytes, &ca_key(1).public().to_bytes().unwrap()), Ok(all));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn openssh_answers_as_the_list_says(
        listed in prop::collection::btree_set(1_u64..60_000, 0..4_000),
        base in 0..(1_u64 << 62),
    ) {
        let home = tempfile::tempdir().unwrap();
        let asked: Vec<u64> = [1, 2, 500, 16_384, 30_000, 59_999].map(|n| base + n).to_vec();
        certificates(home.path(), &asked);
        let listed: BTreeSet<u64> = listed.into_iter().map(|n| base + n).collect();
        let expect: Vec<u64> = asked.iter().filter(|number| listed.contains(number)).copied().collect();
        prop_assert_eq!(revoked(home.path(), &krl(listed), &asked), expect);
    }
}
