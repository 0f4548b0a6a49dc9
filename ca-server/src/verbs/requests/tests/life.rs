use super::*;
use policy::UnixTime;

#[tokio::test]
async fn from_asking_to_giving_back() {
    let house = House::new().await;
    let no = refused(house.issue(ANN, "root@web-1").await, Code::NeedsApproval);
    assert_eq!(no.hint.unwrap(), "ask for it: `jit-ssh request root@web-1`");
    let body = house.filed().await;
    assert!(matches!(&body.stage, Where::Pending { needs, .. } if needs[0].approvals == 2 && needs[0].have == 0));
    assert_eq!(body.offers[0].approver_groups, ["leads"]);
    let no = refused(house.issue(ANN, "root@web-1").await, Code::NeedsApproval);
    assert!(no.hint.unwrap().contains(id(&body)), "it waits already");

    let body = house.approve(LEA, &body).await.unwrap();
    assert!(matches!(&body.stage, Where::Pending { needs, .. } if needs[0].have == 1));
    house.pass(600);
    let body = house.approve(SAM, &body).await.unwrap();
    assert!(matches!(body.stage, Where::Claimable { .. }));

    house.pass(1_200);
    let first = house.issue(ANN, "root@web-1").await.unwrap();
    let started = now() + 1_800;
    assert_eq!(first.until.as_secs(), started + 1_800, "the clock starts at the first use, not at the approval");
    assert_eq!(Some(&first.grant), body.grant.as_ref());
    house.pass(900);
    let second = house.issue_under(ANN, "root@web-1", &body).await.unwrap();
    assert_eq!((second.until, &second.grant), (first.until, &first.grant), "and runs once");
    assert_ne!(second.serial, first.serial);

    let receipt = house.end(ANN, &body, EndReason::Done).await.unwrap();
    assert_eq!(receipt.requests, [body.id.clone().unwrap()]);
    assert_eq!(receipt.last_expiry, Some(second.expires));
    assert_eq!(receipt.serials, [second.serial], "the first has expired");
    assert_eq!(receipt.krl, Some(1));
    assert!(is_over(&house.stage(&body).await, Over::Done));
    refused(house.issue(ANN, "root@web-1").await, Code::NeedsApproval);
    refused(house.issue_under(ANN, "root@web-1", &body).await, Code::Denied);
    let expected = [
        "decision.refused",
        "request.filed",
        "decision.refused",
        "request.approved",
        "request.approved",
        "request.claimed",
        "certificate.issued",
        "certificate.issued",
        "grant.ended",
        "certificates.revoked",
        "decision.refused",
        "decision.refused",
    ];
    assert_eq!(house.codes().await, expected, "one entry a fact");
    let entries = house.entries().await;
    let of = |code: &str| entries.iter().find(|entry| entry["code"] == code).unwrap();
    assert_eq!(of("request.approved")["approval"]["digest"], body.digest.as_str(), "what was approved");
    assert_eq!(of("certificate.issued")["under"], id(&body));
    assert_eq!(of("certificate.issued")["reason"], "vacuum", "the reason that was approved");
    assert_eq!(of("request.filed")["digest"], body.digest.as_str());
}

#[tokio::test]
async fn standing_access_asks_nobody_and_nothing() {
    let house = House::new().await;
    house.approved().await;
    let response = house.issue(ANN, "deploy@web-1").await.unwrap();
    assert_eq!(response.policy.as_str(), "ops");
    assert!(!house.codes().await.contains(&"request.claimed".to_owned()));
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_and_leaves_no_trace() {
    let house = House::new().await;
    let before = house.entries().await.len();
    let body = house.file(ANN, FileRequest { dry_run: true, ..ask(&["root@web-1"]) }).await.unwrap();
    assert!(body.id.is_none() && body.grant.is_none() && body.digest.is_empty());
    assert!(matches!(body.stage, Where::Pending { .. }));
    assert_eq!(body.offers[0].offers[0].policy.as_str(), "root-by-two");
    let no = refused(house.file(ANN, FileRequest { dry_run: true, ..ask(&["deploy@db-1"]) }).await, Code::Denied);
    assert_eq!(no.decision.unwrap().policies[0].as_str(), "no-db");
    assert_eq!(house.entries().await.len(), before);
}

#[tokio::test]
async fn what_nobody_can_approve_is_refused_when_it_is_filed() {
    let house = House::new().await;
    for targets in [&["deploy@db-1"][..], &["root@web-1", "root@nowhere"], &["nobody@web-1"]] {
        let no = refused(house.file(ANN, ask(targets)).await, Code::Denied);
        assert!(no.decision.is_some());
    }
    let long = FileRequest { duration: Some("2h".parse().unwrap()), ..ask(&["root@web-1"]) };
    refused(house.file(ANN, long).await, Code::Denied);
    let other = FileRequest { under: Some("ops".parse().unwrap()), ..ask(&["root@web-1"]) };
    refused(house.file(ANN, other).await, Code::Denied);
    let many: Vec<String> = (0..33).map(|n| format!("root@web-{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for targets in [&[][..], &many] {
        refused(house.file(ANN, ask(targets)).await, Code::BadRequest);
    }
    let far = FileRequest { start: Some(UnixTime::from_secs(now() + 31 * 86_400)), ..ask(&["root@web-1"]) };
    refused(house.file(ANN, far).await, Code::BadRequest);
    let nothing = FileRequest { duration: Some("0s".parse().unwrap()), ..ask(&["root@web-1"]) };
    refused(house.file(ANN, nothing).await, Code::BadRequest);
    assert!(!house.codes().await.contains(&"request.filed".to_owned()));
}

#[tokio::test]
async fn a_request_may_begin_later() {
    let house = House::new().await;
    let later = FileRequest { start: Some(UnixTime::from_secs(now() + 3_600)), ..ask(&["root@web-1"]) };
    let body = house.file(ANN, later).await.unwrap();
    house.approve(LEA, &body).await.unwrap();
    let body = house.approve(SAM, &body).await.unwrap();
    assert!(matches!(body.stage, Where::Scheduled { .. }));
    refused(house.issue_under(ANN, "root@web-1", &body).await, Code::Denied);
    house.pass(3_600);
    house.issue(ANN, "root@web-1").await.unwrap();
}

#[tokio::test]
async fn an_approval_may_make_less_of_it_and_never_more() {
    let house = House::new().await;
    let body = house.filed().await;
    let with = |duration: &str, only: &[&str]| ApproveRequest {
        duration: Some(duration.parse().unwrap()),
        only: only.iter().map(|host| host.parse().unwrap()).collect(),
        ..yes(&body)
    };
    for (duration, only) in [("31m", &[][..]), ("0s", &[]), ("5m", &["db-1"]), ("5m", &["web-1", "web-2"])] {
        refused(house.approve_with(LEA, &body, with(duration, only)).await, Code::BadRequest);
    }
    house.approve_with(LEA, &body, with("10m", &["web-1"])).await.unwrap();
    refused(house.approve_with(LEA, &body, with("20m", &["web-1"])).await, Code::Conflict);
    refused(house.approve(LEA, &body).await, Code::Conflict);
    house.approve(SAM, &body).await.unwrap();
    let certificate = house.issue(ANN, "root@web-1").await.unwrap();
    assert_eq!(certificate.until.as_secs(), now() + 600, "the least of what was approved");
    house.approve_with(SAM, &body, with("5m", &[])).await.unwrap();
    let certificate = house.issue(ANN, "root@web-1").await.unwrap();
    assert_eq!(certificate.until.as_secs(), now() + 300, "also of what was in use");
}

#[tokio::test]
async fn time_is_added_by_a_request_of_its_own() {
    let house = House::new().await;
    let body = house.approved().await;
    let first = house.issue(ANN, "root@web-1").await.unwrap();
    house.pass(600);
    let longer = FileRequest { extends: body.id.clone(), duration: Some("20m".parse().unwrap()), ..ask(&[]) };
    refused(house.file(JOE, longer.clone()).await, Code::NotFound);
    refused(house.file(LEA, longer.clone()).await, Code::Denied);
    refused(house.file(ANN, FileRequest { targets: body.targets.clone(), ..longer.clone() }).await, Code::BadRequest);
    refused(house.file(ANN, FileRequest { duration: None, ..longer.clone() }).await, Code::BadRequest);
    let more = house.file(ANN, longer.clone()).await.unwrap();
    assert_eq!((&more.targets, &more.grant), (&body.targets, &body.grant));
    assert_eq!(house.issue(ANN, "root@web-1").await.unwrap().until, first.until, "asking adds nothing");
    house.approve(LEA, &more).await.unwrap();
    let more = house.approve(SAM, &more).await.unwrap();
    assert!(matches!(more.stage, Where::Added { .. }), "{more:?}");
    let longer_now = house.issue(ANN, "root@web-1").await.unwrap();
    assert_eq!(longer_now.until.as_secs(), first.until.as_secs() + 1_200);
    let shown = house.look(ANN, &body).await.unwrap().body.extensions;
    let [told] = shown.as_slice() else { panic!("{shown:?}") };
    assert_eq!((Some(&told.id), told.duration.as_secs()), (more.id.as_ref(), 1_200));
    assert!(matches!(told.stage, Where::Added { .. }), "{told:?}");
    house.end(ANN, &body, EndReason::Done).await.unwrap();
    let told = house.look(ANN, &body).await.unwrap().body.extensions.remove(0);
    assert!(is_over(&told.stage, Over::Done), "over with what it prolongs: {told:?}");
    refused(house.file(ANN, longer).await, Code::Conflict);
    refused(house.issue(ANN, "root@web-1").await, Code::NeedsApproval);
}

#[tokio::test]
async fn an_end_is_said_once_and_by_whom_it_is_for() {
    let house = House::new().await;
    let body = house.filed().await;
    refused(house.end(ANN, &body, EndReason::Done).await, Code::Conflict);
    refused(house.cancel(LEA, &body).await, Code::Denied);
    house.cancel(ANN, &body).await.unwrap();
    assert!(is_over(&house.cancel(ANN, &body).await.unwrap().stage, Over::Cancelled), "once more changes nothing");
    refused(house.approve(LEA, &body).await, Code::Conflict);
    refused(house.deny(LEA, &body).await, Code::Conflict);

    let body = house.approved().await;
    house.issue(ANN, "root@web-1").await.unwrap();
    refused(house.cancel(ANN, &body).await, Code::Conflict);
    refused(house.end(LEA, &body, EndReason::Revoked).await, Code::Denied);
    refused(house.end(ANN, &body, EndReason::Revoked).await, Code::Denied);
    refused(house.end(AUDREY, &body, EndReason::Revoked).await, Code::Denied);
    refused(house.end(ADA, &body, EndReason::Done).await, Code::Denied);
    let silent = EndRequest { why: EndReason::Revoked, reason: None };
    let ada = house.0.caller(ADA).await;
    refused(ends::end(&house.0.app, &ada, id(&body), None, silent).await, Code::BadRequest);
    let before = house.codes().await.len();
    house.end(ADA, &body, EndReason::Revoked).await.unwrap();
    house.end(ADA, &body, EndReason::Revoked).await.unwrap();
    assert_eq!(house.codes().await[before..], ["grant.ended", "certificates.revoked"]);
    refused(house.issue(ANN, "root@web-1").await, Code::NeedsApproval);
}

#[tokio::test]
async fn grants_add_to_each_other() {
    let house = House::new().await;
    let (one, two) = (house.approved().await, house.approved().await);
    let first = house.issue(ANN, "root@web-1").await.unwrap();
    assert_eq!(house.issue(ANN, "root@web-1").await.unwrap().grant, first.grant, "no second clock is started");
    let (used, other) = if Some(&first.grant) == one.grant.as_ref() { (one, two) } else { (two, one) };
    house.end(ANN, &used, EndReason::Done).await.unwrap();
    assert_eq!(Some(house.issue(ANN, "root@web-1").await.unwrap().grant), other.grant);
}

/// What the standing rules lack, a request may have brought.
#[tokio::test]
async fn an_approved_request_serves_whoever_says_no_more() {
    let policy = r#"
        @id("root") @approvals("1") @reason("required") @ticket("required")
        permit (principal in Group::"ops", action == Action::"connect", resource is Account) when { resource.name == "root" };
        @id("ticketed")
        permit (principal in Group::"ops", action == Action::"connect", resource is Account)
        when { resource.name == "deploy" && context has ticket };
        @id("approvers") permit (principal in Group::"leads", action == Action::"approve", resource is Request);
    "#;
    let house = House::under(policy).await;
    let no = refused(house.issue(ANN, "root@web-1").await, Code::Denied);
    assert_eq!(no.decision.unwrap().cause, Some(policy::Cause::TermsUnmet));
    let asked = FileRequest { ticket: Some("OPS-7".parse().unwrap()), ..ask(&["root@web-1"]) };
    let body = house.file(ANN, asked).await.unwrap();
    let waits = refused(house.issue(ANN, "root@web-1").await, Code::NeedsApproval);
    assert!(waits.hint.unwrap().contains(id(&body)), "it names what waits");
    house.approve(LEA, &body).await.unwrap();
    let issued = house.issue(ANN, "root@web-1").await.unwrap();
    assert_eq!(Some(issued.grant), body.grant);
    house.end(ANN, &body, EndReason::Done).await.unwrap();
    refused(house.issue(ANN, "root@web-1").await, Code::Denied);
    // And what no permit at all would match today.
    refused(house.issue(ANN, "deploy@web-1").await, Code::Denied);
    let start = Some(policy::UnixTime::from_secs(now() + 60));
    let asked = FileRequest { ticket: Some("OPS-8".parse().unwrap()), start, ..ask(&["deploy@web-1"]) };
    let body = house.file(ANN, asked).await.unwrap();
    house.pass(60);
    assert_eq!(Some(house.issue(ANN, "deploy@web-1").await.unwrap().grant), body.grant);
}

#[tokio::test]
async fn grants_add_to_standing_access_and_none_drops_another() {
    let house = House::new().await;
    let standing = house.issue(ANN, "deploy@web-1").await.unwrap();
    let both = house.file(ANN, ask(&["deploy@web-1", "root@web-1"])).await.unwrap();
    let other = house.file(ANN, ask(&["root@web-2"])).await.unwrap();
    for body in [&both, &other] {
        house.approve(LEA, body).await.unwrap();
        house.approve(SAM, body).await.unwrap();
    }
    let again = house.issue(ANN, "deploy@web-1").await.unwrap();
    assert_ne!(again.grant, standing.grant);
    assert_ne!(Some(&again.grant), both.grant.as_ref(), "what one has anyway starts no clock");
    assert!(matches!(house.stage(&both).await, Where::Claimable { .. }));
    let (one, two) = (house.issue(ANN, "root@web-1").await.unwrap(), house.issue(ANN, "root@web-2").await.unwrap());
    assert_eq!((Some(one.grant), Some(two.grant)), (both.grant.clone(), other.grant.clone()));
    // One ends; all else is as it was.
    house.end(ANN, &both, EndReason::Done).await.unwrap();
    refused(house.issue(ANN, "root@web-1").await, Code::NeedsApproval);
    house.issue(ANN, "root@web-2").await.unwrap();
    house.issue(ANN, "deploy@web-1").await.unwrap();
    assert!(matches!(house.stage(&other).await, Where::Active { .. }));
}
