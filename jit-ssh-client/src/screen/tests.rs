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
        "extensions": [{ "id": "r-ffeeddccbbaa998877665542", "duration": "10m",
                         "stage": { "stage": "added", "at": NOW.as_secs() - 5 } }],
        "may_review": true,
        "used_before": [
            { "id": "r-ffeeddccbbaa998877665544", "targets": ["deploy@web-1"], "filed": NOW.as_secs() - 3700,
              "stage": { "stage": "over", "how": "finished" }, "used": NOW.as_secs() - 3600,
              "last_expiry": NOW.as_secs() - 1800, "incident": "INC-3" },
            { "id": "r-ffeeddccbbaa998877665543", "targets": ["root@db-1"], "filed": NOW.as_secs() - 9000,
              "stage": { "stage": "over", "how": "denied" } },
        ],
    });
    serde_json::from_value(body).unwrap()
}

#[test]
fn a_reviewer_sees_everything_that_is_to_be_decided() {
    let shown = full(&request("roll back 4.2"), NOW).join("\n");
    for word in [
        "r-00112233445566778899aabb",
        "waits for people: 1 more of 2 approvals, 1h left",
        "alice@corp.example, a person",
        "subject alice",
        "issuer https://idp.example",
        "more than one factor; last signed in at the issuer 10m ago",
        "> sre",
        "> on call",
        "deploy@db-1",
        "deploy@web-1",
        "20m of the 45m asked for, counted from the first use",
        "deploy@web-1, left out by an approval",
        "extended   by 10m (r-ffeeddccbbaa998877665542): approved, added to the grant",
        "> roll back 4.2",
        "OPS-17",
        "db/approval for deploy@db-1: 2 approvals, from 2 groups, first leads, then security, a reason; at most 1h",
        "elevation  none",
        "deploy@web-1, break-glass for INC-3: finished",
        "first used 2025-12-31T23:00:00Z (1h ago), last certificate until 2025-12-31T23:30:00Z",
        "r-ffeeddccbbaa998877665544",
        "never used",
        "permit-pty; recorded; to be used within 30m of its approval",
        "db/vendor: 2 approvals",
        "1 more of 2 approvals for deploy@db-1 (db/approval), now from security",
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

/// A hostile server, or one that was broken into, cannot pass such words either: they are refused as they are read.
#[test]
fn words_that_act_on_a_terminal_are_not_even_read() {
    let body = serde_json::to_value(request("x")).unwrap();
    for hostile in
        ["\u{1b}[2J\u{1b}[1;1Happroved", "a\u{9b}31m", "a\rb", "\u{202e}deteler", "a\u{2066}b\u{2069}", "a\u{200b}b"]
    {
        for pointer in
            ["/reason", "/ticket", "/requester/groups/0", "/used_before/0/incident", "/used_before/0/targets/0"]
        {
            let mut spoilt = body.clone();
            *spoilt.pointer_mut(pointer).unwrap() = hostile.into();
            assert!(serde_json::from_value::<RequestBody>(spoilt).is_err(), "{pointer}: {hostile:?}");
        }
    }
}

#[test]
fn emergency_access_says_how_its_review_stands() {
    let at = |seconds: u64| UnixTime::from_secs(NOW.as_secs() + seconds);
    for (review, words) in [
        (policy::Review::Open { due: at(3600) }, "to be reviewed within 1h"),
        (policy::Review::Overdue { due: NOW }, "review OVERDUE since 2026-01-01T00:00:00Z"),
        (policy::Review::Done { at: NOW, verdict: policy::Verdict::Concern }, "reviewed: a concern"),
    ] {
        let mut body = request("x");
        (body.incident, body.review) = (Some("INC-7".parse().unwrap()), Some(review));
        let shown = full(&body, NOW).join("\n");
        assert!(shown.contains("incident   INC-7") && shown.contains(words), "{shown}");
        assert!(brief(&body, NOW)[1].contains(words));
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
    assert_eq!((duration.as_str(), reason.chars().count()), ("20m", 41));
}

/// (wanted, there, from groups, whose turn) and what is said of it.
#[test]
fn what_is_lacking_never_reads_as_done() {
    for (approvals, have, from_groups, turn, stage, lacks) in [
        (
            1,
            0,
            0,
            None,
            "waits for people: 1 approval, 1h left",
            "1 approval for deploy@db-1 (db/approval), from leads, security",
        ),
        (
            2,
            0,
            2,
            None,
            "waits for people: 2 approvals, 1h left",
            "2 approvals for deploy@db-1 (db/approval), from 2 of the groups leads, security",
        ),
        (
            2,
            1,
            0,
            Some("leads"),
            "waits for people: 1 more of 2 approvals, 1h left",
            "1 more of 2 approvals for deploy@db-1 (db/approval), now from leads",
        ),
        (
            2,
            2,
            2,
            None,
            "waits for people: an approval by another group, 1h left",
            "an approval by another group for deploy@db-1 (db/approval), from leads, security",
        ),
        (
            1,
            1,
            0,
            Some("security"),
            "waits for people: one more approval, in turn, 1h left",
            "one more approval, in turn for deploy@db-1 (db/approval), now from security",
        ),
    ] {
        let body = pending(approvals, have, from_groups, turn);
        assert_eq!(super::stage(&body.stage, NOW), stage);
        let Stage::Pending { needs, .. } = &body.stage else { panic!("{body:?}") };
        assert_eq!(lacking(&needs[0]), lacks);
    }
}

fn pending(approvals: u8, have: u8, from_groups: u8, turn: Option<&str>) -> RequestBody {
    let mut body = request("x");
    let Stage::Pending { needs, .. } = &mut body.stage else { panic!("{body:?}") };
    let turn = turn.map(|turn| turn.parse().unwrap());
    needs[0] = Need { approvals, have, from_groups, turn, ..needs[0].clone() };
    body
}

#[test]
fn what_would_do_for_whoever_says_more_is_offered() {
    let mut body = request("x");
    body.offers[0].unmet = vec![policy::Unmet { policy: "db/two".parse().unwrap(), term: policy::UnmetTerm::Ticket }];
    let shown = full(&body, NOW);
    assert!(shown.iter().any(|line| line == "  or under   db/two needs a ticket: --ticket ID"), "{shown:#?}");
}

#[test]
fn an_approval_that_does_not_count_says_so_and_why() {
    let after = |approvals, have, groups, turn| RequestBody { version: 2, ..pending(approvals, have, groups, turn) };
    for (before, after, why) in [
        (pending(2, 0, 0, Some("leads")), after(2, 0, 0, Some("leads")), Some("it is the turn of leads")),
        (pending(2, 1, 0, None), after(2, 1, 0, None), Some("one person counts once")),
        (pending(2, 1, 2, None), after(2, 2, 2, None), Some("yours is not from another one")),
        (pending(2, 1, 0, None), pending(2, 1, 0, None), Some("you approved it before")),
        (pending(3, 1, 0, None), after(3, 2, 0, None), None),
        (pending(2, 0, 0, Some("leads")), after(2, 1, 0, Some("security")), None),
        (pending(1, 0, 0, None), RequestBody { stage: Stage::Claimable { until: NOW }, ..after(1, 0, 0, None) }, None),
    ] {
        let told = not_yet(&before, &after);
        assert_eq!(told.is_some(), why.is_some(), "{told:?}");
        assert!(why.is_none_or(|why| told.as_ref().unwrap().contains(why)), "{told:?}");
    }
}

#[test]
fn an_approval_that_no_longer_counts_is_shown_as_such() {
    let shown = full(&pending(1, 0, 0, None), NOW).join("\n");
    assert!(shown.contains("what lena@corp.example approved does not count now: "), "{shown}");
    assert!(shown.contains("no longer in a group that may") && !shown.contains("turn"), "{shown}");
    assert!(!full(&pending(2, 1, 0, None), NOW).join("\n").contains("count now"));
}
