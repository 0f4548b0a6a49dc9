//! What is taken from whoever has it: nothing more is issued, and the list for hosts has the rest.

use super::*;
use crate::{
    ca::krl::Krl,
    store::{Selection, Which},
    verbs::{agenda, krl, revoke::revoke},
};
use api::{Receipt, RevokeRequest, Scope, Whose};
use policy::Serial;

impl House {
    pub(super) async fn revoke(&self, n: u8, scope: Scope) -> Result<Receipt, Refusal> {
        let asked = RevokeRequest { scope, reason: "laptop stolen".parse().unwrap() };
        revoke(&self.0.app, &self.0.caller(n).await, asked).await
    }

    /// The serials in the list that hosts fetch.
    async fn listed(&self) -> Vec<Serial> {
        self.0.app.store.revoked(None).await.unwrap().unwrap().serials
    }

    async fn krl(&self) -> std::sync::Arc<Krl> {
        krl::list(&self.0.app).await.unwrap()
    }
}

fn user(name: &str) -> Scope {
    Scope::User(Whose { name: name.parse().unwrap(), issuer: None })
}

#[tokio::test]
async fn whoever_may_not_administer_revokes_nothing_and_leaves_a_trace() {
    let house = House::new().await;
    house.issue(ANN, "deploy@web-1").await.unwrap();
    for n in [ANN, LEA, JOE, AUDREY] {
        refused(house.revoke(n, user("ann")).await, Code::Denied);
        let last = house.entries().await.pop().unwrap();
        assert_eq!((&last["code"], &last["attempt"]), (&"revocation.refused".into(), &"revoke".into()));
    }
    assert_eq!(house.listed().await, []);
    assert_eq!(house.krl().await.version, 0);
}

#[tokio::test]
async fn what_nobody_knows_changes_nothing() {
    let house = House::new().await;
    let before = house.entries().await.len();
    let scopes = [
        user("nobody"),
        Scope::User(Whose { name: "ann".parse().unwrap(), issuer: Some("https://other.example".parse().unwrap()) }),
        Scope::Host("nowhere".parse().unwrap()),
        Scope::Policy("none".parse().unwrap()),
        Scope::Serial(Serial::try_from(5).unwrap()),
        Scope::Issuer("https://other.example".parse().unwrap()),
        Scope::Grant(policy::GrantId::from_random([9; 12])),
    ];
    for scope in scopes {
        let refusal = refused(house.revoke(ADA, scope.clone()).await, Code::NotFound);
        assert!(refusal.message.contains("nothing was changed"), "{scope:?}: {}", refusal.message);
    }
    assert_eq!(house.entries().await.len(), before);
}

#[tokio::test]
async fn a_person_loses_requests_logins_and_certificates() {
    let house = House::new().await;
    let standing = house.issue(ANN, "deploy@web-1").await.unwrap();
    let other = house.issue(JOE, "deploy@web-1").await.unwrap();
    let (active, pending) = (house.approved().await, house.filed().await);
    let under = house.issue_under(ANN, "root@web-1", &active).await.unwrap();
    let caller = house.0.caller(ANN).await;
    let before = house.codes().await.len();

    let receipt = house.revoke(ADA, user("ANN@example.com")).await.unwrap();
    let mut requests = vec![active.id.unwrap(), pending.id.unwrap()];
    requests.sort();
    assert_eq!((&receipt.requests, receipt.sessions), (&requests, 1));
    let mut serials = receipt.serials.clone();
    serials.sort();
    let mut both = vec![standing.serial, under.serial];
    both.sort();
    assert_eq!(serials, both);
    assert_eq!(receipt.last_expiry, Some(standing.expires.max(under.expires)));
    assert_eq!(house.listed().await, both, "and not {}", other.serial);
    assert_eq!(receipt.krl, Some(house.krl().await.version));
    assert!(receipt.hint.unwrap().contains("freeze"));
    let request = certificate_request("deploy@web-1", &user_key(11), Some(ANN));
    refused(issue(&house.0.app, &caller, request).await, Code::LoginRequired);
    let codes = house.codes().await.split_off(before);
    assert_eq!(codes, ["login.ended", "certificates.revoked", "grant.ended", "grant.ended"]);
    let entries = house.entries().await;
    let last = entries.iter().rfind(|entry| entry["code"] == "certificates.revoked").unwrap();
    assert_eq!((&last["which"], &last["named"]), (&"user".into(), &"ANN@example.com".into()));
    let mut told: Vec<_> = last["serials"].as_array().unwrap().iter().map(|serial| serial.as_u64().unwrap()).collect();
    told.sort_unstable();
    assert_eq!(told, both.iter().map(|serial| serial.get()).collect::<Vec<_>>());
    assert_eq!((&last["reason"], &last["actor"]["subject"]), (&"laptop stolen".into(), &"ada".into()));

    let again = house.revoke(ADA, user("ann")).await.unwrap();
    assert_eq!((again.requests.len(), again.sessions), (0, 0));
    assert_eq!((again.serials, again.krl), (receipt.serials, receipt.krl), "to say it again changes nothing");
}

#[tokio::test]
async fn accounts_of_one_person_go_together_and_namesakes_do_not() {
    let house = House::new().await;
    let elsewhere = Identity { issuer: "https://other.example".parse().unwrap(), ..person("77", "ops") };
    let hers = Identity { email: Some("Ann@Example.com".parse().unwrap()), ..elsewhere.clone() };
    let namesake = Identity { subject: "ann".parse().unwrap(), email: None, ..elsewhere };
    house.0.login_as(20, hers).await;
    house.0.login_as(21, namesake).await;
    let first = house.issue(ANN, "deploy@web-1").await.unwrap();
    let second = house.issue(20, "deploy@web-1").await.unwrap();
    let third = house.issue(21, "deploy@web-1").await.unwrap();
    let refusal = refused(house.revoke(ADA, user("ann")).await, Code::Conflict);
    assert!(refusal.hint.unwrap().contains("--at https://"), "which of the two");
    assert_eq!(house.listed().await, []);
    let receipt = house.revoke(ADA, user("ann@example.com")).await.unwrap();
    let (mut serials, mut expect) = (receipt.serials, vec![first.serial, second.serial]);
    serials.sort();
    expect.sort();
    assert_eq!((serials, receipt.sessions), (expect, 2));
    let there = Whose { name: "ann".parse().unwrap(), issuer: Some("https://other.example".parse().unwrap()) };
    assert_eq!(house.revoke(ADA, Scope::User(there)).await.unwrap().serials, [third.serial]);
}

#[tokio::test]
async fn a_host_a_policy_an_issuer_and_a_serial() {
    let house = House::new().await;
    let standing = house.issue(ANN, "deploy@web-1").await.unwrap();
    let active = house.approved().await;
    let under = house.issue_under(ANN, "root@web-1", &active).await.unwrap();
    let one = house.revoke(ADA, Scope::Serial(standing.serial)).await.unwrap();
    assert_eq!((one.serials, one.requests.len(), one.sessions), (vec![standing.serial], 0, 0));

    let by_policy = house.revoke(ADA, Scope::Policy("root-by-two".parse().unwrap())).await.unwrap();
    assert_eq!(by_policy.requests, [active.id.clone().unwrap()]);
    assert_eq!(by_policy.serials, [under.serial]);
    assert!(by_policy.hint.unwrap().contains("standing access goes on"));
    refused(house.issue_under(ANN, "root@web-1", &active).await, Code::Denied);
    let again = house.issue(ANN, "deploy@web-1").await.unwrap();

    let (pending, _) = (house.filed().await, house.filed().await);
    house.cancel(ANN, &pending).await.unwrap();
    let by_host = house.revoke(ADA, Scope::Host("web-1".parse().unwrap())).await.unwrap();
    assert_eq!(by_host.requests.len(), 1, "one had been withdrawn");
    assert_eq!(by_host.serials.len(), 3, "{:?}", by_host.serials);
    assert!(by_host.serials.contains(&again.serial));
    assert_eq!(house.revoke(ADA, Scope::Host("db-1".parse().unwrap())).await.unwrap().serials, []);

    let all = house.revoke(ADA, Scope::Issuer("https://id.example.com".parse().unwrap())).await.unwrap();
    assert_eq!(all.sessions, 8, "whoever does it, too");
    assert_eq!(all.serials.len(), 3);
}

#[tokio::test]
async fn a_grant_with_a_request_and_one_without() {
    let house = House::new().await;
    let standing = house.issue(ANN, "deploy@web-1").await.unwrap();
    let active = house.approved().await;
    let under = house.issue(ANN, "root@web-1").await.unwrap();
    let receipt = house.revoke(ADA, Scope::Grant(standing.grant)).await.unwrap();
    assert_eq!((receipt.serials, receipt.requests.len()), (vec![standing.serial], 0));
    let receipt = house.revoke(ADA, Scope::Grant(under.grant.clone())).await.unwrap();
    assert_eq!((receipt.serials, receipt.requests), (vec![under.serial], vec![active.id.clone().unwrap()]));
    assert!(is_over(&house.stage(&active).await, Over::Revoked));
    house.revoke(ADA, Scope::Grant(under.grant)).await.unwrap();
}

#[tokio::test]
async fn a_denial_after_approval_ends_it_everywhere() {
    let house = House::new().await;
    let active = house.approved().await;
    let under = house.issue(ANN, "root@web-1").await.unwrap();
    house.deny(LEA, &active).await.unwrap();
    assert_eq!(house.listed().await, [under.serial]);
}

#[tokio::test]
async fn a_certificate_that_only_an_extension_carried_goes_with_it() {
    let house = House::new().await;
    let active = house.approved().await;
    house.issue(ANN, "root@web-1").await.unwrap();
    house.pass(1_700);
    let longer = FileRequest {
        targets: Vec::new(),
        duration: Some("20m".parse().unwrap()),
        extends: active.id.clone(),
        ..ask(&[])
    };
    let longer = house.file(ANN, longer).await.unwrap();
    house.approve(LEA, &longer).await.unwrap();
    let longer = house.approve(SAM, &longer).await.unwrap();
    let carried = house.issue(ANN, "root@web-1").await.unwrap();
    assert!(carried.expires.as_secs() > now() + 1_800, "beyond the end without the extension");
    house.deny(LEA, &longer).await.unwrap();
    assert_eq!(house.listed().await, [carried.serial]);
    let shorter = house.issue(ANN, "root@web-1").await.unwrap();
    assert_eq!(shorter.until.as_secs(), now() + 1_800, "what was there before goes on");
}

/// Nothing is left that prolongs what is over, whoever ended it: not in lists, not for a revocation to end once more.
#[tokio::test]
async fn what_prolonged_a_grant_is_over_with_it() {
    let house = House::new().await;
    let active = house.approved().await;
    house.issue(ANN, "root@web-1").await.unwrap();
    let longer = || FileRequest { duration: Some("20m".parse().unwrap()), extends: active.id.clone(), ..ask(&[]) };
    let added = house.file(ANN, longer()).await.unwrap();
    house.approve(LEA, &added).await.unwrap();
    house.approve(SAM, &added).await.unwrap();
    let waits = house.file(ANN, longer()).await.unwrap();
    assert!(matches!(house.stage(&added).await, Where::Added { .. }));
    house.end(ANN, &active, EndReason::Done).await.unwrap();
    for extension in [&added, &waits] {
        assert!(is_over(&house.stage(extension).await, Over::Done), "{:?}", house.stage(extension).await);
        refused(house.approve(KIM, extension).await, Code::Conflict);
    }
    let whose = Whose { name: "ann".parse().unwrap(), issuer: None };
    let receipt = house.revoke(ADA, Scope::User(whose)).await.unwrap();
    assert_eq!(receipt.requests, [], "there was nothing left to end");
    // Its own time ends on record as ever; nobody is reminded of it before.
    house.pass(86_400);
    crate::verbs::agenda::attend(&house.0.app).await.unwrap();
    let entries = house.entries().await;
    let about = |code: &str| entries.iter().filter(|entry| entry["code"] == code).count();
    assert_eq!((about("request.reminded"), about("grant.finished")), (0, 0));
    house.0.login_as(60, person("ann", "ops")).await;
    assert!(is_over(&house.look(60, &added).await.unwrap().body.stage, Over::Done));
}

/// The entry that a step brings along is no earlier than the step's own, and of the same cause.
#[tokio::test]
async fn what_a_step_revokes_is_told_with_the_steps_time_and_cause() {
    let house = House::new().await;
    let active = house.approved().await;
    house.issue(ANN, "root@web-1").await.unwrap();
    house.0.clock.set(house.0.clock.now_ms() + 640);
    house.end(ANN, &active, EndReason::Done).await.unwrap();
    let entries = house.entries().await;
    let of = |code: &str| entries.iter().find(|entry| entry["code"] == code).unwrap();
    let (step, revoked) = (of("grant.ended"), of("certificates.revoked"));
    assert_eq!(step["time_ms"].as_u64().unwrap() % 1_000, 640);
    assert_eq!((&revoked["time_ms"], &revoked["request"]), (&step["time_ms"], &step["request"]));
}

#[tokio::test]
async fn the_list_forgets_what_has_expired_and_keeps_its_bytes_till_then() {
    let house = House::new().await;
    let empty = house.krl().await;
    let standing = house.issue(ANN, "deploy@web-1").await.unwrap();
    assert_eq!(*house.krl().await, *empty, "what is issued is no matter for hosts");
    house.revoke(ADA, Scope::Serial(standing.serial)).await.unwrap();
    let one = house.krl().await;
    assert_eq!(one.version, empty.version + 1);
    house.pass(60);
    assert!(std::sync::Arc::ptr_eq(&one, &house.krl().await), "made once");
    let before = krl::stated(&house.0.app).await.unwrap();
    house.pass(60);
    let after = krl::stated(&house.0.app).await.unwrap();
    assert_ne!(before, after, "stated anew, of the same list");
    assert!(before.contains(&one.sha256) && after.contains(&one.sha256));
    house.pass(3_600);
    house.0.app.store.prune(house.0.app.clock.now()).await.unwrap();
    let gone = house.krl().await;
    assert_eq!(gone.version, one.version + 1);
    assert_eq!(house.listed().await, []);
    assert_eq!(gone.bytes.len(), empty.bytes.len());
    assert_eq!(house.0.app.store.live(&Selection::All, NOW).await.unwrap(), []);
}

#[tokio::test]
async fn many_serials_are_all_on_record() {
    let house = House::new().await;
    let identity = person("ann", "ops");
    let session = policy::SessionId::from_random([ANN; 12]);
    for n in 1..=1_100 {
        let issued = crate::store::Issued {
            serial: Serial::try_from(n).unwrap(),
            expires: NOW.plus(policy::Seconds::new(60)),
            holder: (identity.issuer.clone(), identity.subject.clone()),
            host: "web-1".parse().unwrap(),
            policy: "ops".parse().unwrap(),
            grant: policy::GrantId::from_random([1; 12]),
            freezes: 0,
        };
        let entry = crate::audit::Entry::from_bytes(b"{}".to_vec());
        house.0.app.store.record_issue(&session, None, None, issued, entry).await.unwrap();
    }
    let receipt = house.revoke(ADA, Scope::Host("web-1".parse().unwrap())).await.unwrap();
    assert_eq!(receipt.serials.len(), 1_100);
    let entries = house.entries().await;
    let told = entries.iter().filter(|entry| entry["code"] == "certificates.revoked");
    let serials: Vec<u64> =
        told.flat_map(|entry| entry["serials"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap())).collect();
    assert_eq!(serials, (1..=1_100).collect::<Vec<_>>());
    assert!(entries.iter().all(|entry| entry["serials"].as_array().is_none_or(|serials| serials.len() <= 500)));
}

/// An extension whose approvals count no longer wait for anybody is put away, while the grant that it prolongs goes on.
#[tokio::test]
async fn what_was_put_away_is_in_no_revocations_way() {
    for scope in [user("ann"), Scope::Policy("root-by-two".parse().unwrap()), Scope::Host("web-1".parse().unwrap())] {
        let house = House::new().await;
        let active = house.approved().await;
        let longer = FileRequest {
            targets: Vec::new(),
            duration: Some("30m".parse().unwrap()),
            extends: active.id.clone(),
            ..ask(&[])
        };
        let under = house.issue(ANN, "root@web-1").await.unwrap();
        house.pass(1_000);
        let longer = house.file(ANN, longer).await.unwrap();
        house.approve(LEA, &longer).await.unwrap();
        house.approve(SAM, &longer).await.unwrap();
        house.pass(900);
        let carried = house.issue(ANN, "root@web-1").await.unwrap();
        assert!(carried.until > under.until, "it goes on for longer");
        agenda::attend(&house.0.app).await.unwrap();
        let store = &house.0.app.store;
        let open = store.requests(&Which::Open, None, 9).await.unwrap();
        assert_eq!(open.len(), 1, "{open:?}");
        let receipt = house.revoke(ADA, scope.clone()).await.unwrap();
        assert_eq!(receipt.requests, [active.id.clone().unwrap()], "{scope:?}");
        assert!(receipt.serials.contains(&carried.serial), "{scope:?}");
        assert!(is_over(&house.look(LEA, &active).await.unwrap().body.stage, Over::Revoked), "{scope:?}");
    }
}

/// One reviewer narrows it by a second until nothing more may happen to it: nothing but its end.
#[tokio::test]
async fn what_has_seen_too_much_can_still_be_ended() {
    let house = House::new().await;
    let (first, second, third) = (house.approved().await, house.approved().await, house.approved().await);
    for active in [&first, &second, &third] {
        house.issue_under(ANN, "root@web-1", active).await.unwrap();
        let shorter = (1_000..1_800_u32)
            .rev()
            .map(|seconds| ApproveRequest { duration: Some(policy::Seconds::new(seconds)), ..yes(active) });
        let mut refusals = 0;
        for yes in shorter.take(policy::Request::MOST_STEPS) {
            refusals += usize::from(house.approve_with(LEA, active, yes).await.is_err());
        }
        assert!(refusals > 0, "there is no limit");
    }
    house.deny(SAM, &first).await.unwrap();
    house.end(ANN, &second, EndReason::Done).await.unwrap();
    let receipt = house.revoke(ADA, user("ann@example.com")).await.unwrap();
    assert_eq!((receipt.requests, receipt.sessions), (vec![third.id.unwrap()], 1));
    assert_eq!(house.listed().await.len(), 3);
}

/// Whoever is to lose access withdraws their requests while it is taken: that ends them sooner, and saves nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_target_of_a_revocation_does_not_stop_it() {
    let home = tempfile::tempdir().unwrap();
    let admins = r#"@id("admins") permit (principal in Group::"admins", action == Action::"administer", resource);"#;
    for backend in BACKENDS {
        let store = backend.open(home.path()).await.remove(0);
        let house = Arc::new(House::on(store, &format!("{POLICY}{admins}")).await);
        let live = house.issue(ANN, "deploy@web-1").await.unwrap();
        let (caller, callers) = (house.0.caller(ADA).await, house.0.caller(ANN).await);
        let mut all = Vec::new();
        for _ in 0..40 {
            all.push(house.filed().await);
        }
        let target = tokio::spawn({
            let (house, all) = (Arc::clone(&house), all.clone());
            async move {
                for body in all.iter().rev() {
                    // Some are over already, and at the end so is the login.
                    drop(ends::cancel(&house.0.app, &callers, id(body), None).await);
                }
            }
        });
        let asked = RevokeRequest { scope: user("ann@example.com"), reason: "laptop stolen".parse().unwrap() };
        let receipt = revoke(&house.0.app, &caller, asked).await.unwrap();
        target.await.unwrap();
        assert_eq!(house.listed().await, [live.serial], "{backend:?}");
        assert_eq!((receipt.sessions, receipt.serials), (1, vec![live.serial]), "{backend:?}");
        for body in &all {
            let kept = house.0.app.store.request(body.id.as_ref().unwrap()).await.unwrap().unwrap();
            assert!(crate::verbs::case::ending(&kept.steps).is_some(), "{backend:?}: {body:?}");
        }
    }
}

#[tokio::test]
async fn to_take_what_ran_out_already_is_harmless() {
    let house = House::new().await;
    let active = house.approved().await;
    house.issue_under(ANN, "root@web-1", &active).await.unwrap();
    house.pass(1_801);
    crate::verbs::agenda::attend(&house.0.app).await.unwrap();
    let receipt = house.revoke(ADA, Scope::Grant(active.id.unwrap().grant())).await.unwrap();
    assert_eq!((receipt.requests, receipt.serials), (vec![], vec![]));
}

/// Closed at the hour of the revocation, open again later: what was approved before does not come back.
#[tokio::test]
async fn what_policy_refuses_at_this_hour_is_taken_too() {
    let at = |seconds: u64| NOW.as_secs() + seconds;
    let closed = format!(
        "@id(\"closed\") forbid (principal, action == Action::\"connect\", resource) \
         when {{ context.time >= {} && context.time < {} }};",
        at(600),
        at(1_200)
    );
    let scopes: [fn(&RequestBody) -> Scope; 4] = [
        |_| user("ann@example.com"),
        |_| Scope::Host("web-1".parse().unwrap()),
        |_| Scope::Policy("root-by-two".parse().unwrap()),
        |body| Scope::Grant(body.id.clone().unwrap().grant()),
    ];
    for scope in scopes {
        let house = House::with(&closed).await;
        let approved = house.approved().await;
        house.pass(700);
        let scope = scope(&approved);
        let receipt = house.revoke(ADA, scope.clone()).await.unwrap();
        assert_eq!(receipt.requests, [approved.id.clone().unwrap()], "{scope:?}");
        house.pass(600);
        house.0.login_as(41, person("ann", "ops")).await;
        refused(house.issue_under(41, "root@web-1", &approved).await, Code::Denied);
    }
}
