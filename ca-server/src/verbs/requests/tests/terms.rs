//! What a request is told of the terms it does not meet yet.

use super::*;
use policy::{Unmet, UnmetTerm};

const TWO_DOORS: &str = r#"
@id("plain") @approvals("1")
permit (principal in Group::"ops", action == Action::"connect", resource is Account)
    when { resource.name == "deploy" };
@id("ticketed") @approvals("2") @ticket("required") @max_duration("20m")
permit (principal in Group::"ops", action == Action::"connect", resource is Account)
    when { resource.name == "deploy" };
@id("other") @approvals("2")
permit (principal in Group::"ops", action == Action::"connect", resource is Account) when { resource.name == "root" };
@id("approvers") permit (principal in Group::"leads", action == Action::"approve", resource is Request);
"#;

fn wish() -> FileRequest {
    ask(&["deploy@web-1"])
}

#[tokio::test]
async fn a_dry_run_names_what_further_policies_would_want() {
    let house = House::under(TWO_DOORS).await;
    let dry = |more: FileRequest| FileRequest { dry_run: true, ..more };
    let told = house.file(ANN, dry(wish())).await.unwrap();
    let [offer] = told.offers.as_slice() else { panic!("{told:?}") };
    assert_eq!(offer.offers.len(), 1);
    let lacks = |term| Unmet { policy: "ticketed".parse().unwrap(), term };
    let duration = lacks(UnmetTerm::Duration("20m".parse().unwrap()));
    assert_eq!(offer.unmet, [lacks(UnmetTerm::Ticket), duration]);
    let [further] = offer.further.as_slice() else { panic!("{offer:?}") };
    assert_eq!((further.policy.as_str(), further.approvals), ("ticketed", 2));
    let ticket = Some("OPS-7".parse().unwrap());
    let told = house.file(ANN, dry(FileRequest { ticket, duration: None, ..wish() })).await.unwrap();
    assert_eq!(told.offers[0].unmet.len(), 1, "{told:?}");
    let filed = house.file(ANN, wish()).await.unwrap();
    assert!(
        filed.offers[0].unmet.is_empty() && filed.offers[0].further.is_empty(),
        "it is filed: nothing more is asked"
    );
}

#[tokio::test]
async fn a_policy_that_was_picked_says_itself_what_it_wants() {
    let house = House::under(TWO_DOORS).await;
    let under = |policy: &str, target: &str| FileRequest { under: Some(policy.parse().unwrap()), ..ask(&[target]) };
    let refusal = refused(house.file(ANN, under("ticketed", "deploy@web-1")).await, Code::Denied);
    assert!(refusal.message.contains("ticketed, which was picked, wants a ticket and no more than 20m"), "{refusal:?}");
    assert_eq!(refusal.hint.as_deref(), Some("add `--ticket …` and `--for 20m`"));
    let decision = refusal.decision.unwrap();
    assert!(decision.unmet.len() == 2 && decision.unmet.iter().all(|lacks| lacks.policy.as_str() == "ticketed"));
    let refusal = refused(house.file(ANN, under("nope", "deploy@web-1")).await, Code::Denied);
    assert!(refusal.message.contains("there is no policy nope"), "{refusal:?}");
    let refusal = refused(house.file(ANN, under("ticketed", "root@web-1")).await, Code::Denied);
    assert!(refusal.message.contains("does not cover root@web-1"), "{refusal:?}");
    let ticket = Some("OPS-7".parse().unwrap());
    house.file(ANN, FileRequest { ticket, duration: None, ..under("ticketed", "deploy@web-1") }).await.unwrap();
}

#[tokio::test]
async fn a_start_that_is_past_is_refused_and_not_dropped() {
    let house = House::new().await;
    let starting = |second: u64| {
        let start = Some(policy::UnixTime::from_secs(second));
        FileRequest { start, ..ask(&["root@web-1"]) }
    };
    let refusal = refused(house.file(ANN, starting(now() - 3_600)).await, Code::BadRequest);
    assert!(refusal.message.contains("1h ago") && refusal.hint.unwrap().contains("--start"), "{}", refusal.message);
    let question = FileRequest { dry_run: true, ..starting(now() - 61) };
    refused(house.file(ANN, question).await, Code::BadRequest);
    let at_once = house.file(ANN, starting(now() - 60)).await.unwrap();
    assert_eq!(at_once.start, None, "written to the minute, it was just now");
    let later = house.file(ANN, starting(now() + 60)).await.unwrap();
    assert_eq!(later.start, Some(policy::UnixTime::from_secs(now() + 60)));
}

/// Who would be a reviewer after a better login is told so; a stranger still learns nothing.
#[tokio::test]
async fn a_reviewer_whose_login_lacks_a_factor_is_told() {
    let policy = r#"@id("mfa") permit (principal in Group::"security", action == Action::"approve", resource is Request)
        when { context.mfa && context.auth_age <= 3600 };"#;
    let house = House::with(policy).await;
    let sid = |mfa, ago: u64| Identity {
        mfa,
        auth_time: Some(policy::UnixTime::from_secs(now() - ago)),
        ..person("sid", "security")
    };
    house.0.login_as(50, sid(false, 60)).await;
    house.0.login_as(51, sid(true, 7_200)).await;
    house.0.login_as(52, sid(false, 7_200)).await;
    house.0.login_as(53, sid(true, 60)).await;
    let body = house.filed().await;
    for (n, lacks) in [(50, "with more than one factor"), (51, "lately"), (52, "lately, with more than one factor")] {
        let refusal = refused(house.look(n, &body).await.map(|shown| shown.body), Code::Denied);
        assert!(refusal.message.ends_with(lacks) && refusal.hint.unwrap().contains("jit-ssh login"), "{lacks}");
        refused(house.approve(n, &body).await, Code::Denied);
        assert_eq!(house.codes().await.last().unwrap(), "request.refused");
    }
    refused(house.look(JOE, &body).await.map(|shown| shown.body), Code::NotFound);
    house.look(53, &body).await.unwrap();
}
