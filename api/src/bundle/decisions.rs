//! Would the policy set on record have decided so, on the facts on record? Every decision is made anew.

mod caller;

use super::{
    Faults,
    certificate::Read,
    policies::Sets,
    record::{Entry, Record},
    requests,
};
use crate::{
    entry::{Certificate, Fact, Filed, Step},
    options,
};
use caller::identity;
use policy::{
    Ask, BreakGlass, Decision, Digest, Frozen, Grant, Identity, Joined, KeyId, Life, Now, Policies, Request, UnixTime,
    What,
};

/// Decides everything anew. What the entries of an old version do not hold enough for is a doubt; anything else that is missing
/// or comes out otherwise is a fault.
pub(super) fn check(
    record: &Record<'_>,
    sets: &Sets,
    certificates: &[Read],
    faults: &mut Faults,
    doubts: &mut Vec<String>,
) {
    for (at, filed) in record.filed() {
        note(at.index, may_be_filed(record, sets, at, filed), faults, doubts);
    }
    for (at, step) in record.steps() {
        if matches!(at.fact, Fact::Approved { .. } | Fact::Denied { .. } | Fact::Reviewed { .. }) {
            note(at.index, may_be_reviewed(record, sets, at, step), faults, doubts);
        }
    }
    for read in certificates {
        let found = record.certificates().find(|(at, _)| at.index == read.index);
        if let Some((at, entry)) = found {
            note(read.index, is_granted(record, sets, read, at, entry), faults, doubts);
        }
    }
}

/// Why something is not shown to be right.
enum No {
    /// It is wrong, or what would show it was left out.
    Wrong(String),
    /// The entries are too old to show it.
    Untold,
}

fn wrong(what: impl Into<String>) -> No {
    No::Wrong(what.into())
}

fn note(index: u64, outcome: Result<(), No>, faults: &mut Faults, doubts: &mut Vec<String>) {
    match outcome {
        Ok(()) => {}
        Err(No::Wrong(what)) => faults.at(index, what),
        Err(No::Untold) => doubts.push(format!(
            "that policy allowed what entry {index} says: it is of a version that did not record everything a decision is made on"
        )),
    }
}

fn may_be_filed(record: &Record<'_>, sets: &Sets, at: &Entry<'_>, filed: &Filed) -> Result<(), No> {
    let now = filed.decided.ok_or(No::Untold)?;
    let policies = set(sets, &filed.policy_digest)?;
    let requester = identity(record, at, &filed.session, &filed.actor, now)?;
    if *requester != filed.filed.requester {
        return Err(wrong("the requester is not who logged in with that session"));
    }
    if let Some(glass) = &filed.filed.break_glass {
        return may_be_opened(policies, &filed.filed, glass, now);
    }
    for target in &filed.filed.targets {
        if let Decision::Denied(_) = policy::decide(policies, &ask_of(&filed.filed, target), now) {
            return Err(wrong(format!("that policy set refuses {target} to its requester, whoever approves")));
        }
    }
    Ok(())
}

/// That the permit on record gives emergency access at once, to be reviewed exactly by when the request says.
fn may_be_opened(policies: &Policies, request: &Request, glass: &BreakGlass, now: Now) -> Result<(), No> {
    let [target] = request.targets.as_slice() else { return Err(wrong("emergency access is for one target")) };
    let ask = ask_of(request, target);
    if let Decision::Denied(_) = policy::decide_break_glass(policies, &ask, now) {
        return Err(wrong(format!("that policy set gives its requester no emergency access to {target}")));
    }
    // Where several permits do, the request says which it was.
    let offers = policy::break_glass_offers(policies, &ask, now);
    let taken = offers.into_iter().find(|terms| request.under.as_ref() == Some(&terms.policy));
    let due = taken.and_then(|terms| terms.review_within).map(|span| now.time.plus(span));
    if due == Some(glass.review_by) {
        return Ok(());
    }
    Err(wrong("that policy set gives this emergency access by another permit, or wants it reviewed by another time"))
}

fn may_be_reviewed(record: &Record<'_>, sets: &Sets, at: &Entry<'_>, step: &Step) -> Result<(), No> {
    let now = step.decided.ok_or(No::Untold)?;
    let digest = step.policy_digest.as_deref().ok_or(No::Untold)?;
    let reviewer = identity(record, at, &step.session, &step.actor, now)?;
    // A request that is missing is told elsewhere.
    let Some((_, filed)) = record.request(&step.id) else { return Ok(()) };
    match policy::may_review(set(sets, digest)?, &filed.filed, reviewer, now) {
        Ok(_) => Ok(()),
        Err(may_not) => {
            Err(wrong(format!("{} was not entitled to decide on {}: {may_not}", step.actor.name(), step.id)))
        }
    }
}

/// That the decision comes out as the same grant, and that the certificate is exactly that grant's.
fn is_granted(record: &Record<'_>, sets: &Sets, read: &Read, at: &Entry<'_>, entry: &Certificate) -> Result<(), No> {
    let now = entry.decided.ok_or(No::Untold)?;
    let policies = set(sets, &entry.policy_digest)?;
    let holder = identity(record, at, &entry.session, &entry.actor, now)?;
    if record.ended(&entry.session, at.index).is_some() {
        return Err(wrong("its login session had ended before"));
    }
    let ask = Ask {
        identity: holder.clone(),
        target: entry.target.clone(),
        duration: entry.duration,
        reason: entry.reason.clone(),
        ticket: entry.ticket.clone(),
        source: entry.source,
    };
    let decision = match &entry.under {
        None => policy::decide(policies, &ask, now),
        Some(id) => {
            let facts = Facts::of(record, id, read.index, entry)?;
            policy::decide_under(policies, &ask, &facts.life(), now)
        }
    };
    let Decision::Granted(grant) = decision else {
        return Err(wrong("that policy set does not grant it on the facts that the bundle holds"));
    };
    if *grant.policy() != entry.policy || grant.end() != entry.until || *grant.target() != entry.target {
        return Err(wrong(format!(
            "that policy set grants it otherwise: by {}, until {}",
            grant.policy(),
            grant.end().as_secs()
        )));
    }
    if let Some(frozen) = frozen(record, read.index, holder, &grant, policies) {
        return Err(wrong(format!("{frozen} was frozen, and that stops every certificate")));
    }
    match differs(read, &grant, entry, holder, now) {
        None => Ok(()),
        Some(field) => Err(wrong(format!("the certificate is not within its grant: {field}"))),
    }
}

/// What was frozen when the entry `index` issued a certificate to `holder`, and should have stopped it.
fn frozen<'r>(
    record: &'r Record<'_>,
    index: u64,
    holder: &Identity,
    grant: &Grant,
    policies: &Policies,
) -> Option<&'r Frozen> {
    let mut in_force = Vec::new();
    for entry in record.entries.iter().take_while(|entry| entry.index < index) {
        match &entry.fact {
            Fact::FreezeSet(set) => in_force.push((&set.id, &set.frozen)),
            Fact::FreezeThawed(word) if word.lifted => in_force.retain(|(id, _)| **id != word.id),
            _ => {}
        }
    }
    let stops = |frozen: &&Frozen| frozen.stops(holder, grant.target(), policies.inventory());
    in_force.into_iter().map(|(_, frozen)| frozen).find(stops)
}

fn differs(read: &Read, grant: &Grant, entry: &Certificate, holder: &Identity, now: Now) -> Option<&'static str> {
    let made = &read.made;
    if !grant.principals().iter().map(|principal| principal.as_str()).eq(made.valid_principals()) {
        return Some("principals");
    }
    let validity = grant.validity(now.time).ok();
    if validity.is_none_or(|v| (v.after().as_secs(), v.before().as_secs()) != (made.valid_after(), made.valid_before()))
    {
        return Some("validity");
    }
    if made.key_id() != KeyId::new(&entry.grant, holder).as_str() {
        return Some("key id");
    }
    options::compare(made, grant, &entry.grant).err()
}

/// A request's life as it was when a certificate was decided on.
struct Facts {
    request: Request,
    digest: Digest,
    steps: Vec<policy::Step>,
    extensions: Vec<(Request, Digest, Vec<policy::Step>)>,
    joined: Vec<Joined>,
}

impl Facts {
    fn of(record: &Record<'_>, id: &policy::RequestId, index: u64, entry: &Certificate) -> Result<Self, No> {
        let mut facts = Self::alone(record, id, index)?;
        facts.joined = joined(record, index);
        for pinned in entry.pinned.iter().filter(|pinned| pinned.id != *id) {
            let Self { request, digest, steps, .. } = Self::alone(record, &pinned.id, index)?;
            facts.extensions.push((request, digest, steps));
        }
        Ok(facts)
    }

    fn alone(record: &Record<'_>, id: &policy::RequestId, index: u64) -> Result<Self, No> {
        let found = record.request(id).filter(|(at, _)| at.index < index);
        let (at, filed) = found.ok_or_else(|| wrong(format!("the bundle does not hold the request {id}")))?;
        let digest = requests::digest(at.text).ok_or_else(|| wrong(format!("the request {id} cannot be read")))?;
        let cause = record.entries.iter().find(|entry| entry.index == index).map(|entry| entry.head.request.as_str());
        let mut steps = Vec::new();
        for entry in record.entries.iter().take_while(|entry| entry.index < index) {
            let Some(step) = entry.fact.step().filter(|step| step.id == *id) else { continue };
            // The first use is recorded with the certificate that it is, and was decided on without it.
            if matches!(entry.fact, Fact::Claimed { .. }) && Some(entry.head.request.as_str()) == cause {
                continue;
            }
            steps.push(taken(record, entry, step, index)?);
        }
        Ok(Self { request: filed.filed.clone(), digest, steps, extensions: Vec::new(), joined: Vec::new() })
    }

    fn life(&self) -> Life<'_> {
        let Self { request, digest, steps, extensions, joined } = self;
        Life { request, digest: *digest, steps, extensions, joined }
    }
}

/// Since when people are in their groups, as their logins before the entry `index` tell. A login that is left out of the
/// bundle makes it later, never sooner, unless it was without the group.
fn joined(record: &Record<'_>, index: u64) -> Vec<Joined> {
    let mut all: Vec<Joined> = Vec::new();
    for (at, login) in record.logins().take_while(|(at, _)| at.index < index) {
        let Some(identity) = &login.identity else { continue };
        let theirs = |row: &Joined| (&row.issuer, &row.subject) == (&identity.issuer, &identity.subject);
        all.retain(|row| !theirs(row) || identity.groups.contains(&row.group));
        for group in &identity.groups {
            if !all.iter().any(|row| theirs(row) && row.group == *group) {
                let (issuer, subject) = (identity.issuer.clone(), identity.subject.clone());
                let since = UnixTime::from_secs(at.head.time_ms / 1_000);
                all.push(Joined { issuer, subject, group: group.clone(), since });
            }
        }
    }
    all
}

/// The step as policy judges it: whoever approved, as they were by their last login.
fn taken(record: &Record<'_>, entry: &Entry<'_>, step: &Step, index: u64) -> Result<policy::Step, No> {
    let decided = step.decided.ok_or(No::Untold)?;
    let by = identity(record, entry, &step.session, &step.actor, decided)?.clone();
    let what = match &entry.fact {
        Fact::Approved { approval, .. } => What::Approved(approval.clone()),
        Fact::Denied { reason, .. } => What::Denied { reason: reason.clone() },
        Fact::Cancelled { .. } => What::Cancelled,
        Fact::Claimed { .. } => What::Claimed,
        Fact::Ended { why, reason, .. } => What::Ended { why: *why, reason: reason.clone() },
        Fact::Reviewed { verdict, reason, .. } => What::Reviewed { verdict: *verdict, reason: reason.clone() },
        _ => return Err(No::Untold),
    };
    let mut step = policy::Step { at: decided.time, by, what };
    if let (What::Approved(_), Some(latest)) = (&step.what, record.latest(&step.by, index)) {
        let latest = latest.clone();
        step.learn(&latest);
    }
    Ok(step)
}

fn ask_of(request: &Request, target: &policy::Target) -> Ask {
    Ask {
        identity: request.requester.clone(),
        target: target.clone(),
        duration: Some(request.duration),
        reason: request.reason.clone(),
        ticket: request.ticket.clone(),
        source: request.source,
    }
}

fn set<'s>(sets: &'s Sets, digest: &str) -> Result<&'s Policies, No> {
    sets.get(digest).ok_or_else(|| wrong(format!("the bundle does not hold the policy set {digest} that decided")))
}
