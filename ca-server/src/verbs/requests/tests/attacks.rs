//! What approval has been attacked with elsewhere, by name: C1 to C3, and other people's ids.

use super::*;

#[tokio::test]
async fn c1_nobody_approves_their_own_by_whichever_account() {
    let house = House::new().await;
    let mut both = person("ann", "leads");
    both.groups.push("ops".parse().unwrap());
    house.0.login_as(20, both.clone()).await;
    let body = house.file(20, ask(&["root@web-1"])).await.unwrap();
    refused(house.approve(20, &body).await, Code::Denied);
    // The same person at another issuer, known by nothing but the verified address.
    let linked = Identity {
        issuer: "https://other.example.com".parse().unwrap(),
        subject: "4711".parse().unwrap(),
        email: Some("ANN@example.com".parse().unwrap()),
        ..both
    };
    house.0.login_as(21, linked).await;
    refused(house.approve(21, &body).await, Code::Denied);
    refused(house.look(21, &body).await, Code::NotFound);
    refused(house.deny(21, &body).await, Code::Denied);
    assert!(
        matches!(&house.look(20, &body).await.unwrap().body.stage, Where::Pending { needs, .. } if needs[0].have == 0)
    );
    let tried = house.entries().await;
    let tried: Vec<_> = tried.iter().filter(|entry| entry["code"] == "request.refused").collect();
    assert_eq!(tried.len(), 3, "who tries is on record");
    assert_eq!(tried[1]["actor"]["issuer"], "https://other.example.com");
}

#[tokio::test]
async fn c1_a_sponsor_does_not_approve_for_their_workload() {
    let house = House::new().await;
    let bot = Identity {
        kind: policy::Kind::Workload,
        email: None,
        claims: vec![("sponsor".to_owned(), "lea@example.com".to_owned())],
        ..person("bot", "ops")
    };
    house.0.login_as(22, bot).await;
    let body = house.file(22, ask(&["root@web-1"])).await.unwrap();
    refused(house.approve(LEA, &body).await, Code::Denied);
    house.approve(SAM, &body).await.unwrap();
}

#[tokio::test]
async fn c1_a_reviewer_who_lost_the_group_after_the_click_counts_no_longer() {
    let house = House::new().await;
    let body = house.approved().await;
    house.0.login_as(30, person("sam", "ops")).await;
    refused(house.issue(ANN, "root@web-1").await, Code::NeedsApproval);
    refused(house.issue_under(ANN, "root@web-1", &body).await, Code::NeedsApproval);
    assert!(matches!(&house.stage(&body).await, Where::Pending { needs, .. } if needs[0].have == 1));
    refused(house.approve(30, &body).await, Code::Denied);
    house.approve(KIM, &body).await.unwrap();
    house.issue(ANN, "root@web-1").await.unwrap();
    house.0.login_as(32, person("kim", "ops")).await;
    refused(house.issue(ANN, "root@web-1").await, Code::NeedsApproval);
}

#[tokio::test]
async fn c1_who_joined_the_group_after_the_filing_does_not_approve() {
    let house = House::new().await;
    let body = house.filed().await;
    house.pass(60);
    // Joe is made a lead, and somebody nobody has seen before is one: both only now, as far as anybody knows.
    house.0.login_as(50, person("joe", "leads")).await;
    house.0.login_as(51, person("new", "leads")).await;
    for n in [50, 51] {
        let refusal = refused(house.approve(n, &body).await, Code::Denied);
        assert!(refusal.message.contains("only since after it was filed"), "{refusal:?}");
        assert!(house.look(n, &body).await.unwrap().body.may_review, "they see it, and may say no");
    }
    let refusals = house.codes().await;
    assert_eq!(refusals.iter().filter(|code| *code == "request.refused").count(), 2, "who tries is on record");
    house.approve(LEA, &body).await.unwrap();
    assert!(matches!(&house.stage(&body).await, Where::Pending { needs, .. } if needs[0].have == 1));
    // Of what is filed from now on they are approvers like any other.
    let next = house.filed().await;
    house.approve(50, &next).await.unwrap();
    house.approve(51, &next).await.unwrap();
    house.issue_under(ANN, "root@web-1", &next).await.unwrap();
    // Whoever left and came back is new: what they approved before is approved by nobody any more.
    house.approve(SAM, &body).await.unwrap();
    house.issue_under(ANN, "root@web-1", &body).await.unwrap();
    house.0.login_as(52, person("sam", "ops")).await;
    house.0.login_as(53, person("sam", "leads")).await;
    refused(house.issue_under(ANN, "root@web-1", &body).await, Code::NeedsApproval);
    house.deny(50, &body).await.unwrap();
    assert!(is_over(&house.stage(&body).await, Over::Denied));
}

#[tokio::test]
async fn c2_an_approval_is_for_one_exact_request() {
    let house = House::new().await;
    let body = house.filed().await;
    let edited = house.file(ANN, FileRequest { reason: Some("else".parse().unwrap()), ..ask(&["root@web-1"]) }).await;
    let edited = edited.unwrap();
    assert_ne!(body.digest, edited.digest);
    refused(house.approve_with(LEA, &edited, yes(&body)).await, Code::PreconditionFailed);
    for digest in ["", "00", &body.digest.to_uppercase(), &"0".repeat(64)] {
        let wrong = ApproveRequest { digest: digest.to_owned(), ..yes(&body) };
        refused(house.approve_with(LEA, &body, wrong).await, Code::PreconditionFailed);
    }
    house.approve(LEA, &body).await.unwrap();
    house.approve(SAM, &body).await.unwrap();
    refused(house.issue_under(ANN, "root@web-1", &edited).await, Code::NeedsApproval);
    // Even the very same question again is another request.
    assert_ne!(house.filed().await.digest, body.digest);
}

#[tokio::test]
async fn c2_one_person_counts_once() {
    let house = House::new().await;
    let body = house.filed().await;
    let before = house.entries().await.len();
    for _ in 0..3 {
        house.approve(LEA, &body).await.unwrap();
    }
    assert_eq!(house.entries().await.len(), before + 1, "a double click is one approval");
    let linked = Identity {
        issuer: "https://other.example.com".parse().unwrap(),
        subject: "4712".parse().unwrap(),
        ..person("lea", "leads")
    };
    house.0.login_as(23, linked).await;
    house.approve(23, &body).await.unwrap();
    assert!(
        matches!(&house.stage(&body).await, Where::Pending { needs, .. } if needs[0].have == 1),
        "two accounts, one person"
    );
    refused(house.issue(ANN, "root@web-1").await, Code::NeedsApproval);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c2_approvals_that_race_both_count_and_a_denial_wins_over_all() {
    for round in 0..40 {
        let house = Arc::new(House::new().await);
        let body = Arc::new(house.filed().await);
        let mut racing = tokio::task::JoinSet::new();
        for n in [LEA, SAM] {
            let (house, body) = (Arc::clone(&house), Arc::clone(&body));
            racing.spawn(async move { house.approve(n, &body).await.map(drop) });
        }
        if round % 2 == 0 {
            let (house, body) = (Arc::clone(&house), Arc::clone(&body));
            racing.spawn(async move { house.deny(LEA, &body).await.map(drop) });
        }
        while let Some(done) = racing.join_next().await {
            if let Err(refusal) = done.unwrap() {
                assert_eq!(refusal.code, Code::Conflict, "too late, and nothing else");
            }
        }
        let issued = house.issue(ANN, "root@web-1").await;
        assert_eq!(issued.is_ok(), round % 2 == 1, "round {round}: {:?}", house.stage(&body).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c2_nothing_is_issued_after_an_end_however_they_race() {
    for round in 0..40u8 {
        let house = Arc::new(House::new().await);
        let body = Arc::new(house.approved().await);
        let mut racing = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let (house, body) = (Arc::clone(&house), Arc::clone(&body));
            racing.spawn(async move { house.issue_under(ANN, "root@web-1", &body).await.map(drop) });
        }
        let (ender, ended) = (Arc::clone(&house), Arc::clone(&body));
        racing.spawn(async move {
            match round % 3 {
                0 => ender.deny(LEA, &ended).await.map(drop),
                1 => ender.end(ADA, &ended, EndReason::Revoked).await.map(drop),
                _ => ender.end(ANN, &ended, EndReason::Done).await.map(drop),
            }
        });
        while let Some(done) = racing.join_next().await {
            if let Err(refusal) = done.unwrap() {
                assert!(matches!(refusal.code, Code::Denied | Code::Conflict), "{refusal:?}");
            }
        }
        let codes = house.codes().await;
        let end = codes.iter().position(|code| code == "request.denied" || code == "grant.ended").unwrap();
        let after = codes[end..].iter().filter(|code| *code == "certificate.issued").count();
        assert_eq!(after, 0, "the log is in the order of the commits: {codes:?}");
        assert!(codes.iter().filter(|code| *code == "request.claimed").count() <= 1, "claimed once");
    }
}

#[tokio::test]
async fn c3_an_expired_request_cannot_be_approved_nor_an_unclaimed_one_used() {
    let house = House::new().await;
    let (late, unclaimed) = (house.filed().await, house.approved().await);
    house.pass(3_600);
    assert!(is_over(&house.stage(&unclaimed).await, Over::Unclaimed));
    refused(house.issue(ANN, "root@web-1").await, Code::NeedsApproval);
    refused(house.issue_under(ANN, "root@web-1", &unclaimed).await, Code::Denied);
    house.pass(86_400 - 3_600);
    house.0.login_as(40, person("ann", "ops")).await;
    house.0.login_as(41, person("lea", "leads")).await;
    let caller = house.0.caller(41).await;
    refused(reviews::approve(&house.0.app, &caller, id(&late), None, yes(&late)).await, Code::Conflict);
    let stage = house.look(40, &late).await.unwrap().body.stage;
    assert!(is_over(&stage, Over::Expired));
}

#[tokio::test]
async fn c3_a_grant_ends_on_time_whoever_renews() {
    let house = House::new().await;
    house.approved().await;
    let first = house.issue(ANN, "root@web-1").await.unwrap();
    house.pass(1_799);
    let last = house.issue(ANN, "root@web-1").await.unwrap();
    assert_eq!((last.until, last.expires), (first.until, first.until));
    house.pass(1);
    refused(house.issue(ANN, "root@web-1").await, Code::NeedsApproval);
}

#[tokio::test]
async fn c7_one_person_cannot_bury_reviewers_in_requests() {
    let house = House::new().await;
    let mut last = None;
    for _ in 0..50 {
        last = Some(house.filed().await);
    }
    refused(house.file(ANN, ask(&["root@web-1"])).await, Code::RateLimited);
    house.file(JOE, ask(&["root@web-1"])).await.unwrap();
    house.cancel(ANN, &last.unwrap()).await.unwrap();
    let mut filed = house.filed().await;
    for _ in 51..200 {
        house.cancel(ANN, &filed).await.unwrap();
        filed = house.filed().await;
    }
    house.cancel(ANN, &filed).await.unwrap();
    refused(house.file(ANN, ask(&["root@web-1"])).await, Code::RateLimited);
    house.pass(3_600);
    house.filed().await;
}

#[tokio::test]
async fn another_persons_request_is_not_there() {
    let house = House::new().await;
    let body = house.approved().await;
    let ghost = RequestBody { id: Some("r-00112233445566778899aabb".parse().unwrap()), ..body.clone() };
    let before = house.entries().await.len();
    for body in [&body, &ghost] {
        refused(house.look(JOE, body).await, Code::NotFound);
        refused(house.approve(JOE, body).await, Code::NotFound);
        refused(house.deny(JOE, body).await, Code::NotFound);
        refused(house.cancel(JOE, body).await, Code::NotFound);
        for why in [EndReason::Done, EndReason::Revoked] {
            refused(house.end(JOE, body, why).await, Code::NotFound);
        }
        refused(house.issue_under(JOE, "root@web-1", body).await, Code::NotFound);
    }
    assert_eq!(house.entries().await.len(), before);
    refused(house.issue(JOE, "root@web-1").await, Code::NeedsApproval);
    for wrong in ["", "r-", "g-00112233445566778899aabb", "../../etc", "R-00112233445566778899AABB"] {
        let joe = house.0.caller(JOE).await;
        refused(requests::show(&house.0.app, &joe, wrong, None, Duration::ZERO).await, Code::NotFound);
    }
}

#[tokio::test]
async fn a_request_opens_no_other_door() {
    let house = House::new().await;
    let body = house.approved().await;
    refused(house.issue_under(ANN, "deploy@db-1", &body).await, Code::Denied);
    refused(house.issue_under(ANN, "deploy@web-1", &body).await, Code::Denied);
    refused(house.issue_under(LEA, "root@web-1", &body).await, Code::NotFound);
}

#[tokio::test]
async fn whoever_saw_another_version_changes_nothing() {
    let house = House::new().await;
    let body = house.filed().await;
    let seen = house.look(LEA, &body).await.unwrap().etag;
    house.approve(SAM, &body).await.unwrap();
    let lea = house.0.caller(LEA).await;
    let app = &house.0.app;
    refused(reviews::approve(app, &lea, id(&body), Some(&seen), yes(&body)).await, Code::PreconditionFailed);
    let lea = house.0.caller(LEA).await;
    refused(reviews::deny(app, &lea, id(&body), Some(&seen), no()).await, Code::PreconditionFailed);
    let ann = house.0.caller(ANN).await;
    refused(ends::cancel(app, &ann, id(&body), Some(&seen)).await, Code::PreconditionFailed);
    refused(ends::end(app, &ann, id(&body), Some("\"\""), end_as(EndReason::Done)).await, Code::PreconditionFailed);
    let now = house.look(LEA, &body).await.unwrap().etag;
    let shown = reviews::approve(app, &lea, id(&body), Some(&now), yes(&body)).await.unwrap();
    assert_ne!(shown.etag, now);
    assert_eq!(shown.etag, house.look(ANN, &body).await.unwrap().etag, "one tag for all who look");
    reviews::deny(app, &lea, id(&body), Some("*"), no()).await.unwrap();
}
