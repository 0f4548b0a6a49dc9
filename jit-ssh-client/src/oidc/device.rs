//! The device grant (RFC 8628): for machines without a browser, where the server allows it. It can be phished, since
//! whoever types the code need not be whoever sees it here; so it is never chosen for the person, and it is said.

use super::{CoreClient, Provider, safe_address, token_failure};
use crate::{error::Failure, keys, terminal};
use api::IssuerAbout;
use ed25519_dalek::VerifyingKey;
use openidconnect::{Scope, core::CoreDeviceAuthorizationResponse};
use std::time::Duration;

/// Logs in with a code typed on another device and returns the ID token.
///
/// # Errors
/// If the server does not allow it, the issuer does not offer it, or the person does not finish.
pub async fn log_in(about: &IssuerAbout, http: reqwest::Client, key: &VerifyingKey) -> Result<String, Failure> {
    if !about.device_grant {
        return Err(Failure::failed(format!("the CA does not allow logins by code at {}", about.name))
            .hint("log in with a browser: jit-ssh login, or jit-ssh login --no-browser"));
    }
    let provider = Provider::discover(about, http).await?;
    let endpoint = provider.metadata.additional_metadata().device_authorization_endpoint.clone();
    let (Some(endpoint), Some(token_endpoint)) = (endpoint, provider.metadata.token_endpoint()) else {
        return Err(Failure::failed(format!("{} does not offer logins by code", about.name))
            .hint("log in with a browser: jit-ssh login"));
    };
    let client =
        CoreClient::new(provider.client_id(), provider.metadata.issuer().clone(), provider.metadata.jwks().clone())
            .set_device_authorization_url(endpoint)
            .set_token_uri(token_endpoint.clone());
    let http = provider.http.caller();
    let started: CoreDeviceAuthorizationResponse = client
        .exchange_device_code()
        .add_scopes(about.scopes.iter().filter(|scope| *scope != "openid").cloned().map(Scope::new))
        .request_async(&http)
        .await
        .map_err(|error| token_failure(&about.name, error))?;
    show(&started, about, key)?;
    let _waiting = terminal::Waiting::on(&format!("waiting for the login at {}", about.name));
    let most = Some(started.expires_in().min(Duration::from_secs(1800)));
    #[expect(clippy::disallowed_methods, reason = "the provider names the pace at which it may be asked")]
    let answer = client
        .exchange_device_access_token(&started)
        .request_async(&http, tokio::time::sleep, most)
        .await
        .map_err(|error| token_failure(&about.name, error))?;
    provider.checked(answer.extra_fields().id_token(), None).await
}

fn show(started: &CoreDeviceAuthorizationResponse, about: &IssuerAbout, key: &VerifyingKey) -> Result<(), Failure> {
    safe_address(started.verification_uri().url(), &about.name)?;
    terminal::say(&format!("Session key: {}", terminal::bold(&keys::fingerprint(key))));
    terminal::say("On any device, open");
    terminal::say(&terminal::plain(started.verification_uri().as_str()));
    terminal::say(&format!("and type the code {}", terminal::bold(&terminal::plain(started.user_code().secret()))));
    terminal::say("Type it only if you started this login yourself: whoever sees this terminal gets your access.");
    Ok(())
}
