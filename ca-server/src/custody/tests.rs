use super::{CaKey, Generated, Keys, generate, generate_missing};
use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt as _, symlink},
    process::Command,
};

#[test]
fn keys_are_made_that_ssh_keygen_reads_and_only_the_owner_can() {
    let home = tempfile::tempdir().unwrap();
    let made = generate(&home.path().join("keys"), None).unwrap();
    for (path, public) in [(&made.user_ca, &made.user_public), (&made.host_ca, &made.host_public)] {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o7777, 0o600);
        let shown = Command::new("ssh-keygen").args(["-y", "-f"]).arg(path).output().unwrap();
        let blob = |text: &str| text.split(' ').nth(1).unwrap().trim().to_owned();
        assert_eq!(blob(&String::from_utf8(shown.stdout).unwrap()), blob(public));
        assert_eq!(CaKey::load(path, None).unwrap().public().to_openssh().unwrap(), *public);
    }
    let keys = load(&made).unwrap();
    assert_eq!(keys.log.verifying_key().to_bytes(), made.log_public);
    assert_eq!(keys.krl.public().to_openssh().unwrap(), made.krl_public);
}

fn load(made: &Generated) -> Result<Keys, super::CustodyError> {
    Keys::load([&made.user_ca, &made.host_ca, &made.log, &made.krl], None)
}

#[test]
fn a_passphrase_is_needed_where_one_was_set() {
    let home = tempfile::tempdir().unwrap();
    let made = generate(home.path(), Some("correct horse")).unwrap();
    assert!(CaKey::load(&made.user_ca, None).unwrap_err().to_string().contains("passphrase_file"));
    assert!(CaKey::load(&made.user_ca, Some("wrong")).unwrap_err().to_string().contains("does not open"));
    CaKey::load(&made.user_ca, Some("correct horse")).unwrap();
}

#[test]
fn a_key_is_never_overwritten() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("host_ca"), "precious").unwrap();
    assert!(generate(home.path(), None).unwrap_err().to_string().contains("never overwritten"));
    assert_eq!(fs::read(home.path().join("host_ca")).unwrap(), b"precious");
    assert!(!home.path().join("user_ca").exists(), "none is made where one is there");
}

#[test]
fn a_key_that_others_can_read_or_replace_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let made = generate(home.path(), None).unwrap();
    for mode in [0o640, 0o604, 0o660, 0o610] {
        fs::set_permissions(&made.user_ca, Permissions::from_mode(mode)).unwrap();
        let error = CaKey::load(&made.user_ca, None).unwrap_err().to_string();
        assert!(error.contains("chmod 600"), "{error}");
    }
    fs::set_permissions(&made.user_ca, Permissions::from_mode(0o400)).unwrap();
    CaKey::load(&made.user_ca, None).unwrap();
    fs::set_permissions(home.path(), Permissions::from_mode(0o777)).unwrap();
    assert!(CaKey::load(&made.user_ca, None).unwrap_err().to_string().contains("replace"));
}

#[test]
fn a_link_a_directory_and_a_missing_file_are_named() {
    let home = tempfile::tempdir().unwrap();
    let made = generate(home.path(), None).unwrap();
    let link = home.path().join("link");
    symlink(&made.user_ca, &link).unwrap();
    assert!(CaKey::load(&link, None).unwrap_err().to_string().contains("symbolic link"));
    assert!(CaKey::load(home.path(), None).unwrap_err().to_string().contains("regular file"));
    assert!(CaKey::load(&home.path().join("none"), None).unwrap_err().to_string().contains("no such file"));
}

#[test]
fn one_key_in_two_roles_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let made = generate(home.path(), None).unwrap();
    let copy = home.path().join("copy");
    fs::copy(&made.user_ca, &copy).unwrap();
    let swapped = [
        [&made.user_ca, &copy, &made.log, &made.krl],
        [&made.user_ca, &made.host_ca, &copy, &made.krl],
        [&made.user_ca, &made.host_ca, &made.log, &copy],
        [&copy, &made.host_ca, &made.user_ca, &made.krl],
    ];
    for files in swapped {
        assert!(Keys::load(files.map(|file| file.as_path()), None).unwrap_err().to_string().contains("same key"));
    }
}

#[test]
fn keys_of_other_types_and_files_that_hold_none_are_refused() {
    let home = tempfile::tempdir().unwrap();
    for (kind, bits) in [("rsa", "3072"), ("ecdsa", "256")] {
        let path = home.path().join(kind);
        let made = Command::new("ssh-keygen").args(["-q", "-t", kind, "-b", bits, "-N", "", "-f"]).arg(&path).status();
        assert!(made.unwrap().success());
        assert!(CaKey::load(&path, None).unwrap_err().to_string().contains("use an Ed25519 key"));
    }
    let junk = home.path().join("junk");
    fs::write(&junk, "not a key").unwrap();
    fs::set_permissions(&junk, Permissions::from_mode(0o600)).unwrap();
    assert!(CaKey::load(&junk, None).unwrap_err().to_string().contains("OpenSSH"));
}

/// CVE-2025-49825 took a certificate where a key belonged: a certificate file is no CA key.
#[test]
fn cve_2025_49825_a_certificate_is_no_ca_key() {
    let home = tempfile::tempdir().unwrap();
    let made = generate(home.path(), None).unwrap();
    let signed = Command::new("ssh-keygen")
        .args(["-q", "-s"])
        .arg(&made.user_ca)
        .args(["-I", "x", "-n", "x"])
        .arg(home.path().join("host_ca.pub"))
        .status();
    assert!(signed.unwrap().success());
    let certificate = home.path().join("host_ca-cert.pub");
    fs::set_permissions(&certificate, Permissions::from_mode(0o600)).unwrap();
    assert!(CaKey::load(&certificate, None).unwrap_err().to_string().contains("not a private key"));
}

#[test]
fn an_older_install_is_told_how_to_get_later_keys_and_gets_them() {
    let home = tempfile::tempdir().unwrap();
    let missing = || generate_missing(home.path(), None);
    assert!(missing().unwrap_err().to_string().contains("ca-server init"), "no CA here");
    let made = generate(home.path(), None).unwrap();
    assert!(missing().unwrap_err().to_string().contains("never overwritten"));
    fs::remove_file(&made.log).unwrap();
    assert!(missing().unwrap_err().to_string().contains("never overwritten"), "its .pub is there");
    fs::remove_file(home.path().join("log.pub")).unwrap();
    let error = load(&made).unwrap_err().to_string();
    assert!(error.contains("init --missing"), "{error}");
    let again = missing().unwrap();
    assert!(again.krl.is_none(), "that one was there");
    let (log, public) = again.log.unwrap();
    assert_eq!(log, made.log);
    assert_eq!(load(&made).unwrap().log.verifying_key().to_bytes(), public);

    for name in ["log", "log.pub", "krl", "krl.pub"] {
        fs::remove_file(home.path().join(name)).unwrap();
    }
    let again = missing().unwrap();
    let (krl, public) = again.krl.unwrap();
    assert_eq!((again.log.unwrap().0, &krl), (log, &made.krl));
    assert_eq!(load(&made).unwrap().krl.public().to_openssh().unwrap(), public);
}
