//! From "people must approve first" to a certificate: ask, wait with a clock, go on the moment it is approved.

mod stopped;
mod waiting;

pub use stopped::warn;
pub use waiting::wait;

use crate::{
    ca_client::{CaClient, Tagged, View},
    error::{Exit, Failure},
    issuance::{self, Ready, Wish},
    state::{StateDir, session::Session},
    terminal,
    words::{self, Lacking, Wants},
};
use api::{Code, DecisionBody, FileRequest, RequestBody};
use policy::{PolicyId, RequestId, Stage, Target, UnmetTerm};

/// As [`issuance::ensure`]; where people must approve first, a person at a terminal is asked what is missing, the
/// request is filed and waited for.
///
/// # Errors
/// If policy or a reviewer says no; if nobody is there to answer, with the command to type.
pub fn ensure(state: &StateDir, target: &Target, wish: &Wish) -> Result<Ready, Failure> {
    let mut no = match issuance::ensure(state, target, wish, false) {
        Err(no) if no.may_come() => no,
        done => return done,
    };
    let session = Session::live(state)?;
    let ca = CaClient::for_session(&session)?;
    let lacking = words::lacking(&ca, &session, target, wish, &no);
    if !terminal::interactive() {
        return Err(unattended(no, lacking.as_ref(), target, wish));
    }
    // Said here, so not once more with whatever comes of it.
    no.ended.take().iter().for_each(|ended| terminal::say(&format!("jit-ssh: {}", terminal::plain(ended))));
    if let Some(id) = no.begins.clone() {
        terminal::say(&format!("jit-ssh: {}", no.message));
        return used_once_approved(state, &ca, &session, target, id);
    }
    let (no, said) = match &lacking {
        None => (no, wish.clone()),
        Some(lacking) => {
            lacking.told(target).iter().for_each(|line| terminal::say(line));
            let Some(said) = lacking.ask(wish) else { return Err(lacking.unsaid(target, wish, no)) };
            match issuance::ensure(state, target, &said, false) {
                Err(no) if no.exit == Exit::NeedsApproval => (no, said),
                done => return done,
            }
        }
    };
    if no.exit != Exit::NeedsApproval {
        return Err(no);
    }
    let id = match open_request(&ca, &session, target, wish)? {
        Some(open) => {
            terminal::say(&format!("jit-ssh: you have asked for {target} already: {open}"));
            open
        }
        None => {
            let told = lacking.and_then(|lacking| lacking.then.terms).map(|terms| terms.policy);
            file(&ca, &session, target, said, no.decision(), told.as_ref())?
        }
    };
    used_once_approved(state, &ca, &session, target, id)
}

fn used_once_approved(
    state: &StateDir,
    ca: &CaClient,
    session: &Session,
    target: &Target,
    id: RequestId,
) -> Result<Ready, Failure> {
    let next = format!("once it may be used: jit-ssh ssh {target}; take it back: jit-ssh cancel {id}");
    wait(ca, session, &id, &next)?;
    // The request says why and for how long; what was typed for it was typed once.
    issuance::ensure(state, target, &Wish { request: Some(id), ..Wish::default() }, false)
}

/// As `attempt`, for verbs that file nothing: where words alone are missing a person at a terminal is asked for them, if it
/// may be asked, unless people would have to approve all the same.
///
/// # Errors
/// Those of `attempt`; with the command to type where people must approve.
pub fn asking<T>(
    state: &StateDir,
    target: &Target,
    wish: &Wish,
    may_ask: bool,
    mut attempt: impl FnMut(&Wish) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let no = match attempt(wish) {
        Err(no) if no.may_come() => no,
        done => return done,
    };
    let session = Session::live(state)?;
    let lacking = words::lacking(&CaClient::for_session(&session)?, &session, target, wish, &no);
    let may_ask = may_ask && terminal::interactive();
    let Some(lacking) = lacking.as_ref().filter(|lacking| may_ask && !lacking.needs_approval()) else {
        return Err(unattended(no, lacking.as_ref(), target, wish));
    };
    lacking.told(target).iter().for_each(|line| terminal::say(line));
    match lacking.ask(wish) {
        Some(said) => attempt(&said),
        None => Err(lacking.unsaid(target, wish, no)),
    }
}

/// For whoever cannot be asked: what a script, or a person, types to get on.
fn unattended(no: Failure, lacking: Option<&Lacking>, target: &Target, wish: &Wish) -> Failure {
    match lacking {
        Some(lacking) if no.begins.is_none() => lacking.unsaid(target, wish, no),
        _ => with_command(no, target, wish),
    }
}

/// The command to type, where the server has not said it.
fn with_command(failure: Failure, target: &Target, wish: &Wish) -> Failure {
    if failure.exit != Exit::NeedsApproval || failure.hint.is_some() {
        return failure;
    }
    failure.hint(format!("ask for it: jit-ssh request {target}{}", Wants::default().flags_with(wish)))
}

/// By which policies it would have to be less time.
fn too_long(no: &Failure) -> Vec<String> {
    let unmet = no.decision().into_iter().flat_map(|decision| &decision.unmet);
    let most = unmet.filter_map(|unmet| match unmet.term {
        UnmetTerm::Duration(most) => Some(format!("  {} allows at most {most}", unmet.policy)),
        UnmetTerm::Reason | UnmetTerm::Ticket => None,
    });
    most.collect()
}

/// Asks for how long and, where policy did not want one, why; files the request. What was `told` of a policy is not told
/// twice.
fn file(
    ca: &CaClient,
    session: &Session,
    target: &Target,
    wish: Wish,
    decision: Option<&DecisionBody>,
    told: Option<&PolicyId>,
) -> Result<RequestId, Failure> {
    let terms = decision.and_then(|decision| decision.terms.as_ref());
    if let Some(decision) = decision.filter(|_| told.is_none() || told != terms.map(|terms| &terms.policy)) {
        words::first(target, decision).iter().for_each(|line| terminal::say(line));
    }
    let Wish { mut duration, mut reason, ticket, .. } = wish;
    if reason.is_none() {
        reason = terminal::ask_for("Reason, for those who decide:");
    }
    let most = terms.map(|terms| format!(" [{}]", terms.max_duration)).unwrap_or_default();
    let typed = duration.is_none();
    let filed = loop {
        if typed {
            duration = terminal::ask_for(&format!("For how long{most}?"));
        }
        let wish = Wish { duration, reason: reason.clone(), ticket: ticket.clone(), request: None };
        match ca.file(session, &asking_for(vec![target.clone()], wish)) {
            Err(no) if typed && duration.is_some() && !too_long(&no).is_empty() => {
                too_long(&no).iter().for_each(|line| terminal::say(line));
            }
            filed => break filed?,
        }
    };
    let id = filed.id.clone().ok_or_else(|| Failure::failed("the server gave the request no id"))?;
    terminal::say(&format!("jit-ssh: filed as {}", terminal::bold(id.as_str())));
    warn(ca, session, &filed);
    Ok(id)
}

/// A request for `targets` with nothing special.
pub fn asking_for(targets: Vec<Target>, wish: Wish) -> FileRequest {
    FileRequest {
        targets,
        duration: wish.duration,
        reason: wish.reason,
        ticket: wish.ticket,
        start: None,
        under: None,
        extends: None,
        incident: None,
        dry_run: false,
    }
}

/// One's own request for `target` that is still on its way, unless something else is wished for now: asking again must
/// not call people again.
fn open_request(ca: &CaClient, session: &Session, target: &Target, wish: &Wish) -> Result<Option<RequestId>, Failure> {
    /// Older ones than these are over.
    const RECENT: usize = 50;
    let mine = ca.requests(session, View::Mine, RECENT, None)?.requests;
    Ok(mine.into_iter().find(|request| is_open(&request.stage) && serves(request, target, wish)).and_then(|it| it.id))
}

fn serves(request: &RequestBody, target: &Target, wish: &Wish) -> bool {
    request.extends.is_none()
        && request.incident.is_none()
        && request.targets.contains(target)
        && wish.duration.is_none_or(|duration| duration == request.duration)
        && (wish.reason.is_none() || wish.reason == request.reason)
        && (wish.ticket.is_none() || wish.ticket == request.ticket)
}

/// Whether people or the clock may still make something of it, or it is in use.
pub fn is_open(stage: &Stage) -> bool {
    !matches!(stage, Stage::Over { .. } | Stage::Added { .. })
}

/// Does `what` to the request as it stands. Somebody else's step in between does not keep a request from being ended,
/// so it is looked at anew. Nothing that permits goes this way.
///
/// # Errors
/// Those of `what`.
pub fn on_the_latest<T>(
    ca: &CaClient,
    session: &Session,
    id: &RequestId,
    what: impl Fn(&Tagged) -> Result<T, Failure>,
) -> Result<T, Failure> {
    const ATTEMPTS: usize = 5;
    let changed =
        |failure: &Failure| failure.refusal.as_ref().is_some_and(|detail| detail.code == Code::PreconditionFailed);
    for _ in 1..ATTEMPTS {
        match what(&ca.request(session, id)?) {
            Err(failure) if changed(&failure) => {}
            done => return done,
        }
    }
    what(&ca.request(session, id)?)
}

#[cfg(test)]
mod tests;
