//! A CA's list names whatever its editor wrote. What of it a login may take from under the user's ssh, asked of stock ssh.

use super::*;
use crate::commands::setup::known::Ssh;
use std::slice::from_ref;

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIDbJNBLFV3UVUuJCE4PCeBVfSBGoTsNRjXoMFrSgUtj";

fn host(name: &str, aliases: &[&str], address: Option<&str>) -> HostEntry {
    let [entry] = hosts().try_into().unwrap();
    HostEntry {
        host: name.parse().unwrap(),
        aliases: aliases.iter().map(|alias| alias.parse().unwrap()).collect(),
        address: address.map(str::to_owned),
        ..entry
    }
}

impl Scene {
    /// Set up with `hosts`, then a login at which the CA lists `later` too: what was left out, and what is written.
    fn login(&self, mine: &str, agreed: &[HostEntry], domains: &[&str], now: &[HostEntry]) -> (Vec<String>, String) {
        let domains: Vec<_> = domains.iter().map(|domain| domain.parse().unwrap()).collect();
        let listed = Listed { server: CA, domains: &domains, hosts: agreed };
        let before = ssh_config::text(&listed, &[], &self.certs, &self.program).unwrap();
        drop(DirBuilder::new().mode(0o700).create(&self.home.0));
        fs::write(self.home.0.join("config"), mine).unwrap();
        let included = self.home.included("jit-ssh.conf").unwrap();
        self.apply(self.home.doing(&included, before.clone()).unwrap());
        let said = Agreed::of(&before, CA);
        let ssh = self.home.ssh_without(&included, &self.state).unwrap();
        let held = said.held(now, &ssh, Look::Login).unwrap();
        let listed = Listed { server: CA, domains: &said.domains, hosts: now };
        let after = ssh_config::text(&listed, &held, &self.certs, &self.program).unwrap();
        self.apply(vec![self.home.change("jit-ssh.conf", Some(after.clone())).unwrap()]);
        (held.iter().map(|held| held.name.to_string()).collect(), after)
    }

    fn goes_to(&self, name: &str) -> String {
        let (config, _calls) = self.asked(&[name]);
        config.lines().find_map(|line| line.strip_prefix("hostname ")).unwrap().to_owned()
    }
}

#[test]
fn a_login_takes_no_name_that_somebody_else_may_mean() {
    let mine = "Host bastion\n  HostName 10.0.0.5\nHost build\n  HostName build.corp.example\nHost *\n  User me\n";
    let web = host("web-1", &["www"], None);
    let (evil, address) = (host("evil", &[], None), Some("203.0.113.66"));
    let rows: &[(&str, HostEntry, &[&str])] = &[
        ("a public name", host("evil", &["github.com"], address), &["github.com"]),
        ("one as host", host("github.com", &[], address), &["github.com"]),
        (
            "one that goes nowhere else, and would get certificates",
            host("evil", &["github.com"], None),
            &["github.com"],
        ),
        ("an address", host("10.1.2.3", &[], None), &["10.1.2.3"]),
        ("the machine itself", host("localhost", &[], address), &["localhost"]),
        ("a name of the user's own", host("evil", &["bastion"], address), &["bastion"]),
        ("one that would get certificates", host("bastion", &[], None), &["bastion"]),
        ("one that is elsewhere now", host("build", &[], address), &["build"]),
        ("another case", host("evil", &["GitHub.com", "Bastion"], address), &["bastion", "github.com"]),
        ("a domain's end alone", host("x.notcorp.example", &[], None), &["x.notcorp.example"]),
        ("a new host", host("web-2", &["shop"], address), &[]),
        ("a new host with a port", HostEntry { port: Some(2222), ..host("web-2", &[], None) }, &[]),
        ("one that the user's configuration completes", host("build", &[], None), &[]),
        ("one in a domain that was agreed to", host("web-2.corp.example", &["a.b.corp.example"], address), &[]),
        ("what was routed before, elsewhere", host("web-1", &["www"], address), &[]),
    ];
    for (name, entry, left_out) in rows {
        let scene = scene(0);
        let (held, text) = scene.login(mine, from_ref(&web), &["corp.example"], &[entry.clone(), evil.clone()]);
        let mut sorted = held.clone();
        sorted.sort();
        assert_eq!(sorted, *left_out, "{name}");
        for held in held {
            assert!(!text.contains(&held), "{name}: {text}");
            assert_ne!(scene.goes_to(&held), "203.0.113.66", "{name}");
        }
    }
}

/// The key under an alias is the host's, so an alias would lead around the key that the user knows. Under its own name it
/// does not: a host that is another is found out.
#[test]
fn a_name_the_user_has_been_to_is_not_led_around_its_key() {
    let routed = host("evil", &["git"], Some("203.0.113.66"));
    for (known, name) in [
        (format!("git {KEY}\n"), "plain"),
        (format!("[git]:29418 {KEY}\n"), "with a port"),
        (format!("other,git {KEY}\n"), "one of several"),
    ] {
        let scene = scene(0);
        DirBuilder::new().mode(0o700).create(&scene.home.0).unwrap();
        fs::write(scene.home.0.join("known_hosts"), known).unwrap();
        let mine = if name == "with a port" { "Host git\n  Port 29418\n" } else { "" };
        let (held, _) = scene.login(mine, &hosts(), &[], from_ref(&routed));
        assert_eq!(held, ["git"], "{name}");
        assert_eq!(scene.goes_to("evil"), "203.0.113.66", "{name}");
        let (held, _) = scene.login(mine, &hosts(), &[], &[host("git", &[], Some("203.0.113.66"))]);
        assert_eq!(held, [""; 0], "{name}: its own key is asked for");
    }
    let scene = scene(0);
    DirBuilder::new().mode(0o700).create(&scene.home.0).unwrap();
    fs::write(scene.home.0.join("known_hosts"), format!("git {KEY}\n@cert-authority * {KEY}\n")).unwrap();
    Command::new("ssh-keygen").arg("-H").arg("-f").arg(scene.home.0.join("known_hosts")).output().unwrap();
    let (held, _) = scene.login("", &hosts(), &[], &[routed, host("web-9", &["new"], Some("192.0.2.9"))]);
    assert_eq!(held, ["git"], "hashed; and what is said of all names is said of none");
}

/// An alias that was agreed to without an address has its key under its own name.
#[test]
fn an_alias_that_gets_an_address_later_is_looked_at_again() {
    let scene = scene(0);
    let before = host("web-1", &["git.corp.example", "www"], None);
    let later = HostEntry { address: Some("203.0.113.66".to_owned()), ..before.clone() };
    let (held, text) = scene.login("", from_ref(&before), &[], &[later]);
    assert_eq!(held, ["git.corp.example"]);
    assert!(text.contains("Match originalhost web-1,www\n"), "{text}");
    let (held, _) = scene.login("", from_ref(&before), &[], from_ref(&before));
    assert_eq!(held, [""; 0]);
}

/// Agreed to under its own name, where the user's own configuration says where it is.
#[test]
fn a_name_that_gets_an_address_later_is_not_taken_from_the_users_own() {
    let mine = "Host db-1\n  HostName 10.0.0.7\n";
    let none = host("db-1", &[], None);
    let port = HostEntry { port: Some(2222), ..none.clone() };
    let address = HostEntry { address: Some("203.0.113.66".to_owned()), ..port.clone() };
    for (name, before, later, left_out) in [
        ("an address", &none, &address, &["db-1"][..]),
        ("a port", &none, &port, &["db-1"]),
        ("an address beside the port", &port, &address, &["db-1"]),
        ("nothing new", &port, &port, &[]),
        ("no more", &address, &none, &[]),
    ] {
        let scene = scene(0);
        let (held, text) = scene.login(mine, from_ref(before), &[], from_ref(later));
        assert_eq!(held, left_out, "{name}: {text}");
        assert_eq!(scene.goes_to("db-1"), "10.0.0.7", "{name}");
    }
    let scene = scene(0);
    let (held, text) = scene.login("", from_ref(&none), &[], from_ref(&address));
    assert_eq!(held, [""; 0], "nobody else says where it is: {text}");
    assert_eq!(scene.goes_to("db-1"), "203.0.113.66");
}

#[test]
fn what_was_agreed_to_is_read_back_and_is_about_one_ca() {
    let scene = scene(0);
    let listed = [host("web-1", &["www"], Some("192.0.2.1")), host("db-1", &["store"], None)];
    let domains = ["corp.example".parse().unwrap(), "b.example".parse().unwrap()];
    let from = Listed { server: CA, domains: &domains, hosts: &listed };
    let text = ssh_config::text(&from, &[], &scene.certs, &scene.program).unwrap();
    assert_eq!(names::server_of(&text), Some(CA));
    let agreed = Agreed::of(&text, CA);
    assert_eq!(agreed.domains, domains);
    let ssh = Ssh::without_us(&scene.state, &scene.home.0, "").unwrap();
    assert_eq!(agreed.held(&listed, &ssh, Look::Setup).unwrap(), []);
    let other = Agreed::of(&text, "https://other.example.com");
    assert!(other.domains.is_empty());
    assert_eq!(other.held(&[host("a.corp.example", &[], None)], &ssh, Look::Login).unwrap().len(), 1);
    drop(ssh);
    let left = scene.state.names();
    assert!(!left.iter().any(|name| name.starts_with("ssh_config")), "{left:?}");
}

#[test]
fn too_many_at_once_are_left_to_the_user() {
    let scene = scene(0);
    let many: Vec<_> = (0..300).map(|n| host(&format!("web-{n}"), &[], None)).collect();
    let (held, text) = scene.login("", &hosts(), &[], &many);
    assert_eq!(held.len(), 299);
    assert!(text.contains("web-1 ") && !text.contains("web-2 "), "{text}");
}

#[test]
fn who_is_asked_sees_what_does_not_belong_there() {
    let scene = scene(0);
    let mut listed: Vec<_> = (0..30).map(|n| host(&format!("web-{n}.corp.example"), &[], Some("192.0.2.1"))).collect();
    listed.push(host("evil", &["github.com", "bastion"], Some("203.0.113.66")));
    let ssh = Ssh::without_us(&scene.state, &scene.home.0, "Host bastion\n  HostName 10.0.0.5\n").unwrap();
    let held = Agreed::default().held(&listed, &ssh, Look::Setup).unwrap();
    assert_eq!(
        names::told(&held),
        [
            "bastion goes to 203.0.113.66, with certificates of evil; your own configuration says 10.0.0.5",
            "github.com goes to 203.0.113.66, with certificates of evil",
            "30 names in corp.example; one of them: web-0.corp.example goes to 192.0.2.1, with certificates of web-0.corp.example",
        ]
    );
    let line = names::left_out(&held, "jit-ssh.conf");
    assert!(line.starts_with("32 new host names are not in ~/.ssh/jit-ssh.conf (bastion, github.com, web-0"), "{line}");
    assert!(line.ends_with("`jit-ssh setup` shows where they go and asks") && !line.contains('\n'), "{line}");
}
