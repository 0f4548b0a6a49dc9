//! What the clock does to requests, put on record: a reminder before one expires, and each end that nobody made. Nothing rests
//! on it: where a request stands is computed anew whenever somebody asks.

use super::{
    case::{self, Case},
    requests::draft,
};
use crate::{
    app::App,
    audit::{Actor, ClockEvent, Entry},
    clock::moment,
    fault,
    refusal::Refusal,
    store::{Due, Look, records},
};
use policy::{GrantId, Now, Over, Policies, Seconds, Stage, UnixTime, What};

/// So many at a time.
const BATCH: usize = 64;
/// The most in one pass: what is left waits for the next.
const MOST: usize = 10_000;
/// After so long it is looked at again where policy or people may turn what the clock does not.
const AGAIN: Seconds = Seconds::new(900);
/// What stands in the place of a request's id in these entries.
const CAUSE: &str = "clock";

/// Looks at every request that is due; answers how many were looked at.
///
/// # Errors
/// If the store fails, or none of a batch can be judged.
pub async fn attend(app: &App) -> Result<usize, Refusal> {
    let mut looked_at = 0;
    while looked_at < MOST {
        let batch = app.store.due(app.clock.now(), BATCH).await?;
        let whole = batch.len() == BATCH;
        let (mut judged, mut failure) = (0, None);
        for due in batch {
            match look(app, due).await {
                Ok(()) => judged += 1,
                Err(error) => failure = Some(error),
            }
            tokio::task::yield_now().await;
        }
        looked_at += judged;
        match failure {
            Some(error) if judged == 0 => return Err(error),
            Some(error) => tracing::error!(cause = ?error.cause, "a request that is due cannot be judged"),
            None => {}
        }
        if !whole {
            break;
        }
    }
    Ok(looked_at)
}

/// Judges one request, and records what the time made of it. That somebody else did so first is as good.
async fn look(app: &App, due: Due) -> Result<(), Refusal> {
    let case = Case::of(app, due.kept.clone()).await?;
    let loaded = app.policies.current();
    let now = moment(app.clock.now(), &app.zone);
    // On record is what its own time and people made of it; that the grant is over which it prolongs is on record there.
    let stage = case.stage_alone(&loaded.policies, now);
    let moot = matches!(case.stage(&loaded.policies, now), Stage::Over { .. });
    let settled = settled(&case, &loaded.policies, now);
    let Outcome { next, said } = outcome(&case, (&stage, moot), due.look, settled, now.time);
    let entry = said.map(|said| entry(app, &case, &stage, said));
    // Never due again at once: a look that finds nothing to do must not be taken over and over.
    let next = next.map(|next| Look { at: next.at.max(now.time.plus(Seconds::new(1))), ..next });
    fault::point("clock.decided");
    let _another_was_first = app.store.attend(&due, next, entry.transpose()?).await?;
    Ok(())
}

struct Outcome {
    next: Option<Look>,
    said: Option<Said>,
}

/// What goes on record.
#[derive(Clone, Copy)]
enum Said {
    Reminder { until: UnixTime },
    End(Over),
}

fn outcome(case: &Case, (stage, moot): (&Stage, bool), look: Look, settled: UnixTime, now: UnixTime) -> Outcome {
    let alive = |at| Outcome { next: Some(Look { at, ..look }), said: None };
    let end = |how| Outcome { next: None, said: Some(Said::End(how)) };
    let expires = case.request.expires;
    let used = since(case).is_some();
    match stage {
        // In use, and one who approved may no longer: nothing is issued until another does, or its time is up.
        Stage::Pending { .. } if used => alive(now.plus(AGAIN)),
        // Nobody is reminded of what would add to nothing.
        Stage::Pending { until, .. } if moot => alive(*until),
        Stage::Pending { until, .. } => match records::reminder(&case.request).filter(|_| !look.reminded) {
            Some(at) if now < at => alive(at),
            Some(_) => Outcome {
                next: Some(Look { at: *until, reminded: true }),
                said: Some(Said::Reminder { until: *until }),
            },
            None => alive(*until),
        },
        Stage::Scheduled { from } => alive(*from),
        Stage::Claimable { until } | Stage::Active { until, .. } => alive(*until),
        Stage::Added { .. } if now < expires => alive(expires),
        Stage::Added { .. } => Outcome { next: None, said: None },
        // What policy makes of it today may turn, and the time of what is in use runs on.
        Stage::Over { how: Over::Forbidden | Over::Expired } if used => alive(now.plus(AGAIN)),
        Stage::Over { how: Over::Forbidden } if now < expires => alive(expires),
        Stage::Over { .. } if case.ending().is_some() => Outcome { next: None, said: None },
        Stage::Over { how } if how.may_turn() && now < settled => alive(settled),
        Stage::Over { how } => end(*how),
    }
}

/// From then on no approval that there is can make anything of it, whoever comes to count or ceases to.
fn settled(case: &Case, policies: &Policies, now: Now) -> UnixTime {
    let request = &case.request;
    let approved = case.steps.iter().filter(|step| matches!(step.what, What::Approved(_))).map(|step| step.at).max();
    let Some(approved) = approved else { return request.filed };
    let within = |target| {
        let ask = draft::ask(request, target, Some(request.duration));
        policy::offers(policies, &ask, now).into_iter().map(|terms| terms.claim_within).max()
    };
    let window = request.targets.iter().filter_map(within).max().unwrap_or(Seconds::new(0));
    request.start.unwrap_or(approved).max(approved).plus(window)
}

fn since(case: &Case) -> Option<UnixTime> {
    case.steps.iter().find(|step| step.what == What::Claimed).map(|step| step.at)
}

fn entry(app: &App, case: &Case, stage: &Stage, said: Said) -> Result<Entry, Refusal> {
    let request = &case.request;
    let (actor, id) = (Actor::from(&request.requester), &request.id);
    let (digest, grant): (String, GrantId) = (case::hex(&case.digest), id.grant());
    let digest = digest.as_str();
    let needs = if let Stage::Pending { needs, .. } = stage { needs.as_slice() } else { &[] };
    let event = match said {
        Said::Reminder { until } => ClockEvent::Reminded { actor, id, targets: &request.targets, needs, digest, until },
        Said::End(Over::Finished) => ClockEvent::Finished { actor, id, grant: &grant, since: since(case) },
        Said::End(Over::Unclaimed) => ClockEvent::Unclaimed { actor, id, digest },
        Said::End(Over::Denied) => ClockEvent::Emptied { actor, id, digest },
        Said::End(how) => ClockEvent::Expired { actor, id, digest, how },
    };
    Entry::new(app.clock.now_ms(), CAUSE, &event).map_err(Refusal::internal)
}
