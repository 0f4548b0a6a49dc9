//! Wire types: what client, server and host say to each other. docs/PROTOCOL.md is the same in words, byte for byte.

mod about;
mod certificates;
mod error;
mod hosts;
mod login;
mod sessions;
pub mod signature;

pub use about::{About, IssuerAbout};
pub use certificates::{
    CertificateRequest, CertificateResponse, DecisionBody, ExplainRequest, ExplainResponse, Outcome,
};
pub use error::{Code, ErrorBody, ErrorDetail};
pub use hosts::{HostEntry, HostsResponse, Reach};
pub use login::{IdentityBody, LoginRequest, LoginResponse};
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
    /// Why, or why not.
    pub const EXPLAIN: &str = "/v1/explain";
}
