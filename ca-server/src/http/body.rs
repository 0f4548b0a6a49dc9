//! Reading a request's body: bounded, never unpacked, JSON only where it says so or says nothing.

use crate::refusal::Refusal;
use api::Code;
use axum::body::{Body, Bytes};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};

/// The whole body, at most `most` bytes, as sent.
pub(super) async fn read(headers: &hyper::HeaderMap, body: Body, most: usize) -> Result<Bytes, Refusal> {
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

pub(super) fn not_json() -> Refusal {
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
