//! How many people, of which groups, in which order: the quorum of one target under one permit.

use super::said::Voice;
use crate::{Group, Terms, UnixTime};
use std::collections::BTreeSet;

/// How far the approvals go.
pub(super) struct Quorum {
    /// People who count.
    pub(super) have: u8,
    /// When the last that was needed said yes.
    pub(super) full: Option<UnixTime>,
    /// The level that is next.
    pub(super) turn: Option<Group>,
}

impl Quorum {
    /// Counts `voices`, in order. `groups` says by which groups policy lets somebody approve while it is that level's
    /// turn, or that it does not.
    ///
    /// A person counts once. While levels are open, only a member of the level whose turn it is counts: who came too
    /// early must look again once the level before has approved.
    pub(super) fn count(
        terms: &Terms,
        filed: UnixTime,
        voices: &[Voice<'_>],
        groups: impl Fn(&Voice<'_>, Option<&Group>) -> Option<BTreeSet<String>>,
    ) -> Self {
        let mut levels = terms.approval_levels.iter();
        let mut turn = levels.next();
        let (mut people, mut from) = (Vec::new(), Vec::new());
        let mut last = filed;
        let full = |have: usize, turn: Option<&Group>, from: &[BTreeSet<String>]| {
            have >= usize::from(terms.approvals)
                && turn.is_none()
                && distinct(from) >= usize::from(terms.approvers_from_groups)
        };
        for voice in voices {
            if full(people.len(), turn, &from) {
                break;
            }
            if people.contains(&voice.person) {
                continue;
            }
            if let Some(by) = groups(voice, turn) {
                people.push(voice.person);
                from.push(by);
                turn = levels.next();
                last = last.max(voice.at);
            }
        }
        Self {
            have: u8::try_from(people.len()).unwrap_or(u8::MAX),
            full: full(people.len(), turn, &from).then_some(last),
            turn: turn.cloned(),
        }
    }
}

/// For how many people there is a group each, no group twice: a maximum matching, by augmenting paths.
fn distinct(people: &[BTreeSet<String>]) -> usize {
    let mut taken: Vec<(&str, usize)> = Vec::new();
    (0..people.len()).filter(|&person| place(person, people, &mut taken, &mut BTreeSet::new())).count()
}

/// Finds a group for `person`, moving others to another of theirs where need be.
fn place<'a>(
    person: usize,
    people: &'a [BTreeSet<String>],
    taken: &mut Vec<(&'a str, usize)>,
    seen: &mut BTreeSet<&'a str>,
) -> bool {
    for group in people.get(person).into_iter().flatten() {
        if !seen.insert(group) {
            continue;
        }
        let holder = taken.iter().position(|(name, _)| name == group);
        match holder.and_then(|at| taken.get(at).map(|(_, holder)| (at, *holder))) {
            None => {
                taken.push((group, person));
                return true;
            }
            Some((at, holder)) => {
                if place(holder, people, taken, seen) {
                    if let Some(slot) = taken.get_mut(at) {
                        slot.1 = person;
                    }
                    return true;
                }
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distinct_people_from_distinct_groups() {
        let rows: [(&[&[&str]], usize); 8] = [
            (&[], 0),
            (&[&[]], 0),
            (&[&["a"], &["a"]], 1),
            (&[&["a", "b"], &["a"]], 2),
            (&[&["a"], &["a", "b"], &["b"]], 2),
            (&[&["a", "b"], &["a", "c"], &["a"]], 3),
            (&[&["a", "b", "c"]], 1),
            (&[&["b", "c"], &["a", "b"], &["a"], &["a", "b", "c"]], 3),
        ];
        for (people, expect) in rows {
            let people: Vec<BTreeSet<String>> =
                people.iter().map(|groups| groups.iter().map(|group| (*group).to_owned()).collect()).collect();
            assert_eq!(distinct(&people), expect, "{people:?}");
        }
    }
}
