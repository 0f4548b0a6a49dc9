//! What the caller may reach, by name, and on which terms.

use super::{authenticate::Caller, glass};
use crate::{app::App, clock::moment, refusal::Refusal};
use api::{Code, HostEntry, HostsResponse, Outcome, Reach};
use policy::{Account, Ask, Decision, Host, Now, Policies, PolicyId, Reason, Target, Terms, Ticket};

/// The most targets that one answer decides.
const MOST_TARGETS: usize = 20_000;
/// After so many decisions others get their turn.
const STRIDE: usize = 64;

/// Every host of the inventory on which at least one account is granted, or would be once people approve.
///
/// # Errors
/// If the inventory is larger than one answer may be.
pub async fn hosts(app: &App, caller: &Caller) -> Result<HostsResponse, Refusal> {
    let loaded = app.policies.current();
    let now = moment(app.clock.now(), &app.zone);
    let targets: usize = loaded.policies.inventory().hosts().map(|host| host.accounts().len()).sum();
    if targets > MOST_TARGETS {
        return Err(Refusal::new(Code::TooLarge, "the inventory is too large to be listed")
            .hint("ask for one target: `jit-ssh explain ACCOUNT@HOST`"));
    }
    let (mut hosts, mut decided) = (Vec::new(), 0usize);
    for host in loaded.policies.inventory().hosts() {
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
    }
    Ok(HostsResponse { hosts })
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
