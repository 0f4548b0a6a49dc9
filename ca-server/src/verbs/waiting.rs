//! Who waits for something to happen to a request. A hint and no more: whoever is woken looks again for themselves.

use crate::refusal::Refusal;
use api::Code;
use policy::{RequestId, SessionId};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

/// The most that wait at a time.
const MOST: usize = 10_000;
/// The most that one login session waits for at a time.
const MOST_PER_SESSION: usize = 8;

/// Everybody who waits.
#[derive(Default)]
pub struct Waiting(Mutex<Everybody>);

#[derive(Default)]
struct Everybody {
    requests: HashMap<RequestId, (Arc<Notify>, usize)>,
    sessions: HashMap<SessionId, usize>,
    waiting: usize,
    closed: bool,
}

impl Waiting {
    /// A place to wait at `request`, given back when dropped.
    ///
    /// # Errors
    /// `rate_limited` if too many wait, here or in this login session.
    pub(super) fn place(&self, request: &RequestId, session: &SessionId) -> Result<Place<'_>, Refusal> {
        let mut everybody = self.everybody();
        let theirs = everybody.sessions.get(session).copied().unwrap_or(0);
        if everybody.waiting >= MOST || theirs >= MOST_PER_SESSION {
            return Err(Refusal::new(Code::RateLimited, "too many requests wait already")
                .hint("end some of them, or ask without `wait`"));
        }
        everybody.waiting += 1;
        everybody.sessions.insert(session.clone(), theirs + 1);
        let (woken, waiting) = everybody.requests.entry(request.clone()).or_default();
        *waiting += 1;
        let woken = Arc::clone(woken);
        Ok(Place { all: self, request: request.clone(), session: session.clone(), woken })
    }

    /// Something happened to `request`.
    pub fn wake(&self, request: &RequestId) {
        if let Some((woken, _)) = self.everybody().requests.get(request) {
            woken.notify_waiters();
        }
    }

    /// Something may have happened to any request.
    pub fn wake_all(&self) {
        self.everybody().requests.values().for_each(|(woken, _)| woken.notify_waiters());
    }

    /// Wakes all and lets nobody wait any more: the server is about to stop.
    pub fn close(&self) {
        let mut everybody = self.everybody();
        everybody.closed = true;
        everybody.requests.values().for_each(|(woken, _)| woken.notify_waiters());
    }

    /// How many wait.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.everybody().waiting
    }

    fn everybody(&self) -> MutexGuard<'_, Everybody> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One place to wait.
pub(super) struct Place<'a> {
    all: &'a Waiting,
    request: RequestId,
    session: SessionId,
    woken: Arc<Notify>,
}

impl Place<'_> {
    /// Completes at the next thing that happens, counted from this call, not from when it is first polled.
    pub(super) fn next(&self) -> tokio::sync::futures::Notified<'_> {
        self.woken.notified()
    }

    /// Whether there is no more waiting.
    pub(super) fn closed(&self) -> bool {
        self.all.everybody().closed
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut everybody = self.all.everybody();
        everybody.waiting = everybody.waiting.saturating_sub(1);
        if let Some((_, waiting)) = everybody.requests.get_mut(&self.request) {
            *waiting = waiting.saturating_sub(1);
            if *waiting == 0 {
                everybody.requests.remove(&self.request);
            }
        }
        if let Some(theirs) = everybody.sessions.get_mut(&self.session) {
            *theirs = theirs.saturating_sub(1);
            if *theirs == 0 {
                everybody.sessions.remove(&self.session);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST_PER_SESSION, Waiting};
    use policy::{RequestId, SessionId};
    use std::pin::Pin;
    use tokio::sync::futures::Notified;

    async fn ready(next: Pin<&mut Notified<'_>>) -> bool {
        tokio::select! {
            biased;
            () = next => true,
            () = async {} => false,
        }
    }

    #[tokio::test]
    async fn a_wake_between_looking_and_waiting_is_not_lost() {
        let waiting = Waiting::default();
        let (one, other) = (RequestId::from_random([1; 12]), RequestId::from_random([2; 12]));
        let place = waiting.place(&one, &SessionId::from_random([1; 12])).unwrap();
        let mut next = std::pin::pin!(place.next());
        waiting.wake(&one);
        assert!(ready(next.as_mut()).await);
        let mut next = std::pin::pin!(place.next());
        waiting.wake(&other);
        assert!(!ready(next.as_mut()).await && !place.closed());
        waiting.close();
        assert!(ready(next.as_mut()).await && place.closed());
    }

    #[test]
    fn places_are_bounded_and_given_back() {
        let waiting = Waiting::default();
        let (request, session) = (RequestId::from_random([1; 12]), SessionId::from_random([1; 12]));
        let mut places: Vec<_> = (0..MOST_PER_SESSION).map(|_| waiting.place(&request, &session).unwrap()).collect();
        assert!(waiting.place(&request, &session).is_err());
        assert!(waiting.place(&request, &SessionId::from_random([2; 12])).is_ok(), "others still may");
        places.pop();
        places.push(waiting.place(&request, &session).unwrap());
        drop(places);
        let everybody = waiting.everybody();
        assert!(everybody.requests.is_empty() && everybody.sessions.is_empty() && everybody.waiting == 0);
    }
}
