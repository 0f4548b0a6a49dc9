//! What the page of requests has no words for: circumstances, permits that were picked, people with many accounts.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::let_underscore_must_use,
    reason = "a test that cannot go on fails"
)]

#[path = "kit/lives.rs"]
mod lives;

use lives::{Case, after, approval, now, person, told};
use policy::{
    Approval, Ask, Cause, Decision, Denied, EndReason, Identity, Kind, MayNot, Over, Review, Stage, Step, UnixTime,
    Verdict, What, decide_under, may_approve, may_review,
};

/// The address of a login, that of the one before, what the account was known as then, and what it is known as now.
type Login<'a> = (Option<&'a str>, Option<&'a str>, &'a [&'a str], &'a [&'a str]);

/// What is spoilt, and how.
type Spoil<T> = (&'static str, fn(&mut T));

const TWO: &str = "@approvals(\"2\")";

/// Approved by Lea at 10m and Sam at 20m.
fn approved(annotations: &str, more: &str) -> Case {
    let mut case = Case::new(annotations, more);
    case.step("lea", after("10m"), What::Approved(approval()));
    case.step("sam", after("20m"), What::Approved(approval()));
    case
}

fn denied(case: &Case, ask: &Ask, at: &str) -> Denied {
    match decide_under(&case.policies, ask, &case.life(), now(after(at))) {
        Decision::Denied(denied) => denied,
        other => panic!("{other:?}"),
    }
}

fn ask(target: &str) -> Ask {
    Ask {
        identity: person("ann"),
        target: target.parse().unwrap(),
        duration: None,
        reason: None,
        ticket: None,
        source: [192, 0, 2, 1].into(),
    }
}

#[test]
fn a_request_serves_its_requester_for_its_targets() {
    let case = approved(TWO, "");
    assert_eq!(case.granted(after("30m")), ["deploy@db-1", "deploy@web-1"]);
    let cause = |ask: &Ask| denied(&case, ask, "30m").cause;
    let by = |identity: Identity| Ask { identity, ..ask("deploy@web-1") };
    assert_eq!(cause(&by(person("joe"))), Cause::NotRequested);
    assert_eq!(cause(&by(person("ann-2"))), Cause::NotRequested, "the same person by another account");
    assert_eq!(cause(&by(Identity { kind: Kind::Workload, ..person("ann") })), Cause::NotRequested);
    assert_eq!(cause(&ask("root@web-1")), Cause::NotRequested);
    assert_eq!(cause(&ask("deploy@web-9")), Cause::UnknownTarget);
}

#[test]
fn a_grant_is_on_the_terms_of_its_request() {
    let case = approved(TWO, "");
    let grants = case.grants(after("30m"));
    let grant = &grants[0];
    assert_eq!(grant.start(), after("30m"));
    assert_eq!(grant.end(), after("1h30m"), "as long as the request says, from now");
    assert_eq!(grant.request(), Some(&case.request.id));
    let asked = Ask { duration: Some("2h".parse().unwrap()), ..ask("deploy@web-1") };
    let Decision::Granted(grant) = decide_under(&case.policies, &asked, &case.life(), now(after("30m"))) else {
        panic!("not granted")
    };
    assert_eq!(grant.end(), after("1h30m"), "and no longer because somebody asks for longer");
}

#[test]
fn each_no_has_its_cause() {
    let web = || ask("deploy@web-1");
    let mut case = approved(TWO, "");
    assert_eq!(denied(&case, &web(), "2h").cause, Cause::RequestOver);
    case.request.start = Some(after("1h"));
    assert_eq!(denied(&case, &web(), "30m").cause, Cause::NotYet);
    case.request.start = None;
    case.step("ann", after("30m"), What::Ended { why: EndReason::Done, reason: None });
    assert_eq!(denied(&case, &web(), "40m").cause, Cause::RequestOver);
    let forbidden =
        approved(TWO, "@id(\"no\") @advice(\"wait\") forbid (principal, action == Action::\"connect\", resource);");
    let no = denied(&forbidden, &web(), "30m");
    assert_eq!((no.cause, no.advice), (Cause::Forbidden, vec!["wait".to_owned()]));
    let mut waiting = Case::new(TWO, "");
    waiting.step("lea", after("10m"), What::Approved(approval()));
    match waiting.decided(&web().target, after("30m")) {
        Decision::NeedsApproval(needs) => assert_eq!(needs.approver_groups, ["leads", "security"]),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_policy_that_cannot_be_evaluated_is_a_no_for_access_and_for_approvals() {
    let fails = |action: &str| {
        format!(
            "@id(\"f\") permit (principal, action == Action::\"{action}\", resource) when {{ context.time * 9223372036854775807 > 1 }};"
        )
    };
    assert_eq!(denied(&approved(TWO, &fails("connect")), &ask("deploy@web-1"), "30m").cause, Cause::EvaluationFailed);
    let case = approved(TWO, &fails("approve"));
    assert_eq!(told(&case.stage(after("30m"))), "pending until 24h, 0 of 2");
    assert_eq!(may_review(&case.policies, &case.request, &person("lea"), now(after("1m"))), Err(MayNot::NoPolicy));
}

#[test]
fn an_extension_is_no_grant_of_its_own() {
    let mut case = approved(TWO, "");
    case.request.extends = Some(policy::RequestId::from_random([9; 12]));
    assert_eq!(told(&case.stage(after("30m"))), "added at 20m");
    assert_eq!(case.granted(after("30m")), [""; 0]);
    let mut used = case.clone();
    used.step("ann", after("30m"), What::Claimed);
    assert_eq!(denied(&used, &ask("deploy@web-1"), "40m").cause, Cause::NotRequested, "not even if somebody wrote so");
    case.step("kim", after("30m"), What::Denied { reason: "no".parse().unwrap() });
    assert_eq!(told(&case.stage(after("30m"))), "over: denied");
}

#[test]
fn an_extension_counts_under_the_permit_that_grants_and_for_its_own_approvals() {
    let mut case = approved(TWO, "");
    case.step("ann", after("20m"), What::Claimed);
    let until = |case: &Case| told(&case.stage(after("30m")));
    assert_eq!(until(&case), "active from 20m until 1h20m");
    case.extended("20m".parse().unwrap(), after("30m"), &[]);
    let good = case.clone();
    assert_eq!(until(&good), "active from 20m until 1h40m");
    let spoils: [Spoil<Case>; 8] = [
        ("another permit", |case| case.extensions[0].0.under = Some("other".parse().unwrap())),
        ("another request's", |case| case.extensions[0].0.extends = Some(policy::RequestId::from_random([9; 12]))),
        ("nobody's", |case| case.extensions[0].0.extends = None),
        ("a start of its own", |case| case.extensions[0].0.start = Some(after("25m"))),
        ("another digest", |case| case.extensions[0].1 = policy::Digest([9; 32])),
        ("withdrawn", |case| {
            let step = Step { at: after("30m"), by: person("ann"), what: What::Cancelled };
            case.extensions[0].2.push(step);
        }),
        ("approved too late", |case| case.extensions[0].0.expires = after("30m")),
        ("too many targets", |case| case.extensions[0].0.targets.push("root@web-1".parse().unwrap())),
    ];
    for (name, spoil) in spoils {
        let mut case = good.clone();
        spoil(&mut case);
        assert_eq!(until(&case), "active from 20m until 1h20m", "{name}");
    }
    let mut twice = good.clone();
    twice.extensions.push(good.extensions[0].clone());
    assert_eq!(until(&twice), "active from 20m until 1h40m", "the same extension twice counts once");
    let mut named = good;
    named.extensions[0].0.under = Some("p".parse().unwrap());
    assert_eq!(until(&named), "active from 20m until 1h40m");
}

#[test]
fn the_permit_that_was_picked_is_the_one_that_counts() {
    let other = "@id(\"one\") @approvals(\"1\") @claim_within(\"2h\") permit (principal, action == Action::\"connect\", resource);";
    let mut case = Case::new(TWO, other);
    case.step("lea", after("10m"), What::Approved(approval()));
    assert_eq!(told(&case.stage(after("30m"))), "claimable until 2h10m", "the fewest approvals, where none was picked");
    case.request.under = Some("p".parse().unwrap());
    assert_eq!(told(&case.stage(after("30m"))), "pending until 24h, 1 of 2");
    case.step("sam", after("20m"), What::Approved(approval()));
    let grant = &case.grants(after("30m"))[0];
    assert_eq!((grant.policy().as_str(), grant.others()[0].as_str()), ("p", "one"));
    case.request.under = Some("gone".parse().unwrap());
    assert_eq!(told(&case.stage(after("30m"))), "over: forbidden");
}

#[test]
fn the_shortest_claim_window_of_all_targets_holds() {
    // One approval is enough: it came at 10m.
    for (db, web, until) in [("2h", "30m", "40m"), ("30m", "2h", "40m"), ("2h", "3h", "2h10m")] {
        let permit = |id: &str, host: &str, within: &str| {
            format!(
                "@id(\"{id}\") @claim_within(\"{within}\") @approvals(\"1\") \
                 permit (principal, action == Action::\"connect\", resource in Host::\"{host}\");\n"
            )
        };
        let case = approved(TWO, &(permit("db", "db-1", db) + &permit("web", "web-1", web)));
        assert_eq!(told(&case.stage(after("15m"))), format!("claimable until {until}"), "{db} {web}");
    }
}

#[test]
fn a_host_that_left_takes_only_itself_along() {
    let mut case = approved(TWO, "");
    case.request.targets.push("deploy@gone-1".parse().unwrap());
    assert_eq!(told(&case.stage(after("30m"))), "claimable until 1h20m");
    assert_eq!(case.granted(after("30m")), ["deploy@db-1", "deploy@web-1"]);
}

#[test]
fn standing_access_with_a_start_needs_nobody() {
    let mut case = Case::new("", "");
    case.request.start = Some(after("3h"));
    assert_eq!(told(&case.stage(after("1h"))), "scheduled from 3h");
    assert_eq!(told(&case.stage(after("3h"))), "claimable until 4h");
}

/// Filed on Wednesday noon, for Saturday.
#[test]
fn a_request_is_judged_for_the_time_of_its_use() {
    let weekend = "@id(\"week\") forbid (principal, action == Action::\"connect\", resource) when { context.local.weekday <= 5 };";
    let mut case = approved(TWO, weekend);
    assert_eq!(told(&case.stage(after("30m"))), "over: forbidden");
    case.request.start = Some(after("3d"));
    assert_eq!(told(&case.stage(after("30m"))), "scheduled from 72h");
    assert_eq!(case.granted(after("3d")).len(), 2);
    case.step("ann", after("3d"), What::Claimed);
    case.request.duration = "2h".parse().unwrap();
    assert_eq!(told(&case.stage(after("3d1h"))), "active from 72h until 74h");
}

#[test]
fn waiting_makes_a_requester_no_staler_but_using_it_does() {
    let fresh =
        "@id(\"stale\") forbid (principal, action == Action::\"connect\", resource) when { context.auth_age > 600 };";
    let case = approved(TWO, fresh);
    assert_eq!(told(&case.stage(after("30m"))), "claimable until 1h20m");
    assert_eq!(denied(&case, &ask("deploy@web-1"), "30m").cause, Cause::Forbidden);
    let identity = Identity { auth_time: Some(after("25m")), ..person("ann") };
    let again = Ask { identity, ..ask("deploy@web-1") };
    assert!(matches!(decide_under(&case.policies, &again, &case.life(), now(after("30m"))), Decision::Granted(_)));
}

#[test]
fn an_approval_keeps_the_circumstances_of_its_moment_and_loses_what_its_giver_lost() {
    // Approvals with a second factor, typed within ten minutes, before one o'clock.
    let rule = "@id(\"strict\") forbid (principal, action == Action::\"approve\", resource) \
                when { !context.mfa || context.auth_age > 1200 || context.local.minute >= 780 };";
    let case = approved(TWO, rule);
    assert_eq!(told(&case.stage(after("1h10m"))), "claimable until 1h20m", "at ten past one");
    let spoils: [Spoil<Step>; 6] = [
        ("no second factor", |step| step.by.mfa = false),
        ("a stale login", |step| step.by.auth_time = Some(UnixTime::from_secs(lives::FILED - 3600))),
        ("nobody knows how stale", |step| step.by.auth_time = None),
        ("a login after the fact", |step| step.by.auth_time = Some(after("1h"))),
        ("given too late", |step| step.at = after("1h5m")),
        ("another group", |step| step.by.groups.clear()),
    ];
    for (name, spoil) in spoils {
        let mut case = case.clone();
        spoil(&mut case.steps[0]);
        assert_eq!(told(&case.stage(after("1h10m"))), "pending until 24h, 1 of 2", "{name}");
    }
}

#[test]
fn what_is_learnt_of_a_reviewer_leaves_how_they_logged_in() {
    let mut step = Step { at: after("10m"), by: person("lea"), what: What::Cancelled };
    let latest = Identity {
        mfa: false,
        auth_time: Some(after("5h")),
        groups: vec!["interns".parse().unwrap()],
        email: Some("lea@new.example.com".parse().unwrap()),
        ..person("lea")
    };
    step.learn(&latest);
    assert_eq!((step.by.mfa, step.by.auth_time), (true, person("lea").auth_time));
    assert_eq!((&step.by.groups, &step.by.email), (&latest.groups, &latest.email));
}

#[test]
fn one_person_with_many_accounts_is_one_person() {
    // a and b share an address, b and c an account name: all three are one, and c alone tells nothing of it.
    let account = |subject: &str, email: &str| Identity {
        subject: subject.parse().unwrap(),
        email: Some(email.parse().unwrap()),
        ..person("lea")
    };
    let steps = |people: &[Identity]| {
        let mut case = Case::new(TWO, "");
        case.steps = people
            .iter()
            .map(|by| Step { at: after("10m"), by: by.clone(), what: What::Approved(approval()) })
            .collect();
        told(&case.stage(after("30m")))
    };
    let (a, b, c) = (account("a", "lea@one.example"), account("b", "LEA@ONE.example"), account("b", "lea@two.example"));
    assert_eq!(steps(&[a.clone(), c.clone()]), "claimable until 1h10m");
    for people in [[&a, &b, &c], [&b, &c, &a], [&c, &a, &b], [&a, &c, &b]] {
        assert_eq!(steps(&people.map(Clone::clone)), "pending until 24h, 1 of 2");
    }
}

#[test]
fn an_account_stays_known_by_every_address_that_it_had() {
    let address = |text: &str| -> policy::Email { text.parse().unwrap() };
    let lea = |email: Option<&str>, known_as: &[&str]| Identity {
        email: email.map(address),
        known_as: known_as.iter().copied().map(address).collect(),
        ..person("lea")
    };
    let remembering = |mut one: Identity, other: &Identity| {
        one.remember(other);
        one
    };
    let rows: [Login<'_>; 6] = [
        (Some("a@x.example"), Some("A@X.example"), &[], &[]),
        (None, Some("a@x.example"), &[], &["a@x.example"]),
        (Some("b@x.example"), Some("a@x.example"), &[], &["a@x.example"]),
        (Some("b@x.example"), None, &["a@x.example"], &["a@x.example"]),
        (Some("c@x.example"), Some("b@x.example"), &["a@x.example"], &["a@x.example", "b@x.example"]),
        // It keeps its place while it is the present one, or it could be pushed out afterwards.
        (Some("a@x.example"), Some("b@x.example"), &["a@x.example"], &["a@x.example", "b@x.example"]),
    ];
    for (now, before, known, expect) in rows {
        assert_eq!(remembering(lea(now, &[]), &lea(before, known)), lea(now, expect), "{now:?} after {before:?}");
    }
    let other = Identity { issuer: "https://other.example".parse().unwrap(), ..lea(Some("A@x.example"), &[]) };
    assert!(policy::same_person(&other, &lea(None, &["b@x.example", "a@x.example"])));
    assert!(!policy::same_person(&other, &lea(None, &["b@x.example"])));

    let plain = serde_json::to_value(lea(Some("a@x.example"), &[])).unwrap();
    assert!(plain.get("known_as").is_none(), "nothing new in what is signed, where there is nothing to say");
    assert_eq!(serde_json::from_value::<Identity>(plain).unwrap().known_as, []);
}

#[test]
fn an_approval_by_a_former_address_of_the_requester_is_none() {
    let mut case = Case::new(TWO, "");
    let former = Identity { known_as: vec!["ann@example.com".parse().unwrap()], email: None, ..person("sam") };
    case.step("lea", after("10m"), What::Approved(approval()));
    case.steps.push(Step { at: after("11m"), by: former.clone(), what: What::Approved(approval()) });
    assert_eq!(told(&case.stage(after("30m"))), "pending until 24h, 1 of 2");
    assert_eq!(may_review(&case.policies, &case.request, &former, now(after("1m"))), Err(MayNot::Own));
    let bot = policy::Request {
        requester: Identity { claims: vec![("sponsor".into(), "ann@example.com".into())], ..person("bot") },
        ..case.request.clone()
    };
    assert_eq!(may_review(&case.policies, &bot, &former, now(after("1m"))), Err(MayNot::Sponsor));
}

#[test]
fn a_review_counts_by_what_was_known_when_it_was_given() {
    let case = Case::new(TWO, "");
    let request = lives::emergency(&case.request);
    let linking = Identity { email: Some("lea@example.com".parse().unwrap()), ..person("ann") };
    let step = |by: Identity, what: What| Step { at: after("1h"), by, what };
    let review = step(person("lea"), lives::reviewed(Verdict::Fine));
    let link = step(linking, What::Claimed);
    let done = |steps: &[Step]| matches!(policy::reviewed(&request, steps, after("2h")), Some(Review::Done { .. }));
    assert!(done(std::slice::from_ref(&review)));
    assert!(!done(&[link.clone(), review.clone()]), "known before: it was her own");
    assert!(done(&[review, link]), "it has been taken off the list of those that wait, so it stays done");
}

#[test]
fn a_zero_span_and_an_unknown_host_leave_nothing() {
    let mut case = approved(TWO, "");
    case.step("kim", after("25m"), What::Approved(Approval { duration: Some("0s".parse().unwrap()), ..approval() }));
    assert_eq!(case.stage(after("30m")), Stage::Over { how: Over::Denied });
    let mut case = approved(TWO, "");
    case.step("kim", after("25m"), What::Approved(Approval { only: vec!["web-9".parse().unwrap()], ..approval() }));
    assert_eq!(case.stage(after("30m")), Stage::Over { how: Over::Denied });
}

#[test]
fn who_may_review() {
    let case = Case::new(
        TWO,
        "@id(\"web\") forbid (principal in Group::\"security\", action == Action::\"approve\", resource in Host::\"db-1\");",
    );
    let review = |request: &policy::Request, who: Identity| may_review(&case.policies, request, &who, now(after("1m")));
    let names = |who: &str| {
        review(&case.request, person(who)).map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    assert_eq!(names("lea"), Ok(vec!["deploy@db-1".to_owned(), "deploy@web-1".to_owned()]));
    assert_eq!(names("sam"), Ok(vec!["deploy@web-1".to_owned()]));
    assert_eq!(names("joe"), Err(MayNot::NoPolicy));
    assert_eq!(names("ann"), Err(MayNot::Own));
    assert_eq!(names("ann-2"), Err(MayNot::Own));
    assert_eq!(names("bot"), Err(MayNot::Machine));
    let of = |sponsor: &str| policy::Request {
        requester: Identity { claims: vec![("sponsor".into(), sponsor.into())], ..person("bot") },
        ..case.request.clone()
    };
    assert_eq!(review(&of("LEA@example.com"), person("lea")), Err(MayNot::Sponsor));
    assert_eq!(review(&of("LEA@example.com"), person("lea-2")), Err(MayNot::Sponsor));
    assert_eq!(review(&of("lea"), person("lea")), Err(MayNot::Sponsor));
    assert!(review(&of("kim"), person("lea")).is_ok());
}

#[test]
fn a_group_joined_after_the_filing_lets_nobody_approve_and_still_forbids() {
    let more = "@id(\"not-in-trial\") forbid (principal in Group::\"trial\", action == Action::\"approve\", resource);
                @id(\"anybody\") permit (principal, action == Action::\"approve\", resource in Host::\"web-1\") \
                unless { principal in Group::\"leads\" };";
    let mut case = Case::new(TWO, more);
    let approve = |case: &Case, who: &Identity| {
        let may = may_approve(&case.policies, &case.request, who, &case.joined, now(after("1h")));
        may.map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    let both = || Ok(vec!["deploy@db-1".to_owned(), "deploy@web-1".to_owned()]);
    assert_eq!(approve(&case, &person("lea")), both(), "nothing is known of her but that she is in it");
    case.joins("lea", "leads", after("0s"));
    assert_eq!(approve(&case, &person("lea")), both(), "in the very second");
    case.joins("lea", "leads", after("1s"));
    // Without the group another permit would match, but that one does not as she is: it takes one that holds either way.
    assert_eq!(approve(&case, &person("lea")), Err(MayNot::Newcomer));
    assert!(
        may_review(&case.policies, &case.request, &person("lea"), now(after("1h"))).is_ok(),
        "she may still say no"
    );
    assert_eq!(approve(&case, &person("joe")), Ok(vec!["deploy@web-1".to_owned()]));
    case.joins("joe", "trial", after("1h"));
    let on_trial = Identity { groups: vec!["trial".parse().unwrap()], ..person("joe") };
    assert_eq!(approve(&case, &on_trial), Err(MayNot::NoPolicy), "what a late group forbids is forbidden");
    let other = Identity { issuer: "https://other.example.com".parse().unwrap(), ..person("lea") };
    assert_eq!(approve(&case, &other), both(), "another account is another account");
}
