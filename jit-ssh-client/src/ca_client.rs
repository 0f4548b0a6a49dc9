//! The CA's API: signed requests, one retry when the clocks disagree, every refusal as a [`Failure`].

use crate::{
    clock,
    error::{Exit, Failure},
    keys,
    settings::{self, Server},
    state::session::Session,
    web,
};
use api::{
    About, CertificateRequest, CertificateResponse, Code, ErrorBody, ErrorDetail, ExplainRequest, ExplainResponse,
    LoginRequest, LoginResponse, SessionEntry, SessionsResponse, paths,
    signature::{Nonce, Request},
};
use ed25519_dalek::SigningKey;
use policy::SessionId;
use reqwest::{Client, Method, StatusCode};
use serde::de::DeserializeOwned;
use std::{cell::RefCell, path::Path, time::Duration};
use tokio::{
    runtime::Runtime,
    signal::unix::{Signal, SignalKind, signal},
};

mod endings;
mod hosts;
mod requests;

pub use requests::{Filter, Tagged, View};

/// Speaks to one server.
pub struct CaClient {
    runtime: Runtime,
    http: Client,
    server: Server,
    /// Ctrl-C, once somebody minds it.
    interrupts: RefCell<Option<Signal>>,
}

impl CaClient {
    /// Makes one; nothing is sent yet.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub fn new(server: Server, ca_file: Option<&Path>) -> Result<Self, Failure> {
        let http = web::client(server.is_https(), ca_file)?;
        Ok(Self { runtime: web::runtime()?, http, server, interrupts: RefCell::new(None) })
    }

    /// The one for `session`, with the roots named now, else those named at login.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub fn for_session(session: &Session) -> Result<Self, Failure> {
        Self::new(session.server()?, settings::ca_file_named().or(session.ca_file.as_deref()))
    }

    /// The server's address.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Runs something that waits.
    pub fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// From now on Ctrl-C ends what waits here, and not the program.
    ///
    /// # Errors
    /// If the kernel does not let us.
    pub fn mind_interrupts(&self) -> Result<(), Failure> {
        let minded = self.wait(async { signal(SignalKind::interrupt()) });
        let minded = minded.map_err(|error| Failure::failed(format!("cannot mind Ctrl-C: {error}")))?;
        self.interrupts.replace(Some(minded));
        Ok(())
    }

    /// Lets time pass.
    ///
    /// # Errors
    /// If it is interrupted.
    pub fn pause(&self, span: Duration) -> Result<(), Failure> {
        // Made inside: a timer belongs to the runtime that it is made in, and outside there is none.
        self.wait_or_be_stopped(async move {
            #[expect(clippy::disallowed_methods, reason = "what is asked for is that time passes")]
            tokio::time::sleep(span).await;
        })
    }

    fn wait_or_be_stopped<T>(&self, future: impl Future<Output = T>) -> Result<T, Failure> {
        let Some(mut interrupts) = self.interrupts.take() else { return Ok(self.wait(future)) };
        let done = self.wait(async {
            tokio::select! {
                done = future => Ok(done),
                _ = interrupts.recv() => Err(Failure::new(Exit::NeedsApproval, "you stopped waiting")),
            }
        });
        self.interrupts.replace(Some(interrupts));
        done
    }

    /// What the server says about itself to anybody.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn about(&self) -> Result<About, Failure> {
        self.read(&self.send(&Call::new(Method::GET, paths::ABOUT, Vec::new()), None)?)
    }

    /// A token for a login session.
    ///
    /// # Errors
    /// If the server refuses it.
    pub fn login(&self, request: &LoginRequest) -> Result<LoginResponse, Failure> {
        self.read(&self.send(&Call::new(Method::POST, paths::LOGIN, written(request)?), None)?)
    }

    /// One certificate.
    ///
    /// # Errors
    /// If policy says no or not yet, or the login session is over.
    pub fn certificate(&self, session: &Session, request: &CertificateRequest) -> Result<CertificateResponse, Failure> {
        self.signed(session, Method::POST, paths::CERTIFICATES, written(request)?)
    }

    /// What the decision would be.
    ///
    /// # Errors
    /// If the login session is over.
    pub fn explain(&self, session: &Session, request: &ExplainRequest) -> Result<ExplainResponse, Failure> {
        self.signed(session, Method::POST, paths::EXPLAIN, written(request)?)
    }

    /// The login session as the server sees it.
    ///
    /// # Errors
    /// If it is over.
    pub fn session(&self, session: &Session) -> Result<SessionEntry, Failure> {
        self.signed(session, Method::GET, paths::SESSION, Vec::new())
    }

    /// Ends the login session.
    ///
    /// # Errors
    /// If the server does not know it any more, or does not answer.
    pub fn end_session(&self, session: &Session) -> Result<(), Failure> {
        let _ended: serde_json::Value = self.signed(session, Method::DELETE, paths::SESSION, Vec::new())?;
        Ok(())
    }

    /// The caller's live login sessions, on all machines.
    ///
    /// # Errors
    /// If the login session is over.
    pub fn sessions(&self, session: &Session) -> Result<SessionsResponse, Failure> {
        self.signed(session, Method::GET, paths::SESSIONS, Vec::new())
    }

    /// Ends any one of the caller's login sessions.
    ///
    /// # Errors
    /// If the caller has no such login session, or the server does not answer.
    pub fn end_session_by_id(&self, session: &Session, id: &SessionId) -> Result<(), Failure> {
        let path = format!("{}/{id}", paths::SESSIONS);
        let _ended: serde_json::Value = self.signed(session, Method::DELETE, &path, Vec::new())?;
        Ok(())
    }

    /// Signs and sends. On `clock_skew` once more by the server's clock: a laptop whose clock is wrong is no attack.
    fn signed<T: DeserializeOwned>(
        &self,
        session: &Session,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<T, Failure> {
        self.read(&self.exchanged(session, &Call::new(method, path, body))?)
    }

    fn exchanged(&self, session: &Session, call: &Call) -> Result<Answered, Failure> {
        let key = session.key()?;
        let sign = |time_ms| authorization(session, &key, &call.method, &call.path, &call.body, time_ms);
        let time_ms = clock::now_ms().saturating_add_signed(session.clock_offset_ms);
        match self.send(call, Some(sign(time_ms)?)) {
            Err(failure) => match server_time(&failure) {
                Some(server_ms) => self.send(call, Some(sign(server_ms)?)),
                None => Err(failure),
            },
            answered => answered,
        }
    }

    fn send(&self, call: &Call, authorization: Option<String>) -> Result<Answered, Failure> {
        let mut request = self.http.request(call.method.clone(), format!("{}{}", self.server, call.path));
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        for (name, value) in &call.headers {
            request = request.header(*name, value);
        }
        if let Some(patience) = call.patience {
            request = request.timeout(patience);
        }
        if !call.body.is_empty() {
            request = request.header("content-type", "application/json").body(call.body.clone());
        }
        let (status, tag, bytes) = self.wait_or_be_stopped(async {
            let response = request.send().await.map_err(|error| web::unreachable_by(&error))?;
            let tag = response.headers().get("etag").and_then(|tag| tag.to_str().ok()).map(str::to_owned);
            Ok::<_, Failure>((response.status(), tag, web::body(response).await?))
        })??;
        if status.is_success() || (status == StatusCode::NOT_MODIFIED && call.conditional()) {
            Ok(Answered { status, tag, bytes })
        } else {
            Err(self.refused(status, &bytes))
        }
    }

    fn read<T: DeserializeOwned>(&self, answered: &Answered) -> Result<T, Failure> {
        let bytes = if answered.bytes.is_empty() { b"null".as_slice() } else { &answered.bytes };
        serde_json::from_slice(bytes).map_err(|error| self.strange(&format!("its answer cannot be read ({error})")))
    }

    fn refused(&self, status: StatusCode, bytes: &[u8]) -> Failure {
        match serde_json::from_slice::<ErrorBody>(bytes) {
            Ok(ErrorBody { error }) => from_refusal(error),
            Err(_no_error_of_ours) => self.strange(&format!("it answers HTTP {}", status.as_u16())),
        }
    }

    fn strange(&self, what: &str) -> Failure {
        Failure::failed(format!("{} does not behave like a jit-ssh CA: {what}", self.server))
            .hint("check the address: jit-ssh login --server https://…")
    }
}

/// One request, before it is signed.
struct Call {
    method: Method,
    path: String,
    body: Vec<u8>,
    headers: Vec<(&'static str, String)>,
    /// How long the answer may take, where that is longer or shorter than usual.
    patience: Option<Duration>,
}

impl Call {
    fn new(method: Method, path: &str, body: Vec<u8>) -> Self {
        Self { method, path: path.to_owned(), body, headers: Vec::new(), patience: None }
    }

    fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn patience(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }

    fn conditional(&self) -> bool {
        self.headers.iter().any(|(name, _)| *name == "if-none-match")
    }
}

struct Answered {
    status: StatusCode,
    tag: Option<String>,
    bytes: Vec<u8>,
}

fn authorization(
    session: &Session,
    key: &SigningKey,
    method: &Method,
    path: &str,
    body: &[u8],
    time_ms: u64,
) -> Result<String, Failure> {
    let request = Request { audience: &session.audience, method: method.as_str(), path, body };
    Ok(request.sign(key, &session.session, time_ms, Nonce(keys::nonce()?)).to_string())
}

fn written(body: &impl serde::Serialize) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(body).map_err(|_unwritable| Failure::failed("the request cannot be written down"))
}

fn server_time(failure: &Failure) -> Option<u64> {
    let detail = failure.refusal.as_deref()?;
    (detail.code == Code::ClockSkew).then_some(detail.server_time_ms).flatten()
}

fn from_refusal(detail: ErrorDetail) -> Failure {
    let exit = match detail.code {
        Code::Denied | Code::Frozen => Exit::Denied,
        Code::NeedsApproval => Exit::NeedsApproval,
        Code::LoginRequired | Code::BadSignature => Exit::NeedsLogin,
        Code::IssuerUnavailable | Code::StoreUnavailable => Exit::Unreachable,
        _ => Exit::Failed,
    };
    let ours = match detail.code {
        Code::LoginRequired | Code::BadSignature => Some("log in: jit-ssh login"),
        Code::ClockSkew => Some("set this machine's clock"),
        _ => None,
    };
    let hint = detail.hint.clone().or_else(|| ours.map(str::to_owned));
    Failure { hint, refusal: Some(Box::new(detail.clone())), ..Failure::new(exit, detail.message) }
}

#[cfg(test)]
pub mod tests;
