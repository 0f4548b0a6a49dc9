//! The user's ssh-agent (draft-ietf-sshm-ssh-agent): list, add a certificate with a lifetime, remove. Nothing else.
//!
//! Added is the certificate alone, never the plain key: a plain key would outlive its meaning, and OpenSSH refuses it
//! beside a certificate with destination constraints.

mod wire;

pub use wire::Listed;

use crate::{certificate, clock, error::Failure, keys::UserKey};
use policy::{GrantId, KeyId, Target, UnixTime};
use ssh_key::Certificate;
use std::{
    io::{self, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::PathBuf,
    time::Duration,
};
use wire::Message;

/// How long an agent may think. One that asks its user (a PIN, a confirmation) needs the time.
const PATIENCE: Duration = Duration::from_secs(15);

/// A connection to the agent.
pub struct Agent {
    stream: UnixStream,
}

/// Why the agent did not do it.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// `SSH_AUTH_SOCK` is not set.
    #[error("there is no ssh-agent: SSH_AUTH_SOCK is not set")]
    NoSocket,
    /// Nobody listens there, or it stopped talking.
    #[error("the ssh-agent at {} does not answer: {}", .0.display(), .1)]
    Io(PathBuf, io::Error),
    /// It answered something that is not the protocol.
    #[error("the ssh-agent answers something that is not the agent protocol")]
    Garbled,
    /// It said no.
    #[error("the ssh-agent refuses to {0}")]
    Refused(&'static str),
}

impl From<AgentError> for Failure {
    fn from(error: AgentError) -> Self {
        let unreachable = matches!(error, AgentError::NoSocket | AgentError::Io(..));
        let failure = if unreachable { Self::unreachable(error.to_string()) } else { Self::failed(error.to_string()) };
        let hint = match error {
            AgentError::NoSocket | AgentError::Io(..) => {
                "start one: eval \"$(ssh-agent)\"; or use files: jit-ssh certificate --files DIR ACCOUNT@HOST"
            }
            AgentError::Garbled | AgentError::Refused(_) => {
                "unlock it if it is locked (ssh-add -X), else use OpenSSH's ssh-agent, or files: jit-ssh certificate --files DIR ACCOUNT@HOST"
            }
        };
        failure.hint(hint)
    }
}

impl Agent {
    /// Connects to the agent that `SSH_AUTH_SOCK` names.
    ///
    /// # Errors
    /// If there is none.
    pub fn connect() -> Result<Self, AgentError> {
        let path = std::env::var_os("SSH_AUTH_SOCK").filter(|path| !path.is_empty()).ok_or(AgentError::NoSocket)?;
        Self::at(PathBuf::from(path))
    }

    /// Connects to the agent at `path`.
    ///
    /// # Errors
    /// If nobody listens there.
    pub fn at(path: PathBuf) -> Result<Self, AgentError> {
        let connected = UnixStream::connect(&path).and_then(|stream| {
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            Ok(stream)
        });
        connected.map(|stream| Self { stream }).map_err(|error| AgentError::Io(path, error))
    }

    /// What it holds.
    ///
    /// # Errors
    /// If it does not answer, or not with a list.
    pub fn list(&mut self) -> Result<Vec<Listed>, AgentError> {
        let answer = self.ask(&wire::list())?;
        wire::parse_list(&answer).ok_or(AgentError::Garbled)
    }

    /// Adds `certificate` for `key`, to be forgotten by the agent itself after `lifetime`, and looks whether it is
    /// really there: some agents say yes and keep nothing.
    ///
    /// # Errors
    /// If the agent cannot hold certificates, or knows no lifetimes. It is never added without one.
    pub fn add(
        &mut self,
        certificate: &Certificate,
        key: &UserKey,
        comment: &str,
        seconds: u32,
    ) -> Result<(), AgentError> {
        let blob = certificate.to_bytes().map_err(|_unwritable| AgentError::Garbled)?;
        let public = key.public().ed25519().ok_or(AgentError::Garbled)?;
        let message =
            wire::add_certificate(&blob, &public.0, key.seed(), comment, seconds).ok_or(AgentError::Garbled)?;
        self.expect_success(&message, "add a certificate with a lifetime")?;
        if self.holds(&blob)? {
            Ok(())
        } else {
            Err(AgentError::Refused("keep a certificate (it said yes, then had none)"))
        }
    }

    /// Whether it holds exactly this certificate.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn holds(&mut self, blob: &[u8]) -> Result<bool, AgentError> {
        Ok(self.list()?.iter().any(|listed| listed.blob == blob))
    }

    /// Removes one entry.
    ///
    /// # Errors
    /// If it does not.
    pub fn remove(&mut self, blob: &[u8]) -> Result<(), AgentError> {
        let message = wire::remove(blob).ok_or(AgentError::Garbled)?;
        self.expect_success(&message, "remove a certificate")
    }

    /// Our entries: those that we added and can prove to be ours. See [`Ours::recognise`].
    ///
    /// # Errors
    /// If it does not answer.
    pub fn ours(&mut self, user_ca: &[String]) -> Result<Vec<Ours>, AgentError> {
        Ok(self.list()?.into_iter().filter_map(|listed| Ours::recognise(listed, user_ca)).collect())
    }

    fn expect_success(&mut self, message: &Message, what: &'static str) -> Result<(), AgentError> {
        if wire::is_success(&self.ask(message)?) { Ok(()) } else { Err(AgentError::Refused(what)) }
    }

    fn ask(&mut self, message: &Message) -> Result<Vec<u8>, AgentError> {
        let broken = |error| AgentError::Io(PathBuf::from("SSH_AUTH_SOCK"), error);
        self.stream.write_all(message).map_err(broken)?;
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).map_err(broken)?;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length == 0 || length > wire::LARGEST {
            return Err(AgentError::Garbled);
        }
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer).map_err(broken)?;
        Ok(answer)
    }
}

/// An entry of ours in the agent.
#[derive(Clone, Debug)]
pub struct Ours {
    /// The certificate as the agent lists it.
    pub blob: Vec<u8>,
    /// The grant it was issued under.
    pub grant: GrantId,
    /// What it is for, by our comment.
    pub target: Target,
    /// When it runs out.
    pub expires: UnixTime,
}

impl Ours {
    /// Ours is: a comment of our form, a certificate whose key id is of our form and names the same grant, signed by a
    /// CA key we know. A comment alone is anybody's to write, and what is not ours is never touched.
    pub fn recognise(listed: Listed, user_ca: &[String]) -> Option<Self> {
        let (grant, target) = parse_comment(&listed.comment)?;
        let certificate = Certificate::from_bytes(&listed.blob).ok()?;
        let (certified, _user) = KeyId::parse(certificate.key_id())?;
        (certified == grant && certificate::is_signed_by(&certificate, user_ca)).then_some(())?;
        Some(Self { blob: listed.blob, grant, target, expires: UnixTime::from_secs(certificate.valid_before()) })
    }
}

const PREFIX: &str = "jit-ssh grant=";

/// The comment of an entry: names grant, target and expiry for whoever runs `ssh-add -l`.
pub fn comment(grant: &GrantId, target: &Target, until: UnixTime) -> String {
    format!("{PREFIX}{grant} target={target} until={}", clock::rfc3339(until))
}

fn parse_comment(text: &str) -> Option<(GrantId, Target)> {
    let (grant, rest) = text.strip_prefix(PREFIX)?.split_once(" target=")?;
    let (target, until) = rest.split_once(" until=")?;
    until.parse::<jiff::Timestamp>().ok()?;
    Some((grant.parse().ok()?, target.parse().ok()?))
}

#[cfg(test)]
pub mod tests;
