//! Whatever stands in a policy directory: an answer, never a panic, a hang or an exhausted stack.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

use policy::{Ask, Identity, Kind, Now, Policies, Source, Sources, UnixTime, explain};
use proptest::prelude::*;

fn load(policies: &str, toml: &str) -> Sources {
    let source = |name: &str, text: &str| Source { name: name.into(), text: text.into() };
    let sources = Sources {
        policies: vec![source("p.cedar", policies)],
        hosts: Some(source("hosts.toml", toml)),
        groups: Some(source("groups.toml", toml)),
        tests: vec![source("tests/t.toml", toml)],
    };
    if let Err(findings) = Policies::load(&sources) {
        assert!(!findings.is_empty() && findings.len() <= 300);
        for finding in findings {
            let shown = finding.to_string();
            assert!(!shown.replace('\n', "").chars().any(char::is_control), "{shown:?}");
        }
    }
    Policies::load(&Sources::default()).unwrap().run_tests(&sources);
    sources
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text(policies in any::<String>(), toml in any::<String>()) {
        load(&policies, &toml);
    }

    #[test]
    fn nearly_a_policy(text in "@(id|advice|approvals)\\(\"[ -~\\u{202e}]{0,8}\"\\) (permit|forbid) ?\\(principal( in Group::\"[^\"\\\\]{0,4}\")?, action, resource\\)( when \\{ ?[a-z.&|!() ]{0,20} ?\\})?;?") {
        load(&text, "");
    }

    #[test]
    fn nearly_an_inventory(text in "\\[\\[(host|group|test)\\]\\]\n((name|aliases|port|groups|labels|accounts|at|expect|user) = (\"[a-z*,\\n@-]{0,6}\"|[0-9-]{1,12}|\\[\"?[a-z]{0,3}\"?\\]|\\{[a-z]? ?=? ?1?\\}|true)\n){0,5}") {
        load("", &text);
    }
}

/// Loads and, where that is possible, decides and explains on an ordinary thread's stack.
fn through(policy: &str) {
    let sources = Sources {
        hosts: Some(Source { name: "h".into(), text: "[[host]]\nname = \"h\"\naccounts = [\"a\"]".into() }),
        policies: vec![Source { name: "p".into(), text: policy.into() }],
        tests: vec![Source {
            name: "t".into(),
            text: "[[test]]\nname = \"t\"\nuser = \"u\"\ntarget = \"a@h\"\nexpect = \"denied\"".into(),
        }],
        ..Sources::default()
    };
    if let Ok(policies) = Policies::load(&sources) {
        let ask = Ask {
            identity: Identity {
                kind: Kind::User,
                issuer: "https://i".parse().unwrap(),
                subject: "u".parse().unwrap(),
                email: None,
                groups: vec![],
                amr: vec![],
                acr: None,
                mfa: false,
                auth_time: None,
                claims: vec![],
                known_as: vec![],
            },
            target: "a@h".parse().unwrap(),
            duration: None,
            reason: None,
            ticket: None,
            source: [192, 0, 2, 1].into(),
        };
        let now = Now { time: UnixTime::from_secs(0), weekday: 4, minute: 0 };
        eprintln!("DECIDE");
        policy::decide(&policies, &ask, now);
        eprintln!("EXPLAIN");
        explain(&policies, &ask, now);
        eprintln!("DONE");
    }
}

#[test]
fn deep_and_long_conditions_exhaust_no_stack() {
    let policy = |condition: &str| format!("@id(\"a\") permit (principal, action, resource) when {{ {condition} }};");
    for depth in [20, 29, 100, 190, 390, 20_000] {
        let nest =
            |open: &str, close: &str| policy(&format!("{}context.mfa{}", open.repeat(depth), close.repeat(depth)));
        through(&nest("(", ")"));
        through(&nest("[", "]"));
        through(&nest("context.mfa && ", ""));
        through(&nest("context.mfa || ", ""));
        through(&nest("if context.mfa then true else ", ""));
        through(&nest("{a: ", "}"));
        through(&nest("!(", ")"));
        through(&policy(&format!("context{}", ".mfa".repeat(depth))));
        through(&policy(&format!("1{} > 0", " + 1".repeat(depth))));
        load("", &format!("a = {}{}", "[".repeat(depth), "]".repeat(depth)));
    }
}
