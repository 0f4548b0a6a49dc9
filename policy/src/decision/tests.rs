use super::*;
use crate::{
    Kind, Seconds,
    kit::{self, NOW},
};

/// `connect` for everybody, with annotations.
fn permit(id: &str, annotations: &str) -> String {
    format!("@id(\"{id}\") {annotations} permit (principal, action == Action::\"connect\", resource);\n")
}

fn forbid(id: &str, rest: &str) -> String {
    format!("@id(\"{id}\") {rest};\n")
}

const FORBID: &str = "@advice(\"ask sre\") forbid (principal, action == Action::\"connect\", resource)";
/// Type-checks, and overflows when it is evaluated.
const FAILS: &str =
    "permit (principal, action == Action::\"connect\", resource) when { context.duration * 9223372036854775807 > 1 }";

fn decided(policies: &str, ask: &Ask) -> Decision {
    decide(&kit::load(policies), ask, NOW)
}

fn granted(policies: &str, ask: &Ask) -> Grant {
    match decided(policies, ask) {
        Decision::Granted(grant) => *grant,
        other => panic!("not granted: {other:?}"),
    }
}

fn denied(policies: &str, ask: &Ask) -> Denied {
    match decided(policies, ask) {
        Decision::Denied(denied) => denied,
        other => panic!("not denied: {other:?}"),
    }
}

fn asking(duration: Option<&str>, reason: bool, ticket: bool) -> Ask {
    Ask {
        duration: duration.map(|span| span.parse().unwrap()),
        reason: reason.then(|| "because".parse().unwrap()),
        ticket: ticket.then(|| "T-1".parse().unwrap()),
        ..kit::ask(&[], "deploy@web-1")
    }
}

/// What came, in one word and the policies that made it.
fn told(decision: &Decision) -> String {
    match decision {
        Decision::Granted(grant) => format!("granted {}", grant.policy()),
        Decision::NeedsApproval(needs) => format!("approval {}", needs.terms.policy),
        Decision::Denied(denied) => {
            let ids: Vec<&str> = denied.policies.iter().map(PolicyId::as_str).collect();
            format!("{:?} {}", denied.cause, ids.join(",")).trim_end().to_owned()
        }
    }
}

#[test]
fn decision_table() {
    let open = || permit("open", "");
    let approved = || permit("approved", "@approvals(\"1\")");
    let reasoned = || permit("reasoned", "@reason(\"required\")");
    let fails = || forbid("fails", FAILS);
    let no = || forbid("no", FORBID);
    let bare = asking(None, false, false);
    let with_reason = asking(None, true, false);
    let rows: Vec<(&str, Vec<String>, &Ask, &str)> = vec![
        ("nothing at all", vec![], &bare, "NoPermit"),
        ("a permit", vec![open()], &bare, "granted open"),
        ("a permit with approvals", vec![approved()], &bare, "approval approved"),
        ("the permit without approvals wins", vec![approved(), open()], &bare, "granted open"),
        ("a term unmet", vec![reasoned()], &bare, "TermsUnmet reasoned"),
        ("a term met", vec![reasoned()], &with_reason, "granted reasoned"),
        ("the permit whose terms are met", vec![reasoned(), approved()], &bare, "approval approved"),
        ("forbid alone", vec![no()], &bare, "Forbidden no"),
        ("forbid wins", vec![open(), no()], &bare, "Forbidden no"),
        ("forbid wins over approval", vec![approved(), no()], &bare, "Forbidden no"),
        ("an error is a no", vec![fails()], &bare, "EvaluationFailed fails"),
        ("an error is a no beside a permit", vec![open(), fails()], &bare, "EvaluationFailed fails"),
        ("an error is a no beside a forbid", vec![no(), fails()], &bare, "EvaluationFailed fails"),
        (
            "an error in a policy of another group is nobody's business",
            vec![open(), fails().replace("(principal,", "(principal in Group::\"other\",")],
            &bare,
            "granted open",
        ),
    ];
    for (name, policies, ask, expect) in rows {
        assert_eq!(told(&decided(&policies.concat(), ask)), expect, "{name}");
    }
}

#[test]
fn one_permit_grants_never_a_mix() {
    let set = [
        permit("a-long", "@max_duration(\"8h\") @cert_ttl(\"10m\") @extensions(\"none\") @ticket(\"required\")"),
        permit("b-wide", "@max_duration(\"1h\") @cert_ttl(\"5m\") @extensions(\"permit-pty,permit-agent-forwarding\")"),
        permit("c-short", "@max_duration(\"30m\") @cert_ttl(\"2m\")"),
    ]
    .concat();
    // (asked for, with ticket, granted by, certificate, end after, others)
    let rows = [
        (None, true, "c-short", 120, 1800, vec!["b-wide", "a-long"]),
        (Some("1h"), true, "b-wide", 300, 3600, vec!["a-long"]),
        (Some("1h"), false, "b-wide", 300, 3600, vec![]),
        (Some("8h"), true, "a-long", 600, 28_800, vec![]),
    ];
    for (duration, ticket, policy, ttl, end, others) in rows {
        let grant = granted(&set, &asking(duration, false, ticket));
        assert_eq!(grant.policy().as_str(), policy);
        assert_eq!(grant.terms().cert_ttl.as_secs(), ttl);
        assert_eq!(grant.end().since(grant.start()), end);
        assert_eq!(grant.others().iter().map(PolicyId::as_str).collect::<Vec<_>>(), others);
        let none = grant.terms().extensions.is_empty();
        assert_eq!(none, policy == "a-long", "the extensions are those of the one permit");
    }
    let mixed = denied(&set, &asking(Some("8h"), false, false));
    assert_eq!(mixed.cause, Cause::TermsUnmet, "eight hours of one and no ticket of another is a mix");
    assert_eq!(mixed.unmet.len(), 3);
}

#[test]
fn permits_tie_by_approvals_then_certificate_then_id() {
    let set = [
        permit("z", "@cert_ttl(\"1m\")"),
        permit("b", "@cert_ttl(\"1m\")"),
        permit("a", "@cert_ttl(\"2m\")"),
        permit("first", "@cert_ttl(\"10s\") @approvals(\"1\")"),
    ]
    .concat();
    let grant = granted(&set, &asking(None, false, false));
    assert_eq!(grant.policy().as_str(), "b");
    assert_eq!(grant.others().iter().map(PolicyId::as_str).collect::<Vec<_>>(), ["z", "a", "first"]);
}

#[test]
fn durations_at_the_edges() {
    let set = permit("p", "@max_duration(\"1h\")");
    assert_eq!(granted(&set, &asking(Some("1h"), false, false)).end().since(NOW.time), 3600);
    assert_eq!(granted(&set, &asking(Some("1s"), false, false)).end().since(NOW.time), 1);
    for refused in ["0s", "1h1s", "365d"] {
        let denied = denied(&set, &asking(Some(refused), false, false));
        assert_eq!(denied.cause, Cause::TermsUnmet, "{refused}");
        assert_eq!(denied.unmet.first().unwrap().term, UnmetTerm::Duration(Seconds::new(3600)));
    }
}

#[test]
fn a_duration_left_open_escapes_no_limit() {
    let limit = "forbid (principal, action == Action::\"connect\", resource) when { context.duration > 7200 }";
    let set = [permit("p", "@max_duration(\"8h\")"), forbid("limit", limit)].concat();
    assert_eq!(denied(&set, &asking(None, false, false)).cause, Cause::Forbidden);
    assert_eq!(granted(&set, &asking(Some("2h"), false, false)).policy().as_str(), "p");
}

#[test]
fn an_alias_ends_at_the_inventory_name() {
    let set = permit("p", "");
    for name in ["web-1", "www", "web-1.example.com", "WWW"] {
        let grant = granted(&set, &kit::ask(&[], &format!("deploy@{name}")));
        assert_eq!(grant.target().to_string(), "deploy@web-1");
        let principals: Vec<&str> = grant.principals().iter().map(Principal::as_str).collect();
        assert_eq!(principals, ["deploy@web-1"]);
    }
}

#[test]
fn a_directory_account_and_a_bare_account() {
    let principals = |target: &str| {
        let grant = granted(&permit("p", ""), &kit::ask(&[], target));
        grant.principals().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(principals("ann@corp.example@web-1"), ["ann@corp.example@web-1"]);
    assert_eq!(principals("deploy@old-1"), ["deploy"]);
}

#[test]
fn unknown_hosts_and_accounts_are_refused_whatever_policy_says() {
    for target in ["deploy@web-2", "nobody@web-1", "root@db-1", "ROOT@web-1", "Deploy@web-1"] {
        assert_eq!(denied(&permit("p", ""), &kit::ask(&[], target)).cause, Cause::UnknownTarget, "{target}");
    }
}

#[test]
fn a_certificate_is_bound_to_its_source() {
    let any = asking(None, false, false);
    assert_eq!(granted(&permit("p", ""), &any).sources(), None);
    let shown = |annotation: &str, ask: &Ask| {
        let grant = granted(&permit("p", annotation), ask);
        grant.sources().unwrap().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(shown("@source_address(\"request\")", &any), ["192.0.2.1/32"]);
    let mapped = Ask { source: "::ffff:192.0.2.9".parse().unwrap(), ..any.clone() };
    assert_eq!(shown("@source_address(\"request\")", &mapped), ["192.0.2.9/32"]);
    let two = "@source_address(\"198.51.100.0/24, 2001:db8::/32\")";
    assert_eq!(shown(two, &any), ["198.51.100.0/24", "2001:db8::/32"]);
}

#[test]
fn advice_comes_from_the_forbids_that_matched_in_their_order() {
    let quiet = "forbid (principal, action, resource)";
    let set = [forbid("b", FORBID), forbid("a", quiet), forbid("c", &FORBID.replace("ask sre", "wait"))].concat();
    let denied = denied(&set, &asking(None, false, false));
    assert_eq!(denied.policies.iter().map(PolicyId::as_str).collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(denied.advice, ["ask sre", "wait"]);
}

/// It is asked for each target of each request of a list: what is scoped to other hosts costs nothing.
#[test]
fn groups_that_approve_elsewhere_alone_are_not_asked_about() {
    let elsewhere = |n| {
        format!(
            "@id(\"db-{n}\") permit (principal in Group::\"db-{n}\", action == Action::\"approve\", resource in HostGroup::\"db\");\n"
        )
    };
    let here = r#"
        @id("web") permit (principal in Group::"webbers", action == Action::"approve", resource in HostGroup::"web");
        @id("one") permit (principal in Group::"ones", action == Action::"approve", resource in Host::"web-1");
        @id("any") permit (principal in Group::"anys", action == Action::"approve", resource is Request);
        @id("root-by-one") @approvals("1")
        permit (principal in Group::"sre", action == Action::"connect", resource is Account);
    "#;
    let set = kit::load(&format!("{here}{}", (0..50).map(elsewhere).collect::<String>()));
    let Decision::NeedsApproval(needs) = decide(&set, &kit::ask(&["sre"], "deploy@web-1"), NOW) else { panic!() };
    assert_eq!(needs.approver_groups, ["anys", "ones", "webbers"]);
    assert!(set.asked() < 8, "{} questions", set.asked());
}

#[test]
fn approvers_are_the_groups_whose_policies_speak_of_this_request() {
    let approve = |id: &str, group: &str, rest: &str| {
        format!("@id(\"{id}\") permit (principal in Group::\"{group}\", action == Action::\"approve\", {rest};\n")
    };
    let set = [
        permit("p", "@approvals(\"2\")"),
        approve("1", "leads", "resource in HostGroup::\"web\")"),
        approve("2", "dba", "resource in HostGroup::\"db\")"),
        approve("3", "short", "resource) when { resource.duration <= 600 }"),
        approve("4", "peers", "resource) when { resource has requester && resource.requester in Group::\"sre\" }"),
        approve("5", "never", "resource)"),
        "@id(\"6\") forbid (principal in Group::\"never\", action == Action::\"approve\", resource);".to_owned(),
    ]
    .concat();
    let groups = |ask: &Ask| match decided(&set, ask) {
        Decision::NeedsApproval(needs) => needs.approver_groups,
        other => panic!("{other:?}"),
    };
    assert_eq!(groups(&asking(None, false, false)), ["leads"]);
    assert_eq!(groups(&asking(Some("10m"), false, false)), ["leads", "short"]);
    assert_eq!(groups(&kit::ask(&["sre"], "deploy@web-1")), ["leads", "peers"]);
    assert_eq!(groups(&kit::ask(&[], "deploy@db-1")), ["dba"]);
}

/// Conditions on the facts, each with an ask that meets it and how to spoil it.
#[test]
fn facts_reach_the_conditions() {
    type Spoil = fn(&mut Ask);
    let spoil: [(&str, Spoil); 14] = [
        ("context.mfa", |ask| ask.identity.mfa = false),
        ("context.auth_age <= 60", |ask| ask.identity.auth_time = Some(UnixTime::from_secs(1_772_625_539))),
        ("context.auth_age <= 60", |ask| ask.identity.auth_time = None),
        ("context.auth_age <= 60", |ask| ask.identity.auth_time = Some(UnixTime::from_secs(0))),
        ("context.auth_age <= 60", |ask| ask.identity.auth_time = Some(UnixTime::from_secs(u64::MAX))),
        ("context.amr.contains(\"otp\")", |ask| ask.identity.amr = vec!["pwd".into()]),
        ("context.source.isInRange(ip(\"192.0.2.0/24\"))", |ask| ask.source = [203, 0, 113, 1].into()),
        ("principal has email && principal.email == \"ann@example.com\"", |ask| ask.identity.email = None),
        ("principal == User::\"https://issuer.example.com ann\"", |ask| {
            ask.identity.issuer = "https://other.example.com".parse().unwrap();
        }),
        ("principal in Group::\"sre\"", |ask| ask.identity.groups.clear()),
        ("principal is User", |ask| ask.identity.kind = Kind::Workload),
        ("resource.name == \"deploy\" && resource.host == \"web-1\"", |ask| {
            ask.target = "root@web-1".parse().unwrap();
        }),
        ("resource.hasTag(\"env\") && resource.getTag(\"env\") == \"prod\"", |ask| {
            ask.target = "deploy@db-1".parse().unwrap();
        }),
        ("resource in Host::\"web-1\" && resource in HostGroup::\"prod\"", |ask| {
            ask.target = "deploy@db-1".parse().unwrap();
        }),
    ];
    for (condition, spoil) in spoil {
        let set =
            format!("@id(\"p\") permit (principal, action == Action::\"connect\", resource) when {{ {condition} }};");
        let mut ask = kit::ask(&["sre"], "deploy@web-1");
        assert_eq!(told(&decided(&set, &ask)), "granted p", "{condition}");
        spoil(&mut ask);
        assert_eq!(told(&decided(&set, &ask)), "NoPermit", "{condition}, spoilt");
    }
}

#[test]
fn clocks_are_local_and_utc() {
    let when = |condition: &str| {
        let rule =
            format!("@id(\"p\") permit (principal, action == Action::\"connect\", resource) when {{ {condition} }};");
        told(&decided(&rule, &asking(None, true, true))) == "granted p"
    };
    assert!(when("context.local == { weekday: 3, minute: 780 }"));
    assert!(when("context.utc == { weekday: 3, minute: 720 }"));
    assert!(when("context.time == 1772625600"));
    assert!(when("context has reason && context.reason == \"because\" && context has ticket"));
    assert!(!when("context.local.weekday >= 6"));
}

#[test]
fn a_fact_policies_may_name_and_nobody_knows_is_absent() {
    let set = "@id(\"p\") permit (principal, action == Action::\"connect\", resource) when { context has device || context has risk };";
    assert_eq!(told(&decided(set, &asking(None, false, false))), "NoPermit");
}

#[test]
fn the_set_can_be_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Policies>();
    shared::<Decision>();
}

#[test]
fn break_glass_is_opened_by_its_own_permit_alone() {
    let glass = "@id(\"glass\") @reason(\"required\") @record(\"required\") @review_within(\"24h\") @max_duration(\"15m\") \
                 permit (principal, action == Action::\"break-glass\", resource);\n";
    let any = "@id(\"any\") permit (principal, action, resource);\n";
    let no = "@id(\"no\") forbid (principal, action == Action::\"break-glass\", resource);\n";
    let fails = FAILS.replace("connect", "break-glass").replace("permit", "forbid");
    let with = asking(None, true, false);
    let rows: Vec<(&str, String, Ask, &str)> = vec![
        ("its own permit", glass.into(), with.clone(), "granted glass"),
        ("without a reason", glass.into(), asking(None, false, false), "TermsUnmet glass"),
        ("for too long", glass.into(), asking(Some("16m"), true, false), "TermsUnmet glass"),
        ("a permit to connect", permit("p", ""), with.clone(), "NoPermit"),
        ("a permit of any action", any.into(), with.clone(), "NoPermit"),
        ("both", [any, glass].concat(), with.clone(), "granted glass"),
        ("forbidden", [no, glass].concat(), with.clone(), "Forbidden no"),
        (
            "forbidden as any action is",
            [glass, &no.replace(" == Action::\"break-glass\"", "")].concat(),
            with.clone(),
            "Forbidden no",
        ),
        ("not evaluable", [glass, &forbid("f", &fails)].concat(), with.clone(), "EvaluationFailed f"),
        (
            "an unknown host",
            glass.into(),
            Ask { target: "deploy@web-9".parse().unwrap(), ..with.clone() },
            "UnknownTarget",
        ),
    ];
    for (name, policies, ask, expect) in rows {
        assert_eq!(told(&decide_break_glass(&kit::load(&policies), &ask, NOW)), expect, "{name}");
    }
    assert_eq!(told(&decided(glass, &with)), "NoPermit", "and it opens nothing else");
    let Decision::Granted(grant) = decide_break_glass(&kit::load(glass), &with, NOW) else { panic!("not granted") };
    assert_eq!((grant.end().since(grant.start()), grant.request()), (900, None));
}

#[test]
fn offers_are_all_that_would_do_best_first() {
    let set =
        [permit("b", "@approvals(\"2\")"), permit("a", "@approvals(\"1\")"), permit("c", "@ticket(\"required\")")];
    let ids = |policies: &str, ask: &Ask| {
        offers(&kit::load(policies), ask, NOW).iter().map(|terms| terms.policy.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&set.concat(), &asking(None, false, false)), ["a", "b"]);
    assert_eq!(ids(&set.concat(), &asking(None, false, true)), ["c", "a", "b"]);
    assert_eq!(ids(&[&set.concat(), &*forbid("no", FORBID)].concat(), &asking(None, false, true)), [""; 0]);
    assert_eq!(ids("", &asking(None, false, false)), [""; 0]);
}

#[test]
fn another_moment_keeps_the_distance_from_utc() {
    // (seconds later, weekday, minute) from Wednesday 13:00 in Berlin
    for (later, weekday, minute) in [
        (0i64, 3, 780),
        (60, 3, 781),
        (11 * 3600, 4, 0),
        (-13 * 3600, 3, 0),
        (-13 * 3600 - 60, 2, 1439),
        (5 * 86_400, 1, 780),
    ] {
        let time = UnixTime::from_secs(NOW.time.as_secs().checked_add_signed(later).unwrap());
        assert_eq!(NOW.at(time), Now { time, weekday, minute }, "{later}");
    }
}
