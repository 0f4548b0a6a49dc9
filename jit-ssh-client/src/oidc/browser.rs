//! Code and PKCE over a loopback redirect (RFC 8252 7.3, RFC 7636).

use super::{CoreClient, Provider, callback, page::Page, safe_address, token_failure};
use crate::{error::Failure, keys, terminal};
use api::{IssuerAbout, signature::login_nonce};
use ed25519_dalek::VerifyingKey;
use openidconnect::{
    AuthorizationCode, CsrfToken, Nonce, PkceCodeChallenge, RedirectUrl, Scope, core::CoreAuthenticationFlow,
};
use std::{
    net::Ipv4Addr,
    process::{Command, Stdio},
    time::Duration,
};
use tokio::net::TcpListener;
use url::Url;

/// How long a person may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// How the page gets into a browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// We open it.
    Browser,
    /// The person does.
    ByHand,
}

/// Logs in with a browser on this machine and returns the ID token.
///
/// # Errors
/// If the issuer or the person refuses, or nothing comes back in time.
pub async fn log_in(
    about: &IssuerAbout,
    http: reqwest::Client,
    key: &VerifyingKey,
    opening: Opening,
) -> Result<String, Failure> {
    let provider = Provider::discover(about, http).await?;
    let listener = listen(&about.redirect_ports).await?;
    let port = listener.local_addr().map_err(|error| Failure::failed(format!("no loopback port: {error}")))?.port();
    let redirect = RedirectUrl::new(format!("http://127.0.0.1:{port}{}", callback::PATH))
        .map_err(|error| Failure::failed(format!("no redirect address: {error}")))?;
    let client =
        CoreClient::new(provider.client_id(), provider.metadata.issuer().clone(), provider.metadata.jwks().clone())
            .set_auth_uri(provider.metadata.authorization_endpoint().clone())
            .set_redirect_uri(redirect);
    let token_endpoint = provider
        .metadata
        .token_endpoint()
        .ok_or_else(|| Failure::failed(format!("{} names no token endpoint", about.name)))?;
    let client = client.set_token_uri(token_endpoint.clone());

    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let nonce = Nonce::new(login_nonce(key));
    let ours = nonce.clone();
    let mut request = client
        .authorize_url(CoreAuthenticationFlow::AuthorizationCode, CsrfToken::new_random, || ours)
        .add_scopes(about.scopes.iter().filter(|scope| *scope != "openid").cloned().map(Scope::new))
        .set_pkce_challenge(challenge);
    if let Some(acr) = &about.acr_values {
        request = request.add_extra_param("acr_values", acr);
    }
    let (address, state, _same_nonce) = request.url();
    safe_address(&address, &about.name)?;

    let fingerprint = keys::fingerprint(key);
    show(&address, opening, &fingerprint);
    let expected = callback::Expected {
        state: state.secret().clone(),
        issuer: about.issuer.as_str().to_owned(),
        issuer_always_sent: provider.metadata.additional_metadata().authorization_response_iss_parameter_supported,
        port,
    };
    let code = {
        let _waiting = terminal::Waiting::on(&format!("waiting for the login at {}", about.name));
        let page = Page { issuer: &about.name, fingerprint: &fingerprint };
        tokio::time::timeout(PATIENCE, callback::wait(&listener, &expected, &page)).await.map_err(|_late| {
            Failure::failed("nobody finished the login in the browser within five minutes")
                .hint("try again: jit-ssh login --no-browser prints the address")
        })??
    };
    drop(listener);
    let answer = client
        .exchange_code(AuthorizationCode::new(code))
        .set_pkce_verifier(verifier)
        .request_async(&provider.http.caller())
        .await
        .map_err(|error| token_failure(&about.name, error))?;
    provider.checked(answer.extra_fields().id_token(), Some(&nonce)).await
}

/// The first port that is free, of those the issuer knows: some compare redirect addresses letter by letter.
async fn listen(ports: &[u16]) -> Result<TcpListener, Failure> {
    let any = [0];
    let candidates = if ports.is_empty() { any.as_slice() } else { ports };
    let mut last = None;
    for &port in candidates {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
            Ok(listener) => return Ok(listener),
            Err(error) => last = Some(error),
        }
    }
    let cause = last.map(|error| error.to_string()).unwrap_or_default();
    let ports: Vec<String> = candidates.iter().map(u16::to_string).collect();
    Err(Failure::failed(format!("none of the loopback ports {} is free: {cause}", ports.join(", ")))
        .hint("end whatever holds them, or log in with a code: jit-ssh login --device"))
}

fn show(address: &Url, opening: Opening, fingerprint: &str) {
    terminal::say(&format!("Session key: {}", terminal::bold(fingerprint)));
    if opening == Opening::Browser && opened(address) {
        terminal::say("Your browser opens. If it does not, open this address yourself:");
    } else {
        terminal::say("Open this address in a browser on this machine:");
    }
    terminal::say(&terminal::plain(address.as_str()));
}

/// An address is one argument of one program: no shell reads it.
fn opened(address: &Url) -> bool {
    let screen =
        ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| std::env::var_os(name).is_some_and(|v| !v.is_empty()));
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    if !screen && !cfg!(target_os = "macos") {
        return false;
    }
    let silent = (Stdio::null(), Stdio::null(), Stdio::null());
    Command::new(program).arg(address.as_str()).stdin(silent.0).stdout(silent.1).stderr(silent.2).spawn().is_ok()
}
