//! What was asked lately, and what the policies answered. A set of policies never changes, and a question is all that its
//! answer depends on besides them, so an answer that is remembered is the one that would be found again. A question
//! that names the time is another one a second later: whether it does is up to the policies, for facts that none of
//! them reads are in no question.

use super::question::Question;
use crate::PolicyId;
use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The most questions that are remembered; then all are forgotten.
const MOST: usize = 2_048;
/// A question that holds more text than this is asked anew each time. It is callers who say how long some of it is.
const LONGEST: usize = 2_048;

/// Which policies are satisfied, by their places in the set.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) permits: Vec<usize>,
    pub(super) forbids: Vec<usize>,
    /// Policies that could not be evaluated.
    pub(super) failed: Vec<PolicyId>,
}

#[derive(Default)]
pub(super) struct Memo(Mutex<HashMap<Question, Arc<Answer>>>);

impl Memo {
    /// The answer to `question`: the one remembered, else what `find` finds. What cannot be told is not remembered.
    pub(super) fn or_find<E>(
        &self,
        question: &Question,
        find: impl FnOnce() -> Result<Answer, E>,
    ) -> Result<Arc<Answer>, E> {
        let known = self.known().get(question).map(Arc::clone);
        if let Some(answer) = known {
            return Ok(answer);
        }
        let answer = Arc::new(find()?);
        if question.size() <= LONGEST {
            let mut known = self.known();
            if known.len() >= MOST {
                known.clear();
            }
            known.insert(question.clone(), Arc::clone(&answer));
        }
        Ok(answer)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.known().len()
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Question, Arc<Answer>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Memo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Memo({} questions)", self.known().len())
    }
}
