//! The life of a request, model-checked: every sequence of a small world's events up to a depth, breadth first, each state
//! judged by [`policy::stage`] and [`policy::decide_under`] and compared with rules that are written down here once more,
//! without any of their machinery.
//!
//! The properties, each with a mutation at the end of this file that it catches:
//!
//! 1. **never issued without the quorum of that moment**: in every state what is granted is exactly what the rules here grant
//!    ([`judge`]), and they count who is entitled now;
//! 2. **never after an end**: once somebody ended it, or its time was up, nothing is granted in any state that follows;
//! 3. **people who count are distinct**: one person counts once, through however many accounts, and the requester never;
//! 4. **narrowing only narrows**: along every step, an approval of what is granted already never adds a target or a minute
//!    ([`along`]), and no end lies further than policy's longest grant from the last full quorum or the first use.
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

use lives::{Case, FILED, approval, person};
use policy::{Approval, EndReason, Grant, Identity, Over, Seconds, Stage, Step, UnixTime, What};
use proptest::test_runner::{Config, TestRunner};
use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    panic::{AssertUnwindSafe, catch_unwind},
};

/// Something that may happen.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Event {
    Approves(&'static str),
    ApprovesFor(&'static str, u32),
    ApprovesOnly(&'static str, &'static str),
    ApprovesAnother(&'static str),
    Denies(&'static str),
    Cancels,
    Ends(EndReason),
    /// What the verb does: a first certificate, if one is granted.
    Uses,
    /// Loses every group, or gets them back.
    Moves(&'static str),
    /// An extension that Lea and Sam approve at once.
    Extends(u32),
    Minutes(u32),
}
use Event::*;

#[derive(Clone)]
struct World {
    case: Case,
    now: UnixTime,
    gone: BTreeSet<&'static str>,
    /// An end that nothing may undo was reached.
    ended: bool,
    /// What the machine under test is shown in the place of the facts: the facts, but where a test breaks it.
    spoil: fn(&mut Case),
}

fn as_it_is(_: &mut Case) {}

/// Breadth first through everything that `events` can make of `start`, `depth` deep; how many states there were.
fn explore(start: Case, events: &[Event], depth: usize) -> usize {
    explore_spoilt(start, events, depth, as_it_is)
}

fn explore_spoilt(start: Case, events: &[Event], depth: usize, spoil: fn(&mut Case)) -> usize {
    let first = World { case: start, now: UnixTime::from_secs(FILED), gone: BTreeSet::new(), ended: false, spoil };
    let (mut seen, mut frontier) = (HashSet::new(), vec![(first.clone(), vec![], judge(&first, &[]))]);
    for _ in 0..depth {
        let mut next = Vec::new();
        for (world, path, grants) in &frontier {
            for &event in events {
                let Some(mut after) = happen(world, event) else { continue };
                if !seen.insert(key(&after)) {
                    continue;
                }
                let path: Vec<Event> = path.iter().copied().chain([event]).collect();
                let then = judge(&after, &path);
                along(event, grants, &then, &path);
                if world.ended {
                    assert!(then.is_empty(), "granted after an end: {path:?}");
                }
                after.ended = world.ended || is_final(&after);
                next.push((after, path, then));
            }
        }
        frontier = next;
    }
    seen.len() + 1
}

fn key(world: &World) -> String {
    let steps: Vec<_> = world.case.steps.iter().map(|step| (step.at, step.by.subject.as_str(), &step.what)).collect();
    let extensions: Vec<_> =
        world.case.extensions.iter().map(|(request, ..)| (request.filed, request.duration)).collect();
    format!("{:?}{:?}{:?}{:?}{steps:?}{extensions:?}", world.now, world.gone, world.ended, world.case.request.start)
}

fn happen(world: &World, event: Event) -> Option<World> {
    let mut after = world.clone();
    let at = world.now;
    let mut step = |who: &str, what| {
        let groups = if world.gone.contains(who) { Vec::new() } else { person(who).groups };
        after.case.steps.push(Step { at, by: Identity { groups, ..person(who) }, what });
    };
    match event {
        Approves(who) => step(who, What::Approved(approval())),
        ApprovesFor(who, minutes) => {
            step(who, What::Approved(Approval { duration: Some(Seconds::new(minutes * 60)), ..approval() }));
        }
        ApprovesOnly(who, host) => {
            step(who, What::Approved(Approval { only: vec![host.parse().unwrap()], ..approval() }));
        }
        ApprovesAnother(who) => {
            step(who, What::Approved(Approval { digest: policy::Digest([0; 32]), ..approval() }));
        }
        Denies(who) => step(who, What::Denied { reason: "no".parse().unwrap() }),
        Cancels => step("ann", What::Cancelled),
        Ends(why) => step("ann", What::Ended { why, reason: None }),
        Uses => {
            let used = world.case.steps.iter().any(|step| step.what == What::Claimed);
            if used || world.case.granted(at).is_empty() {
                return None;
            }
            step("ann", What::Claimed);
        }
        Moves(who) => {
            if !after.gone.insert(who) {
                after.gone.remove(who);
            }
            let groups = if after.gone.contains(who) { Vec::new() } else { person(who).groups };
            let extensions = after.case.extensions.iter_mut().flat_map(|(_, _, steps)| steps);
            for step in extensions.chain(&mut after.case.steps).filter(|step| step.by.subject.as_str() == who) {
                step.learn(&Identity { groups: groups.clone(), ..person(who) });
            }
        }
        Extends(minutes) => {
            after.case.extended(Seconds::new(minutes * 60), at, &[]);
            let (_, _, steps) = after.case.extensions.last_mut().unwrap();
            for step in steps.iter_mut().filter(|step| world.gone.contains(step.by.subject.as_str())) {
                step.by.groups.clear();
            }
        }
        Minutes(minutes) => after.now = at.plus(Seconds::new(minutes * 60)),
    }
    Some(after)
}

/// What is granted, after comparing it with the rules.
fn judge(world: &World, path: &[Event]) -> Vec<Grant> {
    let mut shown = world.case.clone();
    (world.spoil)(&mut shown);
    let grants = shown.grants(world.now);
    let stage = shown.stage(world.now);
    let granted: BTreeMap<String, &Grant> = grants.iter().map(|grant| (grant.target().to_string(), grant)).collect();
    let expected: BTreeSet<String> = world
        .case
        .request
        .targets
        .iter()
        .map(ToString::to_string)
        .filter(|target| may_be_used(world, target))
        .collect();
    let names: BTreeSet<String> = granted.keys().cloned().collect();
    assert_eq!(names, expected, "{path:?}: {stage:?}");
    let usable = matches!(stage, Stage::Claimable { .. } | Stage::Active { .. });
    assert_eq!(usable, !granted.is_empty(), "{path:?}: {stage:?}");
    if let Stage::Pending { needs, .. } = &stage {
        let most = people(&world.case.steps, world.case.request.expires, usize::MAX).0.len();
        assert!(needs.iter().all(|need| usize::from(need.have) <= most), "{path:?}: {stage:?}");
    }
    let used = claimed(world).unwrap_or(world.now);
    let latest = world.case.extensions.iter().map(|(request, ..)| request.filed).max().unwrap_or(used).max(used);
    for grant in &grants {
        assert!(grant.end() > world.now && grant.start() == used, "{path:?}: {grant:?}");
        assert!(grant.end() <= latest.plus(grant.terms().max_duration), "{path:?}: {grant:?}");
        assert_eq!(grant.request(), Some(&world.case.request.id), "{path:?}");
    }
    grants
}

/// Along one step.
fn along(event: Event, before: &[Grant], after: &[Grant], path: &[Event]) {
    let approves = matches!(event, Approves(_) | ApprovesFor(..) | ApprovesOnly(..) | ApprovesAnother(_));
    if !approves || before.is_empty() {
        return;
    }
    for grant in after {
        let was = before.iter().find(|was| was.target() == grant.target());
        assert!(was.is_some_and(|was| grant.end() <= was.end()), "an approval widened: {path:?}");
    }
}

/// The rules, once more: they know nothing of stages.
fn may_be_used(world: &World, target: &str) -> bool {
    let request = &world.case.request;
    let Some(approved) = approved_at(&world.case.steps, request.expires) else { return false };
    let (mut span, mut end) = (request.duration, false);
    for step in &world.case.steps {
        match &step.what {
            What::Approved(approval) if approval.digest == lives::approval().digest => {
                span = span.min(approval.duration.unwrap_or(span));
                let host = target.split('@').next_back().unwrap();
                end |= !approval.only.is_empty() && !approval.only.iter().any(|only| only.as_str() == host);
            }
            What::Approved(_) | What::Claimed => {}
            _ => end = true,
        }
    }
    let until = match claimed(world) {
        Some(used) => {
            let mut until = used.plus(span);
            // Extensions were approved in the order in which they were filed.
            for (extension, _, steps) in &world.case.extensions {
                let full = approved_at(steps, extension.expires).filter(|full| *full < until);
                let further = full.map(|full| until.plus(extension.duration).min(full.plus(Seconds::new(7200))));
                until = until.max(further.unwrap_or(until));
            }
            until
        }
        None => approved.max(request.start.unwrap_or(approved)).plus(Seconds::new(3600)),
    };
    !end && world.now < until && request.start.is_none_or(|start| start <= world.now)
}

fn claimed(world: &World) -> Option<UnixTime> {
    world.case.steps.iter().find(|step| step.what == What::Claimed).map(|step| step.at)
}

/// When one of `leads` and one of `security` had approved, two people.
fn approved_at(steps: &[Step], expires: UnixTime) -> Option<UnixTime> {
    let full = |count: &usize| people(steps, expires, *count).1.len() == 2;
    let count = (1..=steps.len()).find(full)?;
    steps.get(count - 1).map(|step| step.at)
}

/// Who counts among the first steps, and for which groups.
fn people(steps: &[Step], expires: UnixTime, most: usize) -> (BTreeSet<&'static str>, BTreeSet<&'static str>) {
    let mut all = (BTreeSet::new(), BTreeSet::new());
    for step in steps.iter().take(most) {
        let What::Approved(given) = &step.what else { continue };
        if given.digest != approval().digest || step.at >= expires || step.by.groups.is_empty() {
            continue;
        }
        let (name, group) = match step.by.subject.as_str() {
            "lea" | "lea-2" => ("lea", "leads"),
            "kim" => ("kim", "leads"),
            "sam" => ("sam", "security"),
            _ => continue,
        };
        all.0.insert(name);
        all.1.insert(group);
    }
    all
}

fn is_final(world: &World) -> bool {
    let over = match world.case.stage(world.now) {
        Stage::Over { how } => how,
        _ => return false,
    };
    let by_somebody = matches!(over, Over::Denied | Over::Cancelled | Over::Done | Over::Revoked);
    by_somebody || (over == Over::Finished && world.case.extensions.is_empty())
}

fn case() -> Case {
    let mut case = Case::new("@approvals(\"2\") @approvers_from_groups(\"2\")", "");
    case.request.expires = lives::after("2h");
    case
}

#[test]
fn people_and_groups() {
    let events = [
        Approves("lea"),
        Approves("kim"),
        Approves("sam"),
        Approves("lea-2"),
        Approves("ann-2"),
        ApprovesAnother("sam"),
        Moves("lea"),
        Uses,
        Minutes(40),
    ];
    println!("{} states", explore(case(), &events, 4));
}

#[test]
fn clocks_and_ends() {
    let mut approved = case();
    approved.step("lea", lives::after("0s"), What::Approved(approval()));
    let events = [
        Approves("sam"),
        Uses,
        Denies("kim"),
        Denies("ann-2"),
        Cancels,
        Ends(EndReason::Done),
        Ends(EndReason::Revoked),
        Moves("lea"),
        Minutes(30),
    ];
    println!("{} states", explore(approved.clone(), &events, 4));
    approved.request.start = Some(lives::after("1h"));
    let events = [Approves("sam"), Uses, Denies("kim"), Moves("sam"), Minutes(30), Minutes(60)];
    println!("{} states", explore(approved, &events, 5));
}

#[test]
fn less_than_was_asked_for() {
    let mut approved = case();
    approved.step("lea", lives::after("0s"), What::Approved(approval()));
    let events = [
        Approves("sam"),
        ApprovesFor("kim", 20),
        ApprovesFor("sam", 120),
        ApprovesOnly("sam", "web-1"),
        ApprovesOnly("kim", "db-1"),
        Uses,
        Minutes(15),
    ];
    println!("{} states", explore(approved, &events, 5));
}

#[test]
fn more_than_was_asked_for() {
    let mut approved = case();
    approved.step("lea", lives::after("0s"), What::Approved(approval()));
    approved.step("sam", lives::after("0s"), What::Approved(approval()));
    approved.step("ann", lives::after("0s"), What::Claimed);
    let events = [Extends(30), Extends(110), ApprovesFor("kim", 30), Moves("sam"), Minutes(25), Minutes(50)];
    println!("{} states", explore(approved, &events, 5));
}

/// Longer lives than can be tried in full, of every event there is.
#[test]
fn long_lives() {
    let events = [
        Approves("lea"),
        Approves("kim"),
        Approves("sam"),
        Approves("lea-2"),
        Approves("ann-2"),
        Approves("joe"),
        Approves("bot"),
        ApprovesFor("lea", 50),
        ApprovesFor("sam", 50),
        ApprovesOnly("sam", "web-1"),
        ApprovesAnother("sam"),
        Denies("ann"),
        Uses,
        Uses,
        Uses,
        Extends(30),
        Moves("lea"),
        Moves("sam"),
        Minutes(5),
        Minutes(10),
        Minutes(10),
    ];
    let mut runner = TestRunner::new(Config { cases: 150, failure_persistence: None, ..Config::default() });
    let start = case();
    let lives = proptest::collection::vec(proptest::sample::select(events.to_vec()), 1..25);
    let live = |life: Vec<Event>| {
        let (case, now, gone) = (start.clone(), lives::after("0s"), BTreeSet::new());
        let mut world = World { case, now, gone, ended: false, spoil: as_it_is };
        let mut grants = judge(&world, &[]);
        for (at, &event) in life.iter().enumerate() {
            let Some(after) = happen(&world, event) else { continue };
            let then = judge(&after, &life[..=at]);
            along(event, &grants, &then, &life[..=at]);
            assert!(!world.ended || then.is_empty(), "granted after an end: {life:?}");
            let ended = world.ended || is_final(&after);
            (world, grants) = (World { ended, ..after }, then);
        }
        Ok(())
    };
    runner.run(&lives, live).unwrap();
}

/// Each property can fail: a machine that is broken in its regard is caught, within a few steps.
#[test]
fn a_machine_that_breaks_a_property_is_caught() {
    let mut half = case();
    half.step("lea", lives::after("0s"), What::Approved(approval()));
    let mut whole = half.clone();
    whole.step("sam", lives::after("0s"), What::Approved(approval()));
    type Broken = (&'static str, Case, &'static [Event], fn(&mut Case));
    let broken: [Broken; 8] = [
        ("1: one is enough", half.clone(), &[Minutes(5)], |case| {
            case.policies = std::sync::Arc::new(lives::policies("@approvals(\"1\")", ""));
        }),
        ("1: who left still counts", half.clone(), &[Approves("sam"), Moves("lea")], |case| {
            case.steps.iter_mut().for_each(|step| step.by = person(step.by.subject.as_str()));
        }),
        ("1: another version will do", half.clone(), &[ApprovesAnother("sam")], |case| {
            for step in &mut case.steps {
                if let What::Approved(given) = &mut step.what {
                    given.digest = approval().digest;
                }
            }
        }),
        ("2: an end is forgotten", whole.clone(), &[Denies("kim"), Cancels, Ends(EndReason::Done)], |case| {
            let ends = |step: &Step| matches!(step.what, What::Denied { .. } | What::Cancelled | What::Ended { .. });
            case.steps.retain(|step| !ends(step));
        }),
        ("2: its time is never up", whole.clone(), &[Uses, Minutes(70)], |case| {
            case.request.duration = Seconds::new(7200);
        }),
        ("3: two accounts are two people", half.clone(), &[Approves("lea-2")], |case| {
            for step in &mut case.steps {
                if step.by.subject.as_str() == "lea-2" {
                    step.by = Identity { email: None, groups: person("sam").groups, ..step.by.clone() };
                }
            }
        }),
        ("3: the requester counts", half, &[Approves("ann-2")], |case| {
            for step in &mut case.steps {
                if step.by.subject.as_str() == "ann-2" {
                    step.by = person("sam");
                }
            }
        }),
        (
            "4: less is not less",
            whole,
            &[Uses, ApprovesFor("kim", 20), ApprovesOnly("kim", "db-1"), Minutes(30)],
            |case| {
                for step in &mut case.steps {
                    if let What::Approved(given) = &mut step.what {
                        (given.duration, given.only) = (None, Vec::new());
                    }
                }
            },
        ),
    ];
    for (name, start, events, spoil) in broken {
        let whole = catch_unwind(AssertUnwindSafe(|| explore(start.clone(), events, 3)));
        assert!(whole.is_ok(), "{name}: nothing is wrong with the machine as it is");
        let caught = catch_unwind(AssertUnwindSafe(|| explore_spoilt(start.clone(), events, 3, spoil)));
        assert!(caught.is_err(), "{name}: nobody noticed");
    }
}
