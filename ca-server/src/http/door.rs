//! The one way in: each request is counted, held to its client's rate, bounded in time, served, sealed and logged.

use super::{
    answer::{self, Answer},
    bodies::Bodies,
    client::{self, Client},
    listings::Listings,
    metrics::{Metrics, name_of},
    rate::Rate,
    routes::{self, Found, Listener, ROUTES, Route},
    unread::Unread,
};
use crate::{
    app::{App, Origin},
    config::{Config, Limits, Requests},
    refusal::Refusal,
    store::StoreError,
};
use api::{About, Code};
use axum::body::Body;
use hyper::{Request, StatusCode};
use policy::Network;
use std::{
    future::{Future, poll_fn},
    net::SocketAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
    time::{Duration, Instant},
};

/// For how long an answer of the store counts.
const READY_FOR: Duration = Duration::from_secs(1);

/// What all requests share.
pub struct Shared {
    /// What the verbs work with.
    pub app: Arc<App>,
    /// Figures.
    pub metrics: Metrics,
    /// Bounds.
    pub limits: Limits,
    proxies: Vec<Network>,
    requests: Rate,
    logins: Rate,
    pub(super) listings: Listings,
    pub(super) bodies: Bodies,
    pub(super) unread: Unread,
    /// How the store was when it was last asked.
    ready: tokio::sync::Mutex<Option<(Instant, Result<(), StoreError>)>>,
    logged: Requests,
    began: Instant,
    /// Tells the requests of one process from those of the next.
    run: u32,
    number: AtomicU64,
}

impl Shared {
    /// For `app`, as `config` bounds it.
    ///
    /// # Errors
    /// If there is no randomness to be had.
    pub fn new(app: Arc<App>, config: &Config) -> Result<Self, getrandom::Error> {
        let limits = config.limits;
        let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
        Ok(Self {
            app,
            metrics: Metrics::default(),
            limits,
            proxies: config.listen.trusted_proxies.clone(),
            requests: Rate::new(limits.requests_per_second.get(), second, limits.request_burst.get()),
            logins: Rate::new(limits.logins_per_minute.get(), minute, limits.login_burst.get()),
            bodies: Bodies::default(),
            unread: Unread::default(),
            ready: tokio::sync::Mutex::default(),
            listings: Listings::for_cores(std::thread::available_parallelism().map_or(1, usize::from)),
            logged: config.log.requests,
            began: Instant::now(),
            run: u32::from_be_bytes(crate::clock::random()?),
            number: AtomicU64::new(1),
        })
    }

    /// Whether `address` is one of our own proxies.
    pub fn is_proxy(&self, address: std::net::IpAddr) -> bool {
        self.proxies.iter().any(|network| network.holds(address))
    }

    /// What anybody may know about the server.
    pub(super) fn about(&self) -> About {
        let app = &self.app;
        About {
            audience: app.audience.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            time_ms: app.clock.now_ms(),
            user_ca: vec![app.authority.public_key()],
            host_ca: vec![app.host_ca.clone()],
            issuers: app.issuers.about(),
        }
    }

    /// Whether certificates can be issued. An issuer that is down does not count: who is logged in goes on.
    pub(super) async fn ready(&self) -> Result<Answer, Refusal> {
        self.store_ready().await?;
        Ok(answer::plain("ready\n"))
    }

    /// Asking the store costs it a commit, and anybody may ask us: it is asked once a second at most.
    async fn store_ready(&self) -> Result<(), StoreError> {
        let mut known = self.ready.lock().await;
        match &*known {
            Some((at, found)) if at.elapsed() < READY_FOR => found.clone(),
            _ => {
                let found = self.app.store.ready().await;
                *known = Some((Instant::now(), found.clone()));
                found
            }
        }
    }

    /// All figures, in Prometheus' text format.
    pub(super) async fn metrics_text(&self) -> String {
        let store_ready = self.store_ready().await.is_ok();
        let clients = self.requests.clients() + self.logins.clients();
        let sinks = self.app.sinks.status().await.unwrap_or_default();
        self.metrics.text(&self.app, store_ready, clients, &sinks)
    }

    /// Never the client's own: it could be another's. Nor is it ever taken for a request for access, `r-…`.
    fn request_id(&self) -> String {
        format!("t-{:08x}-{:x}", self.run, self.number.fetch_add(1, Ordering::Relaxed))
    }
}

/// One listener's way in.
#[derive(Clone)]
pub struct Door {
    shared: Arc<Shared>,
    served: Listener,
}

impl Door {
    /// The way to what `served` serves.
    pub fn new(shared: Arc<Shared>, served: Listener) -> Self {
        Self { shared, served }
    }

    /// What all requests share.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Answers one request of `peer`.
    pub async fn answer(&self, peer: SocketAddr, request: Request<Body>) -> Answer {
        let began = Instant::now();
        let shared = &self.shared;
        let request_id = shared.request_id();
        let source = client::source(peer.ip(), request.headers(), &shared.proxies);
        let origin = Origin { source, request_id };
        let found = routes::find(self.served, request.method(), request.uri().path());
        let place = if let Found::Route(place, _) = found { place } else { ROUTES.len() };
        let (mut answer, told) = match self.serve(&found, &origin, request, began).await {
            Ok(answer) => (answer, None),
            Err(refusal) => {
                let told = Told { code: refusal.code, cause: refusal.cause.clone() };
                (answer::refused(refusal, &origin.request_id), Some(told))
            }
        };
        if let Found::OtherMethod(allowed) = found {
            answer::allow(&mut answer, allowed);
        }
        answer::seal(&mut answer, &origin.request_id);
        let took = began.elapsed();
        let issued = matches!(found, Found::Route(_, route) if route.is_issue()) && told.is_none();
        shared.metrics.count(place, told.as_ref().map(|told| told.code), issued.then_some(took));
        self.log(&found, &origin, answer.status(), told.as_ref(), took);
        answer
    }

    async fn serve(
        &self,
        found: &Found,
        origin: &Origin,
        request: Request<Body>,
        now: Instant,
    ) -> Result<Answer, Refusal> {
        let shared = &self.shared;
        let route = match found {
            Found::Route(_, route) => Some(*route),
            _ => None,
        };
        // Whoever reaches the operators' address is an operator, and a scrape must not fail for being frequent.
        if self.served == Listener::Api {
            self.within_rate(origin, route, now)?;
        }
        let route = match found {
            Found::Route(_, route) => route,
            Found::OtherMethod(_) => {
                return Err(Refusal::new(Code::MethodNotAllowed, "this path does not take this method"));
            }
            Found::Nowhere => {
                return Err(Refusal::new(Code::NotFound, "there is nothing at this path")
                    .hint("/openapi.json lists what there is"));
            }
        };
        let allowed = shared.limits.request_timeout.duration() + route.patience(request.uri().query());
        let served = routes::serve(route, shared, origin.clone(), request);
        match tokio::time::timeout(allowed, caught(served)).await {
            Ok(Some(answer)) => answer,
            Ok(None) => {
                shared.metrics.panicked();
                Err(Refusal::internal("a panic, which the log shows above this line"))
            }
            Err(_elapsed) => Err(Refusal::new(Code::Timeout, "the request took too long")
                .hint("try again; ask for the state first if it was to change something")),
        }
    }

    fn within_rate(&self, origin: &Origin, route: Option<&Route>, now: Instant) -> Result<(), Refusal> {
        let shared = &self.shared;
        let client = Client::of(origin.source);
        let since = now.saturating_duration_since(shared.began);
        let login = route.is_some_and(Route::is_login);
        if shared.requests.allows(client, since) && (!login || shared.logins.allows(client, since)) {
            return Ok(());
        }
        Err(Refusal::new(Code::RateLimited, "too many requests from this address").hint("try again in a moment"))
    }

    fn log(&self, found: &Found, origin: &Origin, status: StatusCode, told: Option<&Told>, took: Duration) {
        let (method, route) = match found {
            Found::Route(_, route) => (route.method.as_str(), route.path),
            _ => ("-", "-"),
        };
        let (id, source, status) = (origin.request_id.as_str(), origin.source, status.as_u16());
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        match told {
            None if self.shared.logged == Requests::All => {
                tracing::info!(request = id, %source, method, route, status, us, "request");
            }
            None => {}
            Some(Told { code, cause }) if status >= 500 => {
                let code = name_of(*code);
                tracing::error!(request = id, %source, method, route, status, us, code, cause, "request failed");
            }
            Some(Told { code, cause }) => {
                let code = name_of(*code);
                tracing::info!(request = id, %source, method, route, status, us, code, cause, "request refused");
            }
        }
    }
}

/// What the log learns of a refusal.
struct Told {
    code: Code,
    cause: Option<String>,
}

/// Nothing where `future` panicked: one request fails, the server lives.
async fn caught<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = Box::pin(future);
    poll_fn(move |context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(Poll::Ready(value)) => Poll::Ready(Some(value)),
        Ok(Poll::Pending) => Poll::Pending,
        Err(_panic) => Poll::Ready(None),
    })
    .await
}

#[cfg(test)]
mod tests;
