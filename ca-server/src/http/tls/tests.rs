use super::Tls;
use std::{fs, path::Path};
use tempfile::TempDir;

// For tests alone: nobody trusts these certificates, so their keys guard nothing.
pub(crate) const ONE: (&str, &str) = (include_str!("one.crt"), include_str!("one.key"));
const TWO: (&str, &str) = (include_str!("two.crt"), include_str!("two.key"));

pub(crate) fn write(directory: &Path, (certificate, key): (&str, &str)) {
    fs::write(directory.join("c"), certificate).unwrap();
    fs::write(directory.join("k"), key).unwrap();
}

fn loaded() -> (TempDir, Tls) {
    let directory = TempDir::new().unwrap();
    write(directory.path(), ONE);
    let tls = Tls::load(&directory.path().join("c"), &directory.path().join("k")).unwrap();
    (directory, tls)
}

#[test]
fn new_files_are_taken_up() {
    let (directory, tls) = loaded();
    let first = tls.config();
    assert!(!tls.reload().unwrap(), "nothing changed");
    write(directory.path(), TWO);
    assert!(tls.reload().unwrap());
    assert!(!std::sync::Arc::ptr_eq(&first, &tls.config()));
    assert!(!tls.reload().unwrap());
}

#[test]
fn bad_files_leave_the_good_ones_in_force_and_are_complained_of_once() {
    let (secret, other) = (ONE.1, TWO.1);
    let rows = [
        ("not PEM", "rubbish", secret),
        ("empty", "", secret),
        ("another's key", ONE.0, other),
        ("key torn in half", ONE.0, &secret[..secret.len() / 2]),
        ("certificate as key", ONE.0, ONE.0),
    ];
    for (name, certificate, key) in rows {
        let (directory, tls) = loaded();
        let good = tls.config();
        write(directory.path(), (certificate, key));
        let error = tls.reload().unwrap_err().to_string();
        assert!(!error.contains(&secret[40..80]), "{name}: {error}");
        assert!(std::sync::Arc::ptr_eq(&good, &tls.config()), "{name}");
        assert!(!tls.reload().unwrap(), "{name}: said once");
        let path = |file| directory.path().join(file);
        assert!(Tls::load(&path("c"), &path("k")).is_err(), "{name}: and no server starts with it");
        write(directory.path(), TWO);
        assert!(tls.reload().unwrap(), "{name}: good again");
    }
}
