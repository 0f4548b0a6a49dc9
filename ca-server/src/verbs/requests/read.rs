//! Looking at requests: at one, for as long as it takes something to happen to it; at many, a page at a time.

use super::{
    before,
    filter::{Filter, Wanted},
    view::{self, Shown, shown},
};
use crate::{
    app::App,
    audit::{Actor, Entry, Event, Listed},
    clock::moment,
    refusal::Refusal,
    store::Which,
    verbs::{
        authenticate::Caller,
        case::{Case, Standing, not_found, oversees},
    },
};
use api::{Code, RequestsResponse};
use policy::{HostName, Identity, Now, RequestId, Stage, Ticket, UnixTime};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// The longest wait.
pub const MOST_WAIT: Duration = Duration::from_secs(60);
/// The longest page.
pub const MOST_LISTED: usize = 100;
/// The most requests that are looked at to find those that are wanted.
const MOST_LOOKED_AT: usize = 250;
/// After so many others get their turn.
const STRIDE: usize = 16;

/// The request, or nothing where it still is what `known` names. With `wait`, that is only said after so long in which
/// nothing happened.
///
/// # Errors
/// `not_found` if it is none of the caller's business, `rate_limited` if too many wait, `login_required` if the login
/// session ended meanwhile.
pub async fn show(
    app: &App,
    caller: &Caller,
    id: &str,
    known: Option<&str>,
    wait: Duration,
) -> Result<Option<Shown>, Refusal> {
    let id: RequestId = id.parse().map_err(|_not_an_id| not_found())?;
    let shown = look(app, caller, &id, true).await?;
    if known != Some(shown.etag.as_str()) {
        return before::told(app, caller, shown).await.map(Some);
    }
    if wait.is_zero() {
        return Ok(None);
    }
    let deadline = Instant::now() + wait.min(MOST_WAIT);
    let place = app.waiting.place(&id, &caller.session.id)?;
    loop {
        // Before looking, so that nothing that happens in between is missed.
        let next = place.next();
        let shown = look(app, caller, &id, false).await?;
        let left = deadline.saturating_duration_since(Instant::now());
        if known != Some(shown.etag.as_str()) {
            return before::told(app, caller, shown).await.map(Some);
        }
        if left.is_zero() || place.closed() {
            return Ok(None);
        }
        // Time itself changes a stage.
        let turn = turn(&shown.body.stage)
            .map_or(left, |turn| left.min(Duration::from_secs(turn.since(app.clock.now()).max(1))));
        let _nothing_happened = timeout(turn, next).await.is_err();
        if app.store.session(&caller.session.id).await?.is_none() {
            return Err(
                Refusal::new(Code::LoginRequired, "the login session was ended meanwhile").hint("run `jit-ssh login`")
            );
        }
    }
}

/// When the stage changes by itself.
fn turn(stage: &Stage) -> Option<UnixTime> {
    match stage {
        Stage::Pending { until, .. } | Stage::Claimable { until } | Stage::Active { until, .. } => Some(*until),
        Stage::Scheduled { from } => Some(*from),
        Stage::Added { .. } | Stage::Over { .. } => None,
    }
}

/// `first` is the look that goes on record, where one does: a wait is one reading.
async fn look(app: &App, caller: &Caller, id: &RequestId, first: bool) -> Result<Shown, Refusal> {
    let case = Case::load(app, id).await?.ok_or_else(not_found)?;
    let loaded = app.policies.current();
    let now = moment(app.clock.now(), &app.zone);
    if Standing::of(&loaded.policies, caller, &case, now)? == Standing::Overseer && first {
        note_reading(app, caller, Some(id), None).await?;
    }
    shown(&loaded.policies, caller, &case, now)
}

/// Which requests to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// The caller's own.
    Mine,
    /// Those that wait for the caller's word; with a stage in [`Page::only`], those at that stage that the caller may review.
    Review,
    /// Emergency access that nobody has reviewed: the caller's own, and what they may review.
    Unreviewed,
    /// All, for those who may read the audit log.
    All,
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// What follows this one.
    pub after: Option<RequestId>,
    /// So many, 1 to [`MOST_LISTED`].
    pub limit: usize,
    /// These alone.
    pub only: Filter,
}

/// A page of requests, newest first.
///
/// # Errors
/// `denied` for [`View::All`] unless policy lets the caller see all.
pub async fn list(app: &App, caller: &Caller, view: View, page: Page) -> Result<RequestsResponse, Refusal> {
    let now = moment(app.clock.now(), &app.zone);
    let identity = &caller.session.identity;
    let which = match view {
        View::Mine => Which::Of(identity.issuer.clone(), identity.subject.clone()),
        View::Review => Which::Waiting(now.time),
        View::Unreviewed => Which::Unreviewed,
        View::All if oversees(&app.policies.current().policies, caller, now) => {
            note_reading(app, caller, None, Some(&page)).await?;
            page.only.words().into_iter().next().map_or(Which::All, Which::With)
        }
        View::All => {
            return Err(Refusal::new(Code::Denied, "only those who may audit or administer see all requests")
                .hint("`jit-ssh requests` lists your own and those that you may review"));
        }
    };
    let limit = page.limit.clamp(1, MOST_LISTED);
    let mut listed = RequestsResponse { requests: Vec::new(), next: None };
    let (mut after, mut looked_at) = (page.after, 0);
    loop {
        let kept = app.store.requests(&which, after.as_ref(), limit).await?;
        let whole = kept.len() == limit;
        for kept in kept {
            after = Some(kept.request.id.clone());
            looked_at += 1;
            if page.only.takes(&kept) {
                let case = Case::of(app, kept).await?;
                let any_stage = view != View::Review || page.only.stage.is_some();
                let row = row(app, caller, view, &case, &page.only, now)
                    .filter(|row| any_stage || waits_for(&case, &row.stage, identity));
                listed.requests.extend(row);
            }
            if looked_at % STRIDE == 0 {
                tokio::task::yield_now().await;
            }
            if listed.requests.len() == limit || looked_at >= MOST_LOOKED_AT {
                listed.next = after;
                return Ok(listed);
            }
        }
        if !whole {
            return Ok(listed);
        }
    }
}

fn row(app: &App, caller: &Caller, view: View, case: &Case, only: &Filter, now: Now) -> Option<api::RequestBody> {
    let loaded = app.policies.current();
    let may_review = || policy::may_review(&loaded.policies, &case.request, &caller.session.identity, now).is_ok();
    let mine = view == View::Unreviewed && case.is_of(&caller.session.identity);
    let chosen = matches!(view, View::Review | View::Unreviewed);
    if chosen && !mine && !may_review() {
        return None;
    }
    let stage = case.stage(&loaded.policies, now);
    if !only.takes_stage(&stage) {
        return None;
    }
    let row = view::row(&loaded.policies, caller, case, stage, now);
    (!chosen || mine || row.may_review).then_some(row)
}

/// Whether people must approve it, and `who` has not, or it was not their turn then and is now.
fn waits_for(case: &Case, stage: &Stage, who: &Identity) -> bool {
    let Stage::Pending { needs, .. } = stage else { return false };
    let mut turns = needs.iter().filter_map(|need| need.turn.as_ref());
    !case.was_approved_by(who) || turns.any(|turn| who.groups.contains(turn))
}

/// Whoever reads what is not theirs leaves a trace, before they have read it.
async fn note_reading(app: &App, caller: &Caller, id: Option<&RequestId>, page: Option<&Page>) -> Result<(), Refusal> {
    let event = Event::RecordRead {
        actor: Actor::from(&caller.session.identity),
        session: &caller.session.id,
        id,
        listed: page.map(listed),
        source: caller.origin.source,
    };
    let entry = Entry::new(app.clock.now_ms(), &caller.origin.request_id, &event).map_err(Refusal::internal)?;
    Ok(app.store.append(entry).await?)
}

fn listed(page: &Page) -> Listed<'_> {
    let Page { after, limit, only: Filter { user, host, ticket, stage } } = page;
    Listed {
        user: user.as_deref(),
        host: host.as_ref().map(HostName::as_str),
        ticket: ticket.as_ref().map(Ticket::as_str),
        stage: stage.as_ref().map(Wanted::name),
        after: after.as_ref(),
        limit: (*limit).clamp(1, MOST_LISTED),
    }
}
