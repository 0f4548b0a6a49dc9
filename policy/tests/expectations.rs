//! Policy tests that are wrong say so, with their place and a hint; policy tests that fail say what came.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::let_underscore_must_use,
    reason = "a test that cannot go on fails"
)]

use policy::{Policies, Source, Sources, TestOutcome};

const SET: &str = r#"
@id("a") @approvals("1") permit (principal in Group::"a", action == Action::"connect", resource);
@id("b") @max_duration("30m") @reason("required") permit (principal in Group::"b", action == Action::"connect", resource);
@id("lead") permit (principal in Group::"leads", action == Action::"approve", resource);
"#;

fn run(tests: &str) -> Vec<TestOutcome> {
    let source = |name: &str, text: &str| Source { name: name.into(), text: text.into() };
    let sources = Sources {
        policies: vec![source("p.cedar", SET)],
        hosts: Some(source("hosts.toml", "[[host]]\nname = \"web-1\"\naccounts = [\"deploy\"]")),
        groups: None,
        tests: vec![source("tests/t.toml", tests)],
    };
    Policies::load(&sources).unwrap().run_tests(&sources)
}

/// One test's outcome; `rest` follows a name, a user and a target.
fn outcome(rest: &str) -> TestOutcome {
    let all = run(&format!("# one\n[[test]]\nname = \"t\"\nuser = \"ann\"\ntarget = \"deploy@web-1\"\n{rest}"));
    assert_eq!(all.len(), 1);
    all.into_iter().next().unwrap()
}

#[test]
fn what_passes() {
    for rest in [
        "expect = \"denied\"\ncause = \"no-permit\"\npolicies = []",
        "groups = [\"a\"]\nexpect = \"needs-approval\"\npolicy = \"a\"\napprovals = 1\napprover_groups = [\"leads\"]",
        "groups = [\"b\"]\nexpect = \"denied\"\npolicy = \"b\"\nunmet = [\"reason\"]",
        "groups = [\"b\"]\nduration = \"31m\"\nexpect = \"denied\"\nunmet = [\"duration\", \"reason\"]",
        "groups = [\"b\", \"a\"]\nreason = \"x\"\nexpect = \"granted\"\nothers = [\"a\"]\ngranted_for = \"1800s\"\nrecord = false",
    ] {
        assert_eq!(outcome(rest).result, Ok(()), "{rest}");
    }
}

#[test]
fn what_fails_says_what_came() {
    for (rest, why) in [
        ("expect = \"granted\"", "expected expect granted, came denied; the decision was: denied, no-permit"),
        (
            "expect = \"denied\"\npolicy = \"a\"",
            "expected policies a, came nothing; the decision was: denied, no-permit",
        ),
        (
            "groups = [\"a\"]\nexpect = \"needs-approval\"\napprovals = 2\ncert_ttl = \"1m\"",
            "expected cert_ttl 1m, came 5m; expected approvals 2, came 1; the decision was: needs-approval by a",
        ),
        (
            "groups = [\"a\"]\nexpect = \"needs-approval\"\ncause = \"no-permit\"",
            "expected cause no-permit, came nothing; the decision was: needs-approval by a",
        ),
    ] {
        let outcome = outcome(rest);
        assert_eq!((outcome.file.as_str(), outcome.line, outcome.name.as_str()), ("tests/t.toml", 2, "t"));
        assert_eq!(outcome.result, Err(why.to_owned()));
    }
}

#[test]
fn what_is_misspelt_is_refused() {
    for (rest, line, why) in [
        ("expect = \"denied\"\ndurration = \"1h\"", 7, "unknown key `durration`; did you mean `duration`?"),
        ("expect = \"grantd\"", 6, "`grantd` is no expect; did you mean `granted`?"),
        ("expect = \"denied\"\ncause = \"no-permits\"", 7, "`no-permits` is no cause; did you mean `no-permit`?"),
        ("", 2, "a test expects nothing"),
        ("expect = \"denied\"\nworkload = \"x\"", 2, "a test names one of `user` and `workload`"),
        ("expect = \"denied\"\nat = 2026-03-04T10:00:00", 7, "`at` is not a moment after 1970"),
        ("expect = \"denied\"\nat = 1969-03-04T10:00:00Z", 7, "`at` is not a moment after 1970"),
        ("expect = \"denied\"\nsource = \"here\"", 7, "`here` is not an IP address"),
        ("expect = \"denied\"\nduration = \"1y\"", 7, "`1y` is not a valid duration"),
        ("expect = \"denied\"\napprovals = 256", 7, "`approvals` is not a whole number"),
        ("expect = ", 6, ""),
    ] {
        let outcome = outcome(rest);
        let said = outcome.result.unwrap_err();
        assert!(said.contains(why), "{rest}: {said}");
        assert_eq!(outcome.line, line, "{rest}: {said}");
    }
    assert!(run("[[test]]\nuser = \"a\"").first().unwrap().result.as_ref().unwrap_err().contains("has no name"));
}

#[test]
fn the_clock_on_the_wall() {
    let source = |name: &str, text: &str| Source { name: name.into(), text: text.into() };
    let rows = [
        (
            "2026-03-04T00:30:00+01:00",
            "context.local == {weekday: 3, minute: 30} && context.utc == {weekday: 2, minute: 1410}",
        ),
        (
            "2024-02-29T23:59:59-05:30",
            "context.local == {weekday: 4, minute: 1439} && context.utc == {weekday: 5, minute: 329}",
        ),
        ("2000-03-01T00:00:00Z", "context.time == 951868800 && context.utc == context.local"),
        ("1970-01-01T00:00:00Z", "context.time == 0 && context.utc.weekday == 4"),
        ("2100-03-01T12:00:00Z", "context.time == 4107585600 && context.utc.weekday == 1"),
    ];
    for (at, condition) in rows {
        let permit =
            format!("@id(\"p\") permit (principal, action == Action::\"connect\", resource) when {{ {condition} }};");
        let test = format!("[[test]]\nname = \"t\"\nuser = \"a\"\ntarget = \"x@h\"\nat = {at}\nexpect = \"granted\"");
        let sources = Sources {
            policies: vec![source("p.cedar", &permit)],
            hosts: Some(source("hosts.toml", "[[host]]\nname = \"h\"\naccounts = [\"x\"]")),
            groups: None,
            tests: vec![source("t.toml", &test)],
        };
        let outcomes = Policies::load(&sources).unwrap().run_tests(&sources);
        assert_eq!(outcomes.first().unwrap().result, Ok(()), "{at}");
    }
}
