//! What the caller may reach, by name, and on which terms.

use super::{authenticate::Caller, glass};
use crate::{app::App, clock::moment, refusal::Refusal};
use api::{Code, HostEntry, HostsResponse, Outcome, Reach};
use policy::{Account, Ask, Decision, Host, HostName, Now, Policies, PolicyId, Reason, Target, Terms, Ticket};

/// The most targets that one answer decides.
const MOST_TARGETS: usize = 20_000;
/// After so many decisions others get their turn.
const STRIDE: usize = 64;

/// A part of the list, in the order of the names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// What follows this host.
    pub after: Option<HostName>,
    /// At most so many hosts; all there are where nothing is said.
    pub limit: Option<usize>,
}

/// The hosts of the inventory on which at least one account is granted, or would be once people approve. A part may be
/// shorter than its limit, and says where to go on.
///
/// # Errors
/// If the whole inventory is wanted and larger than one answer may be.
pub async fn hosts(app: &App, caller: &Caller, part: Part) -> Result<HostsResponse, Refusal> {
    let loaded = app.policies.current();
    let now = moment(app.clock.now(), &app.zone);
    let inventory = loaded.policies.inventory();
    let targets: usize = inventory.hosts().map(|host| host.accounts().len()).sum();
    if part.limit.is_none() && targets > MOST_TARGETS {
        return Err(Refusal::new(Code::TooLarge, "the inventory is too large to be listed in one answer")
            .hint("ask for parts of it: `?limit=1000`, then `&after=` the `next` of each answer"));
    }
    let (mut hosts, mut decided) = (Vec::new(), 0usize);
    let follows = |host: &&Host| part.after.as_ref().is_none_or(|after| after < host.name());
    for host in inventory.hosts().filter(follows) {
        let mut accounts = Vec::new();
        for account in host.accounts() {
            accounts.extend(reach(&loaded.policies, caller, host, account, now));
            decided += 1;
            if decided.is_multiple_of(STRIDE) {
                tokio::task::yield_now().await;
            }
        }
        if !accounts.is_empty() {
            hosts.push(entry(host, accounts));
        }
        if part.limit.is_some_and(|limit| limit <= hosts.len()) || decided >= MOST_TARGETS {
            let last = inventory.hosts().next_back().is_none_or(|last| last.name() == host.name());
            return Ok(HostsResponse { hosts, next: (!last).then(|| host.name().clone()) });
        }
    }
    Ok(HostsResponse { hosts, next: None })
}

/// The best answer that this account can give, for somebody who states a reason and a ticket where they are demanded.
fn reach(policies: &Policies, caller: &Caller, host: &Host, account: &Account, now: Now) -> Option<Reach> {
    let plain = Ask {
        identity: caller.session.identity.clone(),
        target: Target::new(account.clone(), host.name().clone()),
        duration: None,
        reason: None,
        ticket: None,
        source: caller.origin.source,
    };
    let break_glass = glass::possible(policies, &plain, now);
    if let Some((outcome, terms)) = answer(&policy::decide(policies, &plain, now)) {
        return Some(Reach { break_glass, ..row(account, outcome, &terms) });
    }
    // Not yet: it may lack no more than the reason and the ticket that the list tells people to give.
    let stated = Ask { reason: placeholder::<Reason>(), ticket: placeholder::<Ticket>(), ..plain };
    if let Some((outcome, terms)) = answer(&policy::decide(policies, &stated, now)) {
        return Some(Reach { break_glass, ..row(account, outcome, &terms) });
    }
    let emergency = policy::break_glass_offers(policies, &stated, now).into_iter().next()?;
    Some(Reach { break_glass, ..row(account, Outcome::Denied, &emergency) })
}

fn answer(decision: &Decision) -> Option<(Outcome, Terms)> {
    match decision {
        Decision::Granted(grant) => Some((Outcome::Granted, grant.terms().clone())),
        Decision::NeedsApproval(needs) => Some((Outcome::NeedsApproval, needs.terms.clone())),
        Decision::Denied(_) => None,
    }
}

fn placeholder<Word: std::str::FromStr>() -> Option<Word> {
    "listed".parse().ok()
}

fn row(account: &Account, outcome: Outcome, terms: &Terms) -> Reach {
    let policy: PolicyId = terms.policy.clone();
    Reach {
        account: account.clone(),
        outcome,
        policy,
        max_duration: terms.max_duration,
        cert_ttl: terms.cert_ttl,
        approvals: terms.approvals,
        reason_required: terms.reason_required,
        ticket_required: terms.ticket_required,
        break_glass: None,
    }
}

fn entry(host: &Host, accounts: Vec<Reach>) -> HostEntry {
    HostEntry {
        host: host.name().clone(),
        aliases: host.aliases().to_vec(),
        address: host.address().map(str::to_owned),
        port: Some(host.port()).filter(|port| *port != 22),
        groups: host.groups().to_vec(),
        labels: host.labels().clone(),
        accounts,
    }
}
