//! `jit-ssh setup`: stock ssh, and all that run it, get certificates by themselves. One file of ours, one line in the
//! user's; shown before it is written, and taken back to the byte.

mod home;
mod known;
mod names;
mod ssh_config;

use super::Globals;
use crate::{
    ca_client::CaClient,
    cli,
    error::Failure,
    state::{StateDir, certs::Certs, session::Session},
    terminal,
};
use api::HostEntry;
use home::{Change, SshHome};
use names::{Agreed, Held, Look};
use ssh_config::{Included, Listed};

/// Sets up, or takes it back.
///
/// # Errors
/// If nobody is logged in, nobody agrees, or a file cannot be written.
pub fn run(globals: &Globals, args: &cli::Setup) -> Result<(), Failure> {
    let home = SshHome::find()?;
    let included = home.included(&args.name)?;
    let mut notes = Vec::new();
    let changes = if args.undo {
        home.undoing(&included)?
    } else {
        let state = StateDir::open()?;
        let session = globals.session(&state)?;
        let routing = Routing::asked(&CaClient::for_session(&session)?, &session, &state)?;
        let mut agreed = routing.agreed(home.read(included.file_name())?);
        if !args.domain.is_empty() {
            agreed.domains.clone_from(&args.domain);
        }
        let text = routing.text(&agreed, &[])?;
        if args.print {
            match globals.json {
                true => terminal::print_json(&serde_json::json!({ "text": text })),
                false => terminal::print(text.trim_end()),
            }
            return Ok(());
        }
        // Whoever says --yes has looked before, or trusts the CA today.
        if !args.yes && (args.dry_run || terminal::interactive()) {
            let _waiting = terminal::Waiting::on("what your ssh does with these names");
            let held = agreed.held(&routing.hosts, &home.ssh_without(&included, &state)?, Look::Setup)?;
            notes = names::told(&held);
        }
        home.doing(&included, text)?
    };
    let changes: Vec<Change> = changes.into_iter().filter(Change::is_one).collect();
    let diff: String = changes.iter().map(Change::diff).collect();
    let agreed = !changes.is_empty() && !args.dry_run && agreed(&diff, &notes, args.yes)?;
    if agreed {
        changes.iter().try_for_each(|change| home.make(change))?;
    }
    report(globals, args, &changes, &diff, agreed);
    if args.dry_run {
        mind(&notes);
    }
    Ok(())
}

/// After a login: the hosts in reach may have changed. Only where setup was done, never a reason to fail, and never a name
/// that is not the CA's to give.
pub fn refresh(ca: &CaClient, session: &Session, state: &StateDir) {
    let Ok(home) = SshHome::find() else { return };
    let Some(included) = home.set_up() else { return };
    match refreshed(&home, &included, ca, session, state) {
        Ok(held) if held.is_empty() => {}
        Ok(held) => terminal::say(&names::left_out(&held, included.file_name())),
        Err(failure) => terminal::say(&format!(
            "The hosts in ~/.ssh/{} are as before: {}",
            included.file_name(),
            terminal::plain(&failure.message)
        )),
    }
}

fn refreshed(
    home: &SshHome,
    included: &Included,
    ca: &CaClient,
    session: &Session,
    state: &StateDir,
) -> Result<Vec<Held>, Failure> {
    let old = home.read(included.file_name())?;
    if let Some(other) = old.as_deref().and_then(names::server_of).filter(|server| *server != session.server) {
        return Err(Failure::failed(format!("they are those of {other}; `jit-ssh setup` puts this CA's there")));
    }
    let routing = Routing::asked(ca, session, state)?;
    let agreed = routing.agreed(old);
    let held = agreed.held(&routing.hosts, &home.ssh_without(included, state)?, Look::Login)?;
    let change = home.change(included.file_name(), Some(routing.text(&agreed, &held)?))?;
    if change.is_one() {
        home.make(&change)?;
    }
    Ok(held)
}

/// What the CA says that there is to route.
struct Routing<'a> {
    server: String,
    hosts: Vec<HostEntry>,
    state: &'a StateDir,
}

impl<'a> Routing<'a> {
    fn asked(ca: &CaClient, session: &Session, state: &'a StateDir) -> Result<Self, Failure> {
        Ok(Self { server: session.server.clone(), hosts: ca.hosts(session)?.hosts, state })
    }

    fn agreed(&self, old: Option<String>) -> Agreed {
        old.map(|text| Agreed::of(&text, &self.server)).unwrap_or_default()
    }

    fn text(&self, agreed: &Agreed, held: &[Held]) -> Result<String, Failure> {
        let program = std::env::current_exe().map_err(|error| Failure::failed(format!("where is jit-ssh? {error}")))?;
        let listed = Listed { server: &self.server, domains: &agreed.domains, hosts: &self.hosts };
        ssh_config::text(&listed, held, &Certs::open(self.state)?, &program)
    }
}

fn agreed(diff: &str, notes: &[String], yes: bool) -> Result<bool, Failure> {
    if yes {
        return Ok(true);
    }
    if !terminal::interactive() {
        return Err(Failure::usage("nobody is here to agree to the change").hint("look with --dry-run, then say --yes"));
    }
    show(diff);
    mind(notes);
    Ok(terminal::ask("Write this? [y/N]").is_some_and(|answer| matches!(answer.as_str(), "y" | "Y" | "yes")))
}

fn show(diff: &str) {
    diff.lines().for_each(|line| terminal::say(&terminal::plain(line)));
}

fn mind(notes: &[String]) {
    if !notes.is_empty() {
        terminal::say("New names that somebody else may have meant; see that they belong there:");
        notes.iter().for_each(|note| terminal::say(&format!("  {}", terminal::plain(note))));
        terminal::say("With --domain DOMAIN the names in a domain of yours come at each login, without a question.");
    }
}

fn report(globals: &Globals, args: &cli::Setup, changes: &[Change], diff: &str, made: bool) {
    if globals.json {
        let files: Vec<_> = changes.iter().map(|change| change.path.display().to_string()).collect();
        terminal::print_json(&serde_json::json!({ "changed": made, "files": files, "diff": diff }));
    } else if changes.is_empty() {
        terminal::say("Nothing to change.");
    } else if args.dry_run {
        diff.lines().for_each(|line| terminal::print(&terminal::plain(line)));
    } else if made && args.undo {
        terminal::say("Taken back. ssh is as it was before.");
    } else if made {
        terminal::say("Done. ssh, scp, rsync, git, VS Code and Ansible now get certificates by themselves.");
    } else {
        terminal::say("Nothing was changed.");
    }
}

#[cfg(test)]
mod tests;
