//! Reviewing: a yes to one exact request, perhaps to less of it; or a no, which ends it whatever others said.

use super::{
    authenticate::Caller,
    case::{self, same},
    requests::Shown,
    steps::{self, Scene, denied, take},
};
use crate::{app::App, refusal::Refusal};
use api::{ApproveRequest, Code, DenyRequest};
use policy::{Approval, HostName, Identity, Stage, Target, What};

/// Approves the request that has the digest which the reviewer names.
///
/// # Errors
/// `denied` if policy does not let the caller review it, or it is their own; `precondition_failed` for another digest or
/// version; `conflict` if it does not wait for approvals any more, or the caller approved it before on other terms;
/// `bad_request` for what would widen it.
pub async fn approve(
    app: &App,
    caller: &Caller,
    id: &str,
    expected: Option<&str>,
    approve: ApproveRequest,
) -> Result<Shown, Refusal> {
    let me = &caller.session.identity;
    let taken = take(app, caller, id, expected, |scene| {
        let case = scene.case;
        let targets = policy::may_review(scene.policies, &case.request, me, scene.now).map_err(denied)?;
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
        if let Some(before) = approved_before(scene, me) {
            let again = (before.duration, &before.only) == (approval.duration, &approval.only);
            return if again { Ok(None) } else { Err(conflict("you approved this request already, on other terms")) };
        }
        if !matches!(scene.stage, Stage::Pending { .. }) {
            return Err(conflict(match scene.stage {
                Stage::Over { .. } => "this request is over",
                _ => "this request has the approvals it needs",
            }));
        }
        if approval.duration.is_some_and(|most| most.as_secs() == 0 || case.request.duration < most) {
            return Err(Refusal::new(Code::BadRequest, "an approval may shorten what was asked for, not lengthen it"));
        }
        Ok(Some(What::Approved(approval)))
    });
    Ok(taken.await?.shown)
}

/// Says no. What was approved before is over too, and nothing more is issued under it.
///
/// # Errors
/// `denied` if policy does not let the caller review it, or it is their own; `precondition_failed` for another version;
/// `conflict` if somebody ended it before.
pub async fn deny(
    app: &App,
    caller: &Caller,
    id: &str,
    expected: Option<&str>,
    deny: DenyRequest,
) -> Result<Shown, Refusal> {
    let me = &caller.session.identity;
    let taken = take(app, caller, id, expected, |scene| {
        policy::may_review(scene.policies, &scene.case.request, me, scene.now).map_err(steps::denied)?;
        match scene.case.ending() {
            Some(step) if matches!(step.what, What::Denied { .. }) && same(&step.by, me) => Ok(None),
            Some(_) => Err(conflict("this request was ended before")),
            None => Ok(Some(What::Denied { reason: deny.reason.clone() })),
        }
    });
    Ok(taken.await?.shown)
}

fn approved_before<'a>(scene: &'a Scene<'_>, me: &Identity) -> Option<&'a Approval> {
    scene.case.steps.iter().find_map(|step| match &step.what {
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
