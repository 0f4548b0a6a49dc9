//! What a write is: statements, and what their answers mean. So many writes can go to the database at once, in one
//! transaction, without waiting for each other's answers.

use crate::{audit::Entry, store::StoreError};
use policy::RequestId;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;
use tokio_postgres::{Row, types::ToSql};

/// A value in a statement.
pub(super) type Value = Box<dyn ToSql + Sync + Send>;

/// One statement with its values.
pub(super) struct Statement {
    pub(super) sql: &'static str,
    pub(super) values: Vec<Value>,
}

/// A statement: `say!(SQL, value, …)`.
macro_rules! say {
    ($sql:expr $(, $value:expr)* $(,)?) => {
        $crate::store::postgres::change::Statement { sql: $sql, values: vec![$(Box::new($value)),*] }
    };
}
pub(super) use say;

/// What the answers to a write's statements mean.
pub(super) struct Effect<T> {
    value: T,
    entries: Vec<Entry>,
    changed: Vec<RequestId>,
}

impl<T> Effect<T> {
    /// Nothing beside the answer `value`.
    pub(super) fn only(value: T) -> Self {
        Self { value, entries: Vec::new(), changed: Vec::new() }
    }

    /// The answer `value`, and these entries to append.
    pub(super) fn on_record(value: T, entries: Vec<Entry>) -> Self {
        Self { value, entries, changed: Vec::new() }
    }

    /// Something happened to this request, and others may wait for that.
    pub(super) fn to(mut self, request: &RequestId) -> Self {
        self.changed.push(request.clone());
        self
    }
}

/// What one write wants of the commit that it shares.
pub(super) struct Wanted {
    pub(super) entries: Vec<Entry>,
    pub(super) changed: Vec<RequestId>,
}

type Meaning = Box<dyn Fn(&[Vec<Row>]) -> Result<Wanted, StoreError> + Send + Sync>;
type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send + Sync>;

/// One write. It may be tried several times; it is answered once.
pub(super) struct Change {
    pub(super) statements: Vec<Statement>,
    meaning: Meaning,
    answer: Answer,
}

impl Change {
    /// `statements` see and do what those before them did. Then `meaning` is given their answers, in order.
    pub(super) fn new<T: Send + 'static>(
        statements: Vec<Statement>,
        meaning: impl Fn(&[Vec<Row>]) -> Result<Effect<T>, StoreError> + Send + Sync + 'static,
    ) -> (Self, oneshot::Receiver<Result<T, StoreError>>) {
        let (send, receive) = oneshot::channel();
        let last: Arc<Mutex<Option<T>>> = Arc::default();
        let slot = Arc::clone(&last);
        let meaning: Meaning = Box::new(move |rows| {
            let Effect { value, entries, changed } = meaning(rows)?;
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
            Ok(Wanted { entries, changed })
        });
        let answer: Answer = Box::new(move |committed| {
            let value = last.lock().unwrap_or_else(PoisonError::into_inner).take();
            let answer = committed.and_then(|()| value.ok_or_else(|| StoreError("the write has no answer".to_owned())));
            // A caller that went away does not undo what is committed.
            let _gone = send.send(answer).is_err();
        });
        (Self { statements, meaning, answer }, receive)
    }

    /// What the answers mean.
    pub(super) fn read(&self, rows: &[Vec<Row>]) -> Result<Wanted, StoreError> {
        (self.meaning)(rows)
    }

    /// Tells whoever asked.
    pub(super) fn answer(self, committed: Result<(), StoreError>) {
        (self.answer)(committed);
    }
}

/// A number as the database takes it.
pub(super) fn big(number: u64) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(|_too_large| StoreError(format!("{number} is no number that the store can keep")))
}

/// A bound as the database takes it: nothing lies beyond the largest number.
pub(super) fn bound(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number as it was given.
pub(super) fn number(kept: i64) -> Result<u64, StoreError> {
    u64::try_from(kept).map_err(|_negative| StoreError("the store holds a negative number".to_owned()))
}

/// A column of a row.
pub(super) fn column<'r, T: tokio_postgres::types::FromSql<'r>>(row: &'r Row, at: usize) -> Result<T, StoreError> {
    row.try_get(at).map_err(|error| StoreError(format!("a row cannot be read: {error}")))
}

/// A record as JSON.
pub(super) fn encode(record: &impl serde::Serialize) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(record).map_err(|error| StoreError(format!("a record cannot be written: {error}")))
}

/// A record from its JSON.
pub(super) fn decode<T: serde::de::DeserializeOwned>(json: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(json).map_err(|error| StoreError(format!("a record cannot be read: {error}")))
}
