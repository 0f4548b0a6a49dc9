//! Room for bodies that are being read: bounded for all together, whoever sends them and however slowly.

use crate::refusal::Refusal;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Bodies at once of either kind, each of at most 64 KiB.
const ROOMS: usize = 512;

/// The rooms. Strangers have theirs, so that they never take those of who is logged in.
pub(super) struct Bodies {
    strangers: Semaphore,
    known: Semaphore,
}

impl Bodies {
    /// A room for one body, once there is one; it is free again when dropped.
    pub(super) async fn room(&self, known: bool) -> Result<SemaphorePermit<'_>, Refusal> {
        let rooms = if known { &self.known } else { &self.strangers };
        rooms.acquire().await.map_err(Refusal::internal)
    }

    #[cfg(test)]
    pub(super) fn free_for_strangers(&self) -> usize {
        self.strangers.available_permits()
    }
}

impl Default for Bodies {
    fn default() -> Self {
        Self { strangers: Semaphore::new(ROOMS), known: Semaphore::new(ROOMS) }
    }
}
