//! Ends that come before their time: withdrawn or given back by whoever asked, or taken by security.

use super::{
    authenticate::Caller,
    requests::Shown,
    steps::{Scene, over, take},
};
use crate::{app::App, refusal::Refusal};
use api::{Code, EndRequest, Receipt};
use policy::{EndReason, Over, Stage, What};

/// Withdraws a request of one's own that nobody has used yet.
///
/// # Errors
/// `denied` for somebody else's, `precondition_failed` for another version, `conflict` if it is in use or over.
pub async fn cancel(app: &App, caller: &Caller, id: &str, expected: Option<&str>) -> Result<Shown, Refusal> {
    let taken = take(app, caller, id, expected, |scene| {
        own(caller, scene)?;
        match (scene.case.ending(), scene.stage) {
            (Some(step), _) if step.what == What::Cancelled => Ok(None),
            (Some(_), _) => Err(over()),
            (None, Stage::Active { .. }) => {
                Err(Refusal::new(Code::Conflict, "this request is in use").hint("give it back: `jit-ssh done`"))
            }
            (None, Stage::Over { how: Over::Finished }) => Err(over()),
            (None, _) => Ok(Some(What::Cancelled)),
        }
    });
    Ok(taken.await?.shown)
}

/// Gives back a grant of one's own, or takes anybody's. From then on no certificate is issued under it.
///
/// # Errors
/// `denied` unless it is one's own (`done`) or policy lets the caller administer (`revoked`), `bad_request` for a revocation
/// without a reason, `precondition_failed` for another version, `conflict` if it was not approved yet or is over.
pub async fn end(
    app: &App,
    caller: &Caller,
    id: &str,
    expected: Option<&str>,
    end: EndRequest,
) -> Result<(Receipt, String), Refusal> {
    let EndRequest { why, reason } = end;
    if why == EndReason::Revoked && reason.is_none() {
        return Err(Refusal::new(Code::BadRequest, "a revocation states its reason"));
    }
    let taken = take(app, caller, id, expected, |scene| {
        match why {
            EndReason::Done => own(caller, scene)?,
            EndReason::Revoked => administrator(caller, scene)?,
        }
        match (scene.case.ending(), scene.stage) {
            (Some(step), _) if matches!(step.what, What::Ended { why: before, .. } if before == why) => Ok(None),
            (Some(_), _) => Err(over()),
            (None, Stage::Pending { .. } | Stage::Added { .. }) if why == EndReason::Done => {
                Err(Refusal::new(Code::Conflict, "this request is no grant to give back")
                    .hint("withdraw it: `jit-ssh cancel ID`"))
            }
            (None, Stage::Over { .. }) if why == EndReason::Done => Err(over()),
            (None, _) => Ok(Some(What::Ended { why, reason: reason.clone() })),
        }
    });
    let taken = taken.await?;
    let id = &taken.case.request.id;
    // Looked up after the step: no certificate can be recorded under it any more.
    let last_expiry = app.store.last_expiry(id).await?.filter(|&last| app.clock.now() < last);
    let receipt = Receipt { requests: vec![id.clone()], sessions: 0, serials: Vec::new(), last_expiry };
    Ok((receipt, taken.shown.etag))
}

fn own(caller: &Caller, scene: &Scene<'_>) -> Result<(), Refusal> {
    if scene.case.is_of(&caller.session.identity) {
        return Ok(());
    }
    Err(Refusal::new(Code::Denied, "only whoever asked may withdraw a request or give a grant back")
        .hint("a reviewer denies it: `jit-ssh deny ID`; security revokes it: `jit-ssh revoke --grant ID`"))
}

fn administrator(caller: &Caller, scene: &Scene<'_>) -> Result<(), Refusal> {
    let (identity, source) = (&caller.session.identity, caller.origin.source);
    if policy::administers(scene.policies, identity, source, scene.now) {
        return Ok(());
    }
    Err(Refusal::new(Code::Denied, "policy does not let you revoke grants")
        .hint("a reviewer denies it: `jit-ssh deny ID`; its holder gives it back: `jit-ssh done`"))
}
