//! What waits to be written. Callers put it in; the writing thread takes out at a time what is to share a commit.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// The most that wait; more are refused at once rather than kept hanging.
const MOST: usize = 2_048;

pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    enough: Condvar,
}

struct State<T> {
    waiting: Vec<T>,
    /// The thread sleeps until so many wait; 0 while it is awake.
    wanted: usize,
    closed: bool,
}

/// Why nothing was put in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Too many wait already.
    Full,
    /// Nobody takes anything out any more.
    Closed,
}

impl<T> Queue<T> {
    pub(super) fn new() -> Self {
        Self { state: Mutex::new(State { waiting: Vec::new(), wanted: 0, closed: false }), enough: Condvar::new() }
    }

    pub(super) fn put(&self, one: T) -> Result<(), Refused> {
        let mut state = self.state();
        if state.closed {
            return Err(Refused::Closed);
        }
        if state.waiting.len() >= MOST {
            return Err(Refused::Full);
        }
        state.waiting.push(one);
        if state.waiting.len() == state.wanted {
            self.enough.notify_one();
        }
        Ok(())
    }

    /// Takes up to `most`, in order. Waits for the first of them, and then at most for `patience` until there are as many as
    /// `usual`. Nothing is left once this answers with nothing: the queue is closed.
    pub(super) fn take(&self, most: usize, usual: usize, patience: Duration) -> Vec<T> {
        let mut state = self.state();
        if state.waiting.is_empty() {
            state.wanted = 1;
            let nothing = |state: &mut State<T>| state.waiting.is_empty() && !state.closed;
            state = self.enough.wait_while(state, nothing).unwrap_or_else(PoisonError::into_inner);
        }
        if state.waiting.len() < usual.min(most) {
            state.wanted = usual.min(most);
            let few = |state: &mut State<T>| state.waiting.len() < state.wanted && !state.closed;
            state = self.enough.wait_timeout_while(state, patience, few).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.wanted = 0;
        let count = state.waiting.len().min(most);
        state.waiting.drain(..count).collect()
    }

    /// Takes nothing in from here on. What waits can still be taken out.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.enough.notify_one();
    }

    /// Closes it and drops what waits.
    pub(super) fn give_up(&self) {
        self.close();
        let left = std::mem::take(&mut self.state().waiting);
        drop(left);
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST, Queue, Refused};
    use std::{thread, time::Duration};

    const FOREVER: Duration = Duration::from_secs(3_600);

    #[test]
    fn what_is_there_is_taken_in_order_and_no_more_than_asked() {
        let queue = Queue::new();
        (0..5).for_each(|n| queue.put(n).unwrap());
        assert_eq!(queue.take(3, 2, FOREVER), [0, 1, 2]);
        assert_eq!(queue.take(3, 2, FOREVER), [3, 4]);
    }

    #[test]
    fn who_takes_is_woken_by_the_first_and_by_as_many_as_usual() {
        for usual in [1, 2, 3] {
            let queue = Queue::new();
            thread::scope(|scope| {
                let taken = scope.spawn(|| queue.take(9, usual, FOREVER));
                (0..usual).for_each(|n| queue.put(n).unwrap());
                let taken = taken.join().unwrap();
                assert_eq!(taken, (0..usual).collect::<Vec<_>>());
            });
        }
    }

    #[test]
    fn nobody_waits_for_ever_for_more() {
        let queue = Queue::new();
        queue.put(1).unwrap();
        assert_eq!(queue.take(9, 5, Duration::from_millis(1)), [1]);
    }

    #[test]
    fn a_full_queue_and_a_closed_one_refuse() {
        let queue = Queue::new();
        (0..MOST).for_each(|n| queue.put(n).unwrap());
        assert_eq!(queue.put(0), Err(Refused::Full));
        queue.close();
        assert_eq!(queue.put(0), Err(Refused::Closed));
        assert_eq!(queue.take(MOST, MOST, FOREVER).len(), MOST, "what was taken in is not lost");
        assert!(queue.take(1, 1, FOREVER).is_empty());
        let queue = Queue::new();
        queue.put(1).unwrap();
        queue.give_up();
        assert!(queue.take(1, 1, FOREVER).is_empty());
    }
}
