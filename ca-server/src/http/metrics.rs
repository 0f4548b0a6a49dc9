//! Figures for operators, in Prometheus' text format. Labels come from tables of ours, never from a request.

use super::routes::ROUTES;
use crate::{app::App, logging, sinks::SinkStatus};
use api::Code;
use std::{
    fmt::Write as _,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Codes in the order in which their counters stand; `ok` comes before them.
pub(super) const CODES: [Code; 25] = [
    Code::BadRequest,
    Code::LoginRequired,
    Code::BadSignature,
    Code::ClockSkew,
    Code::Replayed,
    Code::TokenRefused,
    Code::TokenUsed,
    Code::UnknownIssuer,
    Code::GroupsOverage,
    Code::Denied,
    Code::Frozen,
    Code::NeedsApproval,
    Code::KeyRefused,
    Code::ProofRequired,
    Code::NotFound,
    Code::MethodNotAllowed,
    Code::Timeout,
    Code::IdempotencyMismatch,
    Code::Conflict,
    Code::PreconditionFailed,
    Code::TooLarge,
    Code::RateLimited,
    Code::Internal,
    Code::IssuerUnavailable,
    Code::StoreUnavailable,
];
const COLUMNS: usize = CODES.len() + 1;
/// Upper bounds of the issue histogram, in microseconds.
const BOUNDS: [u64; 12] =
    [500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 5_000_000];

/// All counters.
pub struct Metrics {
    requests: Vec<AtomicU64>,
    issue_buckets: [AtomicU64; BOUNDS.len()],
    issue_count: AtomicU64,
    issue_microseconds: AtomicU64,
    panics: AtomicU64,
    connections: AtomicU64,
    connections_refused: AtomicU64,
    handshakes_failed: AtomicU64,
    tls_reloads_rejected: AtomicU64,
}

impl Default for Metrics {
    fn default() -> Self {
        let zero = AtomicU64::default;
        Self {
            requests: (0..(ROUTES.len() + 1) * COLUMNS).map(|_| zero()).collect(),
            issue_buckets: Default::default(),
            issue_count: zero(),
            issue_microseconds: zero(),
            panics: zero(),
            connections: zero(),
            connections_refused: zero(),
            handshakes_failed: zero(),
            tls_reloads_rejected: zero(),
        }
    }
}

impl Metrics {
    /// One answer at the route that stands at `place`, with the time it took if it issued a certificate.
    pub(super) fn count(&self, place: usize, refused: Option<Code>, issued: Option<Duration>) {
        let unknown = CODES.len();
        let column =
            refused.map_or(0, |code| CODES.iter().position(|&known| known == code).map_or(unknown, |at| at + 1));
        if let Some(counter) = self.requests.get(place * COLUMNS + column) {
            counter.fetch_add(1, Relaxed);
        }
        if let Some(took) = issued {
            let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            let bucket = BOUNDS.iter().zip(&self.issue_buckets).find(|(bound, _)| took <= **bound);
            if let Some((_, counter)) = bucket {
                counter.fetch_add(1, Relaxed);
            }
            self.issue_count.fetch_add(1, Relaxed);
            self.issue_microseconds.fetch_add(took, Relaxed);
        }
    }

    pub(super) fn panicked(&self) {
        self.panics.fetch_add(1, Relaxed);
    }

    pub(super) fn connected(&self) {
        self.connections.fetch_add(1, Relaxed);
    }

    pub(super) fn disconnected(&self) {
        self.connections.fetch_sub(1, Relaxed);
    }

    pub(super) fn connection_refused(&self) {
        self.connections_refused.fetch_add(1, Relaxed);
    }

    pub(super) fn handshake_failed(&self) {
        self.handshakes_failed.fetch_add(1, Relaxed);
    }

    /// New TLS files were refused; the old ones stay.
    pub fn tls_reload_rejected(&self) {
        self.tls_reloads_rejected.fetch_add(1, Relaxed);
    }

    /// All of it as text.
    pub(super) fn text(&self, app: &App, store_ready: bool, clients: usize, sinks: &[SinkStatus]) -> String {
        let mut text = Text(String::with_capacity(8192));
        text.family("jit_ssh_build", "gauge", "The version that runs");
        text.line("jit_ssh_build", &[("version", env!("CARGO_PKG_VERSION"))], 1);
        self.requests(&mut text);
        self.issues(&mut text);
        let loaded = app.policies.current();
        let figures = [
            ("jit_ssh_panics_total", "counter", "Requests that ended in a panic", self.panics.load(Relaxed)),
            ("jit_ssh_connections", "gauge", "Connections open now", self.connections.load(Relaxed)),
            (
                "jit_ssh_connections_refused_total",
                "counter",
                "Connections beyond a limit",
                self.connections_refused.load(Relaxed),
            ),
            (
                "jit_ssh_handshakes_failed_total",
                "counter",
                "TLS handshakes that failed or stalled",
                self.handshakes_failed.load(Relaxed),
            ),
            (
                "jit_ssh_tls_reloads_rejected_total",
                "counter",
                "New TLS files that were refused",
                self.tls_reloads_rejected.load(Relaxed),
            ),
            ("jit_ssh_limited_clients", "gauge", "Clients the rate limits remember", clients as u64),
            ("jit_ssh_policies", "gauge", "Policies in force", loaded.policies.len() as u64),
            (
                "jit_ssh_policy_reloads_total",
                "counter",
                "Policy sets put in force since the start",
                app.policies.reloads(),
            ),
            ("jit_ssh_policy_rejected_total", "counter", "Policy sets that were refused", app.policies.rejected()),
            (
                "jit_ssh_policy_stale",
                "gauge",
                "1 while the directory holds a set that was refused",
                u64::from(app.policies.stale()),
            ),
            ("jit_ssh_store_ready", "gauge", "1 while the store can be written", u64::from(store_ready)),
            ("jit_ssh_log_lines_lost_total", "counter", "Log lines dropped because nobody read", logging::lost()),
            ("process_resident_memory_bytes", "gauge", "Resident memory", resident().unwrap_or(0)),
        ];
        for (name, kind, help, value) in figures {
            text.family(name, kind, help);
            text.line(name, &[], value);
        }
        text.family("jit_ssh_issuer_up", "gauge", "1 while the issuer's keys are known and fresh");
        for status in app.issuers.status() {
            text.line("jit_ssh_issuer_up", &[("issuer", status.issuer.as_str())], u64::from(status.up()));
        }
        about_sinks(&mut text, sinks);
        text.0
    }

    fn requests(&self, text: &mut Text) {
        let name = "jit_ssh_requests_total";
        text.family(name, "counter", "Requests by route and answer");
        let labels = ROUTES.iter().map(|route| (route.method.as_str(), route.path)).chain([("none", "none")]);
        for ((method, route), row) in labels.zip(self.requests.chunks(COLUMNS)) {
            for (code, counter) in std::iter::once(None).chain(CODES.map(Some)).zip(row) {
                let count = counter.load(Relaxed);
                // A code that never came is not a line: 14 routes by 22 codes are mostly zeros.
                if count > 0 || code.is_none() {
                    let code = code.map_or("ok".to_owned(), name_of);
                    text.line(name, &[("method", method), ("route", route), ("code", &code)], count);
                }
            }
        }
    }

    fn issues(&self, text: &mut Text) {
        let name = "jit_ssh_issue_seconds";
        text.family(name, "histogram", "Time to issue a certificate, from the request's header to the answer");
        let mut below = 0;
        for (bound, counter) in BOUNDS.iter().zip(&self.issue_buckets) {
            below += counter.load(Relaxed);
            text.line("jit_ssh_issue_seconds_bucket", &[("le", &seconds(*bound))], below);
        }
        let count = self.issue_count.load(Relaxed);
        text.line("jit_ssh_issue_seconds_bucket", &[("le", "+Inf")], count);
        let _infallible =
            writeln!(text.0, "jit_ssh_issue_seconds_sum {}", seconds(self.issue_microseconds.load(Relaxed)));
        text.line("jit_ssh_issue_seconds_count", &[], count);
    }
}

struct Text(String);

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _infallible = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: u64) {
        self.0.push_str(name);
        for (place, (label, value)) in labels.iter().enumerate() {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _infallible = write!(self.0, "{}{label}=\"{value}\"", if place == 0 { '{' } else { ',' });
        }
        let _infallible = writeln!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }
}

fn about_sinks(text: &mut Text, sinks: &[SinkStatus]) {
    type Figure = (&'static str, &'static str, &'static str, fn(&SinkStatus) -> u64);
    let figures: [Figure; 6] = [
        ("jit_ssh_sink_up", "gauge", "1 unless the sink's last delivery failed", |sink| u64::from(sink.up)),
        ("jit_ssh_sink_lag_entries", "gauge", "Entries the sink has not dealt with", |sink| sink.lag_entries),
        ("jit_ssh_sink_lag_seconds", "gauge", "Age of the oldest entry it tries to deliver", |sink| sink.lag_ms / 1000),
        ("jit_ssh_sink_delivered_total", "counter", "Entries delivered", |sink| sink.delivered),
        ("jit_ssh_sink_failures_total", "counter", "Deliveries that failed", |sink| sink.failures),
        ("jit_ssh_sink_dead_letters", "gauge", "Entries given up and kept", |sink| sink.dead_letters),
    ];
    for (name, kind, help, value) in figures {
        text.family(name, kind, help);
        for sink in sinks {
            text.line(name, &[("sink", &sink.name)], value(sink));
        }
    }
}

/// The stable name of a code.
pub(super) fn name_of(code: Code) -> String {
    serde_json::to_string(&code).unwrap_or_default().trim_matches('"').to_owned()
}

fn seconds(microseconds: u64) -> String {
    format!("{}.{:06}", microseconds / 1_000_000, microseconds % 1_000_000)
}

fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}
