//! Every route in one table, with what it needs. A route that needs a login has the caller before it has the body's
//! meaning: there is no way to forget it in a handler.

use super::{
    answer::{self, Answer},
    requests::{self, On},
};
use crate::{
    app::Origin,
    http::{connections::Standing, door::Shared, openapi},
    refusal::Refusal,
    verbs::{self, authenticate::Caller},
};
use api::{Code, paths};
use axum::body::{Body, Bytes};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::{
    Method, Request, StatusCode,
    header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE},
};

/// One route.
#[derive(Clone, Debug)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path; `{id}` stands for one segment.
    pub path: &'static str,
    /// What it needs.
    pub need: Need,
    /// Where it is served.
    pub listener: Listener,
    endpoint: Endpoint,
}

/// What a route needs before anything else is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing: strangers may ask.
    Nothing,
    /// A request signed by a live login session.
    Login,
}

/// Where a route is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// The API's address alone.
    Api,
    /// The operators' address alone.
    Ops,
    /// Both.
    Both,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Endpoint {
    About,
    Login,
    ShowSession,
    Logout,
    ListSessions,
    EndSession,
    Certificate,
    Hosts,
    Explain,
    /// What is done with requests.
    Requests(On),
    Checkpoint,
    Consistency,
    Health,
    Ready,
    OpenApi,
    Metrics,
    Sinks,
    DeadLetters,
    RetrySink,
}

/// Every route there is.
pub static ROUTES: [Route; 26] = [
    route(Method::GET, paths::ABOUT, Need::Nothing, Listener::Api, Endpoint::About),
    route(Method::POST, paths::LOGIN, Need::Nothing, Listener::Api, Endpoint::Login),
    route(Method::GET, paths::SESSION, Need::Login, Listener::Api, Endpoint::ShowSession),
    route(Method::DELETE, paths::SESSION, Need::Login, Listener::Api, Endpoint::Logout),
    route(Method::GET, paths::SESSIONS, Need::Login, Listener::Api, Endpoint::ListSessions),
    route(Method::DELETE, "/v1/sessions/{id}", Need::Login, Listener::Api, Endpoint::EndSession),
    route(Method::POST, paths::CERTIFICATES, Need::Login, Listener::Api, Endpoint::Certificate),
    route(Method::GET, paths::HOSTS, Need::Login, Listener::Api, Endpoint::Hosts),
    route(Method::POST, paths::EXPLAIN, Need::Login, Listener::Api, Endpoint::Explain),
    route(Method::GET, paths::REQUESTS, Need::Login, Listener::Api, Endpoint::Requests(On::List)),
    route(Method::POST, paths::REQUESTS, Need::Login, Listener::Api, Endpoint::Requests(On::File)),
    route(Method::GET, "/v1/requests/{id}", Need::Login, Listener::Api, Endpoint::Requests(On::Show)),
    route(Method::POST, "/v1/requests/{id}/approvals", Need::Login, Listener::Api, Endpoint::Requests(On::Approve)),
    route(Method::POST, "/v1/requests/{id}/denials", Need::Login, Listener::Api, Endpoint::Requests(On::Deny)),
    route(Method::POST, "/v1/requests/{id}/review", Need::Login, Listener::Api, Endpoint::Requests(On::Reviewed)),
    route(Method::POST, "/v1/requests/{id}/cancel", Need::Login, Listener::Api, Endpoint::Requests(On::Cancel)),
    route(Method::POST, "/v1/requests/{id}/end", Need::Login, Listener::Api, Endpoint::Requests(On::End)),
    route(Method::GET, paths::CHECKPOINT, Need::Nothing, Listener::Api, Endpoint::Checkpoint),
    route(Method::GET, paths::CONSISTENCY, Need::Nothing, Listener::Api, Endpoint::Consistency),
    route(Method::GET, "/health", Need::Nothing, Listener::Both, Endpoint::Health),
    route(Method::GET, "/ready", Need::Nothing, Listener::Both, Endpoint::Ready),
    route(Method::GET, "/openapi.json", Need::Nothing, Listener::Api, Endpoint::OpenApi),
    route(Method::GET, "/metrics", Need::Nothing, Listener::Ops, Endpoint::Metrics),
    route(Method::GET, "/sinks", Need::Nothing, Listener::Ops, Endpoint::Sinks),
    route(Method::GET, "/sinks/dead-letters/{id}", Need::Nothing, Listener::Ops, Endpoint::DeadLetters),
    route(Method::POST, "/sinks/retry", Need::Nothing, Listener::Ops, Endpoint::RetrySink),
];

const fn route(method: Method, path: &'static str, need: Need, listener: Listener, endpoint: Endpoint) -> Route {
    Route { method, path, need, listener, endpoint }
}

impl Route {
    /// Whether strangers are held to the stricter rate of logins here.
    pub(super) fn is_login(&self) -> bool {
        self.endpoint == Endpoint::Login
    }

    /// Whether a certificate is issued here.
    pub(super) fn is_issue(&self) -> bool {
        self.endpoint == Endpoint::Certificate
    }

    fn takes_body(&self) -> bool {
        self.method == Method::POST
    }

    /// How long an answer may be held back on purpose, beyond what any request may take.
    pub(super) fn patience(&self, query: Option<&str>) -> std::time::Duration {
        match self.endpoint {
            Endpoint::Requests(On::Show) => requests::wait(query).unwrap_or_default(),
            _ => std::time::Duration::ZERO,
        }
    }

    /// What stands for `{id}` in `path` (nothing where the route has none), or none where the path is another.
    fn matches<'p>(&self, path: &'p str) -> Option<&'p str> {
        let Some((before, after)) = self.path.split_once("{id}") else { return (path == self.path).then_some("") };
        let id = path.strip_prefix(before)?.strip_suffix(after)?;
        (!id.is_empty() && !id.contains('/')).then_some(id)
    }
}

/// Where a request leads.
pub(super) enum Found {
    /// To this route (its place in [`ROUTES`]).
    Route(usize, &'static Route),
    /// The path exists, not with this method.
    OtherMethod(&'static str),
    /// Nowhere.
    Nowhere,
}

/// Finds the route. `HEAD` is `GET` without the body, which hyper leaves away.
pub(super) fn find(served: Listener, method: &Method, path: &str) -> Found {
    let wanted = if method == Method::HEAD { &Method::GET } else { method };
    let mut allowed = None;
    for (place, route) in ROUTES.iter().enumerate() {
        let here = route.listener == served || route.listener == Listener::Both;
        if here && route.matches(path).is_some() {
            if route.method == *wanted {
                return Found::Route(place, route);
            }
            allowed = Some(match route.path {
                paths::SESSION => "GET, DELETE",
                paths::REQUESTS => "GET, POST",
                _ => method_name(&route.method),
            });
        }
    }
    allowed.map_or(Found::Nowhere, Found::OtherMethod)
}

fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        _ => "GET",
    }
}

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
    let body = read(&parts.headers, body, if route.takes_body() { api::BODY_LIMIT } else { 0 }).await?;
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
            closed(route.endpoint, shared, &caller, &sent).await
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
            let request = from_json(headers, body)?;
            answer::json(StatusCode::OK, &verbs::login::login(&shared.app, origin, request).await?)
        }
        Endpoint::Checkpoint => verbs::audit::checkpoint(&shared.app).await.map(answer::text),
        Endpoint::Consistency => answer::json(StatusCode::OK, &verbs::audit::consistency(&shared.app, query).await?),
        Endpoint::Health => Ok(answer::plain("ok\n")),
        Endpoint::Ready => shared.ready().await,
        Endpoint::OpenApi => Ok(answer::ready_json(openapi::DOCUMENT)),
        Endpoint::Metrics => Ok(answer::metrics(shared.metrics_text().await)),
        Endpoint::Sinks => answer::json(StatusCode::OK, &verbs::sinks::status(&shared.app).await?),
        Endpoint::DeadLetters => answer::json(StatusCode::OK, &verbs::sinks::dead_letters(&shared.app, id).await?),
        Endpoint::RetrySink => {
            // Nobody logs in here, so a page in an operator's browser must not be able to send this unasked.
            if !headers.contains_key(CONTENT_TYPE) {
                return Err(not_json());
            }
            answer::json(StatusCode::OK, &verbs::sinks::retry(&shared.app, &from_json(headers, body)?).await?)
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
        from_json(self.headers, self.body)
    }
}

/// What the holder of a login session may ask.
async fn closed(endpoint: Endpoint, shared: &Shared, caller: &Caller, sent: &Sent<'_>) -> Result<Answer, Refusal> {
    let app = &shared.app;
    match endpoint {
        Endpoint::Certificate => answer::json(StatusCode::OK, &verbs::issue::issue(app, caller, sent.json()?).await?),
        Endpoint::Requests(on) => requests::serve(on, app, caller, sent).await,
        Endpoint::ShowSession => answer::json(StatusCode::OK, &verbs::sessions::show(caller)),
        Endpoint::ListSessions => answer::json(StatusCode::OK, &verbs::sessions::list(app, caller).await?),
        Endpoint::Logout => verbs::sessions::logout(app, caller).await.map(|()| answer::nothing()),
        Endpoint::EndSession => verbs::sessions::end(app, caller, sent.id).await.map(|()| answer::nothing()),
        Endpoint::Hosts => {
            let _turn = shared.listings.turn(&caller.session.id).await?;
            answer::json(StatusCode::OK, &verbs::hosts::hosts(app, caller).await?)
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

/// The whole body, at most `most` bytes, as sent.
async fn read(headers: &hyper::HeaderMap, body: Body, most: usize) -> Result<Bytes, Refusal> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > most) {
        return Err(too_large(most));
    }
    // Nothing is ever unpacked, so there is no bomb to unpack.
    if headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(Refusal::new(Code::BadRequest, "a compressed body is not accepted").hint("send it as it is"));
    }
    match Limited::new(body, most).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large(most)),
        Err(error) => Err(Refusal::new(Code::BadRequest, "the body ended before it was whole").cause(error)),
    }
}

fn too_large(most: usize) -> Refusal {
    if most == 0 {
        return Refusal::new(Code::BadRequest, "this method takes no body").hint("send none");
    }
    Refusal::new(Code::TooLarge, format!("the body is larger than {} bytes", api::BODY_LIMIT))
}

fn not_json() -> Refusal {
    Refusal::new(Code::BadRequest, "the body is not declared as JSON")
        .hint("send the header Content-Type: application/json")
}

/// The body as the type that the route takes.
pub(super) fn from_json<T: serde::de::DeserializeOwned>(headers: &hyper::HeaderMap, body: &[u8]) -> Result<T, Refusal> {
    // A browser sends a cross-site form or text without asking first, and says so; JSON it does not.
    let json = headers.get(CONTENT_TYPE).is_none_or(|kind| kind.as_bytes().starts_with(b"application/json"));
    if !json {
        return Err(not_json());
    }
    serde_json::from_slice(body).map_err(|error| {
        let at = format!("line {} column {}", error.line(), error.column());
        let text = error.to_string();
        // The words of this project say what is wrong without repeating what was sent; the parser may repeat it.
        let word = text.starts_with("not a valid ").then(|| text.split(" at line ").next().map(str::to_owned));
        let message = word.flatten().unwrap_or_else(|| "the body is not the JSON that this route takes".to_owned());
        Refusal::new(Code::BadRequest, message)
            .hint(format!("look at {at}; /openapi.json describes it"))
            .cause(format_args!("{:?} at {at}", error.classify()))
    })
}
