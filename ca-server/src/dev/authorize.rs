//! The authorization endpoint: who do you want to be?

use super::{
    CLIENT_ID, Room,
    codes::{Authorization, Granted},
    page,
};
use axum::{
    extract::{Form, Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use std::sync::{Arc, PoisonError};
use url::{Host, Url};

const LONGEST: usize = 2048;

/// RFC 6749 4.1.1, RFC 7636 4.3, OIDC Core 3.1.2.1.
#[derive(serde::Deserialize)]
pub(super) struct AuthorizationRequest {
    response_type: Option<String>,
    client_id: Option<String>,
    redirect_uri: Option<String>,
    scope: Option<String>,
    state: Option<String>,
    nonce: Option<String>,
    code_challenge: Option<String>,
    code_challenge_method: Option<String>,
    login_hint: Option<String>,
}

/// The answer to the page's form.
#[derive(serde::Deserialize)]
pub(super) struct Choice {
    request: String,
    /// A login, or nothing for "cancel".
    person: Option<String>,
}

/// `GET /authorize`: the page on which somebody is chosen.
pub(super) async fn ask(State(room): State<Arc<Room>>, Query(request): Query<AuthorizationRequest>) -> Response {
    let Some(redirect_uri) = request.redirect_uri.as_deref().filter(|uri| is_loopback_redirect(uri)) else {
        return page::problem("redirect_uri must be http://127.0.0.1:PORT/… or http://[::1]:PORT/… (RFC 8252 7.3).");
    };
    if request.client_id.as_deref() != Some(CLIENT_ID) {
        return page::problem("client_id must be jit-ssh.");
    }
    let back = |error: &str, why: &str| {
        redirect(&room, redirect_uri, request.state.as_deref(), &[("error", error), ("error_description", why)])
    };
    let short = |text: &Option<String>| text.as_ref().is_none_or(|text| text.len() <= LONGEST);
    if !short(&request.state) || !short(&request.nonce) {
        return page::problem("state or nonce is longer than 2048 bytes.");
    }
    if request.response_type.as_deref() != Some("code") {
        return back("unsupported_response_type", "response_type must be code");
    }
    if !request.scope.as_deref().unwrap_or_default().split(' ').any(|scope| scope == "openid") {
        return back("invalid_scope", "scope must hold openid");
    }
    // RFC 7636 4.4.1. `plain`, or no challenge at all, would make a stolen code worth something.
    let challenge = request.code_challenge.as_deref().filter(|challenge| is_s256(challenge));
    let (Some(challenge), Some("S256")) = (challenge, request.code_challenge_method.as_deref()) else {
        return back("invalid_request", "code_challenge with code_challenge_method=S256 is required");
    };
    let authorization = Authorization {
        redirect_uri: redirect_uri.to_owned(),
        state: request.state.clone(),
        nonce: request.nonce.clone(),
        challenge: challenge.to_owned(),
    };
    let Ok(id) = crate::clock::random::<16>().map(|random| URL_SAFE_NO_PAD.encode(random)) else {
        return back("server_error", "no randomness");
    };
    room.codes.lock().unwrap_or_else(PoisonError::into_inner).ask(id.clone(), room.clock.now(), authorization);
    page::choose(&room.people, &id, request.login_hint.as_deref())
}

/// `POST /authorize`: somebody was chosen. Only the page's form knows the request's id, so no other site can send this.
pub(super) async fn choose(State(room): State<Arc<Room>>, Form(choice): Form<Choice>) -> Response {
    let now = room.clock.now();
    let mut codes = room.codes.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(authorization) = codes.asked(&choice.request, now) else {
        return page::problem("This login has been answered already or has waited too long. Start again.");
    };
    let (uri, state) = (authorization.redirect_uri.clone(), authorization.state.clone());
    let back = |parameters: &[(&str, &str)]| redirect(&room, &uri, state.as_deref(), parameters);
    let Some(login) = choice.person.filter(|login| !login.is_empty()) else {
        return back(&[("error", "access_denied"), ("error_description", "cancelled on the page")]);
    };
    let Some(person) = room.people.iter().find(|person| person.login == login).cloned() else {
        return page::problem("There is nobody of that name here.");
    };
    let Ok(code) = crate::clock::random::<32>().map(|random| URL_SAFE_NO_PAD.encode(random)) else {
        return back(&[("error", "server_error")]);
    };
    codes.grant(code.clone(), now, Granted { authorization, person, at: now });
    back(&[("code", &code)])
}

/// Back to the program that asked, with `iss` (RFC 9207) and its `state`.
fn redirect(room: &Room, uri: &str, state: Option<&str>, parameters: &[(&str, &str)]) -> Response {
    let Ok(mut url) = Url::parse(uri) else { return page::problem("redirect_uri cannot be read.") };
    url.query_pairs_mut()
        .extend_pairs(parameters)
        .append_pair("iss", room.issuer.as_str())
        .extend_pairs(state.map(|state| ("state", state)));
    (StatusCode::SEE_OTHER, [(header::LOCATION, url.to_string())]).into_response()
}

/// RFC 8252 7.3 and 8.3: a loopback address as such, any port, for this machine only. `localhost` is a name, and names can be
/// made to mean other things.
fn is_loopback_redirect(uri: &str) -> bool {
    let Ok(url) = Url::parse(uri) else { return false };
    let here = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        _ => false,
    };
    // Parsing forgives what a browser would forgive; what it had to change is not what was sent.
    let as_sent = url.as_str() == uri || url.as_str().strip_suffix('/') == Some(uri);
    let bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    url.scheme() == "http" && here && bare && as_sent && url.port().is_some() && uri.len() <= LONGEST
}

/// The base64url of a SHA-256 is 43 characters long.
fn is_s256(challenge: &str) -> bool {
    URL_SAFE_NO_PAD.decode(challenge).is_ok_and(|digest| digest.len() == 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exact_loopback_addresses_are_redirected_to() {
        for good in ["http://127.0.0.1:1234/callback", "http://127.0.0.1:1234", "http://[::1]:1234/cb?x=1"] {
            assert!(is_loopback_redirect(good), "{good}");
        }
        for bad in [
            "https://127.0.0.1:1234/",
            "http://localhost:1234/",
            "http://127.0.0.1/",
            "http://127.0.0.1.evil.example:80/",
            "http://127.0.0.1:1234@evil.example/",
            "http://user@127.0.0.1:1234/",
            "http://127.0.0.1:1234/#x",
            "http://2130706433:1234/",
            "http://0x7f.1:1234/",
            "http://10.0.0.1:1234/",
            "http://0.0.0.0:1234/",
            "http:127.0.0.1:1234/",
            "http:\\\\127.0.0.1:1234/",
            "http://127.0.0.1:1234/a/../b",
            "javascript:alert(1)",
            "",
        ] {
            assert!(!is_loopback_redirect(bad), "{bad}");
        }
    }
}
