//! Turns to list hosts. A list may be thousands of decisions: certificates never wait for lists, nor one login session's
//! list for another's many.

use crate::refusal::Refusal;
use api::Code;
use policy::SessionId;
use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};
use tokio::sync::{Semaphore, SemaphorePermit};

/// The turns.
pub(super) struct Listings {
    /// Served in the order of asking.
    turns: Semaphore,
    asking: Mutex<HashSet<SessionId>>,
}

/// A turn; it ends when dropped.
pub(super) struct Turn<'l> {
    _turn: SemaphorePermit<'l>,
    _asking: Asking<'l>,
}

struct Asking<'l>(&'l Listings, SessionId);

impl Listings {
    /// So many at once that one core is left for certificates.
    pub(super) fn for_cores(cores: usize) -> Self {
        Self { turns: Semaphore::new(cores.saturating_sub(1).max(1)), asking: Mutex::default() }
    }

    /// A turn for `session`, once it is its turn.
    pub(super) async fn turn(&self, session: &SessionId) -> Result<Turn<'_>, Refusal> {
        if !self.asking.lock().unwrap_or_else(PoisonError::into_inner).insert(session.clone()) {
            return Err(Refusal::new(Code::RateLimited, "this login session is being given a list of hosts already")
                .hint("wait for that answer"));
        }
        let asking = Asking(self, session.clone());
        let turn = self.turns.acquire().await.map_err(Refusal::internal)?;
        Ok(Turn { _turn: turn, _asking: asking })
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.asking.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.1);
    }
}

#[cfg(test)]
mod tests {
    use super::Listings;
    use api::Code;
    use policy::SessionId;
    use std::{future::poll_fn, pin::pin, task::Poll};

    #[tokio::test]
    async fn a_login_session_waits_for_one_list_at_a_time_and_others_are_next() {
        let listings = Listings::for_cores(1);
        let [ann, bob, eve] = [1, 2, 3].map(|n| SessionId::from_random([n; 12]));
        let first = listings.turn(&eve).await.unwrap();
        let mut second = pin!(listings.turn(&ann));
        let mut third = pin!(listings.turn(&bob));
        poll_fn(|context| {
            assert!(second.as_mut().poll(context).is_pending() && third.as_mut().poll(context).is_pending());
            Poll::Ready(())
        })
        .await;
        for greedy in [&eve, &ann] {
            assert_eq!(listings.turn(greedy).await.err().unwrap().code, Code::RateLimited, "running or waiting");
        }
        drop(first);
        let second = second.await.unwrap();
        let again = pin!(listings.turn(&eve));
        drop(second);
        drop(third.await.unwrap());
        drop(again.await.unwrap());
        assert!(listings.asking.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn several_cores_list_several_at_once() {
        let listings = Listings::for_cores(3);
        let _one = listings.turn(&SessionId::from_random([1; 12])).await.unwrap();
        let _two = listings.turn(&SessionId::from_random([2; 12])).await.unwrap();
    }
}
