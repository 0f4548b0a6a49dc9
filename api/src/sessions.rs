use crate::IdentityBody;
use policy::{SessionId, UnixTime};
use std::net::IpAddr;

/// A login session, as its owner sees it.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct SessionEntry {
    /// The login session.
    pub session: SessionId,
    /// Who it is for.
    pub identity: IdentityBody,
    /// When it began.
    pub started: UnixTime,
    /// When it was last used, to the minute.
    pub used: UnixTime,
    /// It ends then, whatever happens.
    pub expires: UnixTime,
    /// It ends after so many seconds without a request.
    pub idle_seconds: u64,
    /// Where it was opened from.
    pub source: IpAddr,
    /// Whether it signed this very request.
    pub current: bool,
}

/// `GET /v1/sessions`: the caller's live login sessions, newest first.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct SessionsResponse {
    /// The sessions.
    pub sessions: Vec<SessionEntry>,
}
