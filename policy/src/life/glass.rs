//! Emergency access after the fact: somebody else must look at it. Made of facts alone: no policy makes a review go away.

use super::people;
use crate::{Identity, Kind, Request, Step, UnixTime, Verdict, What};

/// How the review of an emergency access stands.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "review", rename_all = "kebab-case")]
pub enum Review {
    /// Somebody else must look at it.
    Open {
        /// Until then.
        due: UnixTime,
    },
    /// Nobody did in time: until somebody does, that person breaks no glass.
    Overdue {
        /// Since then.
        due: UnixTime,
    },
    /// Somebody else looked at it.
    Done {
        /// When.
        at: UnixTime,
        /// What they found.
        verdict: Verdict,
    },
}

/// How the review of `request` stands at `now`; none where it is no emergency access.
///
/// A review counts by what was known when it was given, so one that counts does so for good. It never counts by the person
/// whose access it was, through whatever account, by whoever answers for the workload whose access it was, or by a machine.
pub fn reviewed(request: &Request, steps: &[Step], now: UnixTime) -> Option<Review> {
    let due = request.break_glass.as_ref()?.review_by;
    let counts = |(at, step): (usize, &Step)| match step.what {
        What::Reviewed { verdict, .. } if step.by.kind == Kind::User && !is_concerned(request, steps.get(..=at)?) => {
            Some(Review::Done { at: step.at, verdict })
        }
        _ => None,
    };
    Some(match steps.iter().enumerate().find_map(counts) {
        Some(done) => done,
        None if due <= now => Review::Overdue { due },
        None => Review::Open { due },
    })
}

/// Whether the last of these steps is by the person whose access it was, or by whoever answers for it.
fn is_concerned(request: &Request, steps: &[Step]) -> bool {
    let everybody: Vec<&Identity> =
        std::iter::once(&request.requester).chain(steps.iter().map(|step| &step.by)).collect();
    let numbers = people::numbered(&everybody);
    let mut concerned = everybody
        .iter()
        .zip(&numbers)
        .enumerate()
        .filter(|(at, (who, _))| *at == 0 || people::sponsors(who, &request.requester))
        .map(|(_, (_, number))| number);
    concerned.any(|number| Some(number) == numbers.last())
}

/// Of `opened`, the emergency access whose overdue review keeps `who` from breaking the glass again: their own, by this
/// account or by another that is known to be theirs.
pub fn barred<'a>(
    who: &Identity,
    opened: impl IntoIterator<Item = (&'a Request, &'a [Step])>,
    now: UnixTime,
) -> Option<&'a Request> {
    let overdue = |(request, steps): &(&Request, &[Step])| {
        people::same_person(&request.requester, who)
            && matches!(reviewed(request, steps, now), Some(Review::Overdue { .. }))
    };
    opened.into_iter().find(overdue).map(|(request, _)| request)
}
