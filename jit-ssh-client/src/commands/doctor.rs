//! `jit-ssh doctor`: the whole chain from this machine to a shell, link by link, until the first that is broken.

mod agent;
mod sshd;

use super::{Globals, request, ssh::Destination};
use crate::{
    access,
    ca_client::{CaClient, View},
    cli, clock,
    error::{Exit, Failure},
    issuance::{self, Ready, Wish},
    route, screen,
    state::{StateDir, certs::Certs, session::Session},
    terminal, words,
};
use api::{About, ExplainRequest, Outcome, RequestBody};
use policy::{Stage, Target};
use std::process::ExitCode;

/// Further off, and requests or certificates are refused somewhere (the CA allows 60 s either way).
const MOST_SKEW_MS: u64 = 30_000;
/// Of one's own requests; older ones than these are over.
const RECENT: usize = 50;

/// Looks.
///
/// # Errors
/// If the host is no host: everything else is told as a check that failed.
pub fn run(globals: &Globals, args: &cli::Doctor) -> Result<ExitCode, Failure> {
    let destination = args.host.as_deref().map(str::parse::<Destination>).transpose()?;
    let mut chart = Chart { json: globals.json, lines: Vec::new() };
    let broken = examine(globals, destination.as_ref(), &mut chart).err();
    chart.finish(broken.as_ref());
    Ok(broken.map_or(ExitCode::SUCCESS, |failure| failure.exit.into()))
}

fn examine(globals: &Globals, destination: Option<&Destination>, chart: &mut Chart) -> Result<(), Failure> {
    let state = chart.check("state", StateDir::open, |state| format!("kept in {}", state.path().display()))?;
    chart.check("agent", agent::reachable, |held| format!("answers, holds {held} keys"))?;
    chart.check("agent lifetime", agent::holds_certificates, |()| {
        "holds a certificate and takes a lifetime".to_owned()
    })?;
    let ca = chart.check("server", || server(globals, &state), |ca| ca.server().to_string())?;
    let about = chart.check("CA", || answering(&ca), |about| format!("answers, version {}", about.version))?;
    chart.check("clock", || skew(&about), |skew| format!("{skew} ms from the CA's"))?;
    let session = chart.check(
        "login",
        || login(globals, &state, &ca, &about),
        |session| format!("{} until {}", session.identity.subject, clock::rfc3339(session.expires)),
    )?;
    let Some(destination) = destination else { return Ok(()) };
    let target = chart.check("account", || destination.target(&[]), Target::to_string)?;
    chart.check("policy", || policy(&ca, &session, &state, &target), |granted| format!("granted by {granted}"))?;
    let ready = chart.check("certificate", || issuance::ensure(&state, &target, &Wish::default(), false), content)?;
    let target = &ready.entry.target;
    let way = route::to(&state, target, ready.kept)?.options(target.host());
    chart.check("sshd", || sshd::answer(destination, &ready.path, &way), |()| "lets us in".to_owned())
}

fn server(globals: &Globals, state: &StateDir) -> Result<CaClient, Failure> {
    match globals.server() {
        Ok(server) => CaClient::new(server, globals.ca_file()?.as_deref()),
        Err(unnamed) => match Session::load(state)? {
            Some(session) => CaClient::for_session(&session),
            None => Err(unnamed),
        },
    }
}

fn answering(ca: &CaClient) -> Result<About, Failure> {
    ca.about().map_err(|failure| failure.hint("check the address, network, VPN and proxy; does the CA run?"))
}

fn skew(about: &About) -> Result<i64, Failure> {
    let skew = clock::offset_ms(about.time_ms);
    if skew.unsigned_abs() <= MOST_SKEW_MS {
        return Ok(skew);
    }
    let direction = if skew > 0 { "behind" } else { "ahead of" };
    Err(Failure::failed(format!("this machine's clock is {} s {direction} the CA's", skew.unsigned_abs() / 1000))
        .hint("set the clock: timedatectl set-ntp true"))
}

fn login(globals: &Globals, state: &StateDir, ca: &CaClient, about: &About) -> Result<Session, Failure> {
    let session = globals.session(state)?;
    ca.session(&session)?;
    if session.user_ca.iter().any(|known| about.user_ca.contains(known)) {
        Ok(session)
    } else {
        Err(Failure::needs_login("the CA signs with keys that it did not have at login")
            .hint("ask whoever runs the CA whether its key was changed; then: jit-ssh login"))
    }
}

/// With the reason and the ticket that were given before, while that grant lives: what was said once counts.
fn policy(ca: &CaClient, session: &Session, state: &StateDir, target: &Target) -> Result<String, Failure> {
    let wish = issuance::with_former(&Certs::open(state)?, target, &Wish::default());
    let question = ExplainRequest {
        target: target.clone(),
        duration: wish.duration,
        reason: wish.reason.clone(),
        ticket: wish.ticket.clone(),
    };
    let decision = ca.explain(session, &question)?.decision;
    let advice = decision.advice.first().map(|advice| format!(": {advice}")).unwrap_or_default();
    let explain = format!("jit-ssh explain {target}");
    if let (Outcome::Granted, Some(policy)) = (decision.outcome, decision.policies.first()) {
        return Ok(policy.to_string());
    }
    if let Some(found) = asked_for(ca, session, target)? {
        return found;
    }
    if decision.outcome == Outcome::NeedsApproval {
        return Err(Failure::new(Exit::NeedsApproval, format!("{target} needs approval"))
            .hint(format!("ask for it: jit-ssh request {target}; or {explain}")));
    }
    match words::lacking_by(ca, session, target, &wish, &decision) {
        Some(lacking) => {
            let no = Failure::new(Exit::Denied, format!("{target} is granted only to who says why"));
            Err(lacking.unsaid(target, &wish, no))
        }
        None => Err(Failure::new(Exit::Denied, format!("{target} is denied{advice}")).hint(explain)),
    }
}

/// What stands with one's own request for it, if there is one. Looking starts no clock: what was never used is not used for it.
fn asked_for(ca: &CaClient, session: &Session, target: &Target) -> Result<Option<Result<String, Failure>>, Failure> {
    let mine = ca.requests(session, View::Mine, RECENT, None)?.requests;
    let serves = |one: &&RequestBody| one.targets.contains(target) && one.extends.is_none() && one.incident.is_none();
    let open = || mine.iter().filter(serves).filter(|one| access::is_open(&one.stage));
    let used = open().find(|one| matches!(one.stage, Stage::Active { .. }));
    let Some((one, id)) = used.or_else(|| open().next()).and_then(|one| Some((one, one.id.as_ref()?))) else {
        return Ok(None);
    };
    let waits = |message: String, hint: String| Some(Err(Failure::new(Exit::NeedsApproval, message).hint(hint)));
    Ok(match one.stage {
        Stage::Active { .. } => Some(Ok(format!("request {id}"))),
        Stage::Claimable { .. } => waits(
            format!("request {id} is approved and not used yet"),
            format!("use it, its time runs from then on: jit-ssh ssh {target}"),
        ),
        _ => waits(
            format!("request {id} {}", screen::stage(&one.stage, request::now(session))),
            format!("look at it: jit-ssh show {id}"),
        ),
    })
}

fn content(ready: &Ready) -> String {
    let principals = crate::certificate::parse(&ready.certificate)
        .map(|certificate| certificate.valid_principals().join(", "))
        .unwrap_or_default();
    format!("serial {}, principals {principals}, until {}", ready.entry.serial, clock::rfc3339(ready.entry.expires))
}

/// What was found.
struct Chart {
    json: bool,
    lines: Vec<serde_json::Value>,
}

impl Chart {
    fn check<T>(
        &mut self,
        name: &str,
        look: impl FnOnce() -> Result<T, Failure>,
        describe: impl FnOnce(&T) -> String,
    ) -> Result<T, Failure> {
        let found = {
            let _waiting = terminal::Waiting::on(name);
            look()
        };
        match &found {
            Ok(good) => self.line(name, true, &describe(good), None),
            Err(failure) => self.line(name, false, &failure.message, failure.hint.as_deref()),
        }
        found
    }

    fn line(&mut self, name: &str, good: bool, detail: &str, fix: Option<&str>) {
        self.lines.push(serde_json::json!({ "check": name, "ok": good, "detail": detail, "fix": fix }));
        if self.json {
            return;
        }
        let mark = match (good, terminal::utf8()) {
            (true, true) => terminal::green("✓"),
            (true, false) => terminal::green("ok  "),
            (false, true) => terminal::red("✗"),
            (false, false) => terminal::red("FAIL"),
        };
        terminal::print(&format!("{mark} {name}: {}", terminal::plain(detail)));
        if let Some(fix) = fix {
            terminal::print(&format!("    {} {}", terminal::bold("fix:"), terminal::plain(fix)));
        }
    }

    fn finish(self, broken: Option<&Failure>) {
        if self.json {
            let exit = broken.map_or(0, |failure| failure.exit.code());
            terminal::print_json(&serde_json::json!({ "ok": broken.is_none(), "exit": exit, "checks": self.lines }));
        }
    }
}
