//! From a configuration to a server that serves, and to its graceful end.

mod background;

use crate::{
    app::{App, SessionRules},
    audit::{Entry, Event, checkpoint, checkpoint::Seal},
    ca::Authority,
    clock::{Clock, SystemClock},
    config::{self, Config, StoreConfig},
    custody::Keys,
    http::{
        Door, Listener,
        connections::{self, bind},
        door::Shared,
        tls::Tls,
    },
    oidc::Issuers,
    policies::LivePolicies,
    sinks::Sinks,
    store::{outbox::Outbox, postgres::PostgresStore, redb::RedbStore},
    systemd,
    verbs::{self, certificates::Certificates, krl::Lists, refusals::Refusals, replay::Replay, waiting::Waiting},
};
use anyhow::Context as _;
use ssh_key::HashAlg;
use std::{io::Write as _, sync::Arc};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
};

/// Where a server that is about to serve listens.
pub struct Listeners {
    /// The API.
    pub api: TcpListener,
    /// Health and metrics.
    pub ops: TcpListener,
}

impl Listeners {
    /// Binds what `config` names.
    ///
    /// # Errors
    /// If an address cannot be bound.
    pub fn bind(config: &Config) -> anyhow::Result<Self> {
        let api = *config.listen.address.get_ref();
        let ops = config.listen.ops;
        Ok(Self {
            api: bind(api).with_context(|| format!("cannot listen on {api} (listen.address)"))?,
            ops: bind(ops).with_context(|| format!("cannot listen on {ops} (listen.ops)"))?,
        })
    }
}

/// Wires what the verbs work with.
///
/// # Errors
/// If a key, the policy set, the store or an issuer's configuration cannot be used. Nothing is overwritten.
pub async fn wire(config: &Config) -> anyhow::Result<App> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let passphrase = config.keys.passphrase().context("keys.passphrase_file cannot be read")?;
    let passphrase = passphrase.as_ref().map(|passphrase| passphrase.reveal());
    let config::Keys { user_ca, host_ca, log, krl, .. } = &config.keys;
    let Keys { user: user_ca, host: host_ca, log, krl } = Keys::load([user_ca, host_ca, log, krl], passphrase)?;
    let host_public = host_ca.public().to_openssh().context("the host CA's public key cannot be written")?;
    let policies = LivePolicies::load_dir(&config.policy.directory)
        .with_context(|| format!("no policy set to serve in {}", config.policy.directory.display()))?;
    let issuers = Issuers::new(config.issuer.clone(), Arc::clone(&clock))
        .map_err(|faults| anyhow::anyhow!("the issuers cannot be used: {}", faults.join("; ")))?;
    // A certificate over one of our own keys would let whoever holds that key act as a user.
    let ours = [&host_ca, &log, &krl].map(|key| key.public().fingerprint(HashAlg::Sha256).sha256());
    let origin = checkpoint::origin(config.audience.get_ref().as_str());
    let seal = Seal::new(origin, Arc::new(log)).context("the audit log cannot be named after the audience")?;
    let store: Arc<dyn Outbox> = match &config.store {
        StoreConfig::Redb(path) => Arc::new(RedbStore::open(path, &seal)?),
        StoreConfig::Postgres(settings) => Arc::new(PostgresStore::open(settings, &seal).await?),
    };
    let sinks = Sinks::new(&config.sink, config.audience.get_ref().host(), &store, &clock)
        .map_err(|fault| anyhow::anyhow!("a sink cannot be used: {fault}"))?;
    Ok(App {
        audience: config.audience.get_ref().as_str().to_owned(),
        zone: config.timezone.get(),
        sessions: SessionRules {
            lifetime: config.sessions.lifetime.get(),
            idle: config.sessions.idle.get(),
            most_per_identity: usize::try_from(config.sessions.most_per_user.get()).unwrap_or(1),
        },
        sinks,
        replay: Replay::new(clock.now_ms()),
        waiting: Waiting::default(),
        cases: Default::default(),
        refusals: Refusals::default(),
        certificates: Certificates::per_minute(config.limits.certificates_per_minute.get()),
        clock,
        store,
        krl: Lists::new(user_ca.public().clone(), krl),
        authority: Authority::new(user_ca).refusing(ours.into_iter().flatten()),
        host_ca: host_public,
        policies,
        issuers,
    })
}

/// Serves until SIGTERM or SIGINT, then finishes what is in flight. `more` is added to the line that says ready.
///
/// # Errors
/// If it cannot begin to serve.
pub async fn serve(
    config: &Config,
    app: App,
    listeners: Listeners,
    more: serde_json::Map<String, serde_json::Value>,
) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // Before anybody is told that we are ready: unheard, this signal ends the process.
    let hangup = signal(SignalKind::hangup())?;
    let tls = match config.tls() {
        Some((certificate, key)) => Some(Arc::new(Tls::load(certificate, key)?)),
        None => None,
    };
    let app = Arc::new(app);
    let shared =
        Arc::new(Shared::new(Arc::clone(&app), config).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?);
    app.sinks.begin().await.context("the sinks cannot begin")?;
    record_start(&app).await?;
    let line = ready_line(&listeners, tls.is_some(), more)?;

    let (stop, stopped) = watch::channel(false);
    let background = background::spawn(&shared, tls.clone(), hangup);
    let api = Door::new(Arc::clone(&shared), Listener::Api);
    let ops = Door::new(Arc::clone(&shared), Listener::Ops);
    let api = tokio::spawn(connections::serve(listeners.api, api, tls, stopped.clone()));
    let ops = tokio::spawn(connections::serve(listeners.ops, ops, None, stopped));
    say(&line)?;
    systemd::ready();
    tracing::info!(audience = app.audience, policies = app.policies.current().policies.len(), "serving");

    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    systemd::stopping();
    tracing::info!("stopping: finishing what is in flight");
    stop.send_replace(true);
    shared.app.waiting.close();
    api.await?;
    ops.await?;
    background.stop().await;
    tracing::info!("stopped");
    Ok(())
}

/// The first fact of each run, after the policy set where the log does not have it. If it cannot be kept, nothing else could be either.
async fn record_start(app: &App) -> anyhow::Result<()> {
    let loaded = app.policies.current();
    // It may have changed while no server ran.
    verbs::policies::record(app, &loaded, "start").await.context("the policy set cannot be recorded")?;
    let event = Event::ServerStarted {
        version: env!("CARGO_PKG_VERSION"),
        audience: &app.audience,
        policy_digest: &loaded.digest,
        user_ca: &app.authority.public_key(),
    };
    let entry = Entry::new(app.clock.now_ms(), "start", &event)?;
    app.store.append(entry).await.context("the start cannot be recorded")
}

fn ready_line(
    listeners: &Listeners,
    tls: bool,
    more: serde_json::Map<String, serde_json::Value>,
) -> anyhow::Result<String> {
    let scheme = if tls { "https" } else { "http" };
    let mut line = serde_json::Map::new();
    line.insert("ready".to_owned(), true.into());
    line.insert("url".to_owned(), format!("{scheme}://{}", listeners.api.local_addr()?).into());
    line.insert("ops".to_owned(), format!("http://{}", listeners.ops.local_addr()?).into());
    line.extend(more);
    Ok(serde_json::to_string(&line)?)
}

/// Says it to whoever started the server. That nobody listens is no reason not to serve.
fn say(line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{line}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
