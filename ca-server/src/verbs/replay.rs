//! Requests that were seen within the window, so that none counts twice.
//!
//! What was seen is kept in memory only. That a restart forgets it opens nothing: a request is taken only when its time
//! has come by our clock, so all that were seen before the restart bear a time before it, and those are refused.

use api::{REQUEST_WINDOW_MS, signature::Nonce};
use policy::SessionId;
use std::{
    collections::{HashMap, HashSet, VecDeque},
    hash::{BuildHasher as _, BuildHasherDefault, Hasher, RandomState},
    sync::{Mutex, PoisonError},
};

/// The most requests that one shard remembers: about 4 MiB.
const MOST_PER_SHARD: usize = 1 << 18;
/// The most requests of one login session within the window.
const MOST_PER_SESSION: u32 = 30_000;
/// How far ahead a client's clock may be: its request waits until its time has come.
pub const AHEAD_MS: u64 = 1_000;

const SHARDS: usize = 16;
/// Requests of the same slice of time are forgotten together.
const SLICE_MS: u64 = 5_000;

/// The memory of requests.
pub struct Replay {
    started_ms: u64,
    hasher: RandomState,
    shards: [Mutex<Shard>; SHARDS],
}

#[derive(Default)]
struct Shard {
    slices: VecDeque<Slice>,
    /// The first slice that nothing was forgotten of. It never falls, or a clock that jumps ahead and back again would
    /// make what was seen new.
    known_from: u64,
}

/// Requests whose time lies in one slice.
struct Slice {
    number: u64,
    seen: HashSet<u64, BuildHasherDefault<Hashed>>,
    by_session: HashMap<u64, u32, BuildHasherDefault<Hashed>>,
}

/// Where a request's time lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timing {
    /// Within the window.
    Now,
    /// So many milliseconds ahead of us, little enough to wait.
    WaitMs(u64),
    /// Outside the window, or before this process could know what was seen.
    Outside,
}

/// Whether a request was seen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It was not; it is now.
    First,
    /// It was.
    Before,
    /// It cannot be known any more: what came at its time is forgotten.
    Forgotten,
    /// It cannot be remembered, so it must be refused: too many of this session, or of all.
    TooMany,
}

impl Replay {
    /// An empty memory of a process that started at `started_ms`.
    pub fn new(started_ms: u64) -> Self {
        Self { started_ms, hasher: RandomState::new(), shards: std::array::from_fn(|_| Mutex::default()) }
    }

    /// How the time of a request stands to ours. To be asked before [`Self::first`].
    pub fn timing(&self, time_ms: u64, now_ms: u64) -> Timing {
        let ahead = time_ms.saturating_sub(now_ms);
        if time_ms < self.started_ms || now_ms.saturating_sub(time_ms) > REQUEST_WINDOW_MS || ahead > AHEAD_MS {
            Timing::Outside
        } else if ahead > 0 {
            Timing::WaitMs(ahead)
        } else {
            Timing::Now
        }
    }

    /// Whether this is the first time; remembers it if so. Only for requests whose signature held, or a stranger could
    /// fill the memory and use up others' nonces.
    pub fn first(&self, session: &SessionId, nonce: &Nonce, time_ms: u64, now_ms: u64) -> Seen {
        // 64 bits of a keyed hash: nobody can aim at a collision, and by chance it refuses one request in 2^44.
        let (owner, request) =
            (self.hasher.hash_one(session.as_str()), self.hasher.hash_one((session.as_str(), nonce)));
        let Some(shard) = usize::try_from(owner % 16).ok().and_then(|at| self.shards.get(at)) else {
            return Seen::TooMany;
        };
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let Shard { slices, known_from } = &mut *shard;
        let oldest = now_ms.saturating_sub(REQUEST_WINDOW_MS) / SLICE_MS;
        slices.retain(|slice| {
            let kept = slice.number >= oldest;
            if !kept {
                *known_from = (*known_from).max(slice.number + 1);
            }
            kept
        });
        let of_session: u32 = slices.iter().filter_map(|slice| slice.by_session.get(&owner)).sum();
        let of_all: usize = slices.iter().map(|slice| slice.seen.len()).sum();
        let number = time_ms / SLICE_MS;
        if number < *known_from {
            return Seen::Forgotten;
        }
        if slices.iter().any(|slice| slice.number == number && slice.seen.contains(&request)) {
            return Seen::Before;
        }
        if of_session >= MOST_PER_SESSION || of_all >= MOST_PER_SHARD {
            return Seen::TooMany;
        }
        if !slices.iter().any(|slice| slice.number == number) {
            slices.push_back(Slice { number, seen: HashSet::default(), by_session: HashMap::default() });
        }
        if let Some(slice) = slices.iter_mut().find(|slice| slice.number == number) {
            slice.seen.insert(request);
            *slice.by_session.entry(owner).or_default() += 1;
        }
        Seen::First
    }
}

/// The keys are hashes already.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST_PER_SESSION, Replay, Seen, Timing};
    use api::{REQUEST_WINDOW_MS, signature::Nonce};
    use policy::SessionId;

    const NOW: u64 = 1_800_000_000_000;

    fn nonce(n: u32) -> Nonce {
        let mut bytes = [7; 16];
        bytes[..4].copy_from_slice(&n.to_be_bytes());
        Nonce(bytes)
    }

    #[test]
    fn a_request_counts_once_however_late_in_the_window_it_comes_again() {
        let replay = Replay::new(NOW - 600_000);
        let session = SessionId::from_random([1; 12]);
        assert_eq!(replay.first(&session, &nonce(1), NOW, NOW), Seen::First);
        for later in [0, 1, 4_999, 5_000, 30_000, REQUEST_WINDOW_MS] {
            assert_eq!(replay.timing(NOW, NOW + later), Timing::Now);
            assert_eq!(replay.first(&session, &nonce(1), NOW, NOW + later), Seen::Before, "after {later} ms");
        }
        assert_eq!(replay.timing(NOW, NOW + REQUEST_WINDOW_MS + 1), Timing::Outside);
        assert_eq!(replay.first(&session, &nonce(2), NOW, NOW), Seen::First, "another nonce");
        assert_eq!(replay.first(&SessionId::from_random([2; 12]), &nonce(1), NOW, NOW), Seen::First, "another session");
    }

    #[test]
    fn a_clock_that_jumps_ahead_and_back_makes_nothing_new() {
        let replay = Replay::new(NOW - 600_000);
        let session = SessionId::from_random([1; 12]);
        assert_eq!(replay.first(&session, &nonce(1), NOW, NOW), Seen::First);
        let jumped = NOW + 3_600_000;
        assert_eq!(replay.first(&session, &nonce(2), jumped, jumped), Seen::First);
        for (n, time_ms) in [(1, NOW), (3, NOW), (3, NOW - 1)] {
            assert_eq!(replay.first(&session, &nonce(n), time_ms, NOW + 10), Seen::Forgotten, "{n} {time_ms}");
        }
        let later = NOW + super::SLICE_MS;
        assert_eq!(replay.first(&session, &nonce(4), later, later), Seen::First, "what is new goes on");
        assert_eq!(replay.first(&session, &nonce(4), later, later), Seen::Before);
    }

    #[test]
    fn what_a_former_process_may_have_seen_is_refused() {
        let replay = Replay::new(NOW);
        assert_eq!(replay.timing(NOW - 1, NOW + 5), Timing::Outside);
        assert_eq!(replay.timing(NOW, NOW + 5), Timing::Now);
        // A request taken by the former process bore a time not after its end, so not after our start.
        assert_eq!(replay.timing(NOW + 900, NOW), Timing::WaitMs(900));
        assert_eq!(replay.timing(NOW + 1_001, NOW), Timing::Outside);
        assert_eq!(replay.timing(u64::MAX, NOW), Timing::Outside);
    }

    #[test]
    fn memory_is_bounded_and_given_back() {
        let replay = Replay::new(0);
        let session = SessionId::from_random([1; 12]);
        for n in 0..MOST_PER_SESSION {
            assert_eq!(replay.first(&session, &nonce(n), NOW + u64::from(n), NOW + u64::from(n)), Seen::First);
        }
        let last = NOW + u64::from(MOST_PER_SESSION);
        assert_eq!(replay.first(&session, &nonce(u32::MAX), last, last), Seen::TooMany);
        let later = last + REQUEST_WINDOW_MS + super::SLICE_MS;
        assert_eq!(replay.first(&session, &nonce(u32::MAX), later, later), Seen::First);
        let kept: usize = replay.shards.iter().map(|shard| shard.lock().unwrap().slices.len()).sum();
        assert_eq!(kept, 1, "slices that left the window are gone");
    }

    #[test]
    fn of_many_that_race_one_is_first() {
        let replay = Replay::new(0);
        let session = SessionId::from_random([1; 12]);
        let firsts: usize = std::thread::scope(|scope| {
            let racers: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        (0..500).filter(|n| replay.first(&session, &nonce(*n), NOW, NOW) == Seen::First).count()
                    })
                })
                .collect();
            racers.into_iter().map(|racer| racer.join().unwrap()).sum()
        });
        assert_eq!(firsts, 500);
    }
}
