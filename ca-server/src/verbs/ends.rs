//! Ends that come before their time: withdrawn or given back by whoever asked, or taken by security.

use super::{
    administer,
    authenticate::Caller,
    case::Case,
    krl,
    requests::Shown,
    revoke::{account, told},
    steps::{Scene, over, take},
};
use crate::{
    app::App,
    clock::moment,
    refusal::Refusal,
    store::{Selection, revocations::given_back},
};
use api::{Code, EndRequest, Receipt};
use policy::{EndReason, Over, Reason, RequestId, Stage, What};

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
    let taken = taken.await?;
    shortened(app, caller, &taken.case).await?;
    Ok(taken.shown)
}

/// Gives back a grant of one's own, or takes anybody's. From then on no certificate is issued under it.
///
/// # Errors
/// `denied` unless it is one's own (`done`) or policy lets the caller administer (`revoked`), `frozen` for who would take it and
/// is frozen, `bad_request` for a revocation without a reason, `precondition_failed` for another version, `conflict` if it was not approved yet or is over.
pub async fn end(
    app: &App,
    caller: &Caller,
    id: &str,
    expected: Option<&str>,
    end: EndRequest,
) -> Result<(Receipt, String), Refusal> {
    if end.why == EndReason::Revoked {
        if end.reason.is_none() {
            return Err(Refusal::new(Code::BadRequest, "a revocation states its reason"));
        }
        administer::unless_frozen(app, caller, "revoke").await?;
    }
    let administers = end.why == EndReason::Revoked && administer::administers(app, caller).await?;
    ended(app, caller, id, expected, end, administers).await
}

/// Takes a grant for a caller who was found to administer. None where its end came by itself, or its holder made one.
///
/// # Errors
/// If it could not be ended.
pub(super) async fn taken(
    app: &App,
    caller: &Caller,
    id: &RequestId,
    reason: &Reason,
) -> Result<Option<Receipt>, Refusal> {
    let end = EndRequest { why: EndReason::Revoked, reason: Some(reason.clone()) };
    let refusal = match ended(app, caller, id.as_str(), None, end, true).await {
        Ok((receipt, _etag)) => return Ok(Some(receipt)),
        Err(refusal) => refusal,
    };
    let case = Case::load(app, id).await?;
    let now = moment(app.clock.now(), &app.zone);
    let stage = case.map(|case| case.stage(&app.policies.current().policies, now));
    // What was put away meanwhile is over, whatever policy makes of it.
    let put_away = |stage: &Stage| refusal.code == Code::Conflict && matches!(stage, Stage::Over { .. });
    if stage.is_none_or(|stage| stage.is_over_for_good() || put_away(&stage)) { Ok(None) } else { Err(refusal) }
}

async fn ended(
    app: &App,
    caller: &Caller,
    id: &str,
    expected: Option<&str>,
    end: EndRequest,
    administers: bool,
) -> Result<(Receipt, String), Refusal> {
    let EndRequest { why, reason } = end;
    let taken = take(app, caller, id, expected, |scene| {
        match why {
            EndReason::Done => own(caller, scene)?,
            EndReason::Revoked => administrator(administers)?,
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
    // Looked up after the step: no certificate can be recorded under it any more, and it has revoked those that were. Where
    // there was none, the store would look at every certificate that lives.
    let revoked = match taken.case.steps.iter().any(|step| step.what == What::Claimed) {
        true => app.store.live(&Selection::Grant(id.grant()), app.clock.now()).await?,
        false => Vec::new(),
    };
    let krl = if revoked.is_empty() { None } else { Some(krl::list(app).await?.version) };
    let (serials, last_expiry) = told(&revoked);
    shortened(app, caller, &taken.case).await?;
    let receipt = Receipt { requests: vec![id.clone()], sessions: 0, serials, last_expiry, krl, hint: None };
    Ok((receipt, taken.shown.etag))
}

/// What prolonged a grant is over: certificates that now reach beyond the grant's end are revoked with the rest of it. Its
/// holder gets new ones as long as the grant goes on.
pub(super) async fn shortened(app: &App, caller: &Caller, extension: &Case) -> Result<(), Refusal> {
    let Some(prolonged) = &extension.request.extends else { return Ok(()) };
    let Some(case) = Case::load(app, prolonged).await? else { return Ok(()) };
    let now = moment(app.clock.now(), &app.zone);
    let end = match case.stage(&app.policies.current().policies, now) {
        Stage::Active { until, .. } => until,
        _ => now.time,
    };
    let which = Selection::Grant(prolonged.grant());
    if app.store.live(&which, now.time).await?.iter().any(|one| !one.revoked && end < one.expires) {
        let given_back = extension.ending().is_some_and(given_back);
        let account = account(app, caller, "grant", prolonged.grant().as_str(), None, given_back);
        app.store.revoke(which, now.time, account).await?;
    }
    Ok(())
}

fn own(caller: &Caller, scene: &Scene<'_>) -> Result<(), Refusal> {
    if scene.case.is_of(&caller.session.identity) {
        return Ok(());
    }
    Err(Refusal::new(Code::Denied, "only whoever asked may withdraw a request or give a grant back")
        .hint("a reviewer denies it: `jit-ssh deny ID`; security revokes it: `jit-ssh revoke --grant ID`"))
}

fn administrator(administers: bool) -> Result<(), Refusal> {
    if administers {
        return Ok(());
    }
    Err(Refusal::new(Code::Denied, "policy does not let you revoke grants")
        .hint("a reviewer denies it: `jit-ssh deny ID`; its holder gives it back: `jit-ssh done`"))
}
