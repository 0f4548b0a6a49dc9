//! Reviewing: a yes to one exact request, perhaps to less of it; or a no, which ends it whatever others said.

use super::{
    administer,
    authenticate::Caller,
    case::{self, same},
    ends,
    requests::Shown,
    steps::{self, Scene, denied, take},
};
use crate::{app::App, refusal::Refusal};
use api::{ApproveRequest, Code, DenyRequest};
use policy::{Approval, HostName, Identity, Joined, Life, Seconds, Stage, Step, Target, What};

/// Approves the request that has the digest which the reviewer names. One that has its quorum may still be narrowed, or
/// approved by more people, so that it stands when one of them no longer counts.
///
/// # Errors
/// `denied` if policy does not let the caller review it, or only by a group that they joined after it was filed, or it is
/// their own; `precondition_failed` for another digest or version; `conflict` if it is over, or the caller approved less of it before; `bad_request` for what would widen it.
pub async fn approve(
    app: &App,
    caller: &Caller,
    id: &str,
    expected: Option<&str>,
    approve: ApproveRequest,
) -> Result<Shown, Refusal> {
    let caller = &caller.known(app).await?;
    let me = &caller.session.identity;
    administer::unless_frozen(app, caller, "approve").await?;
    let joined = case::joined(app, me).await?;
    let taken = take(app, caller, id, expected, |scene| {
        let case = scene.case;
        let may = policy::may_approve(scene.policies, &case.request, me, &joined, scene.now);
        let targets = may.map_err(denied)?;
        if case.request.break_glass.is_some() {
            return Err(Refusal::new(Code::Conflict, "emergency access takes no approval: it is reviewed afterwards")
                .hint(
                    "`jit-ssh deny ID` ends it; `jit-ssh reviewed ID --verdict fine --reason '…'` says what you found",
                ));
        }
        if approve.digest != case::hex(&case.digest) {
            return Err(Refusal::new(Code::PreconditionFailed, "this is not the digest of this request")
                .hint("look at the request again: an approval is for exactly what was looked at"));
        }
        let approval = Approval {
            digest: case.digest,
            duration: approve.duration,
            only: only(scene, &approve.only, &targets)?,
            reason: approve.reason.clone(),
        };
        if matches!(scene.stage, Stage::Over { .. }) {
            return Err(conflict("this request is over"));
        }
        if approval.duration.is_some_and(|most| most.as_secs() == 0 || case.request.duration < most) {
            return Err(Refusal::new(Code::BadRequest, "an approval may shorten what was asked for, not lengthen it"));
        }
        match approved_before(scene, me).map(|before| narrows(before, &approval)) {
            Some(Narrows::Not) => Err(conflict("you approved less of this request already, and nothing widens that")),
            // Twice the same is once, unless it was not their turn the first time.
            Some(Narrows::Same) if !counts(scene, me, &joined, &approval) => Ok(None),
            _ => Ok(Some(What::Approved(approval))),
        }
    });
    Ok(taken.await?.shown)
}

/// What an approval is beside an earlier one by the same person.
enum Narrows {
    /// For more than that one.
    Not,
    /// For as much.
    Same,
    /// For less.
    Further,
}

fn narrows(before: &Approval, now: &Approval) -> Narrows {
    let longest = |approval: &Approval| approval.duration.unwrap_or(Seconds::MAX);
    let within =
        before.only.is_empty() || (!now.only.is_empty() && now.only.iter().all(|host| before.only.contains(host)));
    if longest(before) < longest(now) || !within {
        return Narrows::Not;
    }
    let same = longest(before) == longest(now) && before.only.len() == now.only.len();
    if same { Narrows::Same } else { Narrows::Further }
}

/// Whether one more approval would move the request on.
fn counts(scene: &Scene<'_>, me: &Identity, mine: &[Joined], approval: &Approval) -> bool {
    let joined = [&scene.case.joined, mine].concat();
    let mut steps = scene.case.steps.clone();
    steps.push(Step { at: scene.now.time, by: me.clone(), what: What::Approved(approval.clone()) });
    let life = Life { steps: &steps, joined: &joined, ..scene.case.life() };
    policy::stage(scene.policies, &life, scene.now) != *scene.stage
}

/// Says no. What was approved before is over too, and nothing more is issued under it.
///
/// # Errors
/// `denied` if policy does not let the caller review it, or it is their own; `frozen`; `precondition_failed` for another version;
/// `conflict` if somebody ended it before.
pub async fn deny(
    app: &App,
    caller: &Caller,
    id: &str,
    expected: Option<&str>,
    deny: DenyRequest,
) -> Result<Shown, Refusal> {
    let caller = &caller.known(app).await?;
    let me = &caller.session.identity;
    administer::unless_frozen(app, caller, "deny").await?;
    let taken = take(app, caller, id, expected, |scene| {
        policy::may_review(scene.policies, &scene.case.request, me, scene.now).map_err(steps::denied)?;
        match scene.case.ending() {
            Some(step) if matches!(step.what, What::Denied { .. }) && same(&step.by, me) => Ok(None),
            Some(_) => Err(conflict("this request was ended before")),
            None => Ok(Some(What::Denied { reason: deny.reason.clone() })),
        }
    });
    let taken = taken.await?;
    ends::shortened(app, caller, &taken.case).await?;
    Ok(taken.shown)
}

fn approved_before<'a>(scene: &'a Scene<'_>, me: &Identity) -> Option<&'a Approval> {
    scene.case.steps.iter().rev().find_map(|step| match &step.what {
        What::Approved(approval) if same(&step.by, me) => Some(approval),
        _ => None,
    })
}

/// The hosts that an approval is limited to, by the names of the inventory. It must leave something that this reviewer
/// may approve.
fn only(scene: &Scene<'_>, hosts: &[HostName], targets: &[Target]) -> Result<Vec<HostName>, Refusal> {
    let inventory = scene.policies.inventory();
    let canonical = |host: &HostName| inventory.host(host).map_or_else(|| host.clone(), |known| known.name().clone());
    let mut only: Vec<HostName> = hosts.iter().map(canonical).collect();
    only.sort();
    only.dedup();
    let asked = |host: &HostName| scene.case.request.targets.iter().any(|target| target.host() == host);
    if !only.iter().all(asked) {
        return Err(Refusal::new(Code::BadRequest, "an approval may leave hosts away, not add some"));
    }
    if !only.is_empty() && !targets.iter().any(|target| only.contains(target.host())) {
        return Err(denied(policy::MayNot::NoPolicy));
    }
    Ok(only)
}

fn conflict(message: &str) -> Refusal {
    Refusal::new(Code::Conflict, message).hint("look at it again: `jit-ssh show ID`")
}
