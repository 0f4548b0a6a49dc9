//! A development OpenID Provider: anybody is whoever they pick. Loopback only, keys that die with the process, and a warning on
//! every page. For `ca-server dev`, demos and tests; a server with a real issuer or a durable CA key never starts it.

mod authorize;
mod codes;
mod page;
mod person;
mod signing;
mod token;

pub use person::Person;

use crate::{clock::Clock, config::issuer::IssuerConfig};
use axum::{
    Json, Router,
    extract::{Request, State},
    http::{HeaderValue, header},
    middleware::{Next, from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use codes::Codes;
use policy::Issuer;
use serde_json::json;
use signing::TokenSigner;
use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

/// The client id of `jit-ssh` here.
pub const CLIENT_ID: &str = "jit-ssh";

/// A running provider; dropping it ends it.
pub struct Provider {
    issuer: Issuer,
    address: SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

/// What the pages share.
struct Room {
    issuer: Issuer,
    authority: String,
    people: Vec<Person>,
    signer: TokenSigner,
    codes: Mutex<Codes>,
    clock: Arc<dyn Clock>,
}

impl Provider {
    /// Starts a provider for these people on a loopback address; port 0 takes any free one.
    ///
    /// # Errors
    /// If the address is not loopback or cannot be bound, or there is no randomness for a key.
    pub async fn start(listen: SocketAddr, people: Vec<Person>, clock: Arc<dyn Clock>) -> io::Result<Self> {
        if !listen.ip().is_loopback() {
            let text = "the development provider lets anybody be anybody: it listens on loopback addresses only";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let listener = tokio::net::TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let issuer: Issuer = format!("http://{address}").parse().map_err(io::Error::other)?;
        let room = Arc::new(Room {
            issuer: issuer.clone(),
            authority: address.to_string(),
            people,
            signer: TokenSigner::generate().map_err(|error| io::Error::other(error.to_string()))?,
            codes: Mutex::default(),
            clock,
        });
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, routes(room)).await {
                tracing::error!(%error, "development provider: ended");
            }
        });
        Ok(Self { issuer, address, task })
    }

    /// Its `iss`.
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How a server trusts it.
    pub fn config(&self) -> IssuerConfig {
        let mut config = IssuerConfig::people(self.issuer.clone(), CLIENT_ID);
        config.name = Some("DEVELOPMENT PROVIDER, not for production".to_owned());
        config.scopes = ["openid", "profile", "email", "groups"].map(str::to_owned).to_vec();
        config
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Whether a development provider may run in a server with these issuers, whose user CA key is `durable` (made by anything
/// but the development command itself).
///
/// # Errors
/// If not, why, and what to do.
pub fn may_run_beside(issuers: &[IssuerConfig], durable: bool) -> Result<(), String> {
    if let Some(real) = issuers.first() {
        return Err(format!(
            "the development provider lets anybody be anybody, so it never runs beside another issuer ({}); use `ca-server run`",
            real.url
        ));
    }
    if durable {
        return Err(
            "the development provider lets anybody be anybody, so it never runs with a CA key that hosts may trust; \
                    use a fresh directory, or `ca-server run`"
                .to_owned(),
        );
    }
    Ok(())
}

fn routes(room: Arc<Room>) -> Router {
    Router::new()
        .route("/", get(page::front))
        .route("/.well-known/openid-configuration", get(discovery))
        .route("/jwks", get(jwks))
        .route("/authorize", get(authorize::ask).post(authorize::choose))
        .route("/token", post(token::token))
        .fallback(async || page::problem("There is no such page here."))
        .layer(from_fn_with_state(room.clone(), ours_only))
        .layer(from_fn(guarded))
        .layer(axum::extract::DefaultBodyLimit::max(16 * 1024))
        .with_state(room)
}

async fn discovery(State(room): State<Arc<Room>>) -> Response {
    let at = |path: &str| format!("{}{path}", room.issuer);
    Json(json!({
        "issuer": room.issuer,
        "authorization_endpoint": at("/authorize"),
        "token_endpoint": at("/token"),
        "jwks_uri": at("/jwks"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["EdDSA"],
        "token_endpoint_auth_methods_supported": ["none"],
        "code_challenge_methods_supported": ["S256"],
        "scopes_supported": ["openid", "profile", "email", "groups"],
        "claims_supported": ["sub", "email", "email_verified", "groups", "amr", "auth_time", "name"],
        "authorization_response_iss_parameter_supported": true,
    }))
    .into_response()
}

async fn jwks(State(room): State<Arc<Room>>) -> Response {
    Json(room.signer.public_set()).into_response()
}

/// A name that resolves to this machine is not this provider: or any web page could speak to it through a name of its own
/// (DNS rebinding) and log in as anybody.
async fn ours_only(State(room): State<Arc<Room>>, request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    if host == Some(room.authority.as_str()) {
        return next.run(request).await;
    }
    page::problem("This address is not the development provider's own.")
}

async fn guarded(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'";
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

#[cfg(test)]
mod tests;
