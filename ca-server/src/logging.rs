//! The log: one JSON object a line on standard error, written by a thread of its own. A log that nobody reads costs
//! lines, which are counted, and never a request: what must not be lost is in the audit log.

use crate::config::Level;
use std::{
    io::{self, Write},
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    time::Duration,
};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Lines that may wait.
const WAITING: usize = 8192;
/// Bytes that one write takes at most.
const BATCH: usize = 64 * 1024;

static LOST: AtomicU64 = AtomicU64::new(0);
static LINES: OnceLock<SyncSender<Message>> = OnceLock::new();

enum Message {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

/// Starts the log. Later calls change nothing.
pub fn start(level: Level) {
    let (lines, waiting) = sync_channel(WAITING);
    if LINES.set(lines).is_err() {
        return;
    }
    let writer = std::thread::Builder::new().name("log".to_owned()).spawn(move || write(&waiting));
    if let Err(error) = writer {
        complain(&format!("the log cannot be written: {error}"));
    }
    let filter = match level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
    };
    let log = tracing_subscriber::fmt().json().flatten_event(true).with_target(false).with_max_level(filter);
    let started = tracing::subscriber::set_global_default(log.with_writer(Lines).finish());
    if let Err(error) = started {
        complain(&format!("the log cannot be started: {error}"));
    }
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let message = panic.payload_as_str().unwrap_or("a panic without words");
        tracing::error!(place, message, "panic");
        // It may be the last line: the process ends if this is the main thread. The log's own thread cannot wait for
        // itself, and nobody waits for a standard error that nobody reads.
        flush_within(Duration::from_secs(1));
    }));
}

/// Waits until every line so far is written.
pub fn flush() {
    let (done, written) = sync_channel(1);
    if LINES.get().is_some_and(|lines| lines.send(Message::Flush(done)).is_ok()) {
        // An error means that the writer has ended, and there is nothing to wait for.
        let _ended = written.recv();
    }
}

fn flush_within(patience: Duration) {
    let (done, written) = sync_channel(1);
    if LINES.get().is_some_and(|lines| lines.try_send(Message::Flush(done)).is_ok()) {
        let _late = written.recv_timeout(patience);
    }
}

/// How many lines were dropped.
pub fn lost() -> u64 {
    LOST.load(Relaxed)
}

fn write(waiting: &Receiver<Message>) {
    let mut batch = Vec::with_capacity(BATCH);
    while let Ok(first) = waiting.recv() {
        let mut done = None;
        let mut next = Some(first);
        while let Some(message) = next.take() {
            match message {
                Message::Line(line) => batch.extend_from_slice(&line),
                Message::Flush(asked) => done = Some(asked),
            }
            if batch.len() < BATCH && done.is_none() {
                next = waiting.try_recv().ok();
            }
        }
        // Where even standard error is closed there is nobody left to tell.
        let _closed = io::stderr().lock().write_all(&batch);
        batch.clear();
        if let Some(done) = done {
            let _gone = done.send(());
        }
    }
}

fn complain(sentence: &str) {
    let _closed = writeln!(io::stderr(), "ca-server: {sentence}");
}

/// Makes one [`Line`] for each event.
struct Lines;

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line;
    fn make_writer(&'a self) -> Line {
        Line
    }
}

/// One event's line: it comes in one write.
struct Line;

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(lines) = LINES.get()
            && let Err(TrySendError::Full(_)) = lines.try_send(Message::Line(bytes.to_vec()))
        {
            LOST.fetch_add(1, Relaxed);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
