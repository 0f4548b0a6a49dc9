use super::{waiting::less, *};
use crate::{
    ca_client::tests::{answer_with, serving, session},
    screen::tests::request,
};

/// An interrupt is the whole process': one test at a time waits for one.
static INTERRUPTS: std::sync::Mutex<()> = std::sync::Mutex::new(());

fn with_stage(stage: &serde_json::Value) -> RequestBody {
    RequestBody { stage: serde_json::from_value(stage.clone()).unwrap(), ..request("x") }
}

fn json(body: &RequestBody) -> String {
    serde_json::to_string(body).unwrap()
}

fn id() -> RequestId {
    "r-00112233445566778899aabb".parse().unwrap()
}

fn precondition_failed() -> String {
    answer_with("412 x", "", "{\"error\":{\"code\":\"precondition_failed\",\"message\":\"no\"}}")
}

#[test]
fn waiting_ends_the_moment_it_is_approved() {
    let _alone = INTERRUPTS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let pending = json(&request("x"));
    let approved = json(&with_stage(&serde_json::json!({ "stage": "claimable", "until": 4_000_000_000_u64 })));
    let (server, heard) = serving(vec![
        answer_with("200 OK", "ETag: \"1-pending\"\r\n", &pending),
        answer_with("304 Not Modified", "ETag: \"1-pending\"\r\n", ""),
        answer_with("200 OK", "ETag: \"2-claimable\"\r\n", &approved),
    ]);
    let (session, _key) = session(&server);
    let ca = CaClient::new(server, None).unwrap();
    let seen = wait(&ca, &session, &id(), "next").unwrap();
    assert!(matches!(seen.body.stage, Stage::Claimable { .. }) && seen.tag == "\"2-claimable\"");
    let heard = heard.join().unwrap();
    assert!(heard[1].starts_with("GET /v1/requests/r-00112233445566778899aabb?wait=25 "), "{}", heard[1]);
    for held in &heard[1..] {
        assert!(held.contains("if-none-match: \"1-pending\""), "{held}");
    }
}

#[test]
fn a_denial_is_told_in_the_reviewers_words() {
    let _alone = INTERRUPTS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut denied = with_stage(&serde_json::json!({ "stage": "over", "how": "denied" }));
    denied.steps[0].what = "denied".to_owned();
    denied.steps[0].reason = Some("not tonight".parse().unwrap());
    let (server, _heard) = serving(vec![answer_with("200 OK", "ETag: \"2\"\r\n", &json(&denied))]);
    let (session, _key) = session(&server);
    let failure = wait(&CaClient::new(server, None).unwrap(), &session, &id(), "next").unwrap_err();
    assert_eq!((failure.exit, failure.message.as_str()), (Exit::Denied, "lena@corp.example said no: not tonight"));
}

/// Ctrl-C is for the waiting, not for the request.
#[test]
fn an_interrupt_leaves_the_request_filed_and_says_how_to_go_on() {
    let _alone = INTERRUPTS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let server: crate::settings::Server = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let silent = std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        let (mut first, _) = listener.accept().unwrap();
        assert!(first.read(&mut [0; 8192]).unwrap() > 0);
        let pending = answer_with("200 OK", "ETag: \"1\"\r\n", &json(&request("x")));
        first.write_all(pending.as_bytes()).unwrap();
        let (mut held, _) = listener.accept().unwrap();
        assert!(held.read(&mut [0; 8192]).unwrap() > 0);
        // Only now does it wait, so only now can it be interrupted.
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::INT).unwrap();
        held.read(&mut [0; 16]).unwrap_or(0)
    });
    let (session, _key) = session(&server);
    let failure = wait(&CaClient::new(server, None).unwrap(), &session, &id(), "jit-ssh ssh x").unwrap_err();
    assert_eq!((failure.exit, failure.hint.as_deref()), (Exit::NeedsApproval, Some("jit-ssh ssh x")));
    assert_eq!(silent.join().unwrap(), 0, "nothing more was said to the server");
}

#[test]
fn an_end_is_not_kept_from_happening_by_somebody_elses_step() {
    let pending = json(&request("x"));
    let cancelled = json(&with_stage(&serde_json::json!({ "stage": "over", "how": "cancelled" })));
    let (server, heard) = serving(vec![
        answer_with("200 OK", "ETag: \"1\"\r\n", &pending),
        precondition_failed(),
        answer_with("200 OK", "ETag: \"2\"\r\n", &pending),
        answer_with("200 OK", "ETag: \"3\"\r\n", &cancelled),
    ]);
    let (session, _key) = session(&server);
    let ca = CaClient::new(server, None).unwrap();
    on_the_latest(&ca, &session, &id(), |seen| ca.cancel(&session, seen)).unwrap();
    let heard = heard.join().unwrap();
    assert!(heard[1].contains("if-match: \"1\"") && heard[3].contains("if-match: \"2\""), "{heard:#?}");
}

#[test]
fn an_approval_is_of_what_was_shown_and_is_not_tried_again() {
    let (server, heard) =
        serving(vec![answer_with("200 OK", "ETag: \"1\"\r\n", &json(&request("x"))), precondition_failed()]);
    let (session, _key) = session(&server);
    let ca = CaClient::new(server, None).unwrap();
    let seen = ca.request(&session, &id()).unwrap();
    let approval =
        api::ApproveRequest { digest: seen.body.digest.clone(), duration: None, only: Vec::new(), reason: None };
    assert!(ca.approve(&session, &seen, &approval).is_err());
    let heard = heard.join().unwrap();
    assert!(heard[1].contains("if-match: \"1\"") && heard[1].contains(&"ab".repeat(32)), "{}", heard[1]);
}

#[test]
fn an_answer_that_got_lost_files_nothing_twice() {
    let filed = answer_with("200 OK", "", &json(&request("x")));
    let (server, heard) = serving(vec![String::new(), filed]);
    let (session, _key) = session(&server);
    let asked = asking_for(vec!["deploy@db-1".parse().unwrap()], Wish::default());
    CaClient::new(server, None).unwrap().file(&session, &asked).unwrap();
    let heard = heard.join().unwrap();
    let key = |text: &str| text.lines().find(|line| line.starts_with("idempotency-key: ")).map(str::to_owned).unwrap();
    assert_eq!(key(&heard[0]), key(&heard[1]));
    assert_eq!(key(&heard[0]).len(), "idempotency-key: ".len() + 22);
}

#[test]
fn asking_again_for_the_same_is_the_same_request() {
    let open = request("roll back");
    let target = |text: &str| text.parse::<Target>().unwrap();
    let wish = |duration: Option<&str>, reason: Option<&str>| Wish {
        duration: duration.map(|text| text.parse().unwrap()),
        reason: reason.map(|text| text.parse().unwrap()),
        ticket: None,
        request: None,
    };
    for (text, wish, same) in [
        ("deploy@db-1", wish(None, None), true),
        ("deploy@web-1", wish(Some("45m"), Some("roll back")), true),
        ("deploy@db-2", wish(None, None), false),
        ("deploy@db-1", wish(Some("1h"), None), false),
        ("deploy@db-1", wish(None, Some("something else")), false),
    ] {
        assert_eq!(serves(&open, &target(text), &wish), same, "{text} {wish:?}");
    }
}

#[test]
fn without_a_terminal_the_command_to_type_is_said() {
    let target = "deploy@db-1".parse().unwrap();
    let said =
        Wish { duration: Some("30m".parse().unwrap()), ticket: Some("OPS-7".parse().unwrap()), ..Wish::default() };
    let failure = with_command(Failure::new(Exit::NeedsApproval, "people must approve"), &target, &said);
    assert_eq!(failure.hint.unwrap(), "ask for it: jit-ssh request deploy@db-1 --for 30m --ticket OPS-7");
    assert_eq!(with_command(Failure::new(Exit::Denied, "no").hint("x"), &target, &said).hint.as_deref(), Some("x"));
}

#[test]
fn whoever_waited_learns_that_it_became_less() {
    let mut approved = with_stage(&serde_json::json!({ "stage": "claimable", "until": 4_000_000_000_u64 }));
    approved.steps[0].duration = None;
    approved.steps[0].only.clear();
    assert_eq!(less(&approved), [""; 0], "as it was asked for");
    let step = &mut approved.steps[0];
    (step.duration, step.only) = (Some("20m".parse().unwrap()), vec!["db-1".parse().unwrap()]);
    step.reason = Some("short".parse().unwrap());
    let told = "  lena@corp.example approved less than you asked for: only for 20m on db-1: short";
    assert_eq!(less(&approved), [told]);
}
