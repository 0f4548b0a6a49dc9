//! Who is who: one person may have several accounts, and is one person still.

use crate::{Group, Identity, Joined, Kind, UnixTime};

/// Whether both are one account: issuer and subject, as a person or as a machine.
pub(crate) fn same_account(one: &Identity, other: &Identity) -> bool {
    (one.kind, &one.issuer, &one.subject) == (other.kind, &other.issuer, &other.subject)
}

/// Whether both are known to be one person: the same account, or a verified e-mail address that both have or had.
pub fn same_person(one: &Identity, other: &Identity) -> bool {
    let by_email = one.addresses().any(|address| other.is_known_as(address.as_str()));
    by_email || (&one.issuer, &one.subject) == (&other.issuer, &other.subject)
}

/// Whether `who` answers for the workload `machine`: a claim `sponsor` of its token names them.
pub(crate) fn sponsors(who: &Identity, machine: &Identity) -> bool {
    let named = |name: &str| name == who.subject.as_str() || who.is_known_as(name);
    machine.kind == Kind::Workload && machine.claims.iter().any(|(claim, name)| claim == "sponsor" && named(name))
}

/// The groups of `who` that they joined only after `filed`: whoever asks must not find approvers by making some.
pub(crate) fn late(who: &Identity, joined: &[Joined], filed: UnixTime) -> Vec<Group> {
    let theirs = |row: &&Joined| (&row.issuer, &row.subject) == (&who.issuer, &who.subject) && filed < row.since;
    joined.iter().filter(theirs).map(|row| row.group.clone()).filter(|group| who.groups.contains(group)).collect()
}

/// A number for each of `all`, the same for those who are one person, through however many accounts: if one shares an
/// account with another and an address with a third, the three are one.
pub(crate) fn numbered(all: &[&Identity]) -> Vec<usize> {
    let mut numbers: Vec<usize> = (0..all.len()).collect();
    loop {
        let before = numbers.clone();
        for (at, one) in all.iter().enumerate() {
            let alike = all.iter().zip(&before).filter(|(other, _)| same_person(one, other));
            let least = alike.map(|(_, number)| *number).min();
            if let (Some(number), Some(least)) = (numbers.get_mut(at), least) {
                *number = (*number).min(least);
            }
        }
        if numbers == before {
            return numbers;
        }
    }
}
