//! What is asked, and when.

use crate::{Identity, Reason, Request, Seconds, Target, Ticket, UnixTime};
use std::net::IpAddr;

/// What is asked: who, for what, for how long, why, from where.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Who asks.
    pub identity: Identity,
    /// For which account on which host.
    pub target: Target,
    /// For how long; absent means as long as the terms allow.
    pub duration: Option<Seconds>,
    /// Why.
    pub reason: Option<Reason>,
    /// Under which ticket.
    pub ticket: Option<Ticket>,
    /// The address the request came from.
    pub source: IpAddr,
}

/// The moment of a decision, with the local time that policies speak of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Now {
    /// The instant.
    pub time: UnixTime,
    /// ISO weekday in the configured time zone: Monday is 1, Sunday 7.
    pub weekday: u8,
    /// Minute of the local day, 0 to 1439.
    pub minute: u16,
}

impl Ask {
    /// What `request` asks for `target`, by `identity` from `source`.
    pub(crate) fn of(request: &Request, target: &Target, identity: &Identity, source: IpAddr) -> Self {
        Self {
            identity: identity.clone(),
            target: target.clone(),
            duration: Some(request.duration),
            reason: request.reason.clone(),
            ticket: request.ticket.clone(),
            source,
        }
    }
}

const MINUTES_A_WEEK: u64 = 7 * 1440;

impl Now {
    /// Another moment, its local time told by the distance from UTC that holds now. Where clocks were put forward or
    /// back in between it is an hour off: a certificate is never decided on with it, only what is to come or was.
    pub(crate) fn at(self, time: UnixTime) -> Self {
        let local = (u64::from(self.weekday.saturating_sub(1)) * 1440 + u64::from(self.minute)) % MINUTES_A_WEEK;
        let ahead = local + MINUTES_A_WEEK - minute_of_week(self.time);
        let then = (minute_of_week(time) + ahead) % MINUTES_A_WEEK;
        Self {
            time,
            weekday: u8::try_from(then / 1440 + 1).unwrap_or(1),
            minute: u16::try_from(then % 1440).unwrap_or(0),
        }
    }
}

/// Minutes since Monday, 00:00 UTC. 1970-01-01 was a Thursday.
fn minute_of_week(time: UnixTime) -> u64 {
    (time.as_secs() / 60 + 3 * 1440) % MINUTES_A_WEEK
}
