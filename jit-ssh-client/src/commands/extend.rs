//! `jit-ssh extend`: more time on a grant, under the same policy and the same approvals.

use super::{Globals, request};
use crate::{access, ca_client::CaClient, cli, error::Failure, issuance::Wish, state::session::Session};
use api::{FileRequest, RequestBody};
use policy::{PolicyId, Seconds, Unmet, UnmetTerm};

/// Asks for it.
///
/// # Errors
/// If policy says no; with `--wait` also if people do.
pub fn run(globals: &Globals, args: &cli::Extend) -> Result<(), Failure> {
    let (ca, session) = globals.signed_in()?;
    let wish =
        Wish { duration: Some(args.by), reason: args.reason.clone(), ticket: args.ticket.clone(), request: None };
    // What it is for is what the grant is for.
    let asked = FileRequest { extends: Some(args.id.0.clone()), ..access::asking_for(Vec::new(), wish) };
    let filed = ca.file(&session, &asked).map_err(|no| too_long(&ca, &session, args, no))?;
    request::told(globals, &ca, &session, filed, args.wait)
}

/// The CA judges it like any request and says what each policy would want. What counts is the policy of the grant, and here
/// the time is given by another flag.
fn too_long(ca: &CaClient, session: &Session, args: &cli::Extend, no: Failure) -> Failure {
    let unmet = no.decision().map(|decision| decision.unmet.clone()).unwrap_or_default();
    if unmet.is_empty() {
        return no;
    }
    let Ok(grant) = ca.request(session, &args.id.0) else { return no };
    match policy_of(&grant.body).and_then(|policy| Some((policy, longest(policy, &unmet)?))) {
        Some((policy, most)) => Failure::new(no.exit, format!("{policy} gives at most {most} at a time"))
            .hint(format!("jit-ssh extend {} --by {most}", args.id.0)),
        None => no,
    }
}

fn policy_of(request: &RequestBody) -> Option<&PolicyId> {
    let first = || request.offers.first()?.offers.first().map(|terms| &terms.policy);
    request.under.as_ref().or_else(first)
}

fn longest(policy: &PolicyId, unmet: &[Unmet]) -> Option<Seconds> {
    unmet.iter().filter(|unmet| unmet.policy == *policy).find_map(|unmet| match unmet.term {
        UnmetTerm::Duration(most) => Some(most),
        UnmetTerm::Reason | UnmetTerm::Ticket => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ca_client::tests::{answer_with, serving, session},
        error::Exit,
        screen::tests::request,
    };
    use serde_json::json;

    #[test]
    fn too_much_at_a_time_is_told_in_the_words_of_the_grants_policy() {
        let unmet = json!([
            { "policy": "db/two", "term": "ticket" },
            { "policy": "db/approval", "term": { "duration": "1h" } },
        ]);
        let decision = json!({ "outcome": "denied", "policies": [], "cause": "terms-unmet", "unmet": unmet });
        let error =
            json!({ "error": { "code": "denied", "message": "policy does not allow this", "decision": decision } });
        let grant = serde_json::to_string(&request("x")).unwrap();
        let (server, _heard) = serving(vec![
            answer_with("403 x", "", &error.to_string()),
            answer_with("200 OK", "ETag: \"1\"\r\n", &grant),
        ]);
        let (session, _key) = session(&server);
        let ca = CaClient::new(server, None).unwrap();
        let id = cli::RequestRef("r-00112233445566778899aabb".parse().unwrap());
        let args = cli::Extend { id, by: Seconds::new(3 * 3600), reason: None, ticket: None, wait: false };
        let asked = access::asking_for(Vec::new(), Wish::default());
        let no = too_long(&ca, &session, &args, ca.file(&session, &asked).unwrap_err());
        assert_eq!((no.exit, no.message.as_str()), (Exit::Denied, "db/approval gives at most 1h at a time"));
        assert_eq!(no.hint.as_deref(), Some("jit-ssh extend r-00112233445566778899aabb --by 1h"));
        assert!(no.decision().is_none(), "nothing of other policies");
    }
}
