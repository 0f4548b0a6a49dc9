//! A request as people see it.

use crate::{
    refusal::Refusal,
    verbs::{
        authenticate::Caller,
        case::{self, Case},
    },
};
use api::{Offer, RequestBody, StepBody};
use policy::{EndReason, Now, Policies, PolicyId, Review, Stage, Step, Verdict, What};
use sha2::{Digest as _, Sha256};

/// A request and its entity tag.
#[derive(Debug)]
pub struct Shown {
    /// The request.
    pub body: RequestBody,
    /// Changes whenever its steps or its stage do.
    pub etag: String,
}

/// All of it, for somebody who may see it.
///
/// # Errors
/// If it cannot be written.
pub(in crate::verbs) fn shown(policies: &Policies, caller: &Caller, case: &Case, now: Now) -> Result<Shown, Refusal> {
    let stage = case.stage(policies, now);
    let etag = etag(case, &stage)?;
    let mut body = row(policies, caller, case, stage, now);
    body.offers = offers(policies, case, now);
    body.extensions = case.extended(policies, now);
    Ok(Shown { body, etag })
}

/// What would become of it.
pub(super) fn dry(policies: &Policies, case: &Case, now: Now) -> Result<Shown, Refusal> {
    let stage = case.stage(policies, now);
    let etag = etag(case, &stage)?;
    let mut body = body(case, stage, false);
    (body.id, body.grant, body.digest) = (None, None, String::new());
    body.offers = offers(policies, case, now);
    for offer in body.offers.iter_mut().filter(|_| case.request.break_glass.is_none()) {
        let ask = policy::asked(&case.request, &offer.target, now);
        let picked = |policy: &PolicyId| case.request.under.as_ref().is_none_or(|under| policy == under);
        offer.unmet = policy::unmet(policies, &ask, now);
        offer.unmet.retain(|lacks| picked(&lacks.policy));
        offer.further = policy::further(policies, &ask, now);
        offer.further.retain(|terms| picked(&terms.policy));
    }
    Ok(Shown { body, etag })
}

/// What a list says of it.
pub(super) fn row(policies: &Policies, caller: &Caller, case: &Case, stage: Stage, now: Now) -> RequestBody {
    let review = case.reviewed(now);
    let reviewable = match &review {
        Some(review) => !matches!(review, Review::Done { .. }),
        None => !matches!(stage, Stage::Over { .. }),
    };
    let may = reviewable && policy::may_review(policies, &case.request, &caller.session.identity, now).is_ok();
    RequestBody { review, ..body(case, stage, may) }
}

/// The entity tag of a case that stands at `stage`: its version, and a digest of what time and policy make of it.
pub(in crate::verbs) fn etag(case: &Case, stage: &Stage) -> Result<String, Refusal> {
    let digest = Sha256::digest(serde_json::to_vec(stage).map_err(Refusal::internal)?);
    let [a, b, c, d, ..]: [u8; 32] = digest.into();
    Ok(format!("\"{}-{:08x}\"", case.steps.len(), u32::from_be_bytes([a, b, c, d])))
}

fn body(case: &Case, stage: Stage, may_review: bool) -> RequestBody {
    let request = &case.request;
    RequestBody {
        id: Some(request.id.clone()),
        grant: Some(request.extends.as_ref().unwrap_or(&request.id).grant()),
        digest: case::hex(&case.digest),
        version: u64::try_from(case.steps.len()).unwrap_or(u64::MAX),
        requester: (&request.requester).into(),
        targets: request.targets.clone(),
        duration: request.duration,
        reason: request.reason.clone(),
        ticket: request.ticket.clone(),
        start: request.start,
        under: request.under.clone(),
        extends: request.extends.clone(),
        extensions: Vec::new(),
        incident: request.break_glass.as_ref().map(|glass| glass.incident.clone()),
        review: None,
        used_before: Vec::new(),
        filed: request.filed,
        stage,
        offers: Vec::new(),
        steps: case.steps.iter().map(step).collect(),
        may_review,
    }
}

fn step(step: &Step) -> StepBody {
    let mut body = StepBody {
        at: step.at,
        by: step.by.name().to_owned(),
        what: String::new(),
        reason: None,
        duration: None,
        only: Vec::new(),
    };
    let what = match &step.what {
        What::Approved(approval) => {
            body.reason.clone_from(&approval.reason);
            body.duration = approval.duration;
            body.only.clone_from(&approval.only);
            "approved"
        }
        What::Denied { reason } => {
            body.reason = Some(reason.clone());
            "denied"
        }
        What::Reviewed { verdict, reason } => {
            body.reason = Some(reason.clone());
            match verdict {
                Verdict::Fine => "reviewed: fine",
                Verdict::Concern => "reviewed: concern",
            }
        }
        What::Cancelled => "cancelled",
        What::Claimed => "claimed",
        What::Ended { why, reason } => {
            body.reason.clone_from(reason);
            match why {
                EndReason::Done => "done",
                EndReason::Revoked => "revoked",
            }
        }
    };
    what.clone_into(&mut body.what);
    body
}

fn offers(policies: &Policies, case: &Case, now: Now) -> Vec<Offer> {
    let request = &case.request;
    let offer = |target| {
        let ask = policy::asked(request, target, now);
        Offer {
            target: target.clone(),
            offers: case::offers(policies, request, target, now),
            approver_groups: policy::approver_groups(policies, &ask, now),
            unmet: Vec::new(),
            further: Vec::new(),
        }
    };
    request.targets.iter().map(offer).collect()
}
