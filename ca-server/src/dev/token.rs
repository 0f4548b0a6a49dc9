//! The token endpoint: a code and its verifier in, an ID token out.

use super::{CLIENT_ID, Room, codes::Granted};
use axum::{
    Json,
    extract::{Form, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::sync::{Arc, PoisonError};
use subtle::ConstantTimeEq as _;

const TOKEN_SECONDS: u64 = 300;

/// RFC 6749 4.1.3, RFC 7636 4.5.
#[derive(serde::Deserialize)]
pub(super) struct TokenRequest {
    grant_type: Option<String>,
    code: Option<String>,
    redirect_uri: Option<String>,
    client_id: Option<String>,
    code_verifier: Option<String>,
}

/// `POST /token`.
pub(super) async fn token(State(room): State<Arc<Room>>, Form(request): Form<TokenRequest>) -> Response {
    if request.grant_type.as_deref() != Some("authorization_code") {
        return refused("unsupported_grant_type", "grant_type must be authorization_code");
    }
    if request.client_id.as_deref() != Some(CLIENT_ID) {
        return refused("invalid_client", "client_id must be jit-ssh");
    }
    let now = room.clock.now();
    let code = request.code.as_deref().unwrap_or_default();
    let Some(granted) = room.codes.lock().unwrap_or_else(PoisonError::into_inner).granted(code, now) else {
        return refused("invalid_grant", "the code is unknown, used or too old");
    };
    if request.redirect_uri.as_deref() != Some(granted.authorization.redirect_uri.as_str()) {
        return refused("invalid_grant", "redirect_uri is not that of the authorization request");
    }
    if !proves(request.code_verifier.as_deref().unwrap_or_default(), &granted.authorization.challenge) {
        return refused("invalid_grant", "code_verifier does not match code_challenge");
    }
    let Ok(access_token) = crate::clock::random::<32>() else { return refused("server_error", "no randomness") };
    Json(json!({
        "access_token": URL_SAFE_NO_PAD.encode(access_token),
        "token_type": "Bearer",
        "expires_in": TOKEN_SECONDS,
        "scope": "openid profile email groups",
        "id_token": room.signer.sign(&claims(&room, &granted)),
    }))
    .into_response()
}

fn claims(room: &Room, granted: &Granted) -> Value {
    let now = room.clock.now().as_secs();
    let Granted { authorization, person, at } = granted;
    let mut claims = json!({
        "iss": room.issuer,
        "sub": person.login,
        "aud": CLIENT_ID,
        "iat": now,
        "exp": now.saturating_add(TOKEN_SECONDS),
        "auth_time": at.as_secs(),
        "name": person.login,
        "preferred_username": person.login,
        "email": person.email,
        "email_verified": true,
        "groups": person.groups,
        "amr": if person.mfa { &["pwd", "otp", "mfa"][..] } else { &["pwd"][..] },
    });
    if let (Some(nonce), Some(claims)) = (&authorization.nonce, claims.as_object_mut()) {
        claims.insert("nonce".to_owned(), nonce.as_str().into());
    }
    claims
}

/// RFC 7636 4.1 and 4.6.
fn proves(verifier: &str, challenge: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    let whole = (43..=128).contains(&verifier.len()) && verifier.bytes().all(plain);
    let digest = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
    whole && bool::from(digest.as_bytes().ct_eq(challenge.as_bytes()))
}

fn refused(error: &str, why: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({ "error": error, "error_description": why }))).into_response()
}
