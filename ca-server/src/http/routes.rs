//! Serving a route: who asks, then what, then the verb. A route that needs a login has the caller before it has the
//! body's meaning: there is no way to forget it in a handler.

mod table;

use super::{
    answer::{self, Answer},
    body, requests, revocations,
};
use crate::{
    app::Origin,
    http::{connections::Standing, door::Shared, openapi},
    refusal::Refusal,
    verbs::{self, authenticate::Caller},
};
use api::Code;
use axum::body::Body;
use hyper::{
    Method, Request, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use table::Endpoint;

pub use table::{Found, Listener, Need, ROUTES, Route, find};

/// Serves one request at `route`: who, then what, then the verb.
pub(super) async fn serve(
    route: &Route,
    shared: &Shared,
    origin: Origin,
    request: Request<Body>,
) -> Result<Answer, Refusal> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    let known = route.need == Need::Login;
    if known {
        verbs::authenticate::precheck(&shared.app, authorization(&parts.headers)?).await?;
    }
    // It is kept until the answer is there: so long the body is.
    let _room = if route.takes_body() { Some(shared.bodies.room(known).await?) } else { None };
    let body = body::read(&parts.headers, body, if route.takes_body() { api::BODY_LIMIT } else { 0 }).await?;
    match route.need {
        Need::Nothing => {
            let query = parts.uri.query().unwrap_or_default();
            let id = route.matches(path).unwrap_or_default();
            open(route.endpoint, shared, &origin, &parts.headers, query, &body, id).await
        }
        Need::Login => {
            let signed_path = parts.uri.path_and_query().map_or(path, |both| both.as_str());
            let header = authorization(&parts.headers)?;
            let method = parts.method.as_str();
            let app = &shared.app;
            let caller = verbs::authenticate::authenticate(app, &origin, method, signed_path, header, &body).await?;
            if let Some(standing) = parts.extensions.get::<Standing>() {
                standing.prove();
            }
            let id = route.matches(path).unwrap_or_default();
            let sent = Sent { headers: &parts.headers, query: parts.uri.query(), body: &body, id };
            let answer = closed(route.endpoint, shared, &caller, &sent);
            shared.unread.counted(&caller.session.identity, parts.method != Method::GET, answer).await
        }
    }
}

/// What strangers may ask.
async fn open(
    endpoint: Endpoint,
    shared: &Shared,
    origin: &Origin,
    headers: &hyper::HeaderMap,
    query: &str,
    body: &[u8],
    id: &str,
) -> Result<Answer, Refusal> {
    match endpoint {
        Endpoint::About => answer::json(StatusCode::OK, &shared.about()),
        Endpoint::Login => {
            let request = body::from_json(headers, body)?;
            answer::json(StatusCode::OK, &verbs::login::login(&shared.app, origin, request).await?)
        }
        Endpoint::Checkpoint => verbs::audit::checkpoint(&shared.app).await.map(answer::text),
        Endpoint::Consistency => answer::json(StatusCode::OK, &verbs::audit::consistency(&shared.app, query).await?),
        Endpoint::Krl => revocations::list(&shared.app, headers).await,
        Endpoint::KrlStatement => revocations::stated(&shared.app).await,
        Endpoint::Inclusion => answer::json(StatusCode::OK, &verbs::audit::inclusion(&shared.app, query).await?),
        Endpoint::Health => Ok(answer::plain("ok\n")),
        Endpoint::Ready => shared.ready().await,
        Endpoint::OpenApi => Ok(answer::ready_json(openapi::DOCUMENT)),
        Endpoint::Metrics => Ok(answer::metrics(shared.metrics_text().await)),
        Endpoint::Sinks => answer::json(StatusCode::OK, &verbs::sinks::status(&shared.app).await?),
        Endpoint::DeadLetters => answer::json(StatusCode::OK, &verbs::sinks::dead_letters(&shared.app, id).await?),
        Endpoint::RetrySink => {
            // Nobody logs in here, so a page in an operator's browser must not be able to send this unasked.
            if !headers.contains_key(CONTENT_TYPE) {
                return Err(body::not_json());
            }
            answer::json(
                StatusCode::OK,
                &verbs::sinks::retry(&shared.app, origin, &body::from_json(headers, body)?).await?,
            )
        }
        _ => Err(Refusal::internal("a route that needs a login was reached without one")),
    }
}

/// What came with a request whose sender is known.
pub(super) struct Sent<'a> {
    pub(super) headers: &'a hyper::HeaderMap,
    pub(super) query: Option<&'a str>,
    body: &'a [u8],
    /// What stands for `{id}` in the path.
    pub(super) id: &'a str,
}

impl Sent<'_> {
    /// The body as the type that the route takes.
    pub(super) fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T, Refusal> {
        body::from_json(self.headers, self.body)
    }
}

/// What the holder of a login session may ask.
async fn closed(endpoint: Endpoint, shared: &Shared, caller: &Caller, sent: &Sent<'_>) -> Result<Answer, Refusal> {
    let app = &shared.app;
    match endpoint {
        Endpoint::Certificate => answer::json(StatusCode::OK, &verbs::issue::issue(app, caller, sent.json()?).await?),
        Endpoint::Endings(what) => revocations::serve(what, app, caller, sent).await,
        Endpoint::Requests(on) => requests::serve(on, app, caller, sent).await,
        Endpoint::ShowSession => answer::json(StatusCode::OK, &verbs::sessions::show(caller)),
        Endpoint::ListSessions => answer::json(StatusCode::OK, &verbs::sessions::list(app, caller).await?),
        Endpoint::Logout => verbs::sessions::logout(app, caller).await.map(|()| answer::nothing()),
        Endpoint::EndSession => verbs::sessions::end(app, caller, sent.id).await.map(|()| answer::nothing()),
        Endpoint::Hosts => {
            let _turn = shared.listings.turn(&caller.session.id).await?;
            answer::json(StatusCode::OK, &verbs::hosts::hosts(app, caller, requests::part(sent.query)?).await?)
        }
        Endpoint::Explain => answer::json(StatusCode::OK, &verbs::explain::explain(app, caller, sent.json()?)?),
        _ => Err(Refusal::internal("a route that is open was reached as a closed one")),
    }
}

/// The header, if there is exactly one: with two, somebody before us may have read the other.
fn authorization(headers: &hyper::HeaderMap) -> Result<Option<&str>, Refusal> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let first = all.next();
    if all.next().is_some() {
        return Err(Refusal::new(Code::BadRequest, "the request has more than one Authorization header"));
    }
    // What is not ASCII is no signature either; the verb says what the form is.
    Ok(first.map(|value| value.to_str().unwrap_or_default()))
}
