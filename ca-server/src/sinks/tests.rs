//! Sinks against receivers that these tests run themselves.

mod delivery;
mod files;
mod mails;
mod syslogs;
mod webhooks;

use super::{Pace, SinkStatus, Sinks};
use crate::{
    audit::Entry,
    clock::{Clock, ManualClock},
    config::Config,
    store::{memory::MemoryStore, outbox::Outbox},
};
use std::{
    collections::VecDeque,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::task::JoinSet;

/// The request that entries of these tests are about.
pub(super) const ID: &str = "r-00112233445566778899aabb";
pub(super) const NOW_MS: u64 = 1_800_000_000_000;
pub(super) const SECRET: &str = "a secret of at least 24 bytes";
const HEAD: &str = "audience = \"https://ca.example.com\"\n";

/// Text that would break out of one format or another.
pub(super) const HOSTILE: &str = "a|b=c\\ \"q\" \n\r\nInjected: yes\n<165>1 - - - \u{1b}[31mred\u{9b}2J \u{202e}txt %n <!channel> & ${jndi:x} \u{2028}.\r\n.\r\n";

pub(super) fn configured(sinks: &str) -> Config {
    Config::parse("c.toml", &format!("{HEAD}{sinks}"), Path::new("/")).unwrap_or_else(|found| panic!("{found:?}"))
}

/// A server's sinks, running.
pub(crate) struct Running {
    pub(super) sinks: Sinks,
    pub(super) clock: Arc<ManualClock>,
    tasks: JoinSet<()>,
}

impl Running {
    pub(crate) async fn start(text: &str, store: &Arc<dyn Outbox>) -> Self {
        let clock = Arc::new(ManualClock::at(NOW_MS));
        let sinks =
            Sinks::new(&configured(text).sink, "ca.example.com", store, &(Arc::clone(&clock) as Arc<dyn Clock>))
                .unwrap();
        sinks.begin().await.unwrap();
        let pace = Pace {
            look: Duration::from_millis(2),
            first: Duration::from_millis(2),
            longest: Duration::from_millis(20),
            dice: Arc::new(|| 0),
        };
        let mut tasks = JoinSet::new();
        for task in sinks.tasks(&pace) {
            tasks.spawn(task);
        }
        Self { sinks, clock, tasks }
    }

    pub(super) async fn status(&self) -> SinkStatus {
        self.sinks.status().await.unwrap().remove(0)
    }

    /// Waits until the first sink stands as wanted.
    pub(crate) async fn until(&self, wanted: impl Fn(&SinkStatus) -> bool) -> SinkStatus {
        let mut due = tokio::time::interval(Duration::from_millis(2));
        for _ in 0..5_000 {
            due.tick().await;
            let status = self.status().await;
            if wanted(&status) {
                return status;
            }
        }
        panic!("it never came to be: {:?}", self.status().await);
    }

    /// Ends at once, wherever it is, as a crash would.
    pub(super) async fn crash(mut self) {
        self.tasks.shutdown().await;
    }
}

pub(super) fn memory() -> Arc<dyn Outbox> {
    Arc::new(MemoryStore::new(crate::fixture::seal()))
}

pub(super) fn entry(code: &str, reason: &str) -> Entry {
    let value = serde_json::json!({
        "v": 1, "time_ms": NOW_MS, "request": "r-0badcafe-1", "code": code, "id": ID,
        "actor": {"kind": "user", "issuer": "https://id.example.com", "subject": "ann", "email": "ann@example.com"},
        "target": "deploy@web-1", "reason": reason, "source": "192.0.2.7", "grant": "g-1", "policy": "ops",
    });
    Entry::from_bytes(serde_json::to_vec(&value).unwrap())
}

pub(super) async fn append(store: &Arc<dyn Outbox>, codes: &[&str]) {
    for code in codes {
        store.append(entry(code, "why not")).await.unwrap();
    }
}

/// A file that holds a secret.
pub(crate) fn secret(directory: &Path, name: &str, text: &str) -> String {
    let path = directory.join(name);
    std::fs::write(&path, text).unwrap();
    // A secret that others can read is refused.
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    path.display().to_string()
}

/// What an HTTP receiver got.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) headers: axum::http::HeaderMap,
    pub(crate) body: String,
}

impl Got {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(super) fn indices(&self) -> Vec<u64> {
        self.json()["entries"].as_array().unwrap().iter().map(|entry| entry["index"].as_u64().unwrap()).collect()
    }
}

/// How it answers: with a status, or never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Status(u16),
    Never,
}

/// An HTTP receiver on loopback.
#[derive(Clone, Default)]
pub(crate) struct Receiver {
    pub(super) got: Arc<Mutex<Vec<Got>>>,
    /// What it answers next; 200 when there is nothing.
    pub(super) answers: Arc<Mutex<VecDeque<Answer>>>,
    /// Refuses every body that holds this.
    pub(super) dislikes: Arc<Mutex<Option<&'static str>>>,
}

impl Receiver {
    pub(crate) async fn start(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let this = self.clone();
        let serve = move |headers: axum::http::HeaderMap, body: String| async move {
            let disliked = this.dislikes.lock().unwrap().is_some_and(|word| body.contains(word));
            this.got.lock().unwrap().push(Got { headers, body });
            let answer = this.answers.lock().unwrap().pop_front();
            let status = match answer {
                Some(Answer::Never) => std::future::pending().await,
                Some(Answer::Status(status)) => status,
                None if disliked => 400,
                None => 200,
            };
            (axum::http::StatusCode::from_u16(status).unwrap(), [("location", "http://127.0.0.1:9/")], "x")
        };
        let app = axum::Router::new().fallback(serve);
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        url
    }

    pub(super) fn answer(&self, answers: &[Answer]) {
        self.answers.lock().unwrap().extend(answers);
    }

    pub(crate) fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }
}
