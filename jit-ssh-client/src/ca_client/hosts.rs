//! What the caller may reach.

use super::CaClient;
use crate::{error::Failure, state::session::Session};
use api::{Code, HostsResponse, paths};
use reqwest::Method;
use std::time::Duration;

/// The hosts of one answer.
const PART: usize = 1_000;
/// How often an answer is asked for, and after how long again.
const TURNS: usize = 40;
const TURN: Duration = Duration::from_millis(100);
/// More answers than these are no inventory.
const MOST_PARTS: usize = 200;

impl CaClient {
    /// What the caller may reach, all of it.
    ///
    /// # Errors
    /// If the login session is over.
    pub fn hosts(&self, session: &Session) -> Result<HostsResponse, Failure> {
        let mut all = HostsResponse { hosts: Vec::new(), next: None };
        for _ in 0..MOST_PARTS {
            let after = all.next.take().map(|host| format!("&after={host}")).unwrap_or_default();
            let path = format!("{}?limit={PART}{after}", paths::HOSTS);
            let part = self.hosts_in_turn(session, &path)?;
            all.hosts.extend(part.hosts);
            all.next = part.next;
            if all.next.is_none() {
                return Ok(all);
            }
        }
        Err(Failure::failed("the list of hosts does not end"))
    }

    /// A login session is given one list at a time: while another command is being given one, it is waited for.
    fn hosts_in_turn(&self, session: &Session, path: &str) -> Result<HostsResponse, Failure> {
        let busy = |no: &Failure| no.refusal.as_ref().is_some_and(|detail| detail.code == Code::RateLimited);
        for _ in 1..TURNS {
            match self.signed(session, Method::GET, path, Vec::new()) {
                Err(no) if busy(&no) => self.pause(TURN)?,
                done => return done,
            }
        }
        self.signed(session, Method::GET, path, Vec::new())
    }
}
