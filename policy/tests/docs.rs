//! docs/POLICY.md: every example in it loads, and its table of terms knows every annotation.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::let_underscore_must_use,
    reason = "a test that cannot go on fails"
)]

use policy::{Policies, Source, Sources};

const PAGE: &str = include_str!("../../docs/POLICY.md");
const GROUPS: &str = include_str!("../../ca-server/starter/policy/groups.toml");
const HOSTS: &str = include_str!("../../ca-server/starter/policy/hosts.toml");

fn blocks(language: &str) -> Vec<&'static str> {
    let opening = format!("```{language}\n");
    PAGE.split(&opening).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

fn source(name: &str, text: &str) -> Source {
    Source { name: name.into(), text: text.into() }
}

fn load(sources: &Sources) -> Policies {
    Policies::load(sources)
        .unwrap_or_else(|all| panic!("{}", all.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")))
}

#[test]
fn every_cedar_example_loads() {
    let all = blocks("cedar");
    assert!(all.len() >= 7, "{} examples", all.len());
    let policies = all.iter().enumerate().map(|(n, text)| source(&format!("example {n}"), text)).collect();
    let (hosts, groups) = (Some(source("hosts.toml", HOSTS)), Some(source("groups.toml", GROUPS)));
    load(&Sources { policies, hosts, groups, tests: Vec::new() });
}

#[test]
fn every_toml_example_loads_and_the_test_passes() {
    let toml = blocks("toml");
    let of = |table: &str| toml.iter().find(|text| text.starts_with(table)).map(|text| (*text).to_owned()).unwrap();
    let groups = format!("{}[[group]]\nname = \"web\"\n", of("[[group]]"));
    let permit = "@id(\"prod/oncall\") permit (principal in Group::\"oncall\", action == Action::\"connect\", resource) \
                  when { context.auth_age <= 600 };";
    let sources = Sources {
        policies: vec![source("p.cedar", permit)],
        hosts: Some(source("hosts.toml", &of("[[host]]"))),
        groups: Some(source("groups.toml", &groups)),
        tests: vec![source("tests/a.toml", &of("[[test]]"))],
    };
    let outcomes = load(&sources).run_tests(&sources);
    assert_eq!(outcomes.len(), 1);
    assert_eq!(outcomes[0].result, Ok(()));
}
