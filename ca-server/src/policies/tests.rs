use super::{LivePolicies, Loaded};
use crate::fixture::POLICY;
use std::{fs, os::unix::fs::symlink, path::Path};
use tempfile::TempDir;

const HOSTS: &str = "[[host]]\nname = \"web-1\"\ngroups = [\"db\"]\naccounts = [\"deploy\"]\n";
const GROUPS: &str = "[[group]]\nname = \"db\"\n";

/// Breaks something in a policy directory.
type Spoil<'a> = &'a dyn Fn(&Path);

fn directory() -> TempDir {
    let directory = TempDir::new().unwrap();
    for (name, text) in [("a.cedar", POLICY), ("hosts.toml", HOSTS), ("groups.toml", GROUPS)] {
        fs::write(directory.path().join(name), text).unwrap();
    }
    directory
}

/// What the server's watch does, twice: a change is taken once it has come to rest.
fn look(live: &LivePolicies) -> Result<Option<Loaded>, super::Rejected> {
    assert!(!live.settled_change(), "taken before it came to rest");
    if live.settled_change() { live.reload() } else { Ok(None) }
}

#[test]
fn a_changed_set_is_taken_once_it_rests() {
    let directory = directory();
    let live = LivePolicies::load_dir(directory.path()).unwrap();
    let first = live.current();
    assert!(look(&live).unwrap().is_none());
    fs::write(directory.path().join("b.cedar"), POLICY.replace("@id(\"", "@id(\"b-")).unwrap();
    let loaded = look(&live).unwrap().unwrap();
    assert_eq!(live.current().digest, first.digest, "nothing is in force before it is put there");
    live.put(loaded);
    assert_eq!(live.current().policies.len(), 2 * first.policies.len());
    assert_ne!(live.current().digest, first.digest);
    assert!(look(&live).unwrap().is_none(), "it is taken once");
}

#[test]
fn a_bad_set_keeps_the_good_one_and_says_so() {
    let bad: [(&str, Spoil); 5] = [
        ("syntax", &|dir| fs::write(dir.join("a.cedar"), "permit (").unwrap()),
        ("unknown annotation", &|dir| fs::write(dir.join("a.cedar"), POLICY.replace("@advice", "@advise")).unwrap()),
        ("no hosts", &|dir| fs::write(dir.join("hosts.toml"), "[[host]]\n").unwrap()),
        ("too large", &|dir| fs::write(dir.join("big.cedar"), vec![b'/'; 9 << 20]).unwrap()),
        ("failing test", &|dir| {
            fs::create_dir(dir.join("tests")).unwrap();
            let test = "[[test]]\nname = \"nobody\"\nuser = \"eve\"\ntarget = \"deploy@web-1\"\nexpect = \"granted\"\n";
            fs::write(dir.join("tests/t.toml"), test).unwrap();
        }),
    ];
    for (name, spoil) in bad {
        let directory = directory();
        let live = LivePolicies::load_dir(directory.path()).unwrap();
        let good = live.current();
        spoil(directory.path());
        assert!(look(&live).is_err(), "{name}");
        assert_eq!(live.current().digest, good.digest, "{name}");
        assert!(live.stale() && live.rejected() == 1, "{name}");
        assert!(look(&live).unwrap().is_none(), "{name}: it is complained of once");
        assert!(LivePolicies::load_dir(directory.path()).is_err(), "{name}: and no server starts with it");
    }
}

#[test]
fn a_directory_that_vanishes_keeps_the_good_set() {
    let directory = directory();
    let live = LivePolicies::load_dir(directory.path()).unwrap();
    directory.close().unwrap();
    assert!(look(&live).is_err());
    assert!(live.stale());
    assert!(!live.current().policies.is_empty());
}

#[test]
fn links_are_followed_once_and_what_is_no_file_is_refused() {
    let linked = directory();
    fs::rename(linked.path().join("a.cedar"), linked.path().join(".data")).unwrap();
    symlink(".data", linked.path().join("a.cedar")).unwrap();
    assert!(LivePolicies::load_dir(linked.path()).is_ok());
    let looped = directory();
    symlink("loop.cedar", looped.path().join("loop.cedar")).unwrap();
    assert!(LivePolicies::load_dir(looped.path()).is_err());
    let device = directory();
    symlink("/dev/zero", device.path().join("endless.cedar")).unwrap();
    assert!(LivePolicies::load_dir(device.path()).is_err());
    let binary = directory();
    fs::write(binary.path().join("b.cedar"), [0xff, 0xfe]).unwrap();
    assert!(LivePolicies::load_dir(binary.path()).is_err());
}

#[test]
fn the_digest_tells_apart_what_only_lengths_tell_apart() {
    let digest = |texts: [(&str, &str); 2]| {
        let policies = texts.map(|(name, text)| policy::Source { name: name.to_owned(), text: text.to_owned() });
        super::digest(&policy::Sources { policies: policies.to_vec(), ..Default::default() })
    };
    let one = digest([("a", "bc"), ("d", "e")]);
    assert_ne!(one, digest([("ab", "c"), ("d", "e")]));
    assert_ne!(one, digest([("a", "b"), ("cd", "e")]));
    assert_eq!(one, digest([("d", "e"), ("a", "bc")]), "order does not count");
}

#[test]
fn what_would_be_passed_over_in_silence_is_refused() {
    let refused: [(&str, Spoil); 7] = [
        ("another case", &|dir| fs::write(dir.join("limits.Cedar"), "").unwrap()),
        ("an ending", &|dir| fs::write(dir.join("limits.cedar.txt"), "").unwrap()),
        ("a backup", &|dir| fs::write(dir.join("a.cedar~"), "").unwrap()),
        ("a directory", &|dir| fs::create_dir(dir.join("prod")).unwrap()),
        ("another hosts file", &|dir| fs::write(dir.join("Hosts.toml"), "").unwrap()),
        ("a test that is none", &|dir| {
            fs::create_dir(dir.join("tests")).unwrap();
            fs::write(dir.join("tests/t.TOML"), "").unwrap();
        }),
        ("tests that are a file", &|dir| fs::write(dir.join("tests"), "").unwrap()),
    ];
    for (name, spoil) in refused {
        let directory = directory();
        let live = LivePolicies::load_dir(directory.path()).unwrap();
        spoil(directory.path());
        assert!(look(&live).is_err() && live.stale(), "{name}");
        assert!(LivePolicies::load_dir(directory.path()).is_err(), "{name}");
    }
    let directory = directory();
    for name in ["README", "README.txt", "notes.md", ".a.cedar.swp", ".gitignore"] {
        fs::write(directory.path().join(name), "").unwrap();
    }
    fs::create_dir_all(directory.path().join(".git/objects")).unwrap();
    assert!(LivePolicies::load_dir(directory.path()).is_ok());
}

#[test]
fn what_others_can_write_is_no_policy() {
    use std::os::unix::fs::PermissionsExt as _;
    for (name, mode) in [("a.cedar", 0o646), ("hosts.toml", 0o602), (".", 0o707), ("tests", 0o777)] {
        let directory = directory();
        fs::create_dir(directory.path().join("tests")).unwrap();
        let live = LivePolicies::load_dir(directory.path()).unwrap();
        let good = live.current();
        fs::set_permissions(directory.path().join(name), fs::Permissions::from_mode(mode)).unwrap();
        let error = look(&live).err().unwrap_or_else(|| panic!("{name}")).to_string();
        assert!(error.contains("chmod"), "{name}: {error}");
        assert_eq!(live.current().digest, good.digest, "{name}");
        assert!(LivePolicies::load_dir(directory.path()).is_err(), "{name}");
    }
}
