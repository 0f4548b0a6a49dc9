//! Wire types: what client, server and host say to each other. docs/PROTOCOL.md is the same in words, byte for byte.

mod about;
mod audit;
pub mod bundle;
mod certificates;
pub mod diff;
pub mod digest;
pub mod entry;
mod error;
pub mod export;
mod hosts;
mod login;
pub mod options;
pub mod proof;
mod requests;
mod revocations;
mod sessions;
pub mod signature;

pub use about::{About, IssuerAbout};
pub use audit::{ConsistencyResponse, InclusionResponse};
pub use certificates::{
    CertificateRequest, CertificateResponse, DecisionBody, ExplainRequest, ExplainResponse, Outcome,
};
pub use error::{Code, ErrorBody, ErrorDetail};
pub use hosts::{Emergency, HostEntry, HostsResponse, Reach};
pub use login::{IdentityBody, LoginRequest, LoginResponse};
pub use requests::{
    ApproveRequest, Before, DenyRequest, EndRequest, Extension, FileRequest, Offer, Receipt, RequestBody,
    RequestsResponse, ReviewRequest, STAGES, StepBody,
};
pub use revocations::{
    FreezeBody, FreezeRequest, FreezeScope, FreezesResponse, RevokeRequest, Scope, ThawRequest, Whose,
};
pub use sessions::{SessionEntry, SessionsResponse};

/// The largest request body the server reads, in bytes.
pub const BODY_LIMIT: usize = 64 * 1024;
/// How far the time of a signed request may be behind the server's, in milliseconds.
pub const REQUEST_WINDOW_MS: u64 = 60_000;

/// Paths of the API.
pub mod paths {
    /// Public facts about the server: [`crate::About`].
    pub const ABOUT: &str = "/v1/about";
    /// Token in, login session out.
    pub const LOGIN: &str = "/v1/login";
    /// The login session that signs the request: GET shows, DELETE ends it.
    pub const SESSION: &str = "/v1/session";
    /// The caller's login sessions: GET lists; DELETE `/v1/sessions/{id}` ends one.
    pub const SESSIONS: &str = "/v1/sessions";
    /// One certificate.
    pub const CERTIFICATES: &str = "/v1/certificates";
    /// What the caller may reach.
    pub const HOSTS: &str = "/v1/hosts";
    /// Requests: GET lists, POST files; `/v1/requests/{id}` shows, `…/{id}/approvals`, `…/denials`, `…/review`, `…/end` change.
    pub const REQUESTS: &str = "/v1/requests";
    /// The audit log's latest signed checkpoint: a signed note, not JSON.
    pub const CHECKPOINT: &str = "/v1/audit/checkpoint";
    /// The proof that one checkpoint continues another: [`crate::ConsistencyResponse`].
    pub const CONSISTENCY: &str = "/v1/audit/consistency";
    /// POST ends what lives, before its time.
    pub const REVOCATIONS: &str = "/v1/revocations";
    /// Freezes: GET lists, POST sets; POST `/v1/freezes/{id}/thaw` is a word for going on.
    pub const FREEZES: &str = "/v1/freezes";
    /// The list of revoked certificates that sshd reads: not JSON.
    pub const KRL: &str = "/v1/krl";
    /// The signed statement about that list: not JSON.
    pub const KRL_STATEMENT: &str = "/v1/krl.sig";
    /// The proof that an entry is in the tree: [`crate::InclusionResponse`].
    pub const INCLUSION: &str = "/v1/audit/inclusion";
    /// Why, or why not.
    pub const EXPLAIN: &str = "/v1/explain";
}
