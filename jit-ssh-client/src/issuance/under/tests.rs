use super::*;
use crate::{
    agent::tests::RealAgent,
    ca_client::tests::{answer_with, serving, session},
    screen::tests::request,
    state::{StateDir, certs::Entry},
};
use policy::Target;
use serde_json::json;

const ID: &str = "r-00112233445566778899aabb";

fn target() -> Target {
    "deploy@db-1".parse().unwrap()
}

fn refused(code: &str, message: &str, decision: &serde_json::Value) -> String {
    let error = json!({ "error": { "code": code, "message": message, "decision": decision } });
    answer_with("403 x", "", &error.to_string())
}

fn wants_a_reason() -> String {
    let unmet = json!([{ "policy": "db/lead", "term": "reason" }]);
    let decision = json!({ "outcome": "denied", "policies": ["db/lead"], "cause": "terms-unmet", "unmet": unmet });
    refused("denied", "policy does not allow this", &decision)
}

fn standing(stage: &serde_json::Value) -> RequestBody {
    RequestBody { stage: serde_json::from_value(stage.clone()).unwrap(), ..request("x") }
}

fn listed(requests: &[RequestBody]) -> String {
    answer_with("200 OK", "", &json!({ "requests": requests }).to_string())
}

/// What comes of `wish` where the CA gives `answers`, perhaps after a certificate under a request; how often it was asked;
/// whether anything is kept afterwards.
fn asked(wish: &Wish, answers: Vec<String>, former: bool) -> (Failure, usize, bool) {
    let real = RealAgent::start();
    let outer = tempfile::tempdir().unwrap();
    let certs = Certs::open(&StateDir::at(outer.path().join("state")).unwrap()).unwrap();
    if former {
        let now = clock::now().as_secs();
        let entry = Entry {
            target: target(),
            grant: "g-00112233445566778899aabb".parse().unwrap(),
            policy: "db/lead".parse().unwrap(),
            request: Some(ID.parse().unwrap()),
            ..crate::state::certs::tests::entry(now, now + 300, now + 3600)
        };
        certs.save(&entry, "ssh-ed25519-cert-v01@openssh.com AAAA").unwrap();
    }
    let (server, heard) = serving(answers);
    let (session, _key) = session(&server);
    let names = Names::as_typed(&target());
    let Err(no) = granted(&certs, &session, &mut real.connect(), &names, wish, true) else { panic!("granted") };
    (no, heard.join().unwrap().len(), !certs.all().is_empty())
}

/// Behind broken glass: what the CA says of that request is the answer, and nothing else is tried in its place.
#[test]
fn whoever_is_frozen_is_told_so() {
    let frozen = refused("frozen", "you are frozen: nothing is issued to you", &json!(null));
    let named = Wish { request: Some(ID.parse().unwrap()), ..Wish::default() };
    let (no, times, _) = asked(&named, vec![frozen.clone()], false);
    assert_eq!((no.message.as_str(), times), ("you are frozen: nothing is issued to you", 1));
    let (no, times, kept) = asked(&Wish::default(), vec![frozen], true);
    assert_eq!((no.message.as_str(), times, kept), ("you are frozen: nothing is issued to you", 1, true));
}

#[test]
fn a_grant_that_somebody_ended_is_said_to_be_and_goes() {
    let over = json!({ "outcome": "denied", "policies": [], "cause": "request-over" });
    let mut denied = standing(&json!({ "stage": "over", "how": "denied" }));
    denied.steps[0].what = "denied".to_owned();
    denied.steps[0].reason = Some("not tonight".parse().unwrap());
    let answers = vec![
        refused("denied", "policy does not allow this", &over),
        answer_with("200 OK", "ETag: \"2\"\r\n", &serde_json::to_string(&denied).unwrap()),
        wants_a_reason(),
        listed(&[denied]),
    ];
    let (no, times, kept) = asked(&Wish::default(), answers, true);
    let why = format!("{ID} for deploy@db-1 is over: denied by lena@corp.example: not tonight");
    assert_eq!((no.ended.as_deref(), times, kept), (Some(why.as_str()), 4, false));
    assert!(no.brief().starts_with(&format!("jit-ssh: {why}; now: policy does not allow this")), "{}", no.brief());
}

#[test]
fn what_begins_later_is_no_reason_to_ask_again() {
    let later = clock::now().as_secs() + 7200;
    let scheduled = standing(&json!({ "stage": "scheduled", "from": later }));
    let answers = vec![wants_a_reason(), listed(&[request("pending"), scheduled])];
    let (no, _, _) = asked(&Wish::default(), answers, false);
    let told = format!("request {ID} is approved and begins at {} (in ", clock::rfc3339(UnixTime::from_secs(later)));
    assert!(no.exit == Exit::NeedsApproval && no.message.starts_with(&told), "{}", no.message);
    assert_eq!(no.begins, Some(ID.parse().unwrap()));
    assert!(no.decision().is_none(), "nothing is missing");

    // Who says why anew asks for something new.
    let anew = Wish { reason: Some("sooner".parse().unwrap()), ..Wish::default() };
    assert_eq!(asked(&anew, vec![wants_a_reason(), listed(&[])], false).0.begins, None);
}

/// Nobody ended it, so no list of revoked certificates and no agent tells: the clock did.
#[test]
fn an_approval_that_ran_out_is_said_to_have() {
    for (how, told) in [("unclaimed", "approved, never used in time"), ("finished", "finished")] {
        let mut over = standing(&json!({ "stage": "over", "how": how }));
        over.steps[0].at = clock::now();
        let (no, _, _) = asked(&Wish::default(), vec![wants_a_reason(), listed(&[over.clone()])], false);
        assert_eq!(no.ended.unwrap(), format!("{ID} for deploy@db-1 is over: {told}"));

        let (no, _, _) =
            asked(&Wish::default(), vec![wants_a_reason(), listed(&[request("pending"), over.clone()])], false);
        assert_eq!(no.ended, None, "there is a later one");
        over.steps[0].at = UnixTime::from_secs(clock::now().as_secs() - 100_000);
        assert_eq!(asked(&Wish::default(), vec![wants_a_reason(), listed(&[over])], false).0.ended, None, "no news");
    }
}
