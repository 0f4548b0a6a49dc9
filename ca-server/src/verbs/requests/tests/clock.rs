//! What the clock does, on record: reminders and the ends that nobody makes, each once.

use super::*;
use crate::verbs::agenda::attend;

impl House {
    /// One pass; the codes that it left.
    async fn attended(&self) -> Vec<String> {
        let before = self.codes().await.len();
        attend(&self.0.app).await.unwrap();
        self.codes().await.split_off(before)
    }

    async fn last(&self) -> Value {
        self.entries().await.pop().unwrap()
    }
}

#[tokio::test]
async fn whoever_may_approve_is_reminded_once_before_it_expires() {
    let house = House::new().await;
    let body = house.filed().await;
    house.approve(LEA, &body).await.unwrap();
    assert_eq!(house.attended().await, [""; 0], "it is early");
    house.pass(18 * 3_600 - 1);
    assert_eq!(house.attended().await, [""; 0]);
    house.pass(1);
    assert_eq!(house.attended().await, ["request.reminded"], "after three quarters of a day");
    let told = house.last().await;
    assert_eq!((&told["actor"]["subject"], &told["id"]), (&"ann".into(), &id(&body).into()));
    assert_eq!(told["targets"], serde_json::json!(["root@web-1"]));
    assert_eq!((&told["needs"][0]["have"], &told["needs"][0]["approver_groups"][0]), (&1.into(), &"leads".into()));
    assert_eq!((&told["until"], &told["digest"]), (&(now() + 86_400).into(), &body.digest.as_str().into()));
    house.pass(6 * 3_600 - 1);
    assert_eq!(house.attended().await, [""; 0], "once is enough");
    house.pass(1);
    assert_eq!(house.attended().await, ["request.expired"]);
    assert_eq!(house.last().await["how"], "expired");
    house.pass(86_400);
    assert_eq!(house.attended().await, [""; 0], "and it ends once");
}

#[tokio::test]
async fn nobody_is_reminded_of_what_is_decided() {
    let house = House::new().await;
    let (approved, denied) = (house.approved().await, house.filed().await);
    house.deny(LEA, &denied).await.unwrap();
    house.issue_under(ANN, "root@web-1", &approved).await.unwrap();
    house.pass(1_799);
    assert_eq!(house.attended().await, [""; 0]);
    house.pass(1);
    assert_eq!(house.attended().await, ["grant.finished"], "at once, not when it would have expired");
    let told = house.last().await;
    assert_eq!(told["grant"], serde_json::to_value(&approved.grant).unwrap());
    assert_eq!(told["since"], now());
    house.pass(86_400);
    assert_eq!(house.attended().await, [""; 0], "an end that somebody made is on record as that");
}

#[tokio::test]
async fn what_is_approved_and_never_used_ends_on_record() {
    let house = House::new().await;
    house.approved().await;
    house.pass(3_599);
    assert_eq!(house.attended().await, [""; 0]);
    house.pass(1);
    assert_eq!(house.attended().await, ["request.unclaimed"]);
}

#[tokio::test]
async fn a_later_end_is_recorded_when_it_comes() {
    let house = House::new().await;
    let body = house.approved().await;
    house.issue_under(ANN, "root@web-1", &body).await.unwrap();
    let more = FileRequest { extends: body.id.clone(), duration: Some("10m".parse().unwrap()), ..ask(&[]) };
    let more = house.file(ANN, more).await.unwrap();
    house.approve(LEA, &more).await.unwrap();
    house.approve(SAM, &more).await.unwrap();
    house.pass(1_800);
    assert_eq!(house.attended().await, [""; 0]);
    house.pass(600);
    assert_eq!(house.attended().await, ["grant.finished"]);
    house.pass(86_400);
    assert_eq!(house.attended().await, [""; 0], "what prolonged it has no end of its own");
}

#[tokio::test]
async fn approvals_that_leave_nothing_end_it() {
    let house = House::new().await;
    let both = house.file(ANN, ask(&["root@web-1", "root@web-2"])).await.unwrap();
    let only = |host: &str| ApproveRequest { only: vec![host.parse().unwrap()], ..yes(&both) };
    house.approve_with(LEA, &both, only("web-1")).await.unwrap();
    house.approve_with(SAM, &both, only("web-2")).await.unwrap();
    assert!(is_over(&house.stage(&both).await, Over::Denied));
    assert_eq!(house.attended().await, ["request.emptied"]);
}

#[tokio::test]
async fn what_may_still_turn_is_no_end() {
    let house = House::new().await;
    let body = house.approved().await;
    house.issue_under(ANN, "root@web-1", &body).await.unwrap();
    // Sam counts no longer, so nothing is issued, until another lead approves.
    house.0.login_as(30, person("sam", "ops")).await;
    house.pass(900);
    assert_eq!(house.attended().await, [""; 0]);
    house.approve(KIM, &body).await.unwrap();
    house.issue_under(ANN, "root@web-1", &body).await.unwrap();
    house.pass(900);
    assert_eq!(house.attended().await, ["grant.finished"]);
}

#[tokio::test]
async fn of_two_servers_on_one_store_one_records_it() {
    let house = House::new().await;
    for _ in 0..40 {
        house.filed().await;
    }
    house.pass(86_400);
    let (one, other) = tokio::join!(attend(&house.0.app), attend(&house.0.app));
    assert!(one.unwrap() + other.unwrap() >= 40);
    let codes = house.codes().await;
    assert_eq!(codes.iter().filter(|code| *code == "request.expired").count(), 40);
    assert_eq!(codes.iter().filter(|code| *code == "request.reminded").count(), 0, "too late for that");
}

#[tokio::test]
async fn many_requests_that_wait_cost_a_pass_nothing() {
    let house = House::new().await;
    for _ in 0..20 {
        house.filed().await;
    }
    attend(&house.0.app).await.unwrap();
    assert_eq!(attend(&house.0.app).await.unwrap(), 0, "none is looked at before its time");
}
