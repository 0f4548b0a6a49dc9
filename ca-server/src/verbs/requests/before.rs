//! What somebody asked for before, and whether they used it: for whoever is to decide about them now.

use super::view::Shown;
use crate::{
    app::App,
    clock::moment,
    refusal::Refusal,
    store::Which,
    verbs::{
        authenticate::Caller,
        case::{self, Case},
    },
};
use api::Before;
use policy::{Request, What};

/// So many: it is to be taken in at a glance.
const MOST: usize = 5;

/// `shown` with what its requester asked for before, unless the caller is the requester, who knows.
pub(super) async fn told(app: &App, caller: &Caller, mut shown: Shown) -> Result<Shown, Refusal> {
    let Some(id) = &shown.body.id else { return Ok(shown) };
    let Some(kept) = app.store.request(id).await? else { return Ok(shown) };
    if !case::same(&kept.request.requester, &caller.session.identity) {
        shown.body.used_before = earlier(app, &kept.request).await?;
    }
    Ok(shown)
}

/// Targets, stage and times alone: the words of other requests are for those who may see these.
async fn earlier(app: &App, request: &Request) -> Result<Vec<Before>, Refusal> {
    let requester = &request.requester;
    let which = Which::Of(requester.issuer.clone(), requester.subject.clone());
    let loaded = app.policies.current();
    let now = moment(app.clock.now(), &app.zone);
    let mut earlier = Vec::new();
    for kept in app.store.requests(&which, Some(&request.id), MOST).await? {
        let case = Case::of(app, kept).await?;
        let used = case.steps.iter().find(|step| step.what == What::Claimed).map(|step| step.at);
        earlier.push(Before {
            id: case.request.id.clone(),
            targets: case.request.targets.clone(),
            filed: case.request.filed,
            stage: case.stage(&loaded.policies, now),
            used,
            last_expiry: app.store.last_expiry(&case.request.id).await?,
            incident: case.request.break_glass.as_ref().map(|glass| glass.incident.clone()),
        });
    }
    Ok(earlier)
}
