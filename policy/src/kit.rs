//! What the tests of this crate share: a small inventory, and an ask to vary.

use crate::{Ask, Finding, Identity, Kind, Now, Policies, Source, Sources, UnixTime};

pub(crate) const GROUPS: &str = "[[group]]\nname = \"web\"\n[[group]]\nname = \"prod\"\n[[group]]\nname = \"db\"\n";

pub(crate) const HOSTS: &str = r#"
[[host]]
name = "web-1"
aliases = ["www", "web-1.example.com"]
groups = ["web", "prod"]
accounts = ["deploy", "root", "ann@corp.example"]
labels = { env = "prod" }
[[host]]
name = "db-1"
groups = ["db"]
accounts = ["postgres", "deploy"]
[[host]]
name = "old-1"
binding = "account"
accounts = ["deploy"]
"#;

pub(crate) fn sources(policies: &str) -> Sources {
    let source = |name: &str, text: &str| Source { name: name.into(), text: text.into() };
    Sources {
        policies: vec![source("p.cedar", policies)],
        hosts: Some(source("hosts.toml", HOSTS)),
        groups: Some(source("groups.toml", GROUPS)),
        tests: Vec::new(),
    }
}

pub(crate) fn load(policies: &str) -> Policies {
    Policies::load(&sources(policies)).unwrap_or_else(|findings| panic!("{}", shown(&findings)))
}

pub(crate) fn findings(policies: &str) -> Vec<Finding> {
    Policies::load(&sources(policies)).err().unwrap_or_default()
}

pub(crate) fn shown(findings: &[Finding]) -> String {
    findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Ann, freshly logged in with two factors, in `groups`, for `target`, from 192.0.2.1.
pub(crate) fn ask(groups: &[&str], target: &str) -> Ask {
    Ask {
        identity: Identity {
            kind: Kind::User,
            issuer: "https://issuer.example.com".parse().unwrap(),
            subject: "ann".parse().unwrap(),
            email: Some("ann@example.com".parse().unwrap()),
            groups: groups.iter().map(|group| group.parse().unwrap()).collect(),
            amr: vec!["pwd".into(), "otp".into()],
            acr: None,
            mfa: true,
            auth_time: Some(UnixTime::from_secs(1_772_625_600 - 60)),
            claims: Vec::new(),
            known_as: Vec::new(),
        },
        target: target.parse().unwrap(),
        duration: None,
        reason: None,
        ticket: None,
        source: [192, 0, 2, 1].into(),
    }
}

/// Wednesday 2026-03-04, noon UTC, one o'clock in Berlin.
pub(crate) const NOW: Now = Now { time: UnixTime::from_secs(1_772_625_600), weekday: 3, minute: 780 };
