//! docs/REQUESTS.md: every row of its tables, run. The page is the table of the state machine, and this is its reader.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::let_underscore_must_use,
    reason = "a test that cannot go on fails"
)]

#[path = "kit/lives.rs"]
mod lives;

use lives::{Case, told};
use policy::{Stage, What};

const PAGE: &str = include_str!("../../docs/REQUESTS.md");

/// The rows of the table that follows the heading, cell by cell, without its head.
fn table(heading: &str) -> Vec<Vec<&'static str>> {
    let (_, rest) = PAGE.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no `{heading}`"));
    let lines = rest.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let rows = lines.skip(2).map(|line| line.trim_matches('|').split('|').map(str::trim).collect());
    rows.collect()
}

#[test]
fn every_clock_people_narrowing_and_extension_row() {
    let mut run = 0;
    for heading in ["The clock", "Who counts", "Less than was asked for", "More than was asked for"] {
        for row in table(heading) {
            let [facts, at, expect] = row[..] else { panic!("{row:?}") };
            let case = Case::read(facts);
            let at = lives::after(at);
            let stands = told(&case.stage(at));
            let (stage, targets) = match expect.split_once(", deploy@") {
                Some((stage, targets)) => (stage, Some(format!("deploy@{targets}"))),
                None => (expect, None),
            };
            assert_eq!(stands, stage, "{facts} | {at:?}");
            // What the stage says and what is decided are one.
            let granted = case.granted(at).join(" ");
            if let Some(targets) = targets {
                assert_eq!(granted, targets, "{facts}");
            }
            let usable = stage.starts_with("claimable") || stage.starts_with("active");
            assert_eq!(!granted.is_empty(), usable, "{facts} | {stage} | {granted}");
            run += 1;
        }
    }
    assert_eq!(run, 65, "rows were lost");
}

/// Each row says where the request stands and how its review does.
#[test]
fn every_emergency_row() {
    let rows = table("Emergency access");
    assert_eq!(rows.len(), 20, "rows were lost");
    for row in rows {
        let [facts, at, expect, review] = row[..] else { panic!("{row:?}") };
        let case = Case::read(facts);
        let at = lives::after(at);
        assert_eq!(told(&case.stage(at)), expect, "{facts} | {at:?}");
        let stands = policy::reviewed(&case.request, &case.steps, at).expect("no emergency");
        assert_eq!(lives::told_of_review(&stands), review, "{facts} | {at:?}");
        let usable = expect.starts_with("claimable") || expect.starts_with("active");
        assert_eq!(!case.granted(at).is_empty(), usable, "{facts}");
        assert!(case.grants(at).iter().all(|grant| grant.terms().record && grant.policy().as_str() == "glass"));
    }
}

/// Every stage against everything that can happen.
#[test]
fn every_transition() {
    const APPROVED: &str = "lea approves at 10m; sam approves at 20m";
    let stages = [
        ("pending", "lea approves at 10m".to_owned()),
        ("scheduled", format!("starts at 3h; {APPROVED}")),
        ("claimable", APPROVED.to_owned()),
        ("active", format!("{APPROVED}; used at 30m")),
        ("over: cancelled", format!("{APPROVED}; ann cancels at 30m")),
    ];
    let events = [
        ("the last approval that is needed", "sam approves at 40m", "40m"),
        ("an approval of another version", "kim approves another version at 40m", "40m"),
        ("an approval by the requester", "ann-2 approves at 40m", "40m"),
        ("an approval by somebody whom no policy lets", "joe approves at 40m", "40m"),
        ("an approval for less than has passed", "lea approves for 5m at 40m", "40m"),
        ("a denial", "kim denies at 40m", "40m"),
        ("a denial by the requester", "ann denies at 40m", "40m"),
        ("its requester withdraws it", "ann cancels at 40m", "40m"),
        ("an attempt to use it", "", "40m"),
        ("its holder gives it back", "ann gives back at 40m", "40m"),
        ("security takes it", "sam revokes at 40m", "40m"),
        ("who approved may no longer", "lea leaves", "40m"),
        ("policy forbids it", "forbidden", "40m"),
        ("the start comes", "nothing", "3h"),
        ("a day passes", "nothing", "24h"),
    ];
    let rows = table("From stage to stage");
    assert_eq!(rows.len(), events.len());
    for (row, (name, event, at)) in rows.iter().zip(events) {
        assert_eq!(row[0], name);
        assert_eq!(row.len(), 1 + stages.len(), "{name}");
        for ((stage, before), expect) in stages.iter().zip(&row[1..]) {
            assert_eq!(kind(&Case::read(before).stage(lives::after("40m"))), *stage, "{before}");
            let at = lives::after(at);
            let mut case = Case::read(&if event.is_empty() { before.clone() } else { format!("{before}; {event}") });
            if event.is_empty() && !case.granted(at).is_empty() {
                case.step("ann", at, What::Claimed);
            }
            assert_eq!(kind(&case.stage(at)), *expect, "{stage}: {name}");
        }
    }
}

fn kind(stage: &Stage) -> String {
    let told = told(stage);
    if told.starts_with("over") { told } else { told.split(' ').next().unwrap().to_owned() }
}
