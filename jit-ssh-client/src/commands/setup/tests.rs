use super::*;
use api::{HostEntry, Outcome, Reach};
use policy::{Seconds, Target};
use proptest::prelude::*;
use std::{
    fs::{self, DirBuilder},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    process::Command,
};

mod capture;

const CA: &str = "https://ca.example.com";

fn written(hosts: &[HostEntry], certs: &Certs, program: &Path) -> Result<String, Failure> {
    ssh_config::text(&Listed { server: CA, domains: &[], hosts }, &[], certs, program)
}

fn hosts() -> Vec<HostEntry> {
    let reach = |account: &str| Reach {
        account: account.parse().unwrap(),
        outcome: Outcome::Granted,
        policy: "web".parse().unwrap(),
        max_duration: Seconds::new(3600),
        cert_ttl: Seconds::new(300),
        approvals: 0,
        reason_required: false,
        ticket_required: false,
        break_glass: None,
    };
    vec![HostEntry {
        host: "web-1".parse().unwrap(),
        aliases: vec!["www".parse().unwrap()],
        address: None,
        port: None,
        groups: Vec::new(),
        labels: std::collections::BTreeMap::default(),
        accounts: vec![reach("deploy"), reach("ops@corp.example")],
    }]
}

struct Scene {
    _outer: tempfile::TempDir,
    home: SshHome,
    certs: Certs,
    state: StateDir,
    program: PathBuf,
    log: PathBuf,
}

/// A `~/.ssh`, a state directory, and in jit-ssh's place a program that writes down how it was called.
fn scene(exit: u8) -> Scene {
    let outer = tempfile::tempdir().unwrap();
    let state = StateDir::at(outer.path().join("state")).unwrap();
    let (program, log) = (outer.path().join("jit-ssh"), outer.path().join("log"));
    fs::write(&program, format!("#!/bin/sh\necho \"$@\" >>{}\nexit {exit}\n", log.display())).unwrap();
    fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let home = SshHome(outer.path().join(".ssh"));
    Scene { certs: Certs::open(&state).unwrap(), home, state, program, log, _outer: outer }
}

impl Scene {
    fn text(&self) -> String {
        written(&hosts(), &self.certs, &self.program).unwrap()
    }

    fn set_up(&self, config: &str) {
        DirBuilder::new().mode(0o700).create(&self.home.0).unwrap();
        fs::write(self.home.0.join("config"), config).unwrap();
        self.apply(self.home.doing(&self.home.included("jit-ssh.conf").unwrap(), self.text()).unwrap());
    }

    fn apply(&self, changes: Vec<Change>) {
        changes.iter().filter(|change| change.is_one()).for_each(|change| self.home.make(change).unwrap());
    }

    /// What stock ssh makes of it, and how it called us.
    fn asked(&self, args: &[&str]) -> (String, String) {
        drop(fs::remove_file(&self.log));
        let output =
            Command::new("ssh").arg("-G").arg("-F").arg(self.home.0.join("config")).args(args).output().unwrap();
        (String::from_utf8(output.stdout).unwrap(), fs::read_to_string(&self.log).unwrap_or_default())
    }
}

#[test]
fn stock_ssh_asks_for_the_right_target() {
    let scene = scene(0);
    scene.set_up("Host web-1\n    User deploy\n    HostName 127.0.0.1\n");
    let certificate = scene.certs.path(&"deploy@web-1".parse::<Target>().unwrap()).display().to_string();
    for args in [&["web-1"][..], &["deploy@www"], &["-l", "deploy", "www"], &["deploy@WEB-1"]] {
        let (config, calls) = scene.asked(args);
        assert_eq!(calls, "ensure --quiet --ask deploy@web-1\n", "{args:?}");
        assert!(config.contains(&format!("identityfile {certificate}\n")), "{args:?}: {config}");
        assert!(config.contains("identitiesonly yes\n"), "{args:?}");
    }
    let (_, calls) = scene.asked(&["ops@corp.example@web-1"]);
    assert_eq!(calls, "ensure --quiet --ask ops@corp.example@web-1\n");
}

/// Asked of stock ssh, because it settles some words before `Match final` and some not.
#[test]
fn stock_ssh_goes_to_the_address_of_the_inventory() {
    let scene = scene(0);
    let settled = |address: Option<&str>, port: Option<u16>, args: &[&str]| {
        let mut hosts = hosts();
        hosts[0].address = address.map(str::to_owned);
        hosts[0].port = port;
        let text = written(&hosts, &scene.certs, &scene.program).unwrap();
        drop(fs::create_dir(&scene.home.0));
        fs::write(scene.home.0.join("config"), text + "\nHost *\n    User deploy\n").unwrap();
        let (config, calls) = scene.asked(args);
        let word = |name: &str| {
            config.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim_start().to_owned()
        };
        (word("hostname "), word("port "), word("hostkeyalias "), calls.contains("deploy@web-1"))
    };
    let is = |hostname: &str, port: &str, alias: &str, called: bool| {
        (hostname.to_owned(), port.to_owned(), alias.to_owned(), called)
    };
    assert_eq!(settled(Some("192.0.2.11"), Some(2222), &["web-1"]), is("192.0.2.11", "2222", "web-1", true));
    assert_eq!(settled(Some("2001:db8::1"), None, &["www"]), is("2001:db8::1", "22", "web-1", true));
    assert_eq!(settled(Some("web.example.com"), None, &["WEB-1"]), is("web.example.com", "22", "web-1", true));
    assert_eq!(settled(None, Some(2222), &["web-1"]), is("web-1", "2222", "web-1", true));
    assert_eq!(settled(None, None, &["web-1"]), is("web-1", "22", "", true));
    assert_eq!(settled(Some("192.0.2.11"), Some(2222), &["web-10"]), is("web-10", "22", "", false));
    assert_eq!(settled(Some("192.0.2.11"), Some(2222), &["root@web-1"]), is("192.0.2.11", "2222", "web-1", false));
}

#[test]
fn an_address_that_is_none_is_never_written() {
    let scene = scene(0);
    for address in ["a\n    ProxyCommand id", "-oProxyCommand=id", "%h", "$(id)", "a b", "", "\"a\""] {
        let mut hosts = hosts();
        hosts[0].address = Some(address.to_owned());
        assert!(written(&hosts, &scene.certs, &scene.program).is_err(), "{address:?}");
    }
    let mut hosts = hosts();
    hosts[0].port = Some(0);
    assert!(written(&hosts, &scene.certs, &scene.program).is_err());
}

#[test]
fn nothing_runs_for_anybody_else() {
    let scene = scene(0);
    scene.set_up("");
    for args in
        [&["root@web-1"][..], &["deploy@web-10"], &["deploy@127.0.0.1"], &["deploy@web-1.evil"], &["deploy@eweb-1"]]
    {
        let (config, calls) = scene.asked(args);
        assert_eq!(calls, "", "{args:?}");
        assert!(!config.contains("cert.pub"), "{args:?}");
    }
}

#[test]
fn where_we_say_no_ssh_goes_on_as_if_we_were_not_there() {
    let scene = scene(3);
    scene.set_up("Host *\n    IdentityFile ~/.ssh/mine\n");
    let (config, calls) = scene.asked(&["deploy@web-1"]);
    assert_eq!(calls, "ensure --quiet --ask deploy@web-1\n");
    assert!(config.contains("identitiesonly no\n") && config.contains("identityfile ~/.ssh/mine\n"));
    assert!(!config.contains("cert.pub"));
}

/// `%h` in a `Match exec` gave a hostile host name a shell. Ours are letters only, and a hostile name matches none.
#[test]
fn cve_2023_51385_hostile_host_names_run_nothing() {
    let scene = scene(0);
    scene.set_up("");
    for host in ["`touch /tmp/x`", "web-1;id", "$(id)", "web-1 -oProxyCommand=id", "web-1\nid", "*", "?eb-1"] {
        let (_, calls) = scene.asked(&["-l", "deploy", "--", host]);
        assert_eq!(calls, "", "{host:?}");
    }
}

/// `%r` in a `ProxyCommand` gave a hostile user name a shell.
#[test]
fn cve_2025_61984_hostile_user_names_run_nothing() {
    let scene = scene(0);
    scene.set_up("");
    for user in ["$(id)", "deploy;id", "deploy\nid", "`id`", "*", "deploy,root", "d?ploy"] {
        let (_, calls) = scene.asked(&["-l", user, "web-1"]);
        assert_eq!(calls, "", "{user:?}");
    }
}

#[test]
fn a_file_of_somebody_elses_is_not_overwritten() {
    let scene = scene(0);
    DirBuilder::new().mode(0o700).create(&scene.home.0).unwrap();
    fs::write(scene.home.0.join("jit-ssh.conf"), "Host mine\n").unwrap();
    assert!(scene.home.doing(&Included::named("jit-ssh.conf").unwrap(), scene.text()).is_err());
    assert!(scene.home.undoing(&Included::named("jit-ssh.conf").unwrap()).unwrap().is_empty());
}

#[test]
fn what_was_not_there_is_gone_after_undo() {
    let scene = scene(0);
    let included = Included::named("jit-ssh.conf").unwrap();
    scene.apply(scene.home.doing(&included, scene.text()).unwrap());
    assert_eq!(fs::metadata(&scene.home.0).unwrap().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(scene.home.0.join("config")).unwrap().mode() & 0o777, 0o600);
    scene.apply(scene.home.undoing(&included).unwrap());
    assert_eq!(fs::read_dir(&scene.home.0).unwrap().count(), 0);
    assert!(scene.state.path().exists());
}

#[test]
fn a_linked_config_stays_a_link() {
    let scene = scene(0);
    DirBuilder::new().mode(0o700).create(&scene.home.0).unwrap();
    let dotfiles = scene.home.0.with_file_name("dotfiles");
    fs::write(&dotfiles, "Host a\n").unwrap();
    std::os::unix::fs::symlink(&dotfiles, scene.home.0.join("config")).unwrap();
    scene.apply(scene.home.doing(&Included::named("jit-ssh.conf").unwrap(), scene.text()).unwrap());
    assert!(fs::symlink_metadata(scene.home.0.join("config")).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(&dotfiles).unwrap(), "Include jit-ssh.conf\nHost a\n");
}

#[test]
fn names_that_leave_the_directory_are_refused() {
    for name in ["../x.conf", "config", "a/b.conf", "*.conf", "-x.conf", ".conf", "a b.conf", ""] {
        assert!(Included::named(name).is_err(), "{name}");
    }
}

proptest! {
    #[test]
    fn undo_gives_back_every_byte(config in "([ -~]{0,20}\r?\n){0,8}[ -~]{0,20}") {
        let included = Included::named("jit-ssh.conf").unwrap();
        prop_assume!(!config.contains("Include jit-ssh.conf"));
        let added = included.added_to(&config);
        prop_assert_eq!(included.added_to(&added).clone(), added.clone());
        prop_assert_eq!(included.removed_from(&added), config);
    }
}

/// ssh reads `Include name` in the home of the password file; a HOME that is another needs the whole path.
#[test]
fn a_home_of_another_name_is_included_by_its_path_and_found_again() {
    let scene = scene(0);
    assert!(!scene.home.is_where_ssh_looks());
    scene.set_up("Host a\n");
    let config = fs::read_to_string(scene.home.0.join("config")).unwrap();
    assert_eq!(config, format!("Include \"{}\"\nHost a\n", scene.home.0.join("jit-ssh.conf").display()));
    let found = scene.home.set_up().unwrap();
    assert_eq!(found.file_name(), "jit-ssh.conf");
    scene.apply(scene.home.undoing(&found).unwrap());
    assert_eq!(fs::read_to_string(scene.home.0.join("config")).unwrap(), "Host a\n");
    assert!(!scene.home.0.join("jit-ssh.conf").exists());
}
