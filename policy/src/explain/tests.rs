use super::explain;
use crate::{Ask, Decision, Near, kit};

const SET: &str = r#"
@id("sre") permit (principal in Group::"sre", action == Action::"connect", resource in HostGroup::"web")
  when { context.mfa && context.auth_age <= 3600 } unless { resource.name == "root" || context.local.weekday > 5 };
@id("dba") permit (principal in Group::"sre", action == Action::"connect", resource in HostGroup::"db");
@id("far") permit (principal in Group::"dba", action == Action::"connect", resource in HostGroup::"db");
@id("bob") permit (principal == User::"https://issuer.example.com bob", action == Action::"connect", resource);
@id("mail") @reason("required") permit (principal is User, action == Action::"connect", resource)
  when { principal has email && principal.email == "bob@example.com" };
@id("robot") permit (principal is Workload, action == Action::"connect", resource);
@id("approve") permit (principal in Group::"sre", action == Action::"approve", resource);
@id("night") @advice("sleep") forbid (principal, action == Action::"connect", resource) when { context.local.minute < 300 };
"#;

fn near(ask: &Ask) -> Vec<(String, Vec<String>)> {
    let (_, explanation) = explain(&kit::load(SET), ask, kit::NOW);
    explanation.nearly.into_iter().map(|Near { policy, changes, .. }| (policy.to_string(), changes)).collect()
}

fn changes(ask: &Ask, policy: &str) -> Vec<String> {
    near(ask).into_iter().find(|(id, _)| id == policy).map(|(_, changes)| changes).unwrap_or_default()
}

#[test]
fn names_the_group_that_is_missing_and_what_the_group_would_not_mend() {
    assert_eq!(changes(&kit::ask(&[], "deploy@web-1"), "sre"), ["you would have to be in group `sre`"]);
    let mut ask = kit::ask(&[], "root@web-1");
    ask.identity.mfa = false;
    let expected = [
        "you would have to be in group `sre`",
        "condition not met: context.mfa",
        "must not hold: resource.name == \"root\"",
    ];
    assert_eq!(changes(&ask, "sre"), expected);
}

#[test]
fn names_the_target_that_would_match() {
    let ask = kit::ask(&["sre"], "deploy@web-1");
    assert_eq!(changes(&ask, "dba"), ["the request would have to be for a host in group `db`"]);
}

#[test]
fn a_guarded_condition_is_told_once_and_terms_are_told_too() {
    let mut ask = kit::ask(&[], "deploy@web-1");
    let wrong_mail = "condition not met: principal.email == \"bob@example.com\"";
    assert_eq!(changes(&ask, "mail"), [wrong_mail, "a reason would have to be given"]);
    ask.identity.email = None;
    ask.reason = Some("because".parse().unwrap());
    assert_eq!(changes(&ask, "mail"), ["condition not met: principal has email"]);
}

#[test]
fn does_not_tell_who_else_is_named_nor_what_is_far() {
    let near = near(&kit::ask(&[], "deploy@web-1"));
    let ids: Vec<&str> = near.iter().map(|(id, _)| id.as_str()).collect();
    assert!(!ids.contains(&"far"), "two parts of its scope are missed");
    assert!(!ids.contains(&"robot"), "a person cannot become a workload");
    assert!(!ids.contains(&"approve"), "it does not speak of connecting");
    assert!(!ids.contains(&"night"), "forbids are not told to whom is denied anyway");
    assert_eq!(ids, ["bob", "sre", "mail"], "nearest first");
    assert!(!format!("{near:?}").contains("issuer.example.com bob"));
}

#[test]
fn a_forbid_that_nearly_matched_is_told_to_whom_is_granted() {
    let (decision, explanation) = explain(&kit::load(SET), &kit::ask(&["sre"], "deploy@web-1"), kit::NOW);
    assert!(matches!(decision, Decision::Granted(_)));
    assert_eq!(explanation.matched, ["sre".parse().unwrap()]);
    let night = explanation.nearly.iter().find(|near| near.policy.as_str() == "night").unwrap();
    assert!(!night.permits);
    assert_eq!(night.changes, ["condition not met: context.local.minute < 300"]);
}

#[test]
fn an_unknown_target_tells_nothing() {
    let (_, explanation) = explain(&kit::load(SET), &kit::ask(&["sre"], "deploy@nowhere"), kit::NOW);
    assert_eq!(explanation, super::Explanation::default());
}

#[test]
fn the_list_is_bounded() {
    let many: String = (0..500)
        .map(|n| {
            format!("@id(\"p{n}\") permit (principal in Group::\"g{n}\", action == Action::\"connect\", resource);\n")
        })
        .collect();
    let (_, explanation) = explain(&kit::load(&many), &kit::ask(&[], "deploy@web-1"), kit::NOW);
    assert_eq!(explanation.nearly.len(), super::MOST);
}
