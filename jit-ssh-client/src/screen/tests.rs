use super::*;
use api::RequestBody;

const NOW: UnixTime = UnixTime::from_secs(1_767_225_600);

/// A request as the server sends it, with `reason` as the requester wrote it.
pub fn request(reason: &str) -> RequestBody {
    let terms = serde_json::json!({
        "policy": "db/approval", "max_duration": "1h", "cert_ttl": "5m", "approvals": 2, "approvers_from_groups": 2,
        "approval_levels": ["leads", "security"], "claim_within": "30m", "reason_required": true, "ticket_required": false,
        "extensions": ["permit-pty"], "force_command": null, "source_address": null, "verify_required": false,
        "elevate": null, "record": true, "review_within": null, "notify": [],
    });
    let other = {
        let mut other = terms.clone();
        other["policy"] = "db/vendor".into();
        other
    };
    let body = serde_json::json!({
        "id": "r-00112233445566778899aabb", "grant": "g-00112233445566778899aabb", "digest": "ab".repeat(32), "version": 1,
        "requester": { "kind": "user", "issuer": "https://idp.example", "subject": "alice", "email": "alice@corp.example",
                       "groups": ["sre", "on call"], "mfa": true, "auth_time": NOW.as_secs() - 600 },
        "targets": ["deploy@db-1", "deploy@web-1"], "duration": "45m", "reason": reason, "ticket": "OPS-17",
        "filed": NOW.as_secs() - 60,
        "stage": { "stage": "pending", "until": NOW.as_secs() + 3600, "needs": [
            { "target": "deploy@db-1", "policy": "db/approval", "approvals": 2, "have": 1, "from_groups": 2,
              "approver_groups": ["leads", "security"], "turn": "security" } ] },
        "offers": [{ "target": "deploy@db-1", "offers": [terms, other], "approver_groups": ["leads", "security"] }],
        "steps": [{ "at": NOW.as_secs() - 30, "by": "lena@corp.example", "what": "approved", "reason": "fine by me",
                    "duration": "20m", "only": ["db-1"] }],
        "may_review": true,
    });
    serde_json::from_value(body).unwrap()
}

#[test]
fn a_reviewer_sees_everything_that_is_to_be_decided() {
    let shown = full(&request("roll back 4.2"), NOW).join("\n");
    for word in [
        "r-00112233445566778899aabb",
        "waits for people, 1 of 2 approvals, 1h left",
        "alice@corp.example, a person",
        "subject alice",
        "issuer https://idp.example",
        "more than one factor; last typed something at the issuer 10m ago",
        "> sre",
        "> on call",
        "deploy@db-1",
        "deploy@web-1",
        "45m, counted from the first use",
        "> roll back 4.2",
        "OPS-17",
        "db/approval for deploy@db-1: 2 approvals, from 2 groups, first leads, then security, a reason; at most 1h",
        "permit-pty; recorded; to be used within 30m of its approval",
        "db/vendor: 2 approvals",
        "1 of 2 approvals for deploy@db-1 (db/approval) from 2 groups, now from security",
        "lena@corp.example approved for 20m only on db-1",
        "> fine by me",
        &"ab".repeat(32),
    ] {
        assert!(shown.contains(word), "{word} is missing in:\n{shown}");
    }
}

/// A reason may be long enough to fill a row of the terminal and go on where ours would stand.
#[test]
fn somebodys_words_are_marked_in_every_row() {
    let spoof = format!("x{}so far     lena@corp.example approved", "\u{a0}".repeat(300));
    let shown = full(&request(&spoof), NOW);
    let at = shown.iter().position(|line| line.contains("reason")).unwrap();
    let rows: Vec<_> = shown[at..].iter().take_while(|line| !line.contains("ticket")).collect();
    assert!(rows.len() > 2 && rows.iter().all(|line| line.contains("> ") && line.chars().count() <= 80), "{rows:#?}");
}

/// What cannot pass the types of the wire is refused there; what can, and what has no type, is escaped.
#[test]
fn nobody_writes_on_the_reviewers_terminal() {
    for hostile in ["\u{1b}[2J", "a\u{9b}31m", "a\nb", "a\rb", "\u{202e}txt", "a\u{2066}b", "a\u{200b}b", "\u{e0041}"] {
        let mut body = request("x");
        assert!(hostile.parse::<policy::Reason>().is_err(), "{hostile:?} is no reason to begin with");
        hostile.clone_into(&mut body.steps[0].by);
        hostile.clone_into(&mut body.steps[0].what);
        hostile.clone_into(&mut body.digest);
        body.offers[0].approver_groups = vec![hostile.to_owned()];
        body.offers[0].offers[0].force_command = Some(hostile.to_owned());
        body.offers[0].offers[0].elevate = Some(hostile.to_owned());
        if let Stage::Pending { needs, .. } = &mut body.stage {
            needs[0].approver_groups = vec![hostile.to_owned()];
            needs[0].turn = None;
        }
        let shown = full(&body, NOW);
        for line in &shown {
            assert_eq!(line, &terminal::plain(line), "{hostile:?}");
        }
        assert!(!shown.iter().any(|line| line.contains(hostile)), "{hostile:?}");
    }
}

#[test]
fn every_stage_has_its_words() {
    let at = |seconds: u64| UnixTime::from_secs(NOW.as_secs() + seconds);
    for (stage, words) in [
        (Stage::Scheduled { from: at(3600) }, "approved, begins in 1h"),
        (Stage::Claimable { until: at(1800) }, "approved, to be used within 30m"),
        (Stage::Active { since: NOW, until: at(90) }, "in use, 1m30s left"),
        (Stage::Added { at: NOW }, "approved, added to the grant"),
        (Stage::Over { how: Over::Denied }, "denied"),
        (Stage::Over { how: Over::Done }, "given back"),
    ] {
        assert_eq!(super::stage(&stage, NOW), words);
    }
}

#[test]
fn a_list_cuts_long_reasons() {
    let [id, _, who, targets, duration, reason] = brief(&request(&"r".repeat(100)), NOW);
    assert_eq!(id, "r-00112233445566778899aabb");
    assert_eq!((who.as_str(), targets.as_str()), ("alice@corp.example", "deploy@db-1 deploy@web-1"));
    assert_eq!((duration.as_str(), reason.chars().count()), ("45m", 41));
}
