//! Long answers that are not read yet: bounded for all together and for each account, or whoever asks and does not read could
//! fill the memory. What strangers are given is short, or there once for all of them.

use super::answer::Answer;
use crate::{refusal::Refusal, store::records::owner};
use api::Code;
use axum::body::{Body, Bytes, to_bytes};
use hyper::body::Body as _;
use policy::Identity;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Bytes of long answers, of all accounts together.
const MOST: usize = 64 << 20;
/// And of one.
const SHARE: usize = 16 << 20;
/// An answer of up to so many bytes is not long.
const SHORT: u64 = 16 << 10;

/// What is not read yet.
#[derive(Default)]
pub(super) struct Unread(Arc<Mutex<Held>>);

#[derive(Default)]
struct Held {
    all: usize,
    by_account: HashMap<[u8; 32], usize>,
}

impl Unread {
    /// The answer to `identity`, which counts until its bytes are sent or dropped. Where asking `changes` something, there is
    /// room or not before it is done: what was done must not be told as if it had not been.
    ///
    /// # Errors
    /// `rate_limited` if there is no room for it; else whatever `answer` ends with.
    pub(super) async fn counted(
        &self,
        identity: &Identity,
        changes: bool,
        answer: impl Future<Output = Result<Answer, Refusal>>,
    ) -> Result<Answer, Refusal> {
        let account = owner(&identity.issuer, &identity.subject);
        // By what is theirs alone: others must not keep anybody from a revocation.
        if changes && held(&self.0).of(&account) >= SHARE {
            return Err(no_room());
        }
        let answer = answer.await?;
        if answer.body().size_hint().upper().is_some_and(|most| most <= SHORT) {
            return Ok(answer);
        }
        let (parts, body) = answer.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.map_err(Refusal::internal)?;
        let counted = self.count(account, bytes, changes).ok_or_else(no_room)?;
        Ok(Answer::from_parts(parts, Body::from(Bytes::from_owner(counted))))
    }

    fn count(&self, account: [u8; 32], bytes: Bytes, anyway: bool) -> Option<Counted> {
        let mut held = held(&self.0);
        let theirs = held.of(&account);
        // One that is longer than a share goes alone.
        let full =
            held.all > MOST.saturating_sub(bytes.len()) || theirs > 0 && theirs > SHARE.saturating_sub(bytes.len());
        if full && !anyway {
            return None;
        }
        held.all += bytes.len();
        held.by_account.insert(account, theirs + bytes.len());
        drop(held);
        Some(Counted { of: Arc::clone(&self.0), account, bytes })
    }
}

impl Held {
    fn of(&self, account: &[u8; 32]) -> usize {
        self.by_account.get(account).copied().unwrap_or(0)
    }
}

fn no_room() -> Refusal {
    Refusal::new(Code::RateLimited, "too many long answers wait to be read")
        .hint("read those that you asked for, or ask for shorter pages: `limit`")
}

fn held(of: &Mutex<Held>) -> MutexGuard<'_, Held> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Bytes that count while they are there.
struct Counted {
    of: Arc<Mutex<Held>>,
    account: [u8; 32],
    bytes: Bytes,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut held = held(&self.of);
        held.all = held.all.saturating_sub(self.bytes.len());
        if let Some(theirs) = held.by_account.get_mut(&self.account) {
            *theirs = theirs.saturating_sub(self.bytes.len());
            if *theirs == 0 {
                held.by_account.remove(&self.account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST, SHARE, Unread};
    use crate::{fixture::identity, http::answer, refusal::Refusal};
    use api::Code;
    use hyper::StatusCode;

    const SHORT: usize = 16 << 10;

    async fn ask(unread: &Unread, who: &str, bytes: usize) -> Result<answer::Answer, Refusal> {
        unread.counted(&identity(who), false, answer(bytes)).await
    }

    async fn answer(bytes: usize) -> Result<answer::Answer, Refusal> {
        answer::json(StatusCode::OK, &"x".repeat(bytes.saturating_sub(2)))
    }

    #[tokio::test]
    async fn what_nobody_reads_is_bounded_and_given_back() {
        let unread = Unread::default();
        let mut kept = vec![ask(&unread, "ann", SHARE).await.unwrap()];
        assert_eq!(ask(&unread, "ann", SHORT + 1).await.unwrap_err().code, Code::RateLimited);
        kept.push(ask(&unread, "ann", SHORT).await.unwrap());
        for n in 1..MOST / SHARE {
            kept.push(ask(&unread, &format!("p{n}"), SHARE).await.unwrap());
        }
        assert_eq!(ask(&unread, "joe", SHORT + 1).await.unwrap_err().code, Code::RateLimited);
        let body = axum::body::to_bytes(kept.remove(0).into_body(), usize::MAX).await.unwrap();
        let part = body.slice(..9);
        drop(body);
        assert!(ask(&unread, "joe", SHORT + 1).await.is_err(), "a part of it is still there");
        drop(part);
        ask(&unread, "joe", SHORT + 1).await.unwrap();
        drop(kept);
        ask(&unread, "joe", MOST).await.unwrap();
        let held = super::held(&unread.0);
        assert!(held.all == 0 && held.by_account.is_empty());
    }

    #[tokio::test]
    async fn what_was_done_is_told_and_what_cannot_be_told_is_not_done() {
        let unread = Unread::default();
        let (mut kept, mut done) = (Vec::new(), 0);
        let mut change = async |who: &str, bytes: usize| {
            let doing = async {
                done += 1;
                answer(bytes).await
            };
            (unread.counted(&identity(who), true, doing).await, done)
        };
        for n in 0..MOST / SHARE {
            kept.push(ask(&unread, &format!("p{n}"), SHARE).await.unwrap());
        }
        // Whatever others do not read.
        let (told, 1) = change("ann", SHARE).await else { panic!() };
        let (Err(no), 1) = change("ann", 2).await else { panic!("it was done") };
        assert_eq!(no.code, Code::RateLimited);
        drop(told.unwrap());
        let (Ok(_), 2) = change("ann", 2).await else { panic!() };
        drop(kept);
        let held = super::held(&unread.0);
        assert!(held.all == 0 && held.by_account.is_empty());
    }
}
