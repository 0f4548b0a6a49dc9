//! What is frozen stops a request that people approve: who files one hears of it then, not when it has been approved.

use crate::{ca_client::CaClient, state::session::Session, terminal};
use api::{FreezeBody, RequestBody};
use policy::Frozen;
use std::time::Duration;

/// Says which freezes that its requester may see stop `filed`. Of a frozen host nobody hears here but who oversees all: the CA
/// tells it to whoever could have a certificate otherwise, and no sooner.
pub fn warn(ca: &CaClient, session: &Session, filed: &RequestBody) {
    warnings(ca, session, filed).iter().for_each(|line| terminal::say(line));
}

/// A CA that does not answer says nothing: the request is filed.
fn warnings(ca: &CaClient, session: &Session, filed: &RequestBody) -> Vec<String> {
    const PATIENCE: Duration = Duration::from_secs(2);
    let Ok(seen) = ca.freezes(session, Some(PATIENCE)) else { return Vec::new() };
    let line = |freeze: &FreezeBody| {
        let what = format!("{} is frozen ({}): nothing is issued until it is thawed", freeze.frozen, freeze.id);
        format!("  {} {}", terminal::bold("but:"), terminal::plain(&what))
    };
    seen.freezes.iter().filter(|freeze| stops(freeze, filed)).map(line).collect()
}

fn stops(freeze: &FreezeBody, filed: &RequestBody) -> bool {
    let who = &filed.requester;
    match &freeze.frozen {
        Frozen::Everything => true,
        Frozen::Host { host } => filed.targets.iter().any(|target| target.host() == host),
        // Who may not see whose word it was sees none but their own, by accounts and addresses that are not known here.
        held @ Frozen::Holder { .. } => {
            freeze.by.is_none() || held.is_of_account(&who.issuer, &who.subject, who.email.as_ref())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ca_client::tests::{answer_with, serving, session},
        screen::tests::request,
    };
    use serde_json::{Value, json};

    fn told(frozen: &Value, by: Option<&str>) -> Vec<String> {
        let freeze = json!({ "id": "f-00112233445566778899aabb", "frozen": frozen, "at": 1, "by": by, "thawed_by": [],
                             "thawed": false });
        let (server, _heard) = serving(vec![answer_with("200 OK", "", &json!({ "freezes": [freeze] }).to_string())]);
        let (session, _key) = session(&server);
        warnings(&CaClient::new(server, None).unwrap(), &session, &request("x"))
    }

    #[test]
    fn whoever_asks_hears_what_stops_them_and_not_what_stops_others() {
        let holder = |subject: &str| json!({ "freeze": "holder", "kind": "user", "issuer": "https://idp.example", "subject": subject });
        let host = |name: &str| json!({ "freeze": "host", "host": name });
        let lines = told(&json!({ "freeze": "everything" }), None);
        assert!(lines[0].contains("everything is frozen") && lines[0].contains("nothing is issued"), "{lines:?}");
        for (frozen, by, stops) in [
            (holder("alice"), None, true),
            (holder("another account of hers"), None, true),
            (holder("alice"), Some("sam"), true),
            (holder("bob"), Some("sam"), false),
            (host("db-1"), Some("sam"), true),
            (host("db-2"), Some("sam"), false),
        ] {
            assert_eq!(told(&frozen, by).len(), usize::from(stops), "{frozen} {by:?}");
        }
    }
}
