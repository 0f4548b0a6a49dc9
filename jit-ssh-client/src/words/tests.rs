use super::*;
use crate::ca_client::tests::{answer_with, serving, session};
use serde_json::{Value, json};

/// Two policies would do: one wants a reason, the other a reason and a ticket, a third less time.
fn no() -> Failure {
    let unmet = json!([
        { "policy": "db/long", "term": "reason" },
        { "policy": "db/long", "term": "ticket" },
        { "policy": "db/lead", "term": "reason" },
        { "policy": "db/short", "term": { "duration": "5m" } },
    ]);
    let decision = json!({ "outcome": "denied", "policies": ["db/long", "db/lead", "db/short"], "cause": "terms-unmet",
                           "unmet": unmet });
    let refusal = json!({ "code": "denied", "message": "policy does not allow this", "decision": decision });
    let detail: api::ErrorDetail = serde_json::from_value(refusal).unwrap();
    Failure { refusal: Some(Box::new(detail)), ..Failure::new(Exit::Denied, "policy does not allow this") }
}

fn answer(outcome: &str, policy: &str) -> String {
    let terms = json!({
        "policy": policy, "max_duration": "1h", "cert_ttl": "5m", "approvals": 1, "approvers_from_groups": 0,
        "approval_levels": [], "claim_within": "30m", "reason_required": true, "ticket_required": false,
        "extensions": [], "force_command": null, "source_address": null, "verify_required": false, "elevate": null,
        "record": true, "review_within": null, "notify": [],
    });
    let decision = json!({ "outcome": outcome, "policies": [policy], "terms": terms, "approver_groups": ["leads"] });
    let explanation = json!({ "matched": [], "nearly": [] });
    answer_with("200 OK", "", &json!({ "decision": decision, "explanation": explanation }).to_string())
}

fn ask_ca(outcome: &str, wish: &Wish) -> (Option<Lacking>, Value) {
    let (server, heard) = serving(vec![answer(outcome, "db/lead")]);
    let (session, _key) = session(&server);
    let target = "deploy@db-1".parse().unwrap();
    let lacking = lacking(&CaClient::new(server, None).unwrap(), &session, &target, wish, &no());
    let heard = heard.join().unwrap().remove(0);
    (lacking, serde_json::from_str(heard.split("\r\n\r\n").nth(1).unwrap()).unwrap())
}

#[test]
fn the_policy_that_wants_least_is_named_with_who_may_approve_before_anything_is_asked() {
    let (lacking, asked) = ask_ca("needs-approval", &Wish::default());
    let lacking = lacking.unwrap();
    assert!(lacking.wants == Wants { reason: true, ticket: false }, "db/lead takes no ticket");
    assert!(asked["reason"].is_string() && asked.get("ticket").is_none(), "{asked}");
    let told = lacking.told(&"deploy@db-1".parse().unwrap());
    assert_eq!(
        told,
        [
            "jit-ssh: people must approve deploy@db-1 first",
            "  policy: db/lead",
            "  may approve: leads",
            "  it wants 1 approval, a reason; at most 1h",
            "  or under db/long, with a reason and a ticket: --reason '…' --ticket ID",
        ]
    );
}

#[test]
fn what_is_missing_is_said_first_and_what_comes_of_saying_it() {
    let lacking = ask_ca("needs-approval", &Wish::default()).0.unwrap();
    assert_eq!(lacking.headline(), "takes a reason: --reason '…'");
    let then = "people must approve, under db/lead, 1 approval, a reason; at most 1h (may approve: leads)";
    assert_eq!(lacking.outcome(), then);
    assert_eq!(ask_ca("granted", &Wish::default()).0.unwrap().outcome(), "granted, under db/lead (may approve: leads)");
}

#[test]
fn who_cannot_be_asked_learns_what_to_type() {
    let target = "deploy@db-1".parse().unwrap();
    let (lacking, _) = ask_ca("needs-approval", &Wish::default());
    let told = lacking.unwrap().unsaid(&target, &Wish::default(), no());
    assert_eq!(told.exit, Exit::NeedsApproval);
    assert_eq!(told.hint.as_deref(), Some("ask for it: jit-ssh request deploy@db-1 --reason '…'"));
    assert_eq!(told.decision().unwrap().approver_groups, ["leads"]);
    assert!(!told.brief().contains("does not allow"), "{}", told.brief());

    let (lacking, _) = ask_ca("granted", &Wish::default());
    let lacking = lacking.unwrap();
    assert_eq!(lacking.told(&target)[0], "jit-ssh: deploy@db-1 takes a reason");
    let told = lacking.unsaid(&target, &Wish::default(), no());
    assert_eq!(
        (told.exit, told.hint.as_deref()),
        (Exit::Denied, Some("say it: jit-ssh ensure --reason '…' deploy@db-1"))
    );
}

#[test]
fn what_was_said_is_part_of_what_to_type() {
    let target = "deploy@db-1".parse().unwrap();
    let said =
        Wish { duration: Some("45m".parse().unwrap()), ticket: Some("OPS-7".parse().unwrap()), ..Wish::default() };
    let (lacking, _) = ask_ca("needs-approval", &said);
    let hint = lacking.unwrap().unsaid(&target, &said, no()).hint;
    assert_eq!(hint.unwrap(), "ask for it: jit-ssh request deploy@db-1 --for 45m --reason '…' --ticket OPS-7");
    let why = Wish { reason: Some("it's down".parse().unwrap()), ..Wish::default() };
    assert_eq!(Wants::default().flags_with(&why), r" --reason 'it'\''s down'");
}

#[test]
fn words_do_not_help_where_policy_says_no_all_the_same() {
    assert!(ask_ca("denied", &Wish::default()).0.is_none());
}
