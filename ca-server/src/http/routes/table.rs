//! Every route in one table, with what it needs.

use crate::http::{
    requests::{self, On},
    revocations::Ending,
};
use api::paths;
use hyper::Method;

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
    pub(super) endpoint: Endpoint,
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
pub(super) enum Endpoint {
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
    /// What ends before its time.
    Endings(Ending),
    Krl,
    KrlStatement,
    Checkpoint,
    Consistency,
    Inclusion,
    Health,
    Ready,
    OpenApi,
    Metrics,
    Sinks,
    DeadLetters,
    RetrySink,
}

/// Every route there is.
pub static ROUTES: &[Route] = &[
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
    route(Method::POST, paths::REVOCATIONS, Need::Login, Listener::Api, Endpoint::Endings(Ending::Revoke)),
    route(Method::GET, paths::FREEZES, Need::Login, Listener::Api, Endpoint::Endings(Ending::ListFreezes)),
    route(Method::POST, paths::FREEZES, Need::Login, Listener::Api, Endpoint::Endings(Ending::Freeze)),
    route(Method::POST, "/v1/freezes/{id}/thaw", Need::Login, Listener::Api, Endpoint::Endings(Ending::Thaw)),
    route(Method::GET, paths::KRL, Need::Nothing, Listener::Api, Endpoint::Krl),
    route(Method::GET, paths::KRL_STATEMENT, Need::Nothing, Listener::Api, Endpoint::KrlStatement),
    route(Method::GET, paths::CHECKPOINT, Need::Nothing, Listener::Api, Endpoint::Checkpoint),
    route(Method::GET, paths::CONSISTENCY, Need::Nothing, Listener::Api, Endpoint::Consistency),
    route(Method::GET, paths::INCLUSION, Need::Nothing, Listener::Api, Endpoint::Inclusion),
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
    pub fn is_login(&self) -> bool {
        self.endpoint == Endpoint::Login
    }

    /// Whether a certificate is issued here.
    pub fn is_issue(&self) -> bool {
        self.endpoint == Endpoint::Certificate
    }

    pub(super) fn takes_body(&self) -> bool {
        self.method == Method::POST
    }

    /// How long an answer may be held back on purpose, beyond what any request may take.
    pub fn patience(&self, query: Option<&str>) -> std::time::Duration {
        match self.endpoint {
            Endpoint::Requests(On::Show) => requests::wait(query).unwrap_or_default(),
            _ => std::time::Duration::ZERO,
        }
    }

    /// What stands for `{id}` in `path` (nothing where the route has none), or none where the path is another.
    pub(super) fn matches<'p>(&self, path: &'p str) -> Option<&'p str> {
        let Some((before, after)) = self.path.split_once("{id}") else { return (path == self.path).then_some("") };
        let id = path.strip_prefix(before)?.strip_suffix(after)?;
        (!id.is_empty() && !id.contains('/')).then_some(id)
    }
}

/// Where a request leads.
pub enum Found {
    /// To this route (its place in [`ROUTES`]).
    Route(usize, &'static Route),
    /// The path exists, not with this method.
    OtherMethod(&'static str),
    /// Nowhere.
    Nowhere,
}

/// Finds the route. `HEAD` is `GET` without the body, which hyper leaves away.
pub fn find(served: Listener, method: &Method, path: &str) -> Found {
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
                paths::REQUESTS | paths::FREEZES => "GET, POST",
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
