//! One person stays one person, whatever the next token of one of their accounts leaves out or says anew.

use super::*;
use crate::verbs::freezes;
use api::{FreezeScope, Scope, ThawRequest, Whose};
use policy::{Frozen, Review, Verdict};

const GLASS: &str = r#"
@id("glass") @reason("required") @record("required") @review_within("40m")
permit (principal in Group::"emergency", action == Action::"break-glass", resource is Account);
"#;

/// An account at another issuer, whose tokens say what whoever logs in chooses.
fn elsewhere(subject: &str, email: Option<&str>, group: &str) -> Identity {
    Identity {
        issuer: "https://other.example".parse().unwrap(),
        email: email.map(|email| email.parse().unwrap()),
        ..person(subject, group)
    }
}

fn whose(name: &str) -> Whose {
    Whose { name: name.parse().unwrap(), issuer: None }
}

fn user(name: &str) -> FreezeScope {
    FreezeScope::User(whose(name))
}

fn emergency() -> FileRequest {
    FileRequest { incident: Some("INC-7".parse().unwrap()), duration: None, ..ask(&["root@web-1"]) }
}

impl House {
    /// A login of a second account that is known to be `email`'s, and one of it that does not say so.
    async fn two_logins(&self, email: &str, group: &str) -> (u8, u8) {
        self.0.login_as(20, elsewhere("77", Some(email), group)).await;
        self.0.login_as(21, elsewhere("77", None, group)).await;
        (20, 21)
    }
}

#[tokio::test]
async fn nobody_approves_their_own_by_a_token_without_the_address() {
    let house = House::new().await;
    let (with, without) = house.two_logins("ann@example.com", "leads").await;
    house.pass(1);
    let body = house.filed().await;
    refused(house.approve(with, &body).await, Code::Denied);
    refused(house.approve(without, &body).await, Code::Denied);
    refused(house.deny(without, &body).await, Code::Denied);
    house.approve(LEA, &body).await.unwrap();
    refused(house.issue_under(ANN, "root@web-1", &body).await, Code::NeedsApproval);
}

/// The approval is there when it becomes known whose account gave it.
#[tokio::test]
async fn an_approval_that_turns_out_to_be_ones_own_counts_no_longer() {
    let house = House::new().await;
    house.0.login_as(20, elsewhere("77", Some("a.smith@example.com"), "leads")).await;
    house.pass(1);
    let body = house.filed().await;
    house.approve(20, &body).await.unwrap();
    house.approve(LEA, &body).await.unwrap();
    // Ann's own account gets the address that the other has, and another one after that.
    for (n, address) in [(22, "a.smith@example.com"), (23, "ann@example.com")] {
        house.0.login_as(n, Identity { email: Some(address.parse().unwrap()), ..person("ann", "ops") }).await;
    }
    for n in [ANN, 22, 23] {
        refused(house.issue_under(n, "root@web-1", &body).await, Code::NeedsApproval);
    }
    house.approve(SAM, &body).await.unwrap();
    house.issue_under(ANN, "root@web-1", &body).await.unwrap();
}

#[tokio::test]
async fn two_approvals_by_accounts_that_were_known_to_be_one_persons_are_one() {
    let house = House::new().await;
    let (_, without) = house.two_logins("lea@example.com", "leads").await;
    house.pass(1);
    let body = house.filed().await;
    house.approve(LEA, &body).await.unwrap();
    house.approve(without, &body).await.unwrap();
    refused(house.issue_under(ANN, "root@web-1", &body).await, Code::NeedsApproval);
}

#[tokio::test]
async fn whoever_is_frozen_gets_out_by_no_account_and_no_token() {
    let house = House::new().await;
    // Not yet known to be hers at that login; known by the next.
    house.0.login_as(19, elsewhere("77", None, "ops")).await;
    house.two_logins("ann@example.com", "ops").await;
    // An account at an issuer that sorts before that of her main one.
    let side = Identity { issuer: "https://a-side.example".parse().unwrap(), ..elsewhere("9", None, "nobody") };
    house.0.login_as(24, Identity { email: Some("ANN@example.com".parse().unwrap()), ..side }).await;
    let freeze = house.freeze(ADA, user("ann@example.com")).await.unwrap();
    let Frozen::Holder { also, .. } = &freeze.frozen else { panic!("{freeze:?}") };
    assert_eq!(also.len(), 2, "{freeze:?}");

    house.0.login_as(22, elsewhere("77", Some("ann.new@example.com"), "ops")).await;
    house.0.login_as(23, Identity { email: None, ..person("ann", "ops") }).await;
    house
        .0
        .login_as(25, Identity { email: Some("ann.new@example.com".parse().unwrap()), ..person("ann", "ops") })
        .await;
    for n in [ANN, 19, 20, 21, 22, 23, 25] {
        refused(house.issue(n, "deploy@web-1").await, Code::Frozen);
    }
    house.issue(JOE, "deploy@web-1").await.unwrap();
}

/// What is learnt of an account holds for its older logins too.
#[tokio::test]
async fn an_older_login_of_an_account_that_gets_a_frozen_address_is_frozen_with_it() {
    let house = House::with(GLASS).await;
    house.0.login_as(19, elsewhere("77", None, "ops")).await;
    house.0.login_as(18, elsewhere("78", None, "emergency")).await;
    house.freeze(ADA, user("ann@example.com")).await.unwrap();
    house.issue(19, "deploy@web-1").await.unwrap();
    house.0.login_as(20, elsewhere("77", Some("ann@example.com"), "ops")).await;
    house.0.login_as(21, elsewhere("78", Some("Ann@example.com"), "emergency")).await;
    for n in [19, 20] {
        refused(house.issue(n, "deploy@web-1").await, Code::Frozen);
    }
    for n in [18, 21] {
        refused(house.file(n, emergency()).await, Code::Frozen);
    }
    assert_eq!(house.freezes(19).await.len(), 1, "and they are told so");
    house.issue(JOE, "deploy@web-1").await.unwrap();
}

#[tokio::test]
async fn a_frozen_administrator_administers_by_no_account() {
    let house = House::new().await;
    house.0.login_as(19, elsewhere("77", None, "admins")).await;
    house.two_logins("ada@example.com", "admins").await;
    let freeze = house.freeze(BEA, user("ada@example.com")).await.unwrap();
    house.0.login_as(22, elsewhere("77", Some("ada.new@example.com"), "admins")).await;
    for n in [ADA, 19, 20, 21, 22] {
        refused(house.thaw(n, &freeze).await, Code::Frozen);
        refused(house.freeze(n, user("bea@example.com")).await, Code::Frozen);
    }
}

#[tokio::test]
async fn one_administrator_is_not_two_by_an_older_login_or_a_barer_token() {
    let house = House::new().await;
    house.0.login_as(19, elsewhere("77", None, "admins")).await;
    house.two_logins("ada@example.com", "admins").await;
    let freeze = house.freeze(BEA, FreezeScope::Everything).await.unwrap();
    for n in [ADA, 19, 20, 21] {
        assert!(!house.thaw(n, &freeze).await.unwrap().thawed, "{n}: her second account is she");
    }
    assert!(house.thaw(BEA, &freeze).await.unwrap().thawed);
}

#[tokio::test]
async fn who_lost_a_group_since_administers_no_longer_by_an_older_login() {
    let house = House::new().await;
    let active = house.approved().await;
    let freeze = house.freeze(BEA, FreezeScope::Everything).await.unwrap();
    house.0.login_as(30, person("ada", "ops")).await;
    refused(house.freeze(ADA, user("joe")).await, Code::Denied);
    refused(house.thaw(ADA, &freeze).await, Code::Denied);
    refused(house.end(ADA, &active, EndReason::Revoked).await, Code::Denied);
    let asked = ThawRequest { reason: "found".parse().unwrap() };
    house.0.login_as(31, person("ada", "admins")).await;
    freezes::thaw(&house.0.app, &house.0.caller(ADA).await, freeze.id.as_str(), asked).await.unwrap();
}

#[tokio::test]
async fn all_logins_of_an_account_end_under_any_address_that_it_had() {
    let house = House::new().await;
    house.0.login_as(20, elsewhere("77", Some("ann@example.com"), "ops")).await;
    house.0.login_as(21, elsewhere("77", Some("ann.new@example.com"), "ops")).await;
    // Known to be hers through the second account alone.
    house
        .0
        .login_as(22, Identity { email: Some("ann.new@example.com".parse().unwrap()), ..person("ann-3", "ops") })
        .await;
    let receipt = house.revoke(ADA, Scope::User(whose("Ann@example.com"))).await.unwrap();
    assert_eq!(receipt.sessions, 4);
    for n in [ANN, 20, 21, 22] {
        assert!(house.0.app.store.session(&policy::SessionId::from_random([n; 12])).await.unwrap().is_none(), "{n}");
    }
}

#[tokio::test]
async fn nobody_reviews_their_own_emergency_by_a_token_without_the_address() {
    let house = House::with(GLASS).await;
    house.0.login_as(40, person("eve", "emergency")).await;
    let (with, without) = house.two_logins("eve@example.com", "leads").await;
    let body = house.file(40, emergency()).await.unwrap();
    house.pass(3600);
    house.0.login_as(43, person("eve", "emergency")).await;
    for n in [with, without] {
        refused(house.review(n, &body, Verdict::Fine).await, Code::Denied);
    }
    refused(house.file(43, emergency()).await, Code::Denied);
    house.review(LEA, &body, Verdict::Fine).await.unwrap();
    house.file(43, emergency()).await.unwrap();
}

/// What tells that the reviewer is the person became known after the glass was broken.
#[tokio::test]
async fn a_review_that_would_not_count_is_refused_and_the_bar_stays() {
    let house = House::with(GLASS).await;
    let married = || Some("eve.married@example.com".parse().unwrap());
    house.0.login_as(40, person("eve", "emergency")).await;
    house.0.login_as(41, elsewhere("4713", Some("eve.married@example.com"), "leads")).await;
    house.0.login_as(45, elsewhere("4713", Some("eve.married@example.com"), "emergency")).await;
    house.0.login_as(46, elsewhere("4713", Some("eve.married@example.com"), "leads")).await;
    let body = house.file(40, emergency()).await.unwrap();
    house.0.login_as(42, Identity { email: married(), ..person("eve", "emergency") }).await;
    house.issue_under(42, "root@web-1", &body).await.unwrap();
    house.pass(3600);
    for n in [41, 46] {
        refused(house.review(n, &body, Verdict::Fine).await, Code::Denied);
    }
    house.0.login_as(44, person("eve", "emergency")).await;
    refused(house.file(44, emergency()).await, Code::Denied);
    refused(house.file(45, emergency()).await, Code::Denied);
    let seen = house.look(LEA, &body).await.unwrap().body;
    assert!(matches!(seen.review, Some(Review::Overdue { .. })), "{seen:?}");
    let reviewed = house.review(LEA, &body, Verdict::Fine).await.unwrap();
    assert!(matches!(reviewed.review, Some(Review::Done { .. })), "{reviewed:?}");
    house.file(44, emergency()).await.unwrap();
}

#[tokio::test]
async fn a_newcomer_reviews_no_emergency() {
    let house = House::with(GLASS).await;
    house.0.login_as(40, person("eve", "emergency")).await;
    let body = house.file(40, emergency()).await.unwrap();
    house.pass(3600);
    house.0.login_as(41, person("new", "leads")).await;
    refused(house.review(41, &body, Verdict::Fine).await, Code::Denied);
    house.review(LEA, &body, Verdict::Fine).await.unwrap();
}

#[tokio::test]
async fn a_login_carries_the_addresses_that_its_account_had() {
    let house = House::new().await;
    let (_, without) = house.two_logins("ann@example.com", "ops").await;
    let session = house.0.app.store.session(&policy::SessionId::from_random([without; 12])).await.unwrap().unwrap();
    assert_eq!((session.identity.email, session.identity.known_as), (None, vec!["ann@example.com".parse().unwrap()]));
    for n in 100..140 {
        house.0.login_as(n, elsewhere("77", Some(&format!("a{n}@example.com")), "ops")).await;
    }
    let session = house.0.app.store.session(&policy::SessionId::from_random([139; 12])).await.unwrap().unwrap();
    assert_eq!(session.identity.known_as.len(), Identity::MOST_KNOWN_AS);
    assert!(session.identity.is_known_as("ann@example.com"), "the first is not pushed out");
}

/// Ann asks for 20 minutes more.
async fn longer(house: &House, active: &RequestBody) -> RequestBody {
    let longer = FileRequest {
        targets: Vec::new(),
        extends: active.id.clone(),
        duration: Some("20m".parse().unwrap()),
        ..ask(&[])
    };
    house.file(ANN, longer).await.unwrap()
}

/// Nobody unsays a reviewer's word by becoming one with them.
#[tokio::test]
async fn what_a_reviewer_left_out_or_denied_stays_so_whoever_they_turn_out_to_be() {
    let house = House::new().await;
    house.0.login_as(24, person("max", "leads")).await;
    house.pass(1);
    let less = house.file(ANN, ask(&["root@web-1", "root@web-2"])).await.unwrap();
    let yes_to = |body: &RequestBody| ApproveRequest {
        only: vec!["web-1".parse().unwrap()],
        duration: Some("5m".parse().unwrap()),
        ..yes(body)
    };
    house.approve_with(24, &less, yes_to(&less)).await.unwrap();
    house.approve(LEA, &less).await.unwrap();
    house.approve(SAM, &less).await.unwrap();
    let denied = house.approved().await;
    house.deny(24, &denied).await.unwrap();
    let active = house.approved().await;
    house.issue_under(ANN, "root@web-1", &active).await.unwrap();
    let longer = longer(&house, &active).await;
    house.approve(LEA, &longer).await.unwrap();
    house.approve(SAM, &longer).await.unwrap();
    house.deny(24, &longer).await.unwrap();

    let max = "max@example.com".parse().unwrap();
    house.0.login_as(25, Identity { email: Some(max), ..person("ann", "ops") }).await;
    for n in [ANN, 25] {
        refused(house.issue_under(n, "root@web-2", &less).await, Code::Denied);
        let issued = house.issue_under(n, "root@web-1", &less).await.unwrap();
        assert_eq!(issued.until, house.0.app.clock.now().plus("5m".parse().unwrap()));
        assert_eq!(house.stage(&denied).await, Where::Over { how: Over::Denied });
        let issued = house.issue_under(n, "root@web-1", &active).await.unwrap();
        assert_eq!(issued.until, house.0.app.clock.now().plus("30m".parse().unwrap()), "without what was denied");
    }
}

/// As of a request, so of what prolongs it, whichever login of theirs they use.
#[tokio::test]
async fn an_extension_that_turns_out_to_be_approved_by_oneself_adds_nothing() {
    let house = House::new().await;
    house.0.login_as(20, elsewhere("77", Some("a.smith@example.com"), "leads")).await;
    house.pass(1);
    let active = house.approved().await;
    house.issue_under(ANN, "root@web-1", &active).await.unwrap();
    let longer = longer(&house, &active).await;
    house.approve(20, &longer).await.unwrap();
    house.approve(LEA, &longer).await.unwrap();
    for (n, address) in [(22, "a.smith@example.com"), (23, "ann@example.com")] {
        house.0.login_as(n, Identity { email: Some(address.parse().unwrap()), ..person("ann", "ops") }).await;
    }
    house.pass(1_826);
    for n in [ANN, 22, 23] {
        refused(house.issue_under(n, "root@web-1", &active).await, Code::Denied);
    }
}
