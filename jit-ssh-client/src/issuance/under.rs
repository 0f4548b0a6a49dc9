//! Under what a certificate is asked for: standing access, a request that was approved, or the grant that served so far.

use super::{Names, Ready, Wish, renewed, with_former};
use crate::{
    agent::Agent,
    ca_client::{CaClient, View},
    clock, ended,
    error::{Exit, Failure},
    screen,
    state::{certs::Certs, session::Session},
};
use api::{Code, RequestBody};
use policy::{Over, RequestId, Seconds, Stage, UnixTime};

/// By standing access, or under a request that was approved: it has said already what standing access would have to be
/// told again. A request that `wish` names is the only one: its answer is the answer.
pub(super) fn granted(
    certs: &Certs,
    session: &Session,
    agent: &mut Agent,
    names: &Names,
    wish: &Wish,
    renew: bool,
) -> Result<Ready, Failure> {
    let said = with_former(certs, &names.known, wish);
    let no = match renewed(certs, session, agent, names, &said, renew) {
        Err(no) if judged(&no) && wish.request.is_none() => no,
        done => return done,
    };
    let ca = CaClient::for_session(session)?;
    let ended = certs.load(&names.known).and_then(|(former, _)| ended::why(&ca, session, certs, &former));
    let no = match said.request {
        // What served so far is over: perhaps there is something else.
        Some(_) => match renewed(certs, session, agent, names, wish, renew) {
            Err(other) if judged(&other) => other,
            Err(_not_about_access) => no,
            done => return done,
        },
        None => no,
    };
    if !no.may_come() {
        return Err(Failure { ended, ..no });
    }
    let mine = mine(&ca, session, names)?;
    // Who says something asks for something new.
    let later = if *wish == Wish::default() { begins(&mine) } else { None };
    let no = later.map_or(no, |(id, from)| not_yet(session, names, id, from));
    Err(Failure { ended: ended.or_else(|| ran_out(session, names, &mine)), ..no })
}

/// Whether policy said no, or that the request is none: something else may do. What is frozen stays frozen.
fn judged(no: &Failure) -> bool {
    no.refusal.as_ref().is_some_and(|detail| detail.decision.is_some() || detail.code == Code::NotFound)
}

/// One's own requests for it, the latest first.
fn mine(ca: &CaClient, session: &Session, names: &Names) -> Result<Vec<RequestBody>, Failure> {
    /// Older ones than these are over.
    const RECENT: usize = 50;
    let mut mine = ca.requests(session, View::Mine, RECENT, None)?.requests;
    mine.retain(|request| request.targets.contains(&names.asked) || request.targets.contains(&names.known));
    Ok(mine)
}

/// The next of those that are approved and begin later.
fn begins(mine: &[RequestBody]) -> Option<(RequestId, UnixTime)> {
    let scheduled = |request: &RequestBody| match request.stage {
        Stage::Scheduled { from } => Some((request.id.clone()?, from)),
        _ => None,
    };
    mine.iter().filter_map(scheduled).min_by_key(|(_, from)| *from)
}

/// That the latest of them was approved and time alone ended it, where that is news.
fn ran_out(session: &Session, names: &Names, mine: &[RequestBody]) -> Option<String> {
    /// After its last step, beyond what it was for.
    const NEWS: Seconds = Seconds::new(86_400);
    let latest = mine.iter().find(|request| request.extends.is_none() && request.incident.is_none())?;
    let Stage::Over { how: how @ (Over::Unclaimed | Over::Finished) } = latest.stage else { return None };
    let now = clock::shifted(clock::now(), session.clock_offset_ms);
    let news = latest.steps.last()?.at.plus(latest.duration).plus(NEWS);
    let id = latest.id.as_ref().filter(|_| now < news)?;
    Some(format!("{id} for {} is over: {}", names.asked, screen::ended(how)))
}

fn not_yet(session: &Session, names: &Names, id: RequestId, from: UnixTime) -> Failure {
    let left = clock::left(clock::shifted(clock::now(), session.clock_offset_ms), from);
    let message = format!("request {id} is approved and begins at {} (in {left})", clock::rfc3339(from));
    let failure = Failure::new(Exit::NeedsApproval, message).hint(format!("then: jit-ssh ssh {}", names.asked));
    Failure { begins: Some(id), ..failure }
}

#[cfg(test)]
mod tests;
