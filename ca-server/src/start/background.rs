//! What goes on beside requests: policies and TLS files are watched, issuers asked for their keys, the store pruned, and what
//! the clock does to requests is put on record.

use crate::{
    app::App,
    http::{door::Shared, tls::Tls},
    sinks::Pace,
    store::Hint,
    verbs,
};
use std::{sync::Arc, time::Duration};
use tokio::{
    signal::unix::Signal,
    sync::broadcast,
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

const LOOK: Duration = Duration::from_secs(3);
const PRUNE: Duration = Duration::from_secs(180);
const ATTEND: Duration = Duration::from_secs(5);

/// Tasks that end with the server.
pub(super) struct Background(JoinSet<()>);

impl Background {
    /// Ends them all.
    pub(super) async fn stop(mut self) {
        self.0.shutdown().await;
    }
}

pub(super) fn spawn(shared: &Arc<Shared>, tls: Option<Arc<Tls>>, hangup: Signal) -> Background {
    let mut tasks = JoinSet::new();
    let app = &shared.app;
    tasks.spawn(app.issuers.refresh_forever());
    for sink in app.sinks.tasks(&Pace::usual()) {
        tasks.spawn(sink);
    }
    tasks.spawn(prune(Arc::clone(app)));
    tasks.spawn(attend(Arc::clone(app)));
    if let Some(hints) = app.store.hints() {
        tasks.spawn(listen(Arc::clone(app), hints));
    }
    tasks.spawn(watch(Arc::clone(shared), tls, hangup));
    Background(tasks)
}

/// Wakes whoever waits for what another server did.
async fn listen(app: Arc<App>, mut hints: broadcast::Receiver<Hint>) {
    loop {
        match hints.recv().await {
            Ok(Hint::Request(id)) => app.waiting.wake(&id),
            Ok(Hint::Anything) | Err(broadcast::error::RecvError::Lagged(_)) => app.waiting.wake_all(),
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

async fn prune(app: Arc<App>) {
    let mut due = every(PRUNE);
    loop {
        due.tick().await;
        if let Err(error) = app.store.prune(app.clock.now()).await {
            tracing::error!(%error, "the store could not be pruned; it will be tried again");
        }
    }
}

/// Reminds of requests and records their ends.
async fn attend(app: Arc<App>) {
    let mut due = every(ATTEND);
    loop {
        due.tick().await;
        if let Err(error) = verbs::agenda::attend(&app).await {
            tracing::error!(cause = ?error.cause, "requests that are due cannot be looked at; it will be tried again");
        }
    }
}

/// Looks at policy directory and TLS files every few seconds, and at once on SIGHUP.
async fn watch(shared: Arc<Shared>, tls: Option<Arc<Tls>>, mut hangup: Signal) {
    let mut due = every(LOOK);
    loop {
        let now = tokio::select! {
            _ = hangup.recv() => true,
            _ = due.tick() => false,
        };
        let (shared, tls) = (Arc::clone(&shared), tls.clone());
        policies(&shared.app, now).await;
        // Files are read where waiting for a disk holds up nobody.
        let looked = tokio::task::spawn_blocking(move || certificates(&shared, tls.as_deref()));
        if let Err(error) = looked.await {
            tracing::error!(%error, "the TLS files could not be looked at");
        }
    }
}

async fn policies(app: &Arc<App>, now: bool) {
    let looking = Arc::clone(app);
    let found = tokio::task::spawn_blocking(move || {
        if now || looking.policies.settled_change() { looking.policies.reload() } else { Ok(None) }
    });
    let loaded = match found.await {
        Ok(Ok(Some(loaded))) => loaded,
        Ok(Ok(None)) => return,
        Ok(Err(rejected)) => {
            return tracing::error!(%rejected, "the new policy set is refused; the old one stays in force");
        }
        Err(error) => return tracing::error!(%error, "the policy directory could not be looked at"),
    };
    let former = app.policies.current();
    // The record comes first: no decision may rest on a set that the log does not know.
    if let Err(error) = verbs::policies::record(app, &loaded, "reload").await {
        app.policies.forget_attempt();
        return tracing::error!(%error, "the new policy set cannot be recorded; the old one stays in force");
    }
    tracing::info!(from = former.digest, to = loaded.digest, policies = loaded.policies.len(), "policy set loaded");
    app.policies.put(loaded);
}

fn certificates(shared: &Shared, tls: Option<&Tls>) {
    match tls.map(Tls::reload) {
        Some(Ok(true)) => tracing::info!("new TLS files are in force"),
        Some(Err(error)) => {
            shared.metrics.tls_reload_rejected();
            tracing::error!(%error, "the new TLS files are refused; the old ones stay in force");
        }
        _ => {}
    }
}

fn every(period: Duration) -> tokio::time::Interval {
    let mut due = interval(period);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    due
}
