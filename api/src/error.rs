use crate::DecisionBody;

/// A stable code for a refusal. Clients act on it; texts may change, codes do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// 400: the request cannot be read.
    BadRequest,
    /// 401: no login session, or one that has ended or run out.
    LoginRequired,
    /// 401: the request's signature does not verify.
    BadSignature,
    /// 401: the request's time is outside the window; `server_time_ms` tells the server's.
    ClockSkew,
    /// 401: this very request was seen before.
    Replayed,
    /// 401: the token was refused.
    TokenRefused,
    /// 401: the token was used before.
    TokenUsed,
    /// 403: the token names no issuer that is configured here.
    UnknownIssuer,
    /// 403: groups did not fit into the token (Entra's overage).
    GroupsOverage,
    /// 403: policy says no; `decision` says why.
    Denied,
    /// 403: it is frozen: nothing is issued until two people thaw it.
    Frozen,
    /// 403: people must approve; `decision` says who.
    NeedsApproval,
    /// 403: the user key is refused.
    KeyRefused,
    /// 403: possession of the user key was not proven.
    ProofRequired,
    /// 400: the idempotency key was used before with another body.
    IdempotencyMismatch,
    /// 404: no such thing, or not the caller's.
    NotFound,
    /// 405: not this method.
    MethodNotAllowed,
    /// 408: the request took too long to arrive.
    Timeout,
    /// 409: not in the state that it is in.
    Conflict,
    /// 412: it is no longer the version that the request names.
    PreconditionFailed,
    /// 413: the body is too large.
    TooLarge,
    /// 429: too many requests; try again later.
    RateLimited,
    /// 500: an error of the server's.
    Internal,
    /// 503: the issuer cannot be reached just now.
    IssuerUnavailable,
    /// 503: the server cannot make a record durable, so it issues nothing.
    StoreUnavailable,
    /// A code of a newer server.
    #[serde(other)]
    Unknown,
}

/// Every refusal: `{"error": {…}}`.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct ErrorBody {
    /// What is wrong.
    pub error: ErrorDetail,
}

/// What is wrong, for people and for programs.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct ErrorDetail {
    /// The stable code.
    pub code: Code,
    /// A sentence for people.
    pub message: String,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The request's id, to be found in the server's log.
    #[serde(default)]
    pub request_id: String,
    /// The decision, where a policy made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Box<DecisionBody>>,
    /// The server's clock, where the clock is what is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_time_ms: Option<u64>,
}
