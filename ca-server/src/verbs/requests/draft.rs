//! From what was asked to a request that could be filed: names as the inventory has them, every bound kept, and no
//! target on it that policy would refuse whoever approved.

use crate::{
    app::App,
    clock,
    policies::Loaded,
    refusal::Refusal,
    verbs::{
        authenticate::Caller,
        case::{Case, Standing, not_found},
        glass, issue,
    },
};
use api::{Code, FileRequest};
use policy::{
    Ask, Cause, Decision, Denied, Now, Policies, PolicyId, Request, RequestId, Seconds, Stage, Target, Terms, UnixTime,
    Unmet, UnmetTerm,
};

/// How long a request waits for people, counted from its filing, or until it was to begin if that is later.
const PATIENCE: Seconds = Seconds::new(86_400);
/// How far ahead a request may begin.
const FORESIGHT: Seconds = Seconds::new(30 * 86_400);
/// How long ago a start may be that means "at once": it is written in minutes, and on the way for a while.
const LATE: Seconds = Seconds::new(60);

pub(super) async fn request(
    app: &App,
    caller: &Caller,
    loaded: &Loaded,
    asked: FileRequest,
    now: Now,
) -> Result<Request, Refusal> {
    if let Some(start) = asked.start.filter(|start| start.plus(LATE) < now.time) {
        return Err(past(start, now.time));
    }
    let FileRequest { targets, duration, reason, ticket, start, under, extends, dry_run, incident } = asked;
    let id = RequestId::from_random(clock::random()?);
    let mut request = Request {
        id,
        requester: caller.session.identity.clone(),
        targets,
        duration: duration.unwrap_or(Seconds::MAX),
        reason,
        ticket,
        start: start.filter(|&start| now.time < start),
        under,
        source: caller.origin.source,
        filed: now.time,
        expires: now.time.plus(PATIENCE).max(start.unwrap_or(now.time)),
        extends,
        break_glass: None,
    };
    if request.start.is_some_and(|start| now.time.plus(FORESIGHT) < start) {
        return Err(Refusal::new(Code::BadRequest, format!("a request begins within {FORESIGHT}")));
    }
    if duration.is_some_and(|duration| duration.as_secs() == 0) {
        return Err(Refusal::new(Code::BadRequest, "a duration of nothing is no access")
            .hint("name a duration, such as `--for 30m`; or none, for as long as policy allows"));
    }
    if request.extends.is_some() {
        prolong(app, caller, loaded, &mut request, duration, now).await?;
    }
    request.targets = named(&loaded.policies, request.targets)?;
    if let Some(incident) = incident {
        glass::broken(app, caller, loaded, &mut request, incident, (duration, dry_run), now).await?;
        return Ok(request);
    }
    let mut longest = Seconds::MAX;
    for target in &request.targets {
        let ask = ask(&request, target, duration);
        match terms(&loaded.policies, &request, &ask, now)? {
            Some(terms) => longest = longest.min(terms.max_duration),
            // Said by the decision itself, so that it names the policies that made it.
            None => {
                let no = policy::decide(&loaded.policies, &ask, now);
                return Err(if dry_run {
                    issue::answer::no((&no).into())
                } else {
                    issue::refuse::decision(app, caller, &ask, &no, &loaded.digest, now, None).await
                });
            }
        }
    }
    request.duration = duration.unwrap_or(longest);
    Ok(request)
}

fn past(start: UnixTime, now: UnixTime) -> Refusal {
    let ago = u32::try_from(now.since(start)).map(Seconds::new).ok().filter(|&ago| ago < Seconds::MAX);
    let ago = ago.map_or_else(|| format!("more than {} ago", Seconds::MAX), |ago| format!("{ago} ago"));
    Refusal::new(Code::BadRequest, format!("the start that was asked for was {ago}"))
        .hint("leave out `--start` to begin as soon as it is approved, or name a time to come, with its time zone")
}

/// What a request that prolongs another takes over from it.
async fn prolong(
    app: &App,
    caller: &Caller,
    loaded: &Loaded,
    request: &mut Request,
    duration: Option<Seconds>,
    now: Now,
) -> Result<(), Refusal> {
    if !request.targets.is_empty() || request.start.is_some() || request.under.is_some() || duration.is_none() {
        return Err(Refusal::new(Code::BadRequest, "what prolongs a request names how much longer, and nothing else")
            .hint("leave out targets, start and under; give a duration"));
    }
    let Some(id) = &request.extends else { return Ok(()) };
    let case = Case::load(app, id).await?.ok_or_else(not_found)?;
    if !case.is_of(&caller.session.identity) {
        Standing::of(&loaded.policies, caller, &case, now)?;
        return Err(Refusal::new(Code::Denied, "only whoever asked may prolong a request")
            .hint("ask for access of your own: `jit-ssh request`"));
    }
    let ends = match case.stage(&loaded.policies, now) {
        Stage::Active { until, .. } => until,
        Stage::Claimable { .. } | Stage::Scheduled { .. } => UnixTime::from_secs(u64::MAX),
        Stage::Pending { .. } | Stage::Added { .. } | Stage::Over { .. } => {
            return Err(Refusal::new(
                Code::Conflict,
                "only a request that was approved and is not over can be prolonged",
            )
            .hint("file a new request"));
        }
    };
    if case.request.break_glass.is_some() {
        return Err(Refusal::new(Code::Conflict, "emergency access is not prolonged")
            .hint("break the glass again, or ask: `jit-ssh request`"));
    }
    if case.request.extends.is_some() {
        return Err(Refusal::new(Code::Conflict, "this request prolongs another: prolong that one"));
    }
    request.targets.clone_from(&case.request.targets);
    request.under.clone_from(&case.request.under);
    request.reason = request.reason.take().or_else(|| case.request.reason.clone());
    request.ticket = request.ticket.take().or_else(|| case.request.ticket.clone());
    request.expires = request.expires.min(ends);
    Ok(())
}

/// Targets by the names of the inventory, sorted, each once. One that it does not hold stays as it is, for policy to
/// refuse.
fn named(policies: &Policies, targets: Vec<Target>) -> Result<Vec<Target>, Refusal> {
    let canonical = |target: Target| match policies.inventory().host(target.host()) {
        Some(host) => Target::new(target.account().clone(), host.name().clone()),
        None => target,
    };
    let mut targets: Vec<Target> = targets.into_iter().map(canonical).collect();
    targets.sort();
    targets.dedup();
    if (1..=Request::MOST_TARGETS).contains(&targets.len()) {
        return Ok(targets);
    }
    Err(Refusal::new(Code::BadRequest, format!("a request names 1 to {} targets", Request::MOST_TARGETS)))
}

/// The permit that would grant this target; none where policy says no, whichever permit was picked.
fn terms(policies: &Policies, request: &Request, ask: &Ask, now: Now) -> Result<Option<Terms>, Refusal> {
    let offers = policy::offers(policies, ask, now);
    let Some(under) = &request.under else { return Ok(offers.into_iter().next()) };
    let nothing = offers.is_empty();
    if let Some(terms) = offers.into_iter().find(|terms| terms.policy == *under) {
        return Ok(Some(terms));
    }
    if !policies.has(under) {
        return Err(Refusal::new(Code::Denied, format!("there is no policy {under}, which was picked")).hint(OFFERS));
    }
    let mut unmet = policy::unmet(policies, ask, now);
    unmet.retain(|lacks| lacks.policy == *under);
    if !unmet.is_empty() {
        return Err(lacking(under, unmet));
    }
    if nothing {
        return Ok(None);
    }
    Err(Refusal::new(Code::Denied, format!("{under}, which was picked, does not cover {}", ask.target)).hint(OFFERS))
}

const OFFERS: &str = "`jit-ssh request --dry-run` without `--under` lists the policies that would do";

/// The policy that was picked would do, for somebody who says more or asks for less.
fn lacking(under: &PolicyId, unmet: Vec<Unmet>) -> Refusal {
    let (mut wants, mut options) = (Vec::new(), Vec::new());
    for Unmet { term, .. } in &unmet {
        let (want, option) = match term {
            UnmetTerm::Reason => ("a reason".to_owned(), "`--reason '…'`".to_owned()),
            UnmetTerm::Ticket => ("a ticket".to_owned(), "`--ticket …`".to_owned()),
            UnmetTerm::Duration(most) => (format!("no more than {most}"), format!("`--for {most}`")),
        };
        wants.push(want);
        options.push(option);
    }
    let mut refusal = Refusal::new(Code::Denied, format!("{under}, which was picked, wants {}", wants.join(" and ")))
        .hint(format!("add {}", options.join(" and ")));
    let (policies, advice) = (vec![under.clone()], Vec::new());
    let denied = Decision::Denied(Denied { cause: Cause::TermsUnmet, policies, advice, unmet });
    refusal.decision = Some(Box::new((&denied).into()));
    refusal
}

/// What is asked of policy for one target of a request.
pub(in crate::verbs) fn ask(request: &Request, target: &Target, duration: Option<Seconds>) -> Ask {
    Ask {
        identity: request.requester.clone(),
        target: target.clone(),
        duration,
        reason: request.reason.clone(),
        ticket: request.ticket.clone(),
        source: request.source,
    }
}
