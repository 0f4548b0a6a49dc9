//! The login session: what `jit-ssh login` leaves behind.

use super::StateDir;
use crate::{clock, error::Failure, keys, settings::Server};
use api::IdentityBody;
use ed25519_dalek::SigningKey;
use policy::{SessionId, UnixTime};
use std::path::PathBuf;
use zeroize::Zeroizing;

const FILE: &str = "session.json";
const VERSION: u32 = 1;

/// A login session and the key that speaks for it.
#[derive(serde::Serialize, serde::Deserialize)]
pub struct Session {
    version: u32,
    /// The server's address.
    pub server: String,
    /// Roots that the server's certificate may chain to, as given at login.
    pub ca_file: Option<PathBuf>,
    /// The server's name in every signature.
    pub audience: String,
    /// Its id.
    pub session: SessionId,
    key: Zeroizing<String>,
    /// Who the server takes us for.
    pub identity: IdentityBody,
    /// It ends then.
    pub expires: UnixTime,
    /// It ends after so many seconds without a request.
    pub idle_seconds: u64,
    /// Keys that may sign user certificates, as the server named them at login. No other is believed later.
    pub user_ca: Vec<String>,
    /// Server's clock less ours, at login.
    pub clock_offset_ms: i64,
}

impl Session {
    /// What `answer` left for `key`. The offset was measured when `about` came: a login in the browser takes minutes.
    pub fn new(
        server: &Server,
        ca_file: Option<PathBuf>,
        about: &api::About,
        answer: api::LoginResponse,
        key: &SigningKey,
        clock_offset_ms: i64,
    ) -> Self {
        Self {
            version: VERSION,
            server: server.as_str().to_owned(),
            ca_file,
            audience: about.audience.clone(),
            session: answer.session,
            key: keys::encode_session_key(key),
            identity: answer.identity,
            expires: answer.expires,
            idle_seconds: answer.idle_seconds,
            user_ca: about.user_ca.clone(),
            clock_offset_ms,
        }
    }

    /// The one kept in `state`, whether alive or over; none after logout.
    ///
    /// # Errors
    /// If the file is not ours alone or cannot be understood.
    pub fn load(state: &StateDir) -> Result<Option<Self>, Failure> {
        let Some(bytes) = state.read(FILE)? else { return Ok(None) };
        let bytes = Zeroizing::new(bytes);
        let session: Self = serde_json::from_slice(&bytes).map_err(|_cause_may_quote_the_key| unreadable())?;
        if session.version == VERSION { Ok(Some(session)) } else { Err(unreadable()) }
    }

    /// The live one.
    ///
    /// # Errors
    /// If there is none: exit code 4.
    pub fn live(state: &StateDir) -> Result<Self, Failure> {
        let session = Self::load(state)?.ok_or_else(|| Failure::needs_login("you are not logged in"))?;
        if session.is_over(clock::now()) {
            return Err(Failure::needs_login("your login session is over"));
        }
        Ok(session)
    }

    /// Whether it has run out by the server's clock.
    pub fn is_over(&self, now: UnixTime) -> bool {
        clock::shifted(now, self.clock_offset_ms) >= self.expires
    }

    /// Keeps it in `state`.
    ///
    /// # Errors
    /// If that fails.
    pub fn save(&self, state: &StateDir) -> Result<(), Failure> {
        let text = serde_json::to_vec(self).map_err(|_unwritable| Failure::failed("the session cannot be written"))?;
        state.write(FILE, &Zeroizing::new(text))
    }

    /// Forgets it.
    ///
    /// # Errors
    /// If the file stays.
    pub fn forget(state: &StateDir) -> Result<(), Failure> {
        state.remove(FILE)
    }

    /// The key that signs requests.
    ///
    /// # Errors
    /// If the file holds none.
    pub fn key(&self) -> Result<SigningKey, Failure> {
        keys::decode_session_key(&self.key).ok_or_else(unreadable)
    }

    /// The server's address, checked again: a file is input too.
    ///
    /// # Errors
    /// If it is no address.
    pub fn server(&self) -> Result<Server, Failure> {
        self.server.parse()
    }
}

fn unreadable() -> Failure {
    Failure::needs_login("the login session on disk cannot be read")
}
