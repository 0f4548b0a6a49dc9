use crate::{
    kit::{findings, sources},
    *,
};

/// (what, policy text, line, column, part of the message, part of the hint)
const REFUSED: &[(&str, &str, u32, u32, &str, &str)] = &[
    ("no id", "\npermit (principal, action, resource);", 2, 1, "no @id", "write @id("),
    ("misspelt id", "@Id(\"x\") permit (principal, action, resource);", 1, 1, "no @id", "did you mean `id`"),
    ("empty id", "@id(\"\") permit (principal, action, resource);", 1, 1, "not a valid policy id", "write @id("),
    ("id with a space", "@id(\"a b\") permit (principal, action, resource);", 1, 1, "not a valid policy id", "@id("),
    (
        "the same id twice",
        "@id(\"a\") permit (principal, action, resource);\n@id(\"a\") forbid (principal, action, resource);",
        2,
        1,
        "is taken",
        "id of its own",
    ),
    (
        "misspelt term",
        "@id(\"a\")\n  @aprovals(\"1\") permit (principal, action, resource);",
        2,
        3,
        "@aprovals is not known",
        "did you mean `approvals`",
    ),
    (
        "unknown annotation",
        "@id(\"a\") @colour(\"red\") permit (principal, action, resource);",
        1,
        10,
        "@colour is not known",
        "known here",
    ),
    (
        "term on a forbid",
        "@id(\"a\") @approvals(\"1\") forbid (principal, action, resource);",
        1,
        10,
        "a forbid has none",
        "@approvals",
    ),
    (
        "advice on a permit",
        "@id(\"a\") @advice(\"x\") permit (principal, action, resource);",
        1,
        10,
        "this is a permit",
        "on a forbid",
    ),
    (
        "term without access",
        "@id(\"a\") @max_duration(\"1h\") permit (principal, action == Action::\"approve\", resource);",
        1,
        10,
        "permits no access",
        "@max_duration",
    ),
    ("syntax", "@id(\"a\") permit (principal action, resource);", 1, 28, "unexpected token", "expected"),
    ("unknown action", "@id(\"a\") permit (principal, action == Action::\"conect\", resource);", 1, 0, "", ""),
    (
        "unknown attribute",
        "@id(\"a\") permit (principal, action == Action::\"connect\", resource) when { context.mfaa };",
        1,
        0,
        "mfaa",
        "mfa",
    ),
    (
        "unguarded optional",
        "@id(\"a\") permit (principal, action == Action::\"connect\", resource) when { context.reason == \"x\" };",
        1,
        0,
        "reason",
        "has",
    ),
    (
        "wrong type",
        "@id(\"a\") permit (principal, action == Action::\"connect\", resource) when { context.mfa == 1 };",
        1,
        0,
        "type",
        "",
    ),
    (
        "never matches",
        "@id(\"a\") permit (principal, action == Action::\"connect\", resource) when { false };",
        1,
        0,
        "",
        "",
    ),
    (
        "template",
        "@id(\"a\") permit (principal in ?principal, action, resource);",
        1,
        31,
        "templates are not used",
        "write the policy out",
    ),
    (
        "undeclared host group",
        "@id(\"a\") permit (principal, action == Action::\"connect\", resource in HostGroup::\"webb\");",
        1,
        1,
        "not declared",
        "did you mean `web`",
    ),
    (
        "unknown host",
        "@id(\"a\") permit (principal, action == Action::\"connect\", resource in Host::\"web-2\");",
        1,
        1,
        "not in hosts.toml",
        "`web-1`",
    ),
    (
        "host by its alias",
        "@id(\"a\") permit (principal, action == Action::\"connect\", resource in Host::\"www\");",
        1,
        1,
        "another name of `web-1`",
        "Host::\"web-1\"",
    ),
    (
        "unknown account",
        "@id(\"a\") forbid (principal, action == Action::\"connect\", resource == Account::\"root@db-1\");",
        1,
        1,
        "not in hosts.toml",
        "account@host",
    ),
    (
        "identity without issuer",
        "@id(\"a\") permit (principal == User::\"ann\", action == Action::\"connect\", resource);",
        1,
        1,
        "names no identity",
        "one space",
    ),
    (
        "approval by a machine",
        "@id(\"a\") permit (principal is Workload, action == Action::\"approve\", resource);",
        1,
        0,
        "",
        "",
    ),
    (
        "invisible character",
        "// \u{202e}\n@id(\"a\") permit (principal, action, resource);",
        1,
        4,
        "invisible",
        "remove",
    ),
];

#[test]
fn a_bad_set_is_refused_with_its_place_and_a_hint() {
    for (what, text, line, column, message, hint) in REFUSED {
        let found = findings(text);
        let first = found.first().unwrap_or_else(|| panic!("{what}: accepted"));
        assert_eq!(first.file, "p.cedar", "{what}: {first}");
        assert_eq!(first.line, *line, "{what}: {first}");
        assert!(*column == 0 || first.column == *column, "{what}: {first}");
        assert!(first.message.contains(message), "{what}: {first}");
        assert!(first.hint.as_deref().unwrap_or("").contains(hint), "{what}: {first}");
    }
}

#[test]
fn everything_wrong_is_told_at_once() {
    let text = "@id(\"a\") @x(\"1\") @y(\"1\") permit (principal, action, resource);\n@id(\"b\") @z(\"1\") permit (principal, action, resource);";
    assert_eq!(findings(text).len(), 3);
}

#[test]
fn annotations_in_every_form() {
    let good = [
        "@max_duration(\"365d\")",
        "@max_duration(\"1s\")",
        "@cert_ttl(\"24h\")",
        "@approvals(\"0\")",
        "@approvals(\"10\")",
        "@approvals(\"2\") @approvers_from_groups(\"2\")",
        "@approvals(\"2\") @approval_levels(\"leads, security\")",
        "@approvals(\"3\") @approval_levels(\"leads\") @approvers_from_groups(\"2\")",
        "@claim_within(\"1s\")",
        "@claim_within(\"365d\")",
        "@reason(\"required\")",
        "@ticket(\"required\")",
        "@record(\"required\")",
        "@verify_required(\"true\")",
        "@verify_required(\"required\")",
        "@extensions(\"none\")",
        "@extensions(\"permit-pty, permit-X11-forwarding\")",
        "@force_command(\"/bin/sh -c 'echo \\\"$x\\\"; id'\")",
        "@elevate(\"systemctl restart nginx\")",
        "@source_address(\"request\")",
        "@source_address(\"192.0.2.0/24,::/0\")",
        "@review_within(\"24h\")",
        "@notify(\"security,#ops,oncall@example.com\")",
    ];
    let bad = [
        "@max_duration(\"0s\")",
        "@max_duration(\"366d\")",
        "@max_duration(\"1\")",
        "@max_duration(\"-1h\")",
        "@max_duration",
        "@cert_ttl(\"24h1s\")",
        "@cert_ttl(\"0m\")",
        "@approvals(\"11\")",
        "@approvals(\"-1\")",
        "@approvals(\"01\")",
        "@approvals(\"+1\")",
        "@approvals(\"\")",
        "@approvals(\"1\") @approvers_from_groups(\"2\")",
        "@approval_levels(\"leads\")",
        "@approvals(\"1\") @approval_levels(\"leads,security\")",
        "@approvals(\"2\") @approval_levels(\"leads,leads\")",
        "@approvals(\"2\") @approval_levels(\"leads,\")",
        "@approvals(\"2\") @approval_levels(\"\")",
        "@claim_within(\"0s\")",
        "@claim_within(\"366d\")",
        "@claim_within",
        "@reason(\"yes\")",
        "@reason(\"\")",
        "@ticket(\"Required\")",
        "@record(\"true\")",
        "@verify_required(\"false\")",
        "@verify_required",
        "@extensions(\"\")",
        "@extensions(\"permit-all\")",
        "@extensions(\"permit-pty,permit-pty\")",
        "@extensions(\"permit-pty,\")",
        "@force_command(\"\")",
        "@force_command(\"a\\nb\")",
        "@force_command(\"a\\u{0}\")",
        "@force_command(\"\\u{1b}[2J\")",
        "@force_command(\" a\")",
        "@force_command(\"\\u{202e}\")",
        "@elevate(\"a\\rb\")",
        "@source_address(\"\")",
        "@source_address(\"192.0.2.1/24\")",
        "@source_address(\"192.0.2.0/24,192.0.2.128/25\")",
        "@source_address(\"anywhere\")",
        "@source_address(\"!192.0.2.0/24\")",
        "@review_within(\"soon\")",
        "@notify(\"\")",
        "@notify(\"a b\")",
        "@notify(\"-x\")",
        "@approvals(\"1\") @approvals(\"2\")",
    ];
    let set = |annotation: &str| {
        format!("@id(\"a\") {annotation} permit (principal, action == Action::\"connect\", resource);")
    };
    for annotation in good {
        assert_eq!(findings(&set(annotation)), [], "{annotation}");
    }
    for annotation in bad {
        assert_ne!(findings(&set(annotation)), [], "{annotation} was taken");
    }
    let long = "x".repeat(1001);
    assert_ne!(findings(&set(&format!("@force_command(\"{long}\")"))), []);
}

#[test]
fn no_policies_is_a_set_that_denies() {
    let policies = Policies::load(&Sources::default()).unwrap();
    assert!(policies.is_empty());
    let denied = decide(&policies, &kit::ask(&[], "deploy@web-1"), kit::NOW);
    assert!(matches!(denied, Decision::Denied(Denied { cause: Cause::UnknownTarget, .. })));
}

#[test]
fn more_policies_than_the_limit_are_refused() {
    let text: String =
        (0..=Policies::MOST).map(|n| format!("@id(\"p{n}\")permit(principal,action,resource);\n")).collect();
    assert!(kit::shown(&findings(&text)).contains("more than 20000 policies"));
}

/// What we tell Cedar is what our schema promises; at run time this is not checked again, for speed.
#[test]
fn facts_conform_to_the_schema() {
    use super::{facts::*, names::*, question::Question};
    use cedar_policy::{Entities, Request, Schema};
    let (schema, _) = Schema::from_cedarschema_str(SCHEMA).unwrap();
    let policies =
        Policies::load(&sources("@id(\"a\") permit (principal in Group::\"sre\", action, resource);")).unwrap();
    let named = super::named::Named::by(policies.rules()).everything();
    let mut ask = kit::ask(&["sre", "other"], "deploy@web-1");
    ask.reason = Some("r".parse().unwrap());
    ask.ticket = Some("t".parse().unwrap());
    ask.identity.acr = Some("high".into());
    ask.identity.claims = vec![("repository".into(), "a/b".into())];
    for kind in [Kind::User, Kind::Workload] {
        ask.identity.kind = kind;
        let approver = Identity { kind: Kind::User, subject: "lead".parse().unwrap(), ..ask.identity.clone() };
        for (action, who) in [(Action::Connect, &ask.identity), (Action::Approve, &approver)] {
            let host = policies.inventory().host(ask.target.host()).unwrap();
            let facts = Facts { who, ask: &ask, host, now: kit::NOW, also_in: None };
            let told = Question::new(&facts, action, &named).unwrap().told().unwrap();
            let entities: Vec<_> = told.entities.iter().cloned().collect();
            Entities::from_entities(entities.clone(), Some(&schema)).unwrap();
            let computed = Entities::from_entities(entities, None).unwrap();
            assert!(computed.deep_eq(&told.entities), "the hierarchy is written out closed");
            let request = &told.request;
            Request::new(
                request.principal().unwrap().clone(),
                request.action().unwrap().clone(),
                request.resource().unwrap().clone(),
                request.context().unwrap().clone(),
                Some(&schema),
            )
            .unwrap();
        }
    }
}

mod differential {
    //! Neither the index nor the memory nor the facts left out may change an answer: each random set is asked through them,
    //! and as one whole `PolicySet` with every fact told.

    use super::super::{facts::*, named::Named, names::Action, question::Question};
    use crate::{kit, *};
    use cedar_policy::{Authorizer, PolicySet};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn rule() -> impl Strategy<Value = String> {
        let principal = prop_oneof![
            Just("principal"),
            Just("principal in Group::\"a\""),
            Just("principal in Group::\"b\""),
            Just("principal is User in Group::\"c\""),
            Just("principal is Workload in Group::\"a\""),
            Just("principal is Workload"),
            Just("principal == User::\"https://issuer.example.com ann\""),
            Just("principal in User::\"https://issuer.example.com ann\""),
            Just("principal == Workload::\"https://issuer.example.com ann\""),
        ];
        let action = prop_oneof![
            4 => Just("action == Action::\"connect\""),
            1 => Just("action in [Action::\"connect\", Action::\"elevate\"]"),
            1 => Just("action == Action::\"observe\""),
        ];
        let resource = prop_oneof![
            Just("resource"),
            Just("resource is Account"),
            Just("resource in HostGroup::\"web\""),
            Just("resource is Account in HostGroup::\"prod\""),
            Just("resource in HostGroup::\"db\""),
            Just("resource in Host::\"web-1\""),
            Just("resource == Account::\"root@web-1\""),
            Just("resource in Account::\"deploy@db-1\""),
        ];
        let condition = prop_oneof![
            4 => Just(""),
            1 => Just("when { context.mfa }"),
            1 => Just("when { context has reason && context.reason like \"*outage*\" }"),
            1 => Just("unless { resource.name == \"root\" }"),
            1 => Just("when { context.duration * 9223372036854775807 > 1 }"),
            1 => Just("when { context.local.weekday < 6 && context.amr.contains(\"otp\") }"),
            1 => Just("when { [context].contains(context) && resource.hasTag(\"env\") }"),
            1 => Just("when { principal has email && principal.email like \"ann@*\" }"),
            1 => Just("when { principal in Group::\"c\" || resource in HostGroup::\"db\" }"),
        ];
        (prop_oneof![3 => Just("permit"), 1 => Just("forbid")], principal, action, resource, condition).prop_map(
            |(effect, principal, action, resource, condition)| {
                format!("{effect} ({principal}, {action}, {resource}) {condition};\n")
            },
        )
    }

    fn ask() -> impl Strategy<Value = Ask> {
        let groups = proptest::sample::subsequence(vec!["a", "b", "c", "d"], 0..=4);
        let target = prop_oneof![
            Just("deploy@web-1"),
            Just("root@web-1"),
            Just("deploy@db-1"),
            Just("postgres@db-1"),
            Just("deploy@old-1"),
        ];
        let reason = prop_oneof![Just(None), Just(Some("an outage")), Just(Some("tidying up"))];
        (groups, target, any::<bool>(), any::<bool>(), reason).prop_map(|(groups, target, mfa, person, reason)| {
            let mut ask = kit::ask(&groups, target);
            ask.reason = reason.map(|reason| reason.parse().unwrap());
            ask.identity.mfa = mfa;
            ask.identity.kind = if person { Kind::User } else { Kind::Workload };
            ask.duration = Some(Seconds::new(60));
            ask
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn index_and_memory_change_no_answer(rules in proptest::collection::vec(rule(), 0..24), asks in proptest::collection::vec(ask(), 1..6)) {
            let text: String = rules.iter().enumerate().map(|(n, rule)| format!("@id(\"p{n}\") {rule}")).collect();
            let policies = kit::load(&text);
            let whole = PolicySet::from_policies(policies.rules().iter().map(|rule| rule.cedar.clone())).unwrap();
            let everything = Named::by(policies.rules()).everything();
            // Each twice, among others: what is remembered is what would be found.
            for ask in asks.iter().chain(&asks) {
                let host = policies.inventory().host(ask.target.host()).unwrap();
                let facts = Facts { who: &ask.identity, ask, host, now: kit::NOW, also_in: None };
                let told_all = Question::new(&facts, Action::Connect, &everything).unwrap().told().unwrap();
                let response = Authorizer::new().is_authorized(&told_all.request, &whole, &told_all.entities);
                let names = |ids: Vec<String>| ids.into_iter().collect::<BTreeSet<_>>();
                let reasons = names(response.diagnostics().reason().map(ToString::to_string).collect());
                let failed = names(response.diagnostics().errors().map(|error| match error {
                    cedar_policy::AuthorizationError::PolicyEvaluationError(error) => error.policy_id().to_string(),
                }).collect());
                let verdict = policies.ask(&facts, Action::Connect).unwrap();
                let ours = |rules: &[&super::super::Rule]| names(rules.iter().map(|rule| rule.id.to_string()).collect());
                let made_it = if verdict.forbids.is_empty() { ours(&verdict.permits) } else { ours(&verdict.forbids) };
                prop_assert_eq!(made_it, reasons);
                prop_assert_eq!(names(verdict.failed.iter().map(ToString::to_string).collect()), failed);
            }
        }
    }
}

/// Whatever a policy looks at is asked anew when it is another: no answer is remembered under less than it depends on.
#[test]
fn an_answer_is_remembered_under_all_that_policies_look_at() {
    let good = || {
        let mut ask = kit::ask(&["a"], "deploy@web-1");
        ask.duration = Some(Seconds::new(60));
        ask.reason = Some("good".parse().unwrap());
        ask.ticket = Some("good".parse().unwrap());
        ask.identity.email = Some("good@example.com".parse().unwrap());
        ask.identity.acr = Some("good".into());
        ask.identity.amr = vec!["good".into()];
        ask.identity.auth_time = Some(kit::NOW.time);
        ask.identity.mfa = true;
        ask.identity.claims = vec![("ref".into(), "good".into())];
        (ask, kit::NOW)
    };
    type Change = fn(&mut (Ask, Now));
    let rows: [(&str, Change); 20] = [
        ("principal in Group::\"a\"", |(ask, _)| ask.identity.groups.clear()),
        ("principal is User", |(ask, _)| ask.identity.kind = Kind::Workload),
        ("principal has name && principal.subject == \"ann\"", |(ask, _)| {
            ask.identity.subject = "bob".parse().unwrap()
        }),
        ("principal.issuer like \"*issuer*\"", |(ask, _)| {
            ask.identity.issuer = "https://other.example.com".parse().unwrap();
        }),
        ("principal has email", |(ask, _)| ask.identity.email = None),
        ("principal has email && principal.email like \"good*\"", |(ask, _)| {
            ask.identity.email = Some("bad@example.com".parse().unwrap());
        }),
        ("principal.hasTag(\"ref\") && principal.getTag(\"ref\") == \"good\"", |(ask, _)| {
            ask.identity.claims = vec![("ref".into(), "bad".into())];
        }),
        ("resource.name == \"deploy\"", |(ask, _)| ask.target = "root@web-1".parse().unwrap()),
        ("resource in Host::\"web-1\"", |(ask, _)| ask.target = "deploy@db-1".parse().unwrap()),
        ("context.mfa", |(ask, _)| ask.identity.mfa = false),
        ("context.amr.contains(\"good\")", |(ask, _)| ask.identity.amr.clear()),
        ("context has acr && context.acr == \"good\"", |(ask, _)| ask.identity.acr = Some("bad".into())),
        ("context.auth_age < 60", |(ask, _)| ask.identity.auth_time = None),
        ("context.auth_age < 60 && context.mfa", |(_, now)| now.time = now.time.plus(Seconds::new(61))),
        ("context.source.isIpv4()", |(ask, _)| ask.source = "2001:db8::1".parse().unwrap()),
        ("context.duration < 100", |(ask, _)| ask.duration = Some(Seconds::new(100))),
        ("context.duration < 100 && context.mfa", |(ask, _)| ask.duration = None),
        ("context has reason && context.reason == \"good\"", |(ask, _)| ask.reason = None),
        ("context has ticket && context.ticket == \"good\"", |(ask, _)| ask.ticket = Some("bad".parse().unwrap())),
        ("context.local.weekday < 6", |(_, now)| now.weekday = 7),
    ];
    for (condition, change) in rows {
        let permit = "permit (principal, action == Action::\"connect\", resource)";
        let policies = kit::load(&format!("@id(\"a\") {permit} when {{ {condition} }};"));
        let granted = |(ask, now): &(Ask, Now)| matches!(decide(&policies, ask, *now), Decision::Granted(_));
        let mut other = good();
        change(&mut other);
        assert!(granted(&good()), "{condition}");
        assert!(!granted(&other), "{condition}: the answer to another question");
        assert!(granted(&good()), "{condition}: once more");
    }
    let clocks: [(&str, Change); 3] = [
        ("context.time < 4000000000", |(_, now)| now.time = UnixTime::from_secs(4_000_000_001)),
        ("context.utc.minute < 720", |(_, now)| now.time = UnixTime::from_secs(86_400 * 20_000 + 43_200)),
        ("context.local.minute < 720", |(_, now)| now.minute = 720),
    ];
    for (condition, change) in clocks {
        let permit = "permit (principal, action == Action::\"connect\", resource)";
        let policies = kit::load(&format!("@id(\"a\") {permit} when {{ {condition} }};"));
        let mut early = good();
        (early.1.time, early.1.minute) = (UnixTime::from_secs(86_400 * 20_000 + 43_199), 719);
        let granted = |(ask, now): &(Ask, Now)| matches!(decide(&policies, ask, *now), Decision::Granted(_));
        let mut late = (early.0.clone(), early.1);
        change(&mut late);
        assert_eq!((granted(&early), granted(&late), granted(&early)), (true, false, true), "{condition}");
    }
}

/// Whoever asks is part of the question who may approve it.
#[test]
fn who_may_approve_is_remembered_for_one_requester_alone() {
    let policies = kit::load(
        "@id(\"a\") permit (principal, action == Action::\"approve\", resource) \
         when { resource has requester && resource.requester in Group::\"a\" };",
    );
    let reviewer = Identity { subject: "lead".parse().unwrap(), email: None, ..kit::ask(&[], "deploy@web-1").identity };
    for (groups, expect) in [(&["a"][..], true), (&["b"], false), (&["a"], true)] {
        let Ask { identity: requester, target, source, .. } = kit::ask(groups, "deploy@web-1");
        let request = Request {
            id: RequestId::from_random([0; 12]),
            requester,
            targets: vec![target],
            duration: Seconds::new(60),
            reason: None,
            ticket: None,
            start: None,
            under: None,
            source,
            filed: kit::NOW.time,
            expires: kit::NOW.time.plus(Seconds::new(60)),
            extends: None,
            break_glass: None,
        };
        assert_eq!(may_review(&policies, &request, &reviewer, kit::NOW).is_ok(), expect, "{groups:?}");
    }
}

#[test]
fn emergency_access_is_a_permit_of_its_own_and_leaves_traces() {
    let demanded = "@reason(\"required\") @record(\"required\") @review_within(\"24h\")";
    let set = |annotations: &str, action: &str| {
        format!("@id(\"a\") {annotations} permit (principal, action{action}, resource is Account);")
    };
    let own = " == Action::\"break-glass\"";
    assert_eq!(findings(&set(demanded, own)), []);
    assert_eq!(findings(&set(&format!("{demanded} @ticket(\"required\") @cert_ttl(\"1m\")"), own)), []);
    assert_eq!(findings(&set(demanded, " in [Action::\"break-glass\"]")), []);
    let bad = [
        ("", own),
        ("@record(\"required\") @review_within(\"24h\")", own),
        ("@reason(\"required\") @review_within(\"24h\")", own),
        ("@reason(\"required\") @record(\"required\")", own),
        (&format!("{demanded} @approvals(\"1\")"), own),
        (&format!("{demanded} @approvals(\"0\")"), own),
        (&format!("{demanded} @claim_within(\"1h\")"), own),
        (&format!("{demanded} @approvals(\"1\") @approval_levels(\"leads\")"), own),
        (demanded, " in [Action::\"connect\", Action::\"break-glass\"]"),
        (demanded, " in [Action::\"break-glass\", Action::\"observe\"]"),
    ];
    for (annotations, action) in bad {
        assert_ne!(findings(&set(annotations, action)), [], "{annotations} {action} was taken");
    }
    let told = crate::kit::shown(&findings(&set("@record(\"required\") @review_within(\"24h\")", own)));
    assert!(told.contains("demands @reason") && told.contains("@reason(\"required\")"), "{told}");
}
