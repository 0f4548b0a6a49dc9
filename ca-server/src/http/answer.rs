//! Answers: a body, a status and the headers that all answers carry.

use crate::refusal::Refusal;
use api::{Code, ErrorBody, ErrorDetail};
use axum::body::{Body, Bytes};
use hyper::{
    Response, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderValue, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS},
};

/// An answer on its way out.
pub type Answer = Response<Body>;

/// `value` as JSON.
///
/// # Errors
/// If it cannot be written as JSON.
pub fn json(status: StatusCode, value: &impl serde::Serialize) -> Result<Answer, Refusal> {
    let body = serde_json::to_vec(value).map_err(Refusal::internal)?;
    Ok(with(status, "application/json", body.into()))
}

/// JSON that is written already.
pub fn ready_json(text: &'static str) -> Answer {
    with(StatusCode::OK, "application/json", text.into())
}

/// A line of text.
pub fn plain(text: &'static str) -> Answer {
    with(StatusCode::OK, "text/plain; charset=utf-8", text.into())
}

/// Text.
pub fn text(text: String) -> Answer {
    with(StatusCode::OK, "text/plain; charset=utf-8", text.into())
}

/// Prometheus' text format.
pub fn metrics(text: String) -> Answer {
    with(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text.into())
}

/// Bytes that mean something to sshd alone.
pub fn bytes(bytes: Bytes) -> Answer {
    with(StatusCode::OK, "application/octet-stream", bytes.into())
}

/// Done, and nothing to say.
pub fn nothing() -> Answer {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    answer
}

/// Still what the caller knows.
pub fn not_modified(etag: &str) -> Answer {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = StatusCode::NOT_MODIFIED;
    tagged(answer, etag)
}

/// With the entity tag of what it shows.
pub fn tagged(mut answer: Answer, etag: &str) -> Answer {
    if let Ok(etag) = HeaderValue::from_str(etag) {
        answer.headers_mut().insert(ETAG, etag);
    }
    answer
}

/// A refusal as its caller sees it. The cause stays here.
pub fn refused(refusal: Refusal, request_id: &str) -> Answer {
    let Refusal { code, message, hint, decision, server_time_ms, cause: _ } = refusal;
    let request_id = request_id.to_owned();
    let error = ErrorDetail { code, message, hint, request_id, decision, server_time_ms };
    let body = serde_json::to_vec(&ErrorBody { error }).unwrap_or_default();
    let mut answer = with(status(code), "application/json", body.into());
    if code == Code::RateLimited {
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    answer
}

/// The refusal of a method, with the ones that are allowed (RFC 9110 10.2.1).
pub fn allow(answer: &mut Answer, allowed: &'static str) {
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
}

/// What every answer carries: nothing here is for a cache unless it says so, nothing is to be guessed at.
pub fn seal(answer: &mut Answer, request_id: &str) {
    let headers = answer.headers_mut();
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert("x-request-id", id);
    }
}

/// The status of each code, as `api::Code` documents it.
pub const fn status(code: Code) -> StatusCode {
    match code {
        Code::BadRequest | Code::IdempotencyMismatch => StatusCode::BAD_REQUEST,
        Code::LoginRequired
        | Code::BadSignature
        | Code::ClockSkew
        | Code::Replayed
        | Code::TokenRefused
        | Code::TokenUsed => StatusCode::UNAUTHORIZED,
        Code::UnknownIssuer
        | Code::GroupsOverage
        | Code::Denied
        | Code::Frozen
        | Code::NeedsApproval
        | Code::KeyRefused
        | Code::ProofRequired => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Code::Timeout => StatusCode::REQUEST_TIMEOUT,
        Code::Conflict => StatusCode::CONFLICT,
        Code::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
        Code::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        Code::Internal | Code::Unknown => StatusCode::INTERNAL_SERVER_ERROR,
        Code::IssuerUnavailable | Code::StoreUnavailable => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn with(status: StatusCode, kind: &'static str, body: Body) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}
