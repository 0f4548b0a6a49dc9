//! What an operator may ask about sinks: how they stand, what they gave up, and to try that once more.

use crate::{
    app::{App, Origin},
    audit::{Entry, Event},
    refusal::Refusal,
    sinks::SinkStatus,
    store::outbox::DeadLetter,
};
use api::Code;

/// The most dead letters of one answer; the first ones.
const MOST: usize = 1_000;

/// How each sink stands.
#[derive(Debug, serde::Serialize)]
pub struct SinksAnswer {
    /// All of them, in the order of the configuration.
    pub sinks: Vec<SinkStatus>,
}

/// What a sink gave up.
#[derive(Debug, serde::Serialize)]
pub struct DeadLettersAnswer {
    /// At most a thousand, the oldest first.
    pub dead_letters: Vec<DeadLetter>,
}

/// Which sink is to try again.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetryRequest {
    /// Its name.
    pub sink: String,
}

/// What will be tried.
#[derive(Debug, serde::Serialize)]
pub struct RetryAnswer {
    /// How many dead letters there are.
    pub dead_letters: u64,
}

/// How each sink stands.
///
/// # Errors
/// If the store cannot be read.
pub async fn status(app: &App) -> Result<SinksAnswer, Refusal> {
    Ok(SinksAnswer { sinks: app.sinks.status().await? })
}

/// What the sink gave up.
///
/// # Errors
/// If there is no such sink, or the store cannot be read.
pub async fn dead_letters(app: &App, sink: &str) -> Result<DeadLettersAnswer, Refusal> {
    let dead_letters = app.sinks.dead_letters(sink, MOST).await?.ok_or_else(unknown)?;
    Ok(DeadLettersAnswer { dead_letters })
}

/// Has the sink try what it gave up once more. Who may reach the operators' address is not known by name: where from is what
/// goes on record.
///
/// # Errors
/// If there is no such sink, the store cannot be read, or it cannot be put on record.
pub async fn retry(app: &App, origin: &Origin, request: &RetryRequest) -> Result<RetryAnswer, Refusal> {
    app.sinks.dead_letters(&request.sink, 1).await?.ok_or_else(unknown)?;
    let event = Event::SinkRetried { sink: &request.sink, source: origin.source };
    let entry = Entry::new(app.clock.now_ms(), &origin.request_id, &event).map_err(Refusal::internal)?;
    app.store.append(entry).await?;
    let dead_letters = app.sinks.retry(&request.sink).await?.ok_or_else(unknown)?;
    tracing::info!(sink = request.sink, dead_letters, "an operator has dead letters tried again");
    Ok(RetryAnswer { dead_letters })
}

fn unknown() -> Refusal {
    Refusal::new(Code::NotFound, "there is no such sink").hint("`ca-server sinks status` lists them")
}
