//! A decision taken apart into the keys that a test may expect.

use crate::{Cause, Decision, SourceAddress, Terms, UnmetTerm};
use std::collections::BTreeMap;

/// Key by key, lists sorted.
pub(super) type Facets = BTreeMap<&'static str, Vec<String>>;

pub(super) fn facets(decision: &Decision) -> Facets {
    let mut all = Facets::new();
    match decision {
        Decision::Granted(grant) => {
            put(&mut all, "expect", ["granted"]);
            put(&mut all, "policies", [grant.policy()]);
            put(&mut all, "others", grant.others());
            put(&mut all, "principals", grant.principals().iter());
            put(&mut all, "granted_for", [span(grant.end().since(grant.start()))]);
            terms(&mut all, grant.terms());
            put(&mut all, "sources", grant.sources().unwrap_or_default());
        }
        Decision::NeedsApproval(needs) => {
            put(&mut all, "expect", ["needs-approval"]);
            put(&mut all, "policies", [&needs.terms.policy]);
            put(&mut all, "others", &needs.others);
            put(&mut all, "approver_groups", &needs.approver_groups);
            terms(&mut all, &needs.terms);
        }
        Decision::Denied(denied) => {
            put(&mut all, "expect", ["denied"]);
            put(&mut all, "policies", &denied.policies);
            put(&mut all, "advice", &denied.advice);
            put(&mut all, "cause", [cause(denied.cause)]);
            put(
                &mut all,
                "unmet",
                denied.unmet.iter().map(|unmet| term(unmet.term)).collect::<std::collections::BTreeSet<_>>(),
            );
        }
    }
    all
}

fn terms(all: &mut Facets, terms: &Terms) {
    put(all, "max_duration", [terms.max_duration]);
    put(all, "cert_ttl", [terms.cert_ttl]);
    put(all, "approvals", [terms.approvals]);
    put(all, "approvers_from_groups", [terms.approvers_from_groups]);
    put(all, "approval_levels", &terms.approval_levels);
    put(all, "claim_within", [terms.claim_within]);
    put(all, "reason_required", [terms.reason_required]);
    put(all, "ticket_required", [terms.ticket_required]);
    put(all, "verify_required", [terms.verify_required]);
    put(all, "record", [terms.record]);
    put(all, "extensions", terms.extensions.iter().map(|extension| extension.as_str()));
    put(all, "force_command", &terms.force_command);
    put(all, "elevate", &terms.elevate);
    put(all, "review_within", terms.review_within);
    put(all, "notify", &terms.notify);
    match &terms.source_address {
        Some(SourceAddress::Request) => put(all, "sources", ["request"]),
        Some(SourceAddress::Networks(networks)) => put(all, "sources", networks),
        None => {}
    }
}

fn put(all: &mut Facets, key: &'static str, values: impl IntoIterator<Item = impl ToString>) {
    let mut texts: Vec<String> = values.into_iter().map(|value| value.to_string()).collect();
    texts.sort_unstable();
    all.insert(key, texts);
}

fn cause(cause: Cause) -> &'static str {
    match cause {
        Cause::Forbidden => "forbidden",
        Cause::NoPermit => "no-permit",
        Cause::TermsUnmet => "terms-unmet",
        Cause::UnknownTarget => "unknown-target",
        Cause::EvaluationFailed => "evaluation-failed",
        Cause::NotRequested => "not-requested",
        Cause::NotYet => "not-yet",
        Cause::RequestOver => "request-over",
    }
}

fn term(term: UnmetTerm) -> &'static str {
    match term {
        UnmetTerm::Reason => "reason",
        UnmetTerm::Ticket => "ticket",
        UnmetTerm::Duration(_) => "duration",
    }
}

fn span(seconds: u64) -> crate::Seconds {
    crate::Seconds::new(u32::try_from(seconds).unwrap_or(u32::MAX))
}
