//! What waits for its second step: authorization requests for a choice, codes for their exchange. Each is taken once, lives
//! shortly, and there are only so many: the oldest goes first.

use super::person::Person;
use policy::UnixTime;
use std::collections::VecDeque;

const MOST: usize = 256;
/// A person may think this long.
const CHOICE_SECONDS: u64 = 300;
/// A program needs no longer (RFC 6749 4.1.2 asks for at most ten minutes).
const CODE_SECONDS: u64 = 60;

#[derive(Default)]
pub(super) struct Codes {
    asked: VecDeque<(String, UnixTime, Authorization)>,
    granted: VecDeque<(String, UnixTime, Granted)>,
}

/// An authorization request whose every parameter was checked.
#[derive(Clone, Debug)]
pub(super) struct Authorization {
    pub(super) redirect_uri: String,
    pub(super) state: Option<String>,
    pub(super) nonce: Option<String>,
    pub(super) challenge: String,
}

/// A request that somebody was chosen for.
#[derive(Clone, Debug)]
pub(super) struct Granted {
    pub(super) authorization: Authorization,
    pub(super) person: Person,
    pub(super) at: UnixTime,
}

impl Codes {
    pub(super) fn ask(&mut self, id: String, now: UnixTime, authorization: Authorization) {
        keep(&mut self.asked, id, now, authorization);
    }

    pub(super) fn asked(&mut self, id: &str, now: UnixTime) -> Option<Authorization> {
        take(&mut self.asked, id, now, CHOICE_SECONDS)
    }

    pub(super) fn grant(&mut self, code: String, now: UnixTime, granted: Granted) {
        keep(&mut self.granted, code, now, granted);
    }

    /// Whatever the exchange finds wrong, the code is gone.
    pub(super) fn granted(&mut self, code: &str, now: UnixTime) -> Option<Granted> {
        take(&mut self.granted, code, now, CODE_SECONDS)
    }
}

fn keep<T>(queue: &mut VecDeque<(String, UnixTime, T)>, id: String, now: UnixTime, item: T) {
    if queue.len() >= MOST {
        queue.pop_front();
    }
    queue.push_back((id, now, item));
}

fn take<T>(queue: &mut VecDeque<(String, UnixTime, T)>, id: &str, now: UnixTime, seconds: u64) -> Option<T> {
    queue.retain(|(_, since, _)| now.since(*since) < seconds);
    let index = queue.iter().position(|(known, ..)| known == id)?;
    queue.remove(index).map(|(_, _, item)| item)
}
