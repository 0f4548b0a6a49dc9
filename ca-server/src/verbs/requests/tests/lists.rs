use super::*;
use crate::verbs::requests::{Filter, MOST_LISTED, Page, View, Wanted, list};
use policy::RequestId;

async fn listed(house: &House, n: u8, view: View, after: Option<RequestId>, limit: usize) -> api::RequestsResponse {
    list(&house.0.app, &house.0.caller(n).await, view, Page { after, limit, only: Filter::default() }).await.unwrap()
}

fn ids(listed: &api::RequestsResponse) -> Vec<RequestId> {
    listed.requests.iter().map(|body| body.id.clone().unwrap()).collect()
}

#[tokio::test]
async fn everybody_lists_what_is_theirs_to_see() {
    let house = House::new().await;
    let mut filed = Vec::new();
    for n in 0..5 {
        house.pass(1);
        let who = if n == 2 { JOE } else { ANN };
        filed.insert(0, house.file(who, ask(&["root@web-1"])).await.unwrap());
    }
    let (joes, anns): (Vec<_>, Vec<_>) = filed.iter().partition(|body| body.requester.subject.as_str() == "joe");
    assert_eq!(ids(&listed(&house, JOE, View::Mine, None, 50).await), [joes[0].id.clone().unwrap()]);
    let mine: Vec<RequestId> = anns.iter().map(|body| body.id.clone().unwrap()).collect();
    assert_eq!(ids(&listed(&house, ANN, View::Mine, None, 50).await), mine, "newest first");

    let mut pages = Vec::new();
    let mut after = None;
    loop {
        let page = listed(&house, ANN, View::Mine, after, 3).await;
        assert!(page.requests.len() <= 3);
        pages.extend(ids(&page));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(pages, mine, "each once, whatever the page");

    assert_eq!(listed(&house, ANN, View::Review, None, 50).await.requests.len(), 0, "one's own are not for review");
    let review = listed(&house, LEA, View::Review, None, 50).await;
    assert_eq!(review.requests.len(), 5);
    assert!(review.requests.iter().all(|body| body.may_review && body.offers.is_empty()));
    house.cancel(ANN, anns[0]).await.unwrap();
    assert_eq!(listed(&house, LEA, View::Review, None, 50).await.requests.len(), 4, "what is over waits for nobody");
    assert_eq!(listed(&house, JOE, View::Review, None, 50).await.requests.len(), 0);
}

/// What they approved already, and what nobody waits for any more, is not for review; it can be looked for by its stage.
#[tokio::test]
async fn what_waits_for_a_reviewer_is_what_their_word_is_missing_from() {
    let house = House::new().await;
    let review = async |n, stage: Option<&str>| {
        let only = Filter { stage: stage.and_then(Wanted::named), ..Filter::default() };
        let page = Page { after: None, limit: 9, only };
        ids(&list(&house.0.app, &house.0.caller(n).await, View::Review, page).await.unwrap())
    };
    let body = house.filed().await;
    let id = [body.id.clone().unwrap()];
    house.approve(LEA, &body).await.unwrap();
    assert_eq!((review(LEA, None).await, review(SAM, None).await), (vec![], id.to_vec()), "one approval of two");
    assert_eq!(review(LEA, Some("open")).await, id);
    house.approve(SAM, &body).await.unwrap();
    assert_eq!((review(SAM, None).await, review(KIM, None).await), (vec![], vec![]), "approved");
    assert_eq!(review(KIM, Some("claimable")).await, id, "it may still be denied");
    house.issue(ANN, "root@web-1").await.unwrap();
    assert_eq!((review(KIM, None).await, review(KIM, Some("active")).await), (vec![], id.to_vec()));
}

/// A turn that came after one's word is a new wait.
#[tokio::test]
async fn whoever_spoke_out_of_turn_is_asked_again_when_it_is_theirs() {
    let house = House::under(
        r#"@id("in-turn") @approvals("2") @approval_levels("leads,security")
        permit (principal in Group::"ops", action == Action::"connect", resource is Account);
        @id("approve") permit (principal is User, action == Action::"approve", resource is Request);"#,
    )
    .await;
    house.0.login_as(50, person("sid", "security")).await;
    let body = house.file(ANN, ask(&["deploy@web-1"])).await.unwrap();
    house.approve(50, &body).await.unwrap();
    assert_eq!(ids(&listed(&house, 50, View::Review, None, 9).await), []);
    house.approve(LEA, &body).await.unwrap();
    assert_eq!(ids(&listed(&house, 50, View::Review, None, 9).await), [body.id.clone().unwrap()]);
}

#[tokio::test]
async fn all_are_for_those_who_audit_and_their_reading_is_on_record() {
    let house = House::new().await;
    let body = house.filed().await;
    for n in [ANN, LEA, JOE] {
        let page = Page { after: None, limit: 9, only: Filter::default() };
        refused(list(&house.0.app, &house.0.caller(n).await, View::All, page).await, Code::Denied);
    }
    let before = house.entries().await.len();
    assert_eq!(ids(&listed(&house, AUDREY, View::All, None, 9).await), [body.id.clone().unwrap()]);
    assert!(!house.look(AUDREY, &body).await.unwrap().body.may_review);
    house.look(ADA, &body).await.unwrap();
    let read = house.entries().await.split_off(before);
    let read: Vec<_> = read.iter().map(|entry| (entry["code"].as_str(), entry["id"].as_str())).collect();
    let one = (Some("record.read"), Some(id(&body)));
    assert_eq!(read, [(Some("record.read"), None), one, one]);
    let only = Filter { user: Some("joe".to_owned()), stage: Wanted::named("open"), ..Filter::default() };
    let page = Page { after: body.id.clone(), limit: usize::MAX, only };
    list(&house.0.app, &house.0.caller(AUDREY).await, View::All, page).await.unwrap();
    let told = house.entries().await.pop().unwrap();
    let expect = serde_json::json!({"user": "joe", "stage": "open", "after": id(&body), "limit": 100});
    assert_eq!(told["listed"], expect, "what was read");
    house.look(ANN, &body).await.unwrap();
    house.look(LEA, &body).await.unwrap();
    assert_eq!(house.entries().await.len(), before + 4, "what is one's own business is not");
    refused(house.approve(AUDREY, &body).await, Code::Denied);
}

#[tokio::test]
async fn a_page_is_bounded() {
    let house = House::new().await;
    for _ in 0..3 {
        house.filed().await;
    }
    assert_eq!(listed(&house, ANN, View::Mine, None, 0).await.requests.len(), 1);
    assert_eq!(listed(&house, ANN, View::Mine, None, usize::MAX).await.requests.len(), 3);
    assert_eq!(MOST_LISTED, 100);
}

#[tokio::test]
async fn a_key_files_once() {
    let house = House::new().await;
    let app = &house.0.app;
    let file = async |n, asked, key| requests::file(app, &house.0.caller(n).await, asked, Some(key)).await;
    let Outcome::Filed(first) = file(ANN, ask(&["root@web-1"]), "k-1").await.unwrap() else { panic!("filed") };
    let Outcome::AsBefore(again) = file(ANN, ask(&["root@web-1"]), "k-1").await.unwrap() else { panic!("before") };
    assert_eq!(first.body.id, again.body.id);
    let other = FileRequest { reason: None, ..ask(&["root@web-1"]) };
    refused(file(ANN, other, "k-1").await, Code::IdempotencyMismatch);
    let Outcome::Filed(joes) = file(JOE, ask(&["root@web-1"]), "k-1").await.unwrap() else { panic!("another's key") };
    assert_ne!(joes.body.id, first.body.id);
    let long = "k".repeat(65);
    for key in ["", "with space", "größe", &long] {
        refused(file(ANN, ask(&["root@web-1"]), key).await, Code::BadRequest);
    }
    // Whatever has become of it, and whatever would be said of it now.
    house.cancel(ANN, &first.body).await.unwrap();
    for _ in 0..50 {
        house.filed().await;
    }
    let Outcome::AsBefore(again) = file(ANN, ask(&["root@web-1"]), "k-1").await.unwrap() else { panic!("before") };
    assert!(is_over(&again.body.stage, Over::Cancelled));
}

#[tokio::test]
async fn a_list_is_searched() {
    let house = House::new().await;
    let joes = house.file(JOE, ask(&["root@web-1"])).await.unwrap();
    house.pass(1);
    let ticket = FileRequest { ticket: Some("OPS-7".parse().unwrap()), ..ask(&["root@web-1"]) };
    let with_ticket = house.file(ANN, ticket).await.unwrap();
    house.pass(1);
    let given_up = house.filed().await;
    house.cancel(ANN, &given_up).await.unwrap();
    let id = |body: &RequestBody| body.id.clone().unwrap();
    let all = [id(&given_up), id(&with_ticket), id(&joes)];
    let found = async |n, view, only| {
        let page = Page { after: None, limit: 9, only };
        ids(&list(&house.0.app, &house.0.caller(n).await, view, page).await.unwrap())
    };
    let user = |name: &str| Filter { user: Some(name.to_owned()), ..Filter::default() };
    let stage = |name: &str| Filter { stage: Wanted::named(name), ..Filter::default() };
    let host = |name: &str| Filter { host: Some(name.parse().unwrap()), ..Filter::default() };
    let ticket = |name: &str| Filter { ticket: Some(name.parse().unwrap()), ..Filter::default() };
    for (only, expected) in [
        (Filter::default(), &all[..]),
        (user("ANN@example.com"), &all[..2]),
        (user("joe"), &all[2..]),
        (user("jo"), &[]),
        (host("web-1"), &all[..]),
        (host("db-1"), &[]),
        (ticket("ops-7"), &all[1..2]),
        (stage("cancelled"), &all[..1]),
        (stage("over"), &all[..1]),
        (stage("open"), &all[1..]),
        (stage("pending"), &all[1..]),
        (Filter { stage: Wanted::named("open"), ..user("ann") }, &all[1..2]),
        (Filter { user: Some("joe".to_owned()), ..ticket("OPS-7") }, &[]),
    ] {
        assert_eq!(found(AUDREY, View::All, only.clone()).await, expected, "{only:?}");
    }
    assert_eq!(found(ANN, View::Mine, user("joe")).await, [], "a filter shows nobody more");
    assert_eq!(found(ANN, View::Mine, host("web-1")).await, all[..2]);
    assert_eq!(found(LEA, View::Review, user("joe")).await, all[2..]);
}
