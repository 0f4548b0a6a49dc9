use super::{Audience, Config};
use std::path::Path;

const HEAD: &str = "audience = \"https://ca.example.com\"\n";

fn findings(text: &str) -> Vec<String> {
    let parsed = Config::parse("c.toml", text, Path::new("/etc/jit-ssh"));
    parsed.err().unwrap_or_default().iter().map(ToString::to_string).collect()
}

#[test]
fn each_fault_is_found_at_its_line_with_what_to_do() {
    // What stands below the audience, the line of the fault, what the finding says.
    let rows = [
        ("[listn]\n", 2, "did you mean `listen`?"),
        ("[listen]\naddres = \"127.0.0.1:1\"\n", 3, "did you mean `address`?"),
        ("[listen]\naddress = \"localhost\"\n", 3, "socket address"),
        ("[listen]\naddress = \"0.0.0.0:8443\"\n", 3, "plain HTTP is served on loopback only"),
        ("[listen]\naddress = \"0.0.0.0:8443\"\ntls_key = \"k\"\n", 3, "go together"),
        ("[listen]\ntrusted_proxies = [\"10.0.0.1/8\"]\n", 3, "host bits zero"),
        ("[listen]\ntrusted_proxies = [\"10.0.0.0/8\", \"0.0.0.0/0\"]\n", 3, "everybody"),
        ("[listen]\ntrusted_proxies = [\"::/0\"]\n", 3, "everybody"),
        ("[store]\nkind = \"sqlite\"\n", 3, "redb"),
        ("[keys]\npassphrase = \"hunter2\"\n", 3, "did you mean `passphrase_file`?"),
        ("[sessions]\nlifetime = \"1h\"\nidle = \"2h\"\n", 4, "longer than"),
        ("[sessions]\nlifetime = \"1 hour\"\n", 3, "write it like 90s"),
        ("[sessions]\nlifetime = \"400d\"\n", 3, "at most 365d"),
        ("[sessions]\nlifetime = \"31d\"\n", 3, "must be from 1m to 30d"),
        ("[sessions]\nmost_per_user = 0\n", 3, "from 1 to 1000"),
        ("[limits]\nconnections = -1\n", 3, "invalid value"),
        ("[limits]\nhandshake_timeout = \"5m\"\n", 3, "must be from 1s to 1m"),
        ("[limits]\nhandshake_timeout = 5\n", 3, "invalid type"),
        ("[log]\nlevel = \"loud\"\n", 3, "known here: error, warn, info, debug"),
        ("timezone = \"Mars/Olympus\"\n", 2, "IANA name"),
        ("[listen]\n[listen]\n", 3, "duplicate"),
        ("[listen\n", 2, ""),
        ("[[sink]]\nname = \"A B\"\nkind = \"file\"\n", 3, "a-z, 0-9 and -"),
        ("[[sink]]\nname = \"a\"\nkind = \"sylog\"\n", 4, "did you mean `syslog`?"),
        ("[[sink]]\nname = \"a\"\nkind = \"file\"\npaht = \"x\"\n", 5, "did you mean `path`?"),
        ("[[sink]]\nname = \"a\"\nkind = \"file\"\n", 3, "it has no path"),
        ("[[sink]]\nname = \"a\"\nkind = \"slack\"\nurl = \"https://hunter2\"\n", 3, "url_file names a file"),
        ("[[sink]]\nname = \"a\"\nkind = \"file\"\npath = \"x\"\nurl = \"https://hunter2\"\n", 3, "url means nothing"),
        ("[[sink]]\nname = \"a\"\nkind = \"file\"\npath = \"x\"\ncodes = [\"Login.*\"]\n", 6, "request.*"),
        ("[[sink]]\nname = \"a\"\nkind = \"syslog\"\naddress = \"siem\"\n", 5, "host and port"),
        ("[[sink]]\nname = \"a\"\nkind = \"webhook\"\nurl_file = \"x\"\n", 3, "no secret to sign with"),
        ("[[sink]]\nname = \"a\"\nkind = \"slack\"\n", 3, "it has no url"),
        ("[[sink]]\nname = \"a\"\nkind = \"smtp\"\naddress = \"m:25\"\nfrom = \"a@b.c\\r\\nX: y\"\n", 6, ""),
        (
            "[[sink]]\nname = \"a\"\nkind = \"smtp\"\naddress = \"m:25\"\nfrom = \"a@b.c\"\nto = [\"a@b.c\"]\nencryption = \"none\"\n",
            3,
            "leaves this machine",
        ),
        ("[[issuer]]\nurl = \"http://id.example.com\"\nclient_id = \"x\"\n", 3, "https"),
    ];
    for (body, line, says) in rows {
        let found = findings(&format!("{HEAD}{body}"));
        assert_eq!(found.len(), 1, "{body}: {found:?}");
        assert!(found[0].starts_with(&format!("c.toml:{line}:")), "{body}: {found:?}");
        assert!(found[0].contains(says), "{body}: {found:?}");
        assert!(!found[0].contains("hunter2"), "{body}: {found:?}");
    }
}

#[test]
fn an_audience_is_one_name_byte_for_byte() {
    let good = ["https://ca.example.com", "https://ca.example.com:8443", "http://127.0.0.1:8080", "http://localhost"];
    let bad = [
        "",
        "ca.example.com",
        "http://ca.example.com",
        "https://ca.example.com/",
        "https://ca.example.com/ssh",
        "https://CA.example.com",
        "https://ca.example.com:443",
        "https://user@ca.example.com",
        "https://ca.example.com?x",
        "https://ca.example.com#x",
        "https://ca.example.com\n",
        "ftp://ca.example.com",
        "http://127.0.0.1.example.com",
    ];
    for text in good {
        assert!(Audience::try_from(text.to_owned()).is_ok(), "{text}");
    }
    for text in bad {
        assert!(Audience::try_from(text.to_owned()).is_err(), "{text}");
    }
}

#[test]
fn paths_are_relative_to_the_file_and_absolute_ones_stay() {
    let text =
        format!("{HEAD}[store]\npath = \"/var/lib/x.redb\"\n[keys]\nuser_ca = \"k/u\"\npassphrase_file = \"p\"\n");
    let config = Config::parse("c.toml", &text, Path::new("/etc/jit-ssh")).unwrap();
    assert_eq!(config.store.file(), Some(Path::new("/var/lib/x.redb")));
    assert_eq!(config.keys.user_ca, Path::new("/etc/jit-ssh/k/u"));
    assert_eq!(config.keys.host_ca, Path::new("/etc/jit-ssh/keys/host_ca"));
    assert_eq!(config.keys.passphrase_file.as_deref(), Some(Path::new("/etc/jit-ssh/p")));
    assert_eq!(config.policy.directory, Path::new("/etc/jit-ssh/policy"));
}

#[test]
fn the_starter_says_what_the_defaults_are() {
    let starter = include_str!("../../starter/config.toml");
    let plain = Config::parse("c.toml", starter, Path::new("/d")).unwrap();
    // Every commented setting up to the issuers, taken as it stands, changes nothing.
    let examples = ["#address =", "#tls_", "#trusted_proxies", "#passphrase_file"];
    let end = starter.find("# Who vouches for people.").unwrap();
    let all: String = starter[..end]
        .lines()
        .map(|line| {
            let example = examples.iter().any(|example| line.starts_with(example));
            let setting = line.starts_with('#') && !line.starts_with("# ") && !example;
            format!("{}\n", if setting { &line[1..] } else { line })
        })
        .collect();
    let spelled = Config::parse("c.toml", &all, Path::new("/d")).unwrap();
    assert_eq!(shown(&spelled), shown(&plain));
    assert!(all.lines().filter(|line| line.contains('=') && !line.starts_with('#')).count() > 25, "{all}");
    // The issuers' example is one that is accepted.
    let issuers: String = starter[end..]
        .lines()
        .map(|line| line.strip_prefix('#').unwrap_or(line))
        .map(|line| if line.starts_with(' ') { String::new() } else { format!("{line}\n") })
        .collect();
    let with = Config::parse("c.toml", &format!("{HEAD}{issuers}"), Path::new("/d")).unwrap();
    assert_eq!((with.issuer.len(), with.sink.len()), (2, 2));
}

/// All but the places in the file.
fn shown(config: &Config) -> String {
    let Config { audience, timezone, listen, store, keys, policy, sessions, limits, log, issuer, sink } = config;
    format!(
        "{:?} {timezone:?} {:?} {} {store:?} {keys:?} {policy:?} {sessions:?} {limits:?} {log:?} {issuer:?} {sink:?}",
        audience.get_ref(),
        listen.address.get_ref(),
        listen.ops
    )
}

#[test]
fn a_passphrase_is_never_shown() {
    let passphrase = super::Passphrase::new("hunter2".to_owned());
    assert_eq!(format!("{passphrase:?}"), "(hidden)");
    assert_eq!(passphrase.reveal(), "hunter2");
}

#[test]
fn a_passphrase_that_others_can_read_or_change_is_refused() {
    use std::{
        fs::{self, Permissions},
        os::unix::fs::{PermissionsExt as _, symlink},
    };
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("passphrase");
    fs::write(&file, "correct horse\nbattery").unwrap();
    let read = |mode: u32| {
        fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        super::Passphrase::read(&file)
    };
    for mode in [0o644, 0o602, 0o660, 0o620, 0o604] {
        assert!(read(mode).unwrap_err().to_string().contains("chmod 600"), "{mode:o}");
    }
    for mode in [0o600, 0o400] {
        assert_eq!(read(mode).unwrap().reveal(), "correct horse", "{mode:o}");
    }
    symlink(&file, home.path().join("link")).unwrap();
    assert!(super::Passphrase::read(&home.path().join("link")).is_err());
    fs::set_permissions(home.path(), Permissions::from_mode(0o777)).unwrap();
    assert!(super::Passphrase::read(&file).is_err(), "others can put another in its place");
}
