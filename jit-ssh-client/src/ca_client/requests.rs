//! Requests for access: file, look, wait, decide, end.

use super::{Answered, CaClient, Call, written};
use crate::{
    error::{Exit, Failure},
    keys,
    state::session::Session,
};
use api::{
    ApproveRequest, DenyRequest, EndRequest, FileRequest, Receipt, RequestBody, RequestsResponse, ReviewRequest, paths,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use policy::{HostName, RequestId, Ticket};
use reqwest::{Method, StatusCode};
use std::time::Duration;

/// How long the server holds a question whose answer is not there yet.
const HOLD: Duration = Duration::from_secs(25);
/// What the network may take beyond that.
const SLACK: Duration = Duration::from_secs(15);

/// A request as it was seen. What is decided later is decided on exactly this.
#[derive(Clone, Debug)]
pub struct Tagged {
    /// What was seen.
    pub body: RequestBody,
    /// Its ETag.
    pub tag: String,
}

/// Which requests to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// One's own.
    Mine,
    /// Those that one may decide on.
    Review,
    /// Emergency access that nobody has reviewed: one's own, and what one may review.
    Unreviewed,
    /// All that one may audit.
    All,
}

/// What all that are listed have in common.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Asked for by whoever has this e-mail address or subject.
    pub user: Option<String>,
    /// For this host.
    pub host: Option<HostName>,
    /// Under this ticket.
    pub ticket: Option<Ticket>,
    /// In this stage, or ended this way.
    pub stage: Option<String>,
}

impl Filter {
    /// As the rest of a query.
    fn query(&self) -> String {
        let Self { user, host, ticket, stage } = self;
        let named = [
            ("user", user.as_deref()),
            ("host", host.as_ref().map(HostName::as_str)),
            ("ticket", ticket.as_ref().map(Ticket::as_str)),
            ("stage", stage.as_deref()),
        ];
        let given = named.into_iter().filter_map(|(name, value)| Some((name, value?)));
        given.fold(String::new(), |query, (name, value)| {
            let value: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
            format!("{query}&{name}={value}")
        })
    }
}

impl View {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Mine => "mine",
            Self::Review => "review",
            Self::Unreviewed => "unreviewed",
            Self::All => "all",
        }
    }
}

impl CaClient {
    /// Files a request, or says what would come of it. Sent twice where the first answer got lost: the key makes it one.
    ///
    /// # Errors
    /// If policy says no whoever approves, or the login session is over.
    pub fn file(&self, session: &Session, request: &FileRequest) -> Result<RequestBody, Failure> {
        let key = URL_SAFE_NO_PAD.encode(keys::nonce()?);
        let call = Call::new(Method::POST, paths::REQUESTS, written(request)?).header("idempotency-key", key);
        let answered = match self.exchanged(session, &call) {
            Err(failure) if failure.exit == Exit::Unreachable => self.exchanged(session, &call)?,
            answered => answered?,
        };
        self.read(&answered)
    }

    /// At most `most` requests, newest first; whether there are more is in `next`.
    ///
    /// # Errors
    /// If the login session is over, or `patience` is.
    pub fn requests(
        &self,
        session: &Session,
        view: View,
        most: usize,
        patience: Option<Duration>,
    ) -> Result<RequestsResponse, Failure> {
        self.search(session, view, &Filter::default(), most, patience)
    }

    /// As [`Self::requests`], of those that `only` takes.
    ///
    /// # Errors
    /// If the login session is over, or `patience` is.
    pub fn search(
        &self,
        session: &Session,
        view: View,
        only: &Filter,
        most: usize,
        patience: Option<Duration>,
    ) -> Result<RequestsResponse, Failure> {
        /// The longest page that a server gives.
        const PAGE: usize = 100;
        /// The server looks at so many at a time, and a page of those that concern one may be empty.
        const PAGES: usize = 100;
        let mut all = RequestsResponse { requests: Vec::new(), next: None };
        let only = only.query();
        for _ in 0..PAGES {
            let limit = most.saturating_sub(all.requests.len()).min(PAGE);
            let after = all.next.take().map(|id| format!("&after={id}")).unwrap_or_default();
            let path = format!("{}?view={}{only}{after}&limit={limit}", paths::REQUESTS, view.as_str());
            let mut call = Call::new(Method::GET, &path, Vec::new());
            if let Some(patience) = patience {
                call = call.patience(patience);
            }
            let page: RequestsResponse = self.read(&self.exchanged(session, &call)?)?;
            all.requests.extend(page.requests);
            all.next = page.next;
            if all.next.is_none() || all.requests.len() >= most {
                break;
            }
        }
        Ok(all)
    }

    /// The request as it stands.
    ///
    /// # Errors
    /// If there is none, or it is none of the caller's business.
    pub fn request(&self, session: &Session, id: &RequestId) -> Result<Tagged, Failure> {
        self.tagged(&self.exchanged(session, &Call::new(Method::GET, &path(id, ""), Vec::new()))?)
    }

    /// As [`Self::request`], of a server that answers at once.
    ///
    /// # Errors
    /// As [`Self::request`], or if `patience` is over.
    pub fn request_within(&self, session: &Session, id: &RequestId, patience: Duration) -> Result<Tagged, Failure> {
        let call = Call::new(Method::GET, &path(id, ""), Vec::new()).patience(patience);
        self.tagged(&self.exchanged(session, &call)?)
    }

    /// The request once it no longer stands as `seen`; none if it still does after a while.
    ///
    /// # Errors
    /// If the server does not answer, or the login session is over.
    pub fn changed(&self, session: &Session, id: &RequestId, seen: &str) -> Result<Option<Tagged>, Failure> {
        let path = path(id, &format!("?wait={}", HOLD.as_secs()));
        let call = Call::new(Method::GET, &path, Vec::new()).header("if-none-match", seen).patience(HOLD + SLACK);
        let answered = self.exchanged(session, &call)?;
        if answered.status == StatusCode::NOT_MODIFIED { Ok(None) } else { self.tagged(&answered).map(Some) }
    }

    /// Approves what was seen.
    ///
    /// # Errors
    /// If the server does not let this person, or it changed since.
    pub fn approve(&self, session: &Session, seen: &Tagged, approval: &ApproveRequest) -> Result<Tagged, Failure> {
        let call = change(seen, "/approvals", written(approval)?)?;
        self.tagged(&self.exchanged(session, &call).map_err(|no| named(no, seen))?)
    }

    /// Says no to it, before or after approval.
    ///
    /// # Errors
    /// If the server does not let this person, or it changed since.
    pub fn deny(&self, session: &Session, seen: &Tagged, denial: &DenyRequest) -> Result<Tagged, Failure> {
        let call = change(seen, "/denials", written(denial)?)?;
        self.tagged(&self.exchanged(session, &call).map_err(|no| named(no, seen))?)
    }

    /// Says what was found about emergency access that is over.
    ///
    /// # Errors
    /// If the server does not let this person, it is in use, or it changed since.
    pub fn review(&self, session: &Session, seen: &Tagged, review: &ReviewRequest) -> Result<Tagged, Failure> {
        let call = change(seen, "/review", written(review)?)?;
        self.tagged(&self.exchanged(session, &call).map_err(|no| named(no, seen))?)
    }

    /// Withdraws one's own request.
    ///
    /// # Errors
    /// If it is not the caller's, is over, or changed since.
    pub fn cancel(&self, session: &Session, seen: &Tagged) -> Result<Tagged, Failure> {
        let call = change(seen, "/cancel", Vec::new())?;
        self.tagged(&self.exchanged(session, &call).map_err(|no| named(no, seen))?)
    }

    /// Ends its grant.
    ///
    /// # Errors
    /// If the caller may not, it is over, or changed since.
    pub fn end(&self, session: &Session, seen: &Tagged, end: &EndRequest) -> Result<Receipt, Failure> {
        let call = change(seen, "/end", written(end)?)?;
        self.read(&self.exchanged(session, &call).map_err(|no| named(no, seen))?)
    }

    fn tagged(&self, answered: &Answered) -> Result<Tagged, Failure> {
        let tag = answered.tag.clone().ok_or_else(|| self.strange("its answer has no ETag"))?;
        Ok(Tagged { body: self.read(answered)?, tag })
    }
}

fn path(id: &RequestId, rest: &str) -> String {
    format!("{}/{id}{rest}", paths::REQUESTS)
}

/// What is changed is exactly what was seen, or nothing.
fn change(seen: &Tagged, what: &str, body: Vec<u8>) -> Result<Call, Failure> {
    let id = seen.body.id.as_ref().ok_or_else(|| Failure::failed("the server gave the request no id"))?;
    Ok(Call::new(Method::POST, &path(id, what), body).header("if-match", seen.tag.clone()))
}

/// What to type next is said of this request: the server's hints leave a place for it.
fn named(no: Failure, seen: &Tagged) -> Failure {
    let (Some(hint), Some(id)) = (&no.hint, &seen.body.id) else { return no };
    let hint = hint.replace(" ID`", &format!(" {id}`")).replace(" ID --", &format!(" {id} --"));
    Failure { hint: Some(hint), ..no }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ca_client::tests::{answer_with, serving, session},
        screen::tests::request,
    };

    #[test]
    fn what_to_type_next_names_the_request() {
        let hint = "end it first: `jit-ssh deny ID --reason …`, or look at it: `jit-ssh show ID`";
        let body = serde_json::json!({ "error": { "code": "conflict", "message": "no", "hint": hint } });
        let (server, _heard) = serving(vec![answer_with("409 x", "", &body.to_string())]);
        let (session, _key) = session(&server);
        let seen = Tagged { body: request("x"), tag: "\"1\"".to_owned() };
        let no = CaClient::new(server, None).unwrap().cancel(&session, &seen).unwrap_err();
        let id = seen.body.id.as_ref().unwrap();
        let told = format!("end it first: `jit-ssh deny {id} --reason …`, or look at it: `jit-ssh show {id}`");
        assert_eq!(no.hint, Some(told));
    }
}
