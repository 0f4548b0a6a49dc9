//! `hosts.toml` and `groups.toml`: what is taken, what is refused, and where.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::let_underscore_must_use,
    reason = "a test that cannot go on fails"
)]

use policy::{Binding, Finding, HostName, Inventory, Policies, Source, Sources};
use std::fmt::Write as _;

const GROUPS: &str = "[[group]]\nname = \"web\"\nabout = \"the web\"\n[[group]]\nname = \"prod\"\n";

fn load(hosts: &str, groups: &str) -> Result<Policies, Vec<Finding>> {
    let source = |name: &str, text: &str| Some(Source { name: name.into(), text: text.into() });
    let sources =
        Sources { hosts: source("hosts.toml", hosts), groups: source("groups.toml", groups), ..Sources::default() };
    Policies::load(&sources)
}

fn host<'a>(inventory: &'a Inventory, name: &str) -> Option<&'a policy::Host> {
    inventory.host(&name.parse::<HostName>().unwrap())
}

#[test]
fn a_host_with_everything_and_one_with_nothing() {
    let hosts = r#"
        [[host]]
        name = "Web-1"
        aliases = ["www", "www.example.com"]
        address = "192.0.2.7"
        port = 2222
        groups = ["web", "prod"]
        labels = { env = "prod", "team/name" = "shop ü" }
        accounts = ["root", "deploy", "ann@corp.example"]
        binding = "host"
        [[host]]
        name = "a"
    "#;
    let policies = load(hosts, GROUPS).unwrap();
    let inventory = policies.inventory();
    assert_eq!(inventory.hosts().map(|host| host.name().as_str()).collect::<Vec<_>>(), ["a", "web-1"]);
    let web = host(inventory, "WWW.example.com").unwrap();
    assert_eq!((web.name().as_str(), web.address(), web.port()), ("web-1", Some("192.0.2.7"), 2222));
    assert_eq!(web.groups().iter().map(|group| group.as_str()).collect::<Vec<_>>(), ["prod", "web"]);
    assert_eq!(web.accounts().iter().map(|a| a.as_str()).collect::<Vec<_>>(), ["ann@corp.example", "deploy", "root"]);
    assert_eq!(web.labels().get("team/name").map(String::as_str), Some("shop ü"));
    let bare = host(inventory, "a").unwrap();
    assert_eq!((bare.address(), bare.port(), bare.binding()), (None, 22, Binding::Host));
    assert!(bare.accounts().is_empty() && host(inventory, "b").is_none());
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_a_hint() {
    let one = "[[host]]\nname = \"a\"\n";
    // (hosts.toml, file, line, message, hint)
    let rows: Vec<(String, u32, &str, &str)> = vec![
        ("[[host]]\n".into(), 1, "`name` is missing", "add name"),
        (format!("{one}acounts = [\"x\"]"), 3, "unknown key `acounts`", "did you mean `accounts`?"),
        ("[[hosts]]\nname = \"a\"".into(), 1, "unknown key `hosts`", "did you mean `host`?"),
        ("host = 1".into(), 1, "not a list of tables", "[[host]]"),
        ("host = [1]".into(), 1, "not a list of tables", "[[host]]"),
        ("[[host]\n".into(), 1, "", ""),
        ("[[host]]\nname = \"a b\"".into(), 2, "not a valid host name", "labels"),
        ("[[host]]\nname = 1".into(), 2, "`name` is not a text", "write"),
        (format!("{one}{one}"), 4, "already names host `a`", "one host only"),
        (format!("{one}aliases = [\"a\"]"), 3, "already names host `a`", "one host only"),
        (format!("{one}[[host]]\nname = \"b\"\naliases = [\"A\"]"), 5, "already names host `a`", "one host only"),
        (format!("{one}groups = [\"wev\"]"), 3, "not declared in groups.toml", "did you mean `web`?"),
        (format!("{one}groups = [\"web\", \"web\"]"), 3, "twice", "remove"),
        (format!("{one}groups = \"web\""), 3, "not a list of texts", "write"),
        (format!("{one}accounts = [\"a,b\"]"), 3, "not a valid account", "letters"),
        (format!("{one}accounts = [\"x\", \"x\"]"), 3, "twice", "remove"),
        (format!("{one}accounts = [1]"), 3, "list of texts", "quotes"),
        (format!("{one}binding = \"acount\""), 3, "not a binding", "did you mean `account`?"),
        (
            format!("{one}binding = \"account\"\naccounts = [\"deploy@web-2\"]"),
            4,
            "cannot be used with binding",
            "unambiguous",
        ),
        (format!("{one}port = 0"), 1, "port 0", "65535"),
        (format!("{one}port = 65536"), 3, "`port` is not a whole number", "write"),
        (format!("{one}port = \"22\""), 3, "`port` is not a whole number", "write"),
        (format!("{one}address = \"-oProxyCommand=id\""), 3, "not an address", "IP address"),
        (format!("{one}address = \"web 1\""), 3, "not an address", "IP address"),
        (format!("{one}labels = {{ \"a b\" = \"x\" }}"), 3, "label `a b`", "use 1 to 64"),
        (format!("{one}labels = {{ a = 1 }}"), 3, "`a` is not a text", "quotes"),
        (format!("{one}# \u{202e}"), 3, "invisible", "remove"),
    ];
    for (text, line, message, hint) in rows {
        let findings = load(&text, GROUPS).err().unwrap_or_else(|| panic!("taken: {text}"));
        let first = findings.first().unwrap();
        assert_eq!(first.file, "hosts.toml", "{first}");
        assert_eq!(first.line, line, "{text}\n{first}");
        assert!(first.message.contains(message), "{text}\n{first}");
        assert!(first.hint.as_deref().unwrap_or("").contains(hint), "{text}\n{first}");
    }
}

#[test]
fn groups_are_as_strict() {
    for (text, message) in [
        ("[[group]]\nname = \"web\"\n[[group]]\nname = \"web\"", "declared twice"),
        ("[[group]]\nname = \"Web\"", "not a valid host group"),
        ("[[group]]\nnam = \"web\"", "unknown key `nam`"),
        ("[[group]]\nname = \"web\"\nabout = 1", "`about` is not a text"),
    ] {
        let findings = load("", text).err().unwrap_or_else(|| panic!("taken: {text}"));
        assert!(findings.first().unwrap().message.contains(message), "{findings:?}");
    }
}

#[test]
fn ten_thousand_hosts() {
    let mut hosts = String::new();
    for n in 0..10_000 {
        writeln!(
            hosts,
            "[[host]]\nname = \"h{n}\"\naliases = [\"h{n}.example.com\"]\ngroups = [\"web\"]\naccounts = [\"deploy\"]"
        )
        .unwrap();
    }
    let policies = load(&hosts, GROUPS).unwrap();
    assert_eq!(policies.inventory().hosts().len(), 10_000);
    assert_eq!(host(policies.inventory(), "h9999.example.com").unwrap().name().as_str(), "h9999");
}
