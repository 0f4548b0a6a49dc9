//! Answers on their way out of one connection, until the last of their bytes is sent or dropped.

use crate::http::answer::Answer;
use axum::body::{Body, Bytes, to_bytes};
use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
};

/// Counted in two halves: those of this span of time, and those of the one before it.
#[derive(Default)]
pub(super) struct Answers {
    span: AtomicUsize,
    halves: [AtomicU64; 2],
}

impl Answers {
    /// The answer, which counts as long as any of its bytes is there.
    pub(super) async fn begin(self: &Arc<Self>, answer: Answer) -> Answer {
        let (parts, body) = answer.into_parts();
        let body = match to_bytes(body, usize::MAX).await {
            Ok(bytes) if bytes.is_empty() => Body::empty(),
            Ok(bytes) => Body::from(Bytes::from_owner(self.count(bytes))),
            // Every answer is whole before it is given, so there is nothing that could break off.
            Err(error) => {
                tracing::error!(%error, "an answer broke off");
                Body::empty()
            }
        };
        Answer::from_parts(parts, body)
    }

    /// A span of time is over: whether an answer that was there all the while still is.
    pub(super) fn are_left(&self) -> bool {
        let next = 1 - self.span.load(Relaxed).min(1);
        let left = self.halves.get(next).is_some_and(|before| before.load(Relaxed) > 0);
        self.span.store(next, Relaxed);
        left
    }

    /// Whether there is any.
    pub(super) fn are_there(&self) -> bool {
        self.halves.iter().any(|half| half.load(Relaxed) > 0)
    }

    fn count(self: &Arc<Self>, bytes: Bytes) -> Counted {
        let half = self.span.load(Relaxed);
        if let Some(count) = self.halves.get(half) {
            count.fetch_add(1, Relaxed);
        }
        Counted { of: Arc::clone(self), half, bytes }
    }
}

/// The bytes of one answer.
struct Counted {
    of: Arc<Answers>,
    half: usize,
    bytes: Bytes,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Some(count) = self.of.halves.get(self.half) {
            count.fetch_sub(1, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Answers;
    use crate::http::answer;
    use std::sync::Arc;

    #[tokio::test]
    async fn an_answer_is_left_once_a_whole_span_has_passed() {
        let answers = Arc::new(Answers::default());
        let slow = answers.begin(answer::plain("slow")).await;
        assert!(!answers.are_left(), "it came within this span");
        drop(answers.begin(answer::plain("read")).await);
        assert!(answers.are_left());
        assert!(answers.are_there());
        drop(slow);
        assert!(!answers.are_there());
        let later = answers.begin(answer::plain("later")).await;
        assert!(!answers.are_left() && answers.are_left());
        drop((later, answers.begin(answer::nothing()).await));
        assert!(!answers.are_left() && !answers.are_left());
    }
}
