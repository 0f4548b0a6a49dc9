//! `jit-ssh break-glass`: in at once, and answerable for it afterwards. At three in the morning that is one command, and it
//! ends in a shell.

use super::{
    Globals,
    request::now,
    ssh::{self, Destination},
};
use crate::{
    access,
    ca_client::{CaClient, View},
    cli, clock,
    error::Failure,
    issuance::{self, Ready, Wish},
    state::{StateDir, session::Session},
    terminal,
};
use api::{FileRequest, RequestBody};
use policy::{Incident, Review, Target};

/// Breaks the glass and connects.
///
/// # Errors
/// If policy does not let this person, a review of theirs is overdue, or there is no certificate afterwards.
pub fn run(globals: &Globals, args: &cli::BreakGlass) -> Result<(), Failure> {
    let destination: Destination = args.destination.parse()?;
    let target = destination.target(&args.args)?;
    let state = StateDir::open()?;
    let session = globals.session(&state)?;
    let (incident, wish) = said(args, &target)?;
    let ca = CaClient::for_session(&session)?;
    let request = match in_use(&ca, &session, &target, &incident, &wish)? {
        Some(request) => request,
        None => ca.file(
            &session,
            &FileRequest { incident: Some(incident), ..access::asking_for(vec![target.clone()], wish) },
        )?,
    };
    announce(&session, &request);
    let ready = issuance::ensure(&state, &target, &Wish { request: request.id.clone(), ..Wish::default() }, false)?;
    if !args.no_connect {
        return ssh::connect(&state, &ready, &destination, &args.args);
    }
    told(globals, &request, &ready);
    Ok(())
}

/// Incident and reason, from the command line or from whoever sits there.
fn said(args: &cli::BreakGlass, target: &Target) -> Result<(Incident, Wish), Failure> {
    let missing = |what: &str| {
        Failure::usage(format!("emergency access states its {what}"))
            .hint(format!("jit-ssh break-glass {target} --incident ID --reason '…'"))
    };
    let mut wish = args.why.wish();
    let incident = match &args.incident {
        Some(incident) => incident.clone(),
        None => terminal::ask_for("Incident:").ok_or_else(|| missing("incident"))?,
    };
    if wish.reason.is_none() {
        let reason = terminal::ask_for("Reason, for whoever reviews this:").ok_or_else(|| missing("reason"))?;
        wish.reason = Some(reason);
    }
    Ok((incident, wish))
}

/// What this person broke the glass for already: a second terminal is no second emergency.
fn in_use(
    ca: &CaClient,
    session: &Session,
    target: &Target,
    incident: &Incident,
    wish: &Wish,
) -> Result<Option<RequestBody>, Failure> {
    const RECENT: usize = 50;
    let unreviewed = ca.requests(session, View::Unreviewed, RECENT, None)?.requests;
    let same = |request: &RequestBody| {
        !request.may_review
            && access::is_open(&request.stage)
            && request.targets.contains(target)
            && request.incident.as_ref() == Some(incident)
            && wish.duration.is_none_or(|duration| duration == request.duration)
            && (wish.ticket.is_none() || wish.ticket == request.ticket)
    };
    Ok(unreviewed.into_iter().find(same))
}

fn announce(session: &Session, request: &RequestBody) {
    let id = request.id.as_ref().map_or("-", policy::RequestId::as_str);
    let policy = request.under.as_ref().map_or("-", policy::PolicyId::as_str);
    terminal::say(&format!(
        "jit-ssh: the glass is broken: {} for {} (policy {policy})",
        terminal::bold(id),
        request.duration
    ));
    if let Some(Review::Open { due } | Review::Overdue { due }) = &request.review {
        let left = clock::left(now(session), *due);
        terminal::say(&format!(
            "  security is told; somebody else must review it within {left}; give it back: jit-ssh done"
        ));
    }
}

fn told(globals: &Globals, request: &RequestBody, ready: &Ready) {
    let entry = &ready.entry;
    if globals.json {
        terminal::print_json(&serde_json::json!({
            "request": request,
            "target": entry.target,
            "serial": entry.serial,
            "grant": entry.grant,
            "policy": entry.policy,
            "expires": entry.expires,
            "until": entry.until,
            "certificate_file": ready.path,
        }));
    } else {
        terminal::say(&format!("{} {} is in the agent", terminal::green("ok"), entry.target));
    }
}
