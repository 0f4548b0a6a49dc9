//! Freezes: nothing is issued until two people agree to go on.

use super::*;
use crate::verbs::freezes;
use api::{FreezeBody, FreezeRequest, FreezeScope, ThawRequest, Whose};
use policy::{FreezeId, Kind};

impl House {
    pub(super) async fn freeze(&self, n: u8, scope: FreezeScope) -> Result<FreezeBody, Refusal> {
        let asked = FreezeRequest { scope, reason: "theft".parse().unwrap() };
        freezes::freeze(&self.0.app, &self.0.caller(n).await, asked).await.map(|(freeze, _)| freeze)
    }

    pub(super) async fn thaw(&self, n: u8, freeze: &FreezeBody) -> Result<FreezeBody, Refusal> {
        let asked = ThawRequest { reason: "found".parse().unwrap() };
        freezes::thaw(&self.0.app, &self.0.caller(n).await, freeze.id.as_str(), asked).await
    }

    pub(super) async fn freezes(&self, n: u8) -> Vec<FreezeBody> {
        freezes::list(&self.0.app, &self.0.caller(n).await).await.unwrap().freezes
    }
}

fn user(name: &str) -> FreezeScope {
    FreezeScope::User(Whose { name: name.parse().unwrap(), issuer: None })
}

#[tokio::test]
async fn nothing_is_issued_to_whoever_is_frozen_until_two_people_thaw_it() {
    let house = House::new().await;
    let before = house.issue(ANN, "deploy@web-1").await.unwrap();
    let active = house.approved().await;
    let freeze = house.freeze(ADA, user("ann")).await.unwrap();
    assert_eq!((freeze.live, freeze.last_expiry), (Some(1), Some(before.expires)), "what goes on till then");
    for target in ["deploy@web-1", "root@web-1"] {
        let refusal = refused(house.issue(ANN, target).await, Code::Frozen);
        assert!(!refusal.message.contains("theft"), "the reason is not for whoever is frozen");
    }
    refused(house.issue_under(ANN, "root@web-1", &active).await, Code::Frozen);
    let last = house.entries().await.pop().unwrap();
    assert_eq!((&last["code"], &last["target"]), (&"freeze.stopped".into(), &"root@web-1".into()));
    house.issue(JOE, "deploy@web-1").await.unwrap();

    let seen = house.freezes(ANN).await;
    assert_eq!((seen.len(), &seen[0].id, &seen[0].reason, &seen[0].by), (1, &freeze.id, &None, &None));
    assert!(house.freezes(JOE).await.is_empty(), "nothing of others");
    assert_eq!(house.freezes(AUDREY).await[0].reason.as_ref().unwrap().as_str(), "theft");

    assert!(!house.thaw(ADA, &freeze).await.unwrap().thawed, "whoever froze it may be one of the two");
    let count = house.entries().await.len();
    assert!(!house.thaw(ADA, &freeze).await.unwrap().thawed, "but not both");
    assert_eq!(house.entries().await.len(), count, "once more says nothing new");
    refused(house.issue(ANN, "deploy@web-1").await, Code::Frozen);
    assert!(house.thaw(BEA, &freeze).await.unwrap().thawed);
    house.issue(ANN, "deploy@web-1").await.unwrap();
    refused(house.thaw(BEA, &freeze).await, Code::NotFound);
    let codes = house.codes().await;
    assert_eq!(codes.iter().filter(|code| *code == "freeze.thawed").count(), 2);
}

#[tokio::test]
async fn a_host_and_everything() {
    let house = House::new().await;
    let host = house.freeze(ADA, FreezeScope::Host("web-1".parse().unwrap())).await.unwrap();
    let refusal = refused(house.issue(ANN, "deploy@web-1").await, Code::Frozen);
    assert!(refusal.message.contains("web-1"), "{}", refusal.message);
    house.thaw(ADA, &host).await.unwrap();
    house.thaw(BEA, &host).await.unwrap();
    house.issue(ANN, "deploy@web-1").await.unwrap();
    let all = house.freeze(BEA, FreezeScope::Everything).await.unwrap();
    assert_eq!(house.freeze(ADA, FreezeScope::Everything).await.unwrap().id, all.id, "twice is once");
    for n in [ANN, JOE] {
        refused(house.issue(n, "deploy@web-1").await, Code::Frozen);
        assert_eq!(house.freezes(n).await.len(), 1);
    }
    house.0.login_as(30, person("ann", "ops")).await;
    refused(house.freeze(ADA, FreezeScope::Host("nowhere".parse().unwrap())).await, Code::NotFound);
    refused(house.freeze(ADA, user("nobody")).await, Code::NotFound);
}

#[tokio::test]
async fn another_account_with_the_same_address_is_frozen_too() {
    let house = House::new().await;
    let elsewhere = Identity { issuer: "https://other.example".parse().unwrap(), ..person("77", "ops") };
    let hers = Identity { email: Some("ANN@example.com".parse().unwrap()), ..elsewhere.clone() };
    house.freeze(ADA, user("ann@example.com")).await.unwrap();
    house.0.login_as(20, hers).await;
    house.0.login_as(21, elsewhere).await;
    refused(house.issue(20, "deploy@web-1").await, Code::Frozen);
    house.issue(21, "deploy@web-1").await.unwrap();
}

#[tokio::test]
async fn a_machine_is_frozen_as_one() {
    let house = House::new().await;
    let robot = Identity { kind: Kind::Workload, email: None, ..person("robot", "ops") };
    house.0.login_as(22, robot).await;
    refused(house.freeze(ADA, user("robot")).await, Code::NotFound);
    let whose = Whose { name: "robot".parse().unwrap(), issuer: None };
    house.freeze(ADA, FreezeScope::Workload(whose)).await.unwrap();
    refused(house.issue(22, "deploy@web-1").await, Code::Frozen);
}

#[tokio::test]
async fn only_two_people_who_may_administer_and_are_not_frozen_thaw() {
    let house = House::new().await;
    let everything = house.freeze(ADA, FreezeScope::Everything).await.unwrap();
    for n in [ANN, LEA, AUDREY] {
        refused(house.thaw(n, &everything).await, Code::Denied);
        refused(house.freeze(n, user("joe")).await, Code::Denied);
        assert_eq!(house.codes().await.last().unwrap(), "revocation.refused");
    }
    let again = Identity { issuer: "https://other.example".parse().unwrap(), ..person("ada-2", "admins") };
    let hers = Identity { email: person("ada", "admins").email, ..again };
    let robot = Identity { kind: Kind::Workload, email: None, ..person("robot", "admins") };
    house.0.login_as(23, hers).await;
    house.0.login_as(24, robot).await;
    assert!(!house.thaw(ADA, &everything).await.unwrap().thawed);
    assert!(!house.thaw(23, &everything).await.unwrap().thawed, "her second account is she");
    refused(house.thaw(24, &everything).await, Code::Denied);

    house.freeze(ADA, user("bea")).await.unwrap();
    refused(house.thaw(BEA, &everything).await, Code::Frozen);
    refused(house.freeze(BEA, user("ada")).await, Code::Frozen);
    let own = house.freezes(BEA).await;
    let hers = own.iter().find(|freeze| freeze.frozen.is_of(&person("bea", "admins"))).unwrap();
    refused(house.thaw(BEA, hers).await, Code::Frozen);
    let nothing = FreezeBody { id: FreezeId::from_random([9; 12]), ..everything };
    refused(house.thaw(ADA, &nothing).await, Code::NotFound);
}

#[tokio::test]
async fn a_word_that_no_longer_counts_thaws_nothing() {
    let house = House::new().await;
    let everything = house.freeze(ADA, FreezeScope::Everything).await.unwrap();
    house.thaw(ADA, &everything).await.unwrap();
    house.0.login_as(25, person("ada", "ops")).await;
    assert!(!house.thaw(BEA, &everything).await.unwrap().thawed, "Ada is no administrator any more");
    house.0.login_as(26, person("ada", "admins")).await;
    house.pass(86_400);
    for n in [27, 28] {
        house.0.login_as(n, person("bea", "admins")).await;
        assert!(!house.thaw(n, &everything).await.unwrap().thawed, "the others' words are a day old");
    }
    house.0.login_as(29, person("ada", "admins")).await;
    assert!(house.thaw(29, &everything).await.unwrap().thawed);
}

#[tokio::test]
async fn whoever_is_frozen_approves_nothing() {
    let house = House::new().await;
    let pending = house.filed().await;
    house.freeze(ADA, user("lea")).await.unwrap();
    refused(house.approve(LEA, &pending).await, Code::Frozen);
    house.approve(SAM, &pending).await.unwrap();
}

#[tokio::test]
async fn whoever_is_frozen_takes_nothing_from_anybody() {
    let glass = r#"@id("glass") @reason("required") @record("required") @review_within("40m")
        permit (principal in Group::"emergency", action == Action::"break-glass", resource is Account);"#;
    let house = House::with(glass).await;
    house.0.login_as(40, person("eve", "emergency")).await;
    let broken = FileRequest { incident: Some("INC-7".parse().unwrap()), duration: None, ..ask(&["root@web-1"]) };
    let broken = house.file(40, broken).await.unwrap();
    house.pass(3_600);
    let active = house.approved().await;
    for name in ["ada", "lea"] {
        house.freeze(BEA, user(name)).await.unwrap();
    }
    refused(house.end(ADA, &active, EndReason::Revoked).await, Code::Frozen);
    refused(house.deny(LEA, &active).await, Code::Frozen);
    let review = api::ReviewRequest { verdict: policy::Verdict::Fine, reason: "looks fine".parse().unwrap() };
    let lea = house.0.caller(LEA).await;
    refused(crate::verbs::glass::review(&house.0.app, &lea, id(&broken), None, review).await, Code::Frozen);
    assert!(house.entries().await.pop().unwrap()["attempt"] == "review");
}
