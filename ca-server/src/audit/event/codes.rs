//! The codes that entries bear, for whoever must choose among them before there is any entry.

/// All of them, in the order of the alphabet.
pub const CODES: [&str; 32] = [
    "break-glass.opened",
    "break-glass.refused",
    "break-glass.reviewed",
    "certificate.issued",
    "certificates.revoked",
    "decision.limited",
    "decision.refused",
    "freeze.set",
    "freeze.stopped",
    "freeze.thawed",
    "grant.ended",
    "grant.finished",
    "key.refused",
    "login.ended",
    "login.opened",
    "login.refused",
    "policy.loaded",
    "policy.source",
    "record.read",
    "request.approved",
    "request.cancelled",
    "request.claimed",
    "request.denied",
    "request.emptied",
    "request.expired",
    "request.filed",
    "request.refused",
    "request.reminded",
    "request.unclaimed",
    "revocation.refused",
    "server.started",
    "sink.retried",
];

#[cfg(test)]
mod tests {
    use super::CODES;

    #[test]
    fn each_code_is_listed_once_and_no_other() {
        let sources = [
            include_str!("../event.rs"),
            include_str!("break_glass.rs"),
            include_str!("clock.rs"),
            include_str!("policy.rs"),
            include_str!("request.rs"),
            include_str!("revocation.rs"),
        ];
        let renamed = sources.iter().flat_map(|text| text.split("rename = \"").skip(1));
        let mut written: Vec<&str> = renamed.filter_map(|rest| rest.split('"').next()).collect();
        written.retain(|code| code.contains('.'));
        written.sort_unstable();
        assert_eq!(written, CODES);
    }
}
