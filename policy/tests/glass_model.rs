//! Emergency access, model-checked: everything that a few people can do to each other's within some hours, breadth first,
//! each state compared with rules that are written down here once more, without any of the machinery.
//!
//! Nobody breaks the glass while a review of theirs is overdue; a review by the person itself, by whichever account, never
//! counts; an end, a withdrawal or time never makes a review go away; and whoever does not name it never gets in by it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

#[path = "kit/lives.rs"]
mod lives;

use lives::{Case, FILED, emergency, now, person, request, reviewed};
use policy::{
    Ask, Decision, EndReason, Request, Review, Seconds, Step, UnixTime, Verdict, What, barred, decide, decide_under,
};
use std::collections::HashSet;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Event {
    /// Breaks the glass, if that is allowed: what the verb does.
    Breaks(&'static str),
    /// Reviews the first of all that are kept.
    ReviewsFirst(&'static str),
    ReviewsLast(&'static str),
    EndsLast(EndReason),
    Hours(u32),
}
use Event::*;

/// What was opened, by whom and what happened to it.
#[derive(Clone)]
struct World {
    base: Case,
    opened: Vec<(Request, Vec<Step>)>,
    now: UnixTime,
}

impl World {
    fn happen(&self, event: Event) -> Option<Self> {
        let mut after = self.clone();
        let step = |who: &str, what| Step { at: self.now, by: person(who), what };
        match event {
            Breaks(who) => {
                let opened = self.opened.iter().map(|(request, steps)| (request, steps.as_slice()));
                let free = barred(&person(who), opened, self.now).is_none();
                assert_eq!(free, self.may_break(who), "{who} at {:?}: {:?}", self.now, self.opened);
                if !free {
                    return None;
                }
                let number = u8::try_from(self.opened.len()).unwrap() + 1;
                let filed = Request { requester: person(who), filed: self.now, ..request(number) };
                after.opened.push((emergency(&filed), vec![step(who, What::Claimed)]));
            }
            ReviewsFirst(who) => after.opened.first_mut()?.1.push(step(who, reviewed(Verdict::Fine))),
            ReviewsLast(who) => after.opened.last_mut()?.1.push(step(who, reviewed(Verdict::Concern))),
            EndsLast(why) => after.opened.last_mut()?.1.push(step("ann", What::Ended { why, reason: None })),
            Hours(hours) => after.now = self.now.plus(Seconds::new(hours * 3600)),
        }
        Some(after)
    }

    /// The rule, once more: by the name before the dash, which is how these people share an address.
    fn may_break(&self, who: &str) -> bool {
        !self.opened.iter().any(|(request, steps)| {
            let mine = one(request.requester.subject.as_str()) == one(who);
            let late = request.filed.plus(Seconds::new(4 * 3600)) <= self.now;
            mine && late && !looked_at(request, steps)
        })
    }

    fn judge(&self, path: &[Event]) {
        for (request, steps) in &self.opened {
            let stands = policy::reviewed(request, steps, self.now).unwrap();
            let done = matches!(stands, Review::Done { .. });
            assert_eq!(done, looked_at(request, steps), "{path:?}: {stands:?}");
            let due = request.filed.plus(Seconds::new(4 * 3600));
            if !done {
                let late = due <= self.now;
                assert_eq!(stands, if late { Review::Overdue { due } } else { Review::Open { due } }, "{path:?}");
            }
            let case = Case { request: request.clone(), steps: steps.clone(), ..self.base.clone() };
            let ended = steps.iter().any(|step| matches!(step.what, What::Ended { .. }));
            let lives = !ended && self.now < request.filed.plus(request.duration);
            assert_eq!(!case.granted(self.now).is_empty(), lives, "{path:?}: a review changed what is granted");
            self.nobody_else_gets_in(&case, path);
        }
    }

    /// Neither an ordinary ask of its holder nor anybody who names it.
    fn nobody_else_gets_in(&self, case: &Case, path: &[Event]) {
        let ask = |who: &str| Ask {
            identity: person(who),
            target: "deploy@db-1".parse().unwrap(),
            duration: None,
            reason: Some("x".parse().unwrap()),
            ticket: None,
            source: [192, 0, 2, 1].into(),
        };
        let holder = case.request.requester.subject.as_str().to_owned();
        let plain = decide(&case.policies, &ask(&holder), now(self.now));
        assert!(matches!(plain, Decision::NeedsApproval(_)), "{path:?}: {plain:?}");
        for other in ["ann", "ann-2", "lea", "joe"].into_iter().filter(|other| *other != holder) {
            let named = decide_under(&case.policies, &ask(other), &case.life(), now(self.now));
            assert!(matches!(named, Decision::Denied(_)), "{path:?}: {other}");
        }
    }
}

fn one(name: &str) -> &str {
    name.split('-').next().unwrap()
}

/// Whether a person who is not the one whose it was has reviewed it.
fn looked_at(request: &Request, steps: &[Step]) -> bool {
    let own = one(request.requester.subject.as_str());
    let by_another = |step: &&Step| !["bot", own].contains(&one(step.by.subject.as_str()));
    steps.iter().filter(by_another).any(|step| matches!(step.what, What::Reviewed { .. }))
}

#[test]
fn nobody_breaks_it_twice_unanswered() {
    let events = [
        Breaks("ann"),
        Breaks("ann-2"),
        Breaks("lea"),
        ReviewsFirst("ann"),
        ReviewsFirst("ann-2"),
        ReviewsFirst("lea"),
        ReviewsFirst("sam"),
        ReviewsLast("lea"),
        ReviewsLast("bot"),
        EndsLast(EndReason::Done),
        Hours(4),
    ];
    let start = World { base: Case::new("@approvals(\"1\")", ""), opened: Vec::new(), now: UnixTime::from_secs(FILED) };
    let (mut seen, mut frontier, mut refused) = (HashSet::new(), vec![(start, Vec::new())], 0);
    for _ in 0..4 {
        let mut next = Vec::new();
        for (world, path) in &frontier {
            for event in events {
                let path: Vec<Event> = path.iter().copied().chain([event]).collect();
                let Some(after) = world.happen(event) else {
                    refused += usize::from(matches!(event, Breaks(_)));
                    continue;
                };
                if seen.insert(format!("{:?} {:?}", after.now, after.opened)) {
                    after.judge(&path);
                    next.push((after, path));
                }
            }
        }
        frontier = next;
    }
    println!("{} states, refused {refused} times", seen.len());
    assert!(seen.len() > 1_000 && refused > 10, "{} states, refused {refused} times", seen.len());
}
