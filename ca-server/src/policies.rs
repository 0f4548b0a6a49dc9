//! The policy set in force: loaded from a directory, swapped atomically. A bad set keeps the good one, loudly.

mod directory;

use policy::{Finding, Policies, Source, Sources};
use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

pub use directory::{Stamp, read, writable_by_others};

/// A policy set and what identifies it.
pub struct Loaded {
    /// The set.
    pub policies: Policies,
    /// SHA-256 over the sorted names and the bytes of its files, hex: [`api::digest::of_policies`].
    pub digest: String,
    sources: Sources,
}

impl Loaded {
    /// `policies`, which were read from `sources`.
    pub(crate) fn new(policies: Policies, sources: Sources) -> Self {
        Self { policies, digest: digest(&sources), sources }
    }

    /// The files it was read from.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        directory::all(&self.sources)
    }
}

/// The policy set in force. Readers hold the [`Loaded`] they began with to the end of their request.
pub struct LivePolicies {
    current: RwLock<Arc<Loaded>>,
    directory: Option<Watched>,
    reloads: AtomicU64,
    rejected: AtomicU64,
    stale: AtomicU64,
}

/// A directory, as it was last looked at.
struct Watched {
    path: PathBuf,
    looks: Mutex<Looks>,
}

#[derive(Default)]
struct Looks {
    /// What the last attempt to load saw, whether it succeeded or not.
    tried: Option<Stamp>,
    /// What the last look saw.
    last: Option<Stamp>,
}

/// Why a policy set is not taken.
#[derive(Debug)]
pub struct Rejected(pub Vec<Finding>);

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the policy set is refused:")?;
        for finding in &self.0 {
            write!(f, "\n{finding}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Rejected {}

impl LivePolicies {
    /// Loads the set in `path`, runs its tests, and watches the directory from then on.
    ///
    /// # Errors
    /// Every finding of a set that cannot be read, does not validate or fails a test of its own.
    pub fn load_dir(path: &Path) -> Result<Self, Rejected> {
        let stamp = Stamp::of(path).ok();
        let loaded = load(read_own(path)?)?;
        let looks = Mutex::new(Looks { tried: stamp.clone(), last: stamp });
        Ok(Self::holding(loaded, Some(Watched { path: path.to_owned(), looks })))
    }

    /// A set that comes from memory and never changes.
    ///
    /// # Errors
    /// Every finding of a set that does not validate or fails a test of its own.
    pub fn from_sources(sources: Sources) -> Result<Self, Rejected> {
        load(sources).map(|loaded| Self::holding(loaded, None))
    }

    fn holding(loaded: Loaded, directory: Option<Watched>) -> Self {
        Self {
            current: RwLock::new(Arc::new(loaded)),
            directory,
            reloads: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
            stale: AtomicU64::new(0),
        }
    }

    /// The set in force.
    pub fn current(&self) -> Arc<Loaded> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the directory once more and answers the set it holds, if that differs from the one in force. Nothing is
    /// in force before [`Self::put`].
    ///
    /// # Errors
    /// Every finding; the set in force stays.
    pub fn reload(&self) -> Result<Option<Loaded>, Rejected> {
        let Some(watched) = &self.directory else { return Ok(None) };
        let stamp = Stamp::of(&watched.path).ok();
        {
            let mut looks = watched.looks.lock().unwrap_or_else(PoisonError::into_inner);
            (looks.tried, looks.last) = (stamp.clone(), stamp);
        }
        let read = read_own(&watched.path).and_then(|sources| {
            let unchanged = digest(&sources) == self.current().digest;
            if unchanged { Ok(None) } else { load(sources).map(Some) }
        });
        match &read {
            Ok(_) => self.stale.store(0, Ordering::Relaxed),
            Err(_) => {
                self.rejected.fetch_add(1, Ordering::Relaxed);
                self.stale.store(1, Ordering::Relaxed);
            }
        }
        read
    }

    /// Puts `loaded` in force, at once and for every request that begins from now on.
    pub fn put(&self, loaded: Loaded) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(loaded);
        self.reloads.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether the directory changed and has come to rest: two looks in a row saw the same. A file that is half
    /// written may parse, and lack the very forbid that stands at its end.
    pub fn settled_change(&self) -> bool {
        let Some(watched) = &self.directory else { return false };
        let now = Stamp::of(&watched.path).ok();
        let mut looks = watched.looks.lock().unwrap_or_else(PoisonError::into_inner);
        let settled = looks.last == now && looks.tried != now;
        looks.last = now;
        settled
    }

    /// Makes the next look try again what was read last.
    pub fn forget_attempt(&self) {
        if let Some(watched) = &self.directory {
            watched.looks.lock().unwrap_or_else(PoisonError::into_inner).tried = None;
        }
    }

    /// How many sets took the place of another.
    pub fn reloads(&self) -> u64 {
        self.reloads.load(Ordering::Relaxed)
    }

    /// How many sets were refused.
    pub fn rejected(&self) -> u64 {
        self.rejected.load(Ordering::Relaxed)
    }

    /// Whether the directory holds a set that was refused, so that an older one is in force.
    pub fn stale(&self) -> bool {
        self.stale.load(Ordering::Relaxed) == 1
    }
}

/// The tests of a set that fail, as findings, and how many tests there are.
pub fn failed_tests(policies: &Policies, sources: &Sources) -> (Vec<Finding>, usize) {
    let outcomes = policies.run_tests(sources);
    (outcomes.iter().filter_map(directory::failed_test).collect(), outcomes.len())
}

/// Reads a directory that nobody else can write.
fn read_own(path: &Path) -> Result<Sources, Rejected> {
    let open = directory::writable_by_others(path);
    if open.is_empty() { read(path).map_err(Rejected) } else { Err(Rejected(open)) }
}

fn load(sources: Sources) -> Result<Loaded, Rejected> {
    let policies = Policies::load(&sources).map_err(Rejected)?;
    let (failed, _ran) = failed_tests(&policies, &sources);
    if failed.is_empty() { Ok(Loaded::new(policies, sources)) } else { Err(Rejected(failed)) }
}

fn digest(sources: &Sources) -> String {
    let files = directory::all(sources).map(|source| (source.name.as_str(), source.text.as_str()));
    api::digest::hex(&api::digest::of_policies(files))
}

#[cfg(test)]
mod tests;
