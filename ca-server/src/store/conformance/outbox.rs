//! What every store that remembers for sinks must do.

use crate::store::outbox::{DeadLetter, Outbox};
use std::sync::Arc;

/// All of it, on a store that is empty.
pub(crate) async fn run(store: Arc<dyn Outbox>) {
    a_cursor_only_goes_forward(&*store).await;
    a_dead_letter_and_its_cursor_are_one_fact(&*store).await;
    letters_are_forgotten_once_and_only_those(&*store).await;
}

fn letter(index: u64) -> DeadLetter {
    DeadLetter { index, code: "login.opened".to_owned(), at_ms: 7, reason: "answered 400".to_owned() }
}

async fn a_cursor_only_goes_forward(store: &dyn Outbox) {
    assert_eq!(store.sink_cursor("one").await.unwrap(), None);
    assert_eq!(store.dead_letters("one", 0, 10).await.unwrap(), []);
    assert_eq!(store.dead_letter_count("one").await.unwrap(), 0);
    store.advance_sink("one", 0).await.unwrap();
    assert_eq!(store.sink_cursor("one").await.unwrap(), Some(0), "seen, though it has dealt with nothing");
    store.advance_sink("one", 5).await.unwrap();
    store.advance_sink("one", 3).await.unwrap();
    assert_eq!(store.sink_cursor("one").await.unwrap(), Some(5));
    assert_eq!(store.sink_cursor("on").await.unwrap(), None, "each has its own");
}

async fn a_dead_letter_and_its_cursor_are_one_fact(store: &dyn Outbox) {
    store.dead_letter("one", vec![letter(5), letter(7)], 8).await.unwrap();
    assert_eq!(store.sink_cursor("one").await.unwrap(), Some(8));
    assert_eq!(store.dead_letters("one", 0, 10).await.unwrap(), [letter(5), letter(7)]);
    assert_eq!(store.dead_letters("one", 6, 10).await.unwrap(), [letter(7)]);
    assert_eq!(store.dead_letters("one", 0, 1).await.unwrap(), [letter(5)]);
    assert_eq!(store.dead_letters("two", 0, 10).await.unwrap(), []);
    store.dead_letter("one", vec![letter(5)], 2).await.unwrap();
    assert_eq!(store.dead_letter_count("one").await.unwrap(), 2, "the same letter is one");
    assert_eq!(store.sink_cursor("one").await.unwrap(), Some(8), "and the cursor does not go back");
}

async fn letters_are_forgotten_once_and_only_those(store: &dyn Outbox) {
    store.forget_dead_letters("one", vec![5, 6]).await.unwrap();
    store.forget_dead_letters("one", vec![5]).await.unwrap();
    assert_eq!(store.dead_letters("one", 0, 10).await.unwrap(), [letter(7)]);
    assert_eq!(store.dead_letter_count("one").await.unwrap(), 1);
    store.advance_sink("one", 9).await.unwrap();
    assert_eq!(store.dead_letter_count("one").await.unwrap(), 1);
}
