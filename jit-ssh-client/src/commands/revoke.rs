//! `jit-ssh revoke`: security takes access from whoever has it.

use super::Globals;
use crate::{cli, clock, error::Failure, terminal};
use api::{Receipt, RevokeRequest, Scope, Whose};
use policy::RequestId;

/// Takes it.
///
/// # Errors
/// If policy does not let the caller administer, or nobody knows what is named.
pub fn run(globals: &Globals, args: &cli::Revoke) -> Result<(), Failure> {
    let (ca, session) = globals.signed_in()?;
    let scopes = scopes(args);
    let question = format!("Revoke {}? [y/N]", scopes.iter().map(named).collect::<Vec<_>>().join(", "));
    if !args.yes && terminal::interactive() && !terminal::agrees(&question) {
        return Err(Failure::failed("nothing was revoked"));
    }
    let (mut receipts, mut failed) = (Vec::new(), None);
    for scope in scopes {
        let name = named(&scope);
        match ca.revoke(&session, &RevokeRequest { scope, reason: args.reason.clone() }) {
            Ok(receipt) => {
                if !globals.json {
                    terminal::say(&format!("{} {name} revoked", terminal::green("ok")));
                    lines(&receipt).iter().for_each(|line| terminal::say(line));
                }
                receipts.push(receipt);
            }
            // One that cannot be taken is no reason to leave the others.
            Err(failure) => {
                terminal::say(&format!("{} {name}: {failure}", terminal::red("not revoked")));
                failed = failed.or(Some(failure));
            }
        }
    }
    if globals.json {
        terminal::print_json(&serde_json::json!({ "receipts": receipts }));
    }
    failed.map_or(Ok(()), Err)
}

fn scopes(args: &cli::Revoke) -> Vec<Scope> {
    let user = args.user.clone().map(|name| Scope::User(Whose { name, issuer: args.at.clone() }));
    let others = [
        user,
        args.host.clone().map(Scope::Host),
        args.policy.clone().map(Scope::Policy),
        args.serial.map(Scope::Serial),
        args.all_of_issuer.clone().map(Scope::Issuer),
    ];
    let grants = args.grant.iter().map(|cli::RequestRef(id)| Scope::Grant(id.grant()));
    grants.chain(others.into_iter().flatten()).collect()
}

fn named(scope: &Scope) -> String {
    match scope {
        Scope::Grant(grant) => grant.to_string(),
        Scope::User(whose) => format!("everything of {}", whose.name),
        Scope::Host(host) => format!("everything on {host}"),
        Scope::Policy(policy) => format!("everything under {policy}"),
        Scope::Serial(serial) => format!("certificate {serial}"),
        Scope::Issuer(issuer) => format!("everything of everybody at {issuer}"),
    }
}

/// What was ended, and what will end when at the latest.
pub fn lines(receipt: &Receipt) -> Vec<String> {
    /// More serials are for `--json`.
    const SHOWN: usize = 8;
    let mut lines = Vec::new();
    let ids: Vec<&str> = receipt.requests.iter().map(RequestId::as_str).collect();
    if !ids.is_empty() {
        lines.push(format!("  {} ended: {}", counted(ids.len(), "request"), ids.join(", ")));
    }
    if receipt.sessions > 0 {
        lines.push(format!(
            "  {} ended",
            counted(usize::try_from(receipt.sessions).unwrap_or(usize::MAX), "login session")
        ));
    }
    match receipt.last_expiry {
        None => lines.push("  no certificate of it is live".to_owned()),
        Some(last) => {
            let serials: Vec<String> = receipt.serials.iter().take(SHOWN).map(ToString::to_string).collect();
            let more = if receipt.serials.len() > SHOWN { ", …" } else { "" };
            let krl = receipt.krl.map(|krl| format!(" {krl}")).unwrap_or_default();
            let many = counted(receipt.serials.len(), "certificate");
            lines.push(format!("  {many} revoked: {}{more}", serials.join(", ")));
            lines.push(format!("  hosts refuse them as soon as they have fetched KRL{krl};"));
            lines.push(format!("  a host that does not fetch it, from {} on", clock::rfc3339(last)));
        }
    }
    lines.extend(receipt.hint.iter().map(|hint| format!("  note: {}", terminal::plain(hint))));
    lines
}

/// `1 request`, `2 requests`.
pub fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy::{Serial, UnixTime};

    #[test]
    fn a_receipt_says_what_ended_and_what_ends_when() {
        let receipt = Receipt {
            requests: vec!["r-00112233445566778899aabb".parse().unwrap()],
            sessions: 2,
            serials: (1..=10).map(|n| Serial::try_from(n).unwrap()).collect(),
            last_expiry: Some(UnixTime::from_secs(1_800_000_000)),
            krl: Some(17),
            hint: Some("they may log\u{1b}[2J in again".to_owned()),
        };
        let said = lines(&receipt).join("\n");
        for word in [
            "1 request ended: r-00112233445566778899aabb",
            "2 login sessions ended",
            "10 certificates revoked: 1, 2, 3, 4, 5, 6, 7, 8, …",
            "KRL 17",
            "from 2027-01-15T08:00:00Z on",
            "note: they may log",
        ] {
            assert!(said.contains(word), "{word}: {said}");
        }
        assert!(!said.contains('\u{1b}'), "{said:?}");
        let nothing = Receipt {
            requests: Vec::new(),
            sessions: 0,
            serials: Vec::new(),
            last_expiry: None,
            krl: None,
            hint: None,
        };
        assert_eq!(lines(&nothing), ["  no certificate of it is live"]);
    }
}
