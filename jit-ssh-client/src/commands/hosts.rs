//! `jit-ssh hosts`: what may be reached, and on which terms.

use super::Globals;
use crate::{cli, error::Failure, route::Route, screen, terminal};
use api::{HostEntry, Outcome, Reach};

/// Lists them.
///
/// # Errors
/// If nobody is logged in or the server does not answer.
pub fn run(globals: &Globals, args: &cli::Hosts) -> Result<(), Failure> {
    let (ca, session) = globals.signed_in()?;
    let mut answer = ca.hosts(&session)?;
    if let Some(filter) = &args.filter {
        answer.hosts.retain(|entry| speaks_of(entry, &filter.to_lowercase()));
    }
    if globals.json {
        let value =
            serde_json::to_value(&answer).map_err(|_unwritable| Failure::failed("the list cannot be written"))?;
        terminal::print_json(&value);
        return Ok(());
    }
    if answer.hosts.is_empty() {
        let why = if args.filter.is_some() { "No host in your reach matches." } else { "No host is in your reach." };
        terminal::say(&format!("{why} jit-ssh explain ACCOUNT@HOST says why."));
        return Ok(());
    }
    let rows = answer.hosts.iter().flat_map(|entry| entry.accounts.iter().map(move |reach| row(entry, reach)));
    let heads = ["TARGET", "ACCESS", "LONGEST", "NEEDS", "POLICY", "GROUPS", "ADDRESS"].map(str::to_owned);
    terminal::table(&std::iter::once(heads).chain(rows).collect::<Vec<_>>());
    Ok(())
}

fn speaks_of(entry: &HostEntry, filter: &str) -> bool {
    let names = entry.aliases.iter().chain([&entry.host]).map(policy::HostName::as_str);
    let groups = entry.groups.iter().map(policy::HostGroup::as_str);
    let labels = entry.labels.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]);
    names.chain(groups).chain(labels).any(|text| text.to_lowercase().contains(filter))
}

fn row(entry: &HostEntry, reach: &Reach) -> [String; 7] {
    let access = match reach.outcome {
        Outcome::Granted => "granted",
        Outcome::NeedsApproval => "needs approval",
        Outcome::Denied if reach.break_glass.is_some() => "break-glass",
        Outcome::Denied => "denied",
    };
    let mut needs = Vec::new();
    if reach.approvals > 0 {
        needs.push(screen::approvals(reach.approvals));
    }
    if reach.reason_required {
        needs.push("reason".to_owned());
    }
    if reach.ticket_required {
        needs.push("ticket".to_owned());
    }
    if let Some(glass) = &reach.break_glass {
        needs.push(format!("in an emergency: {} by {}", glass.max_duration, glass.policy));
    }
    let groups: Vec<&str> = entry.groups.iter().map(policy::HostGroup::as_str).collect();
    [
        format!("{}@{}", reach.account, entry.host),
        access.to_owned(),
        reach.max_duration.to_string(),
        if needs.is_empty() { "-".to_owned() } else { needs.join(", ") },
        reach.policy.to_string(),
        if groups.is_empty() { "-".to_owned() } else { groups.join(", ") },
        Route::of(entry).map_or_else(|failure| failure.message, |route| route.to_string()),
    ]
}
