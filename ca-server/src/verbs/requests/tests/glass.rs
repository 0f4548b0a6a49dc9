//! Breaking the glass: at once, loud, reviewed by somebody else, or no second time.

use super::*;
use crate::verbs::{
    explain::explain,
    glass,
    hosts::{Part, hosts},
    requests::{Page, View, list},
};
use api::{RequestsResponse, ReviewRequest};
use policy::{Review, Verdict};

const EVE: u8 = 40;
const LINKED: u8 = 41;
const GLASS: &str = r#"
@id("glass") @reason("required") @record("required") @review_within("40m") @notify("security,oncall")
permit (principal in Group::"emergency", action == Action::"break-glass", resource is Account);
@id("root-now") @approvals("1") @notify("security")
permit (principal in Group::"emergency", action == Action::"connect", resource is Account);
"#;

/// Eve may break the glass, by either of her accounts.
async fn house() -> House {
    let house = House::with(GLASS).await;
    house.0.login_as(EVE, person("eve", "emergency")).await;
    let linked = Identity {
        issuer: "https://other.example.com".parse().unwrap(),
        subject: "4713".parse().unwrap(),
        email: Some("EVE@example.com".parse().unwrap()),
        groups: vec!["emergency".parse().unwrap(), "leads".parse().unwrap()],
        ..person("eve", "emergency")
    };
    house.0.login_as(LINKED, linked).await;
    house
}

fn emergency() -> FileRequest {
    FileRequest { incident: Some("INC-7".parse().unwrap()), duration: None, ..ask(&["deploy@db-1"]) }
}

fn found(verdict: Verdict) -> ReviewRequest {
    ReviewRequest { verdict, reason: "read the record".parse().unwrap() }
}

impl House {
    pub(super) async fn review(&self, n: u8, body: &RequestBody, verdict: Verdict) -> Result<RequestBody, Refusal> {
        let caller = self.0.caller(n).await;
        glass::review(&self.0.app, &caller, id(body), None, found(verdict)).await.map(|shown| shown.body)
    }

    async fn list(&self, n: u8, view: View) -> RequestsResponse {
        list(
            &self.0.app,
            &self.0.caller(n).await,
            view,
            Page { after: None, limit: 50, only: requests::Filter::default() },
        )
        .await
        .unwrap()
    }

    async fn unreviewed(&self, n: u8) -> Vec<(String, bool)> {
        let listed = self.list(n, View::Unreviewed).await.requests;
        listed.iter().map(|body| (id(body).to_owned(), body.may_review)).collect()
    }
}

#[tokio::test]
async fn it_is_granted_at_once_for_whoever_names_it_and_on_record_first() {
    let house = house().await;
    let body = house.file(EVE, emergency()).await.unwrap();
    assert!(matches!(body.stage, Where::Claimable { .. }), "{:?}", body.stage);
    assert_eq!(body.duration, "30m".parse().unwrap(), "short, where the permit says nothing");
    assert_eq!(body.under, Some("glass".parse().unwrap()));
    let due = policy::UnixTime::from_secs(now() + 2400);
    assert_eq!(body.review, Some(Review::Open { due }));

    refused(house.issue(EVE, "deploy@db-1").await, Code::Denied);
    refused(house.issue(EVE, "root@web-1").await, Code::NeedsApproval);
    let issued = house.issue_under(EVE, "deploy@db-1", &body).await.unwrap();
    assert_eq!(issued.policy, "glass".parse().unwrap());
    assert_eq!(issued.until, policy::UnixTime::from_secs(now() + 1800));
    house.issue_under(EVE, "deploy@db-1", &body).await.unwrap();
    refused(house.issue_under(LINKED, "deploy@db-1", &body).await, Code::NotFound);

    let entries = house.entries().await;
    let of = |code: &str| entries.iter().position(|entry| entry["code"] == code).unwrap();
    let opened = &entries[of("break-glass.opened")];
    assert!(of("break-glass.opened") < of("request.claimed") && of("request.claimed") < of("certificate.issued"));
    assert_eq!(opened["severity"], "high");
    assert_eq!(opened["notify"], serde_json::json!(["oncall", "security"]));
    assert_eq!((&opened["incident"], &opened["target"]), (&"INC-7".into(), &"deploy@db-1".into()));
    assert_eq!(opened["filed"]["break_glass"]["review_by"], due.as_secs());
    assert_eq!(entries[of("certificate.issued")]["notify"], serde_json::json!(["security", "oncall"]));
    assert!(!entries.iter().any(|entry| entry["code"] == "request.filed"), "one fact, one entry");

    house.pass(1800);
    refused(house.issue_under(EVE, "deploy@db-1", &body).await, Code::Denied);
    assert!(is_over(&house.look(EVE, &body).await.unwrap().body.stage, Over::Finished));
}

/// The digests of requests that were filed before there was any glass stay what they were.
#[tokio::test]
async fn other_requests_know_nothing_of_it() {
    let house = house().await;
    house.filed().await;
    let entries = house.entries().await;
    let filed = entries.iter().find(|entry| entry["code"] == "request.filed").unwrap();
    assert!(filed["filed"].get("break_glass").is_none(), "{filed}");
    assert!(filed.get("severity").is_none() && filed.get("notify").is_none(), "{filed}");
    let wanted = house.file(EVE, ask(&["root@web-1"])).await.unwrap();
    house.approve(LEA, &wanted).await.unwrap();
    let entries = house.entries().await;
    for code in ["request.filed", "request.approved"] {
        let last = entries.iter().rfind(|entry| entry["code"] == code).unwrap();
        assert_eq!(last["notify"], serde_json::json!(["security"]), "{code}");
    }
}

#[tokio::test]
async fn somebody_else_reviews_it_when_it_is_over() {
    let house = house().await;
    let body = house.file(EVE, emergency()).await.unwrap();
    house.issue_under(EVE, "deploy@db-1", &body).await.unwrap();
    assert_eq!(house.unreviewed(LEA).await, [(id(&body).to_owned(), true)]);
    assert_eq!(house.unreviewed(EVE).await, [(id(&body).to_owned(), false)]);
    assert_eq!(house.unreviewed(JOE).await, []);
    assert!(house.list(LEA, View::Review).await.requests.is_empty(), "there is nothing to approve");
    refused(house.approve(LEA, &body).await, Code::Conflict);

    let refusal = refused(house.review(LEA, &body, Verdict::Fine).await, Code::Conflict);
    assert!(refusal.message.contains("still in use"), "{refusal:?}");
    assert!(refusal.hint.unwrap().contains(&format!("jit-ssh deny {}", id(&body))), "to be typed as it stands");
    house.end(EVE, &body, EndReason::Done).await.unwrap();
    refused(house.review(EVE, &body, Verdict::Fine).await, Code::Denied);
    refused(house.review(LINKED, &body, Verdict::Fine).await, Code::Denied);
    refused(house.review(JOE, &body, Verdict::Fine).await, Code::NotFound);
    assert_eq!(house.unreviewed(LEA).await.len(), 1, "none of these was a review");

    let reviewed = house.review(LEA, &body, Verdict::Concern).await.unwrap();
    assert!(matches!(reviewed.review, Some(Review::Done { verdict: Verdict::Concern, .. })), "{reviewed:?}");
    assert!(!reviewed.may_review && reviewed.steps.iter().any(|step| step.what == "reviewed: concern"));
    let count = house.entries().await.len();
    house.review(LEA, &body, Verdict::Concern).await.unwrap();
    assert_eq!(house.entries().await.len(), count, "twice the same is once");
    refused(house.review(SAM, &body, Verdict::Fine).await, Code::Conflict);
    assert_eq!((house.unreviewed(LEA).await, house.unreviewed(EVE).await), (vec![], vec![]));
    let entries = house.entries().await;
    let told = entries.iter().find(|entry| entry["code"] == "break-glass.reviewed").unwrap();
    assert_eq!((&told["severity"], &told["verdict"]), (&"high".into(), &"concern".into()));
    assert_eq!(told["notify"], serde_json::json!(["oncall", "security"]));
    let ordinary = house.filed().await;
    refused(house.review(LEA, &ordinary, Verdict::Fine).await, Code::Conflict);
    let unused = house.file(EVE, emergency()).await.unwrap();
    let refusal = refused(house.review(LEA, &unused, Verdict::Fine).await, Code::Conflict);
    assert!(refusal.message.contains("was not used yet"), "{refusal:?}");
    house.cancel(EVE, &unused).await.unwrap();
    house.review(LEA, &unused, Verdict::Fine).await.unwrap();
}

#[tokio::test]
async fn an_overdue_review_bars_the_person_and_nobody_else() {
    let house = house().await;
    house.0.login_as(42, person("zoe", "emergency")).await;
    let body = house.file(EVE, emergency()).await.unwrap();
    house.issue_under(EVE, "deploy@db-1", &body).await.unwrap();
    house.pass(2400 - 1);
    let second = house.file(EVE, emergency()).await.unwrap();
    house.pass(1);
    for n in [EVE, LINKED] {
        let refusal = refused(house.file(n, emergency()).await, Code::Denied);
        assert!(refusal.message.contains(id(&body)), "{refusal:?}");
        assert!(refusal.hint.unwrap().contains(&format!("jit-ssh reviewed {} --verdict fine --reason", id(&body))));
    }
    house.file(42, emergency()).await.unwrap();
    house.file(EVE, ask(&["root@web-1"])).await.unwrap();
    let entries = house.entries().await;
    let barred: Vec<_> = entries.iter().filter(|entry| entry["code"] == "break-glass.refused").collect();
    assert_eq!((barred.len(), &barred[0]["overdue"]), (2, &id(&body).into()));
    assert_eq!((&barred[0]["severity"], &barred[0]["notify"][0]), (&"high".into(), &"security".into()));

    // What was opened in time is used to its end all the same.
    house.issue_under(EVE, "deploy@db-1", &second).await.unwrap();
    house.review(LEA, &body, Verdict::Fine).await.unwrap();
    house.file(EVE, emergency()).await.unwrap();
    house.pass(2400);
    refused(house.file(EVE, emergency()).await, Code::Denied);
}

/// A reviewer may end it at once; that is no review yet.
#[tokio::test]
async fn a_veto_ends_it_and_leaves_the_review_open() {
    let house = house().await;
    let body = house.file(EVE, emergency()).await.unwrap();
    house.issue_under(EVE, "deploy@db-1", &body).await.unwrap();
    house.deny(LEA, &body).await.unwrap();
    refused(house.issue_under(EVE, "deploy@db-1", &body).await, Code::Denied);
    assert_eq!(house.unreviewed(LEA).await.len(), 1);
    house.review(LEA, &body, Verdict::Fine).await.unwrap();
    let cancelled = house.file(EVE, emergency()).await.unwrap();
    house.cancel(EVE, &cancelled).await.unwrap();
    assert_eq!(house.unreviewed(LEA).await.len(), 1, "withdrawn, it still wants a look");
}

#[tokio::test]
async fn what_is_no_emergency_is_refused_and_on_record() {
    let house = house().await;
    let before = house.entries().await.len();
    let said: fn(FileRequest) -> FileRequest = |asked| asked;
    for (n, asked, code) in [
        (ANN, said(emergency()), Code::Denied),
        (EVE, FileRequest { reason: None, ..emergency() }, Code::Denied),
        (EVE, FileRequest { duration: Some("31m".parse().unwrap()), ..emergency() }, Code::Denied),
        (EVE, FileRequest { under: Some("root-now".parse().unwrap()), ..emergency() }, Code::Denied),
        (EVE, FileRequest { targets: vec!["deploy@db-9".parse().unwrap()], ..emergency() }, Code::Denied),
    ] {
        refused(house.file(n, FileRequest { dry_run: true, ..asked.clone() }).await, code);
        refused(house.file(n, asked).await, code);
    }
    let entries = house.entries().await;
    let refusals: Vec<_> = entries[before..].iter().map(|entry| entry["code"].as_str().unwrap()).collect();
    assert_eq!(refusals, ["break-glass.refused"; 5], "each once: a question is no attempt");
    assert_eq!(entries[before]["decision"]["cause"], "no-permit");

    let later = Some(policy::UnixTime::from_secs(now() + 60));
    let two = ["deploy@db-1", "root@web-1"].map(|target| target.parse().unwrap()).to_vec();
    for asked in [FileRequest { start: later, ..emergency() }, FileRequest { targets: two, ..emergency() }] {
        refused(house.file(EVE, asked).await, Code::BadRequest);
    }
    let body = house.file(EVE, emergency()).await.unwrap();
    house.issue_under(EVE, "deploy@db-1", &body).await.unwrap();
    let more = FileRequest { targets: Vec::new(), extends: body.id.clone(), ..ask(&[]) };
    refused(house.file(EVE, more).await, Code::Conflict);
    assert!(house.file(EVE, FileRequest { dry_run: true, ..emergency() }).await.unwrap().id.is_none());
}

#[tokio::test]
async fn hosts_and_explain_say_that_it_is_possible() {
    let house = house().await;
    let app = &house.0.app;
    let listed = hosts(app, &house.0.caller(EVE).await, Part::default()).await.unwrap();
    let db = listed.hosts.iter().find(|entry| entry.host.as_str() == "db-1").unwrap();
    assert_eq!(db.accounts[0].outcome, api::Outcome::Denied);
    let glass = db.accounts[0].break_glass.as_ref().unwrap();
    assert_eq!((glass.policy.as_str(), glass.review_within), ("glass", "40m".parse().unwrap()));
    let asked = || serde_json::from_value(serde_json::json!({ "target": "deploy@db-1" })).unwrap();
    let told = explain(app, &house.0.caller(EVE).await, asked()).unwrap();
    assert_eq!(told.break_glass.unwrap().max_duration, "30m".parse().unwrap());
    assert!(explain(app, &house.0.caller(ANN).await, asked()).unwrap().break_glass.is_none());
    let anns = hosts(app, &house.0.caller(ANN).await, Part::default()).await.unwrap();
    assert!(!anns.hosts.iter().any(|entry| entry.host.as_str() == "db-1"));
}

/// What a reviewer sees of the past: targets, stages and times of a few, and nobody else sees it.
#[tokio::test]
async fn whoever_decides_sees_what_was_used_before() {
    let house = house().await;
    let broken = house.file(EVE, emergency()).await.unwrap();
    house.issue_under(EVE, "deploy@db-1", &broken).await.unwrap();
    let mut last = broken.clone();
    for _ in 0..6 {
        house.pass(60);
        last = house.file(EVE, ask(&["root@web-1"])).await.unwrap();
    }
    let seen = house.look(LEA, &last).await.unwrap().body.used_before;
    assert_eq!(seen.len(), 5, "a few");
    assert!(seen.windows(2).all(|two| two[0].filed > two[1].filed), "the latest first");
    assert!(seen.iter().all(|before| before.used.is_none()));
    let second = house.list(EVE, View::Mine).await.requests[5].clone();
    let seen = house.look(LEA, &second).await.unwrap().body.used_before;
    assert_eq!(seen.len(), 1);
    assert_eq!((&seen[0].id, &seen[0].incident), (broken.id.as_ref().unwrap(), &broken.incident));
    assert_eq!(seen[0].used, Some(NOW));
    assert_eq!(seen[0].last_expiry, Some(policy::UnixTime::from_secs(now() + 300)));
    assert!(house.look(EVE, &last).await.unwrap().body.used_before.is_empty());
    assert!(house.list(LEA, View::Review).await.requests.iter().all(|row| row.used_before.is_empty()));
}

/// Nobody was waited for, so nothing expires; its real end is on record, and is no review.
#[tokio::test]
async fn the_clock_ends_it_by_its_use_and_not_by_its_filing() {
    let house = house().await;
    let used = house.file(EVE, emergency()).await.unwrap();
    let codes = async || {
        crate::verbs::agenda::attend(&house.0.app).await.unwrap();
        let all = house.entries().await;
        all.iter().map(|entry| entry["code"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    assert!(!codes().await.iter().any(|code| code.starts_with("request.")), "it is open");
    house.issue_under(EVE, "deploy@db-1", &used).await.unwrap();
    house.pass(1799);
    assert!(!codes().await.contains(&"grant.finished".to_owned()));
    house.pass(1);
    let over = codes().await;
    assert_eq!(over.iter().filter(|code| *code == "grant.finished").count(), 1, "{over:?}");
    assert!(!over.iter().any(|code| code == "request.expired"), "{over:?}");
    assert_eq!(house.unreviewed(LEA).await, vec![(id(&used).to_owned(), true)]);
    house.review(LEA, &used, Verdict::Fine).await.unwrap();
    assert_eq!(codes().await.len(), over.len() + 1);
}
