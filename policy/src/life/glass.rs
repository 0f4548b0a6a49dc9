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
/// A review counts as of when it was given. It never counts by the person whose access it was, through whatever account, by
/// whoever answers for the workload whose access it was, or by a machine.
pub fn reviewed(request: &Request, steps: &[Step], now: UnixTime) -> Option<Review> {
    let due = request.break_glass.as_ref()?.review_by;
    let everybody: Vec<&Identity> =
        std::iter::once(&request.requester).chain(steps.iter().map(|step| &step.by)).collect();
    let numbers = people::numbered(&everybody);
    let concerned: Vec<usize> = everybody
        .iter()
        .zip(&numbers)
        .enumerate()
        .filter(|(at, (who, _))| *at == 0 || people::sponsors(who, &request.requester))
        .map(|(_, (_, number))| *number)
        .collect();
    let counts = |(step, person): (&Step, &usize)| match step.what {
        What::Reviewed { verdict, .. } if step.by.kind == Kind::User && !concerned.contains(person) => {
            Some(Review::Done { at: step.at, verdict })
        }
        _ => None,
    };
    Some(match steps.iter().zip(numbers.iter().skip(1)).find_map(counts) {
        Some(done) => done,
        None if due <= now => Review::Overdue { due },
        None => Review::Open { due },
    })
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
