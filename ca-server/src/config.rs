//! The configuration file: read once, every value a type that cannot be wrong, every error with its line.

pub mod issuer;
mod limits;
mod problem;
pub mod sink;
pub mod store;
mod values;

use issuer::{IssuerConfig, check_all};
pub use limits::Limits;
use policy::{Finding, Network, Seconds};
use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};
pub use store::StoreConfig;
use toml::Spanned;
pub use values::{Audience, Count, Passphrase, Span, Zone};

/// The environment variable that holds the passphrase of the CA keys.
pub const PASSPHRASE_VARIABLE: &str = "JIT_SSH_CA_PASSPHRASE";

/// A configuration. Paths are absolute, or relative to the process once [`Config::load`] has read them.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The server's public URL, and its name in every signature.
    pub audience: Spanned<Audience>,
    /// The time zone of policies.
    #[serde(default)]
    pub timezone: Zone,
    /// Where it listens.
    #[serde(default)]
    pub listen: Listen,
    /// Where facts are kept.
    #[serde(default)]
    pub store: StoreConfig,
    /// The server's keys.
    #[serde(default)]
    pub keys: Keys,
    /// Where the policies are.
    #[serde(default)]
    pub policy: PolicyConfig,
    /// How login sessions live.
    #[serde(default)]
    pub sessions: Sessions,
    /// What a stranger may use up.
    #[serde(default)]
    pub limits: Limits,
    /// What is logged.
    #[serde(default)]
    pub log: Log,
    /// Who vouches for people and workloads.
    #[serde(default)]
    pub issuer: Vec<IssuerConfig>,
    /// Where audit entries are delivered to.
    #[serde(default)]
    pub sink: Vec<sink::SinkConfig>,
}

/// Where the server listens.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Listen {
    /// The API.
    pub address: Spanned<SocketAddr>,
    /// Health and metrics. Whoever reaches it sees figures, so it belongs on loopback or a management network.
    pub ops: SocketAddr,
    /// PEM certificate chain of the API.
    pub tls_certificate: Option<PathBuf>,
    /// PEM private key of the API.
    pub tls_key: Option<PathBuf>,
    /// Networks of reverse proxies whose `X-Forwarded-For` is believed. From anybody else it is ignored.
    pub trusted_proxies: Vec<Network>,
}

/// The CA keys.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Keys {
    /// Signs user certificates.
    pub user_ca: PathBuf,
    /// Signs host certificates.
    pub host_ca: PathBuf,
    /// Signs checkpoints of the audit log.
    pub log: PathBuf,
    /// Signs what hosts are told of the KRL.
    pub krl: PathBuf,
    /// A file whose first line is the passphrase of all of them; else the environment variable, else none.
    pub passphrase_file: Option<PathBuf>,
}

/// Where the policies are.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyConfig {
    /// The policy directory.
    pub directory: PathBuf,
}

/// How login sessions live.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sessions {
    /// The longest life.
    pub lifetime: Span<60, { 30 * 86_400 }>,
    /// The longest time without a request.
    pub idle: Span<60, { 30 * 86_400 }>,
    /// The most live login sessions of one identity; one more ends the oldest.
    pub most_per_user: Count<1, 1000>,
}

/// What is logged.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// From which level on.
    pub level: Level,
    /// Which requests get a line.
    pub requests: Requests,
}

/// From which level on something is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// What is broken.
    Error,
    /// And what may be.
    Warn,
    /// And what happens.
    Info,
    /// And how.
    Debug,
}

/// Which requests get a line in the log. The audit log records decisions and certificates either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Requests {
    /// Each.
    All,
    /// Those that were refused or failed.
    Refused,
}

impl Config {
    /// Reads the file; relative paths become relative to its directory.
    ///
    /// # Errors
    /// What is wrong, with file and line.
    pub fn load(file: &Path) -> Result<Self, Vec<Finding>> {
        let name = file.display().to_string();
        let text = fs::read_to_string(file).map_err(|error| vec![problem::unreadable(&name, &error)])?;
        let base = file.parent().filter(|base| !base.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Self::parse(&name, &text, base)
    }

    /// Parses `text`; findings call it `name`, relative paths become relative to `base`.
    ///
    /// # Errors
    /// What is wrong, with file and line.
    pub fn parse(name: &str, text: &str, base: &Path) -> Result<Self, Vec<Finding>> {
        let mut config: Self = toml::from_str(text).map_err(|error| vec![problem::syntax(name, text, &error)])?;
        config.anchor(base);
        let findings = config.contradictions(name, text);
        if findings.is_empty() { Ok(config) } else { Err(findings) }
    }

    /// The files of the certificate and its key, where TLS is configured.
    pub fn tls(&self) -> Option<(&Path, &Path)> {
        Some((self.listen.tls_certificate.as_deref()?, self.listen.tls_key.as_deref()?))
    }

    fn anchor(&mut self, base: &Path) {
        let Self { listen, store, keys, policy, issuer, sink, .. } = self;
        store.relative_to(base);
        sink.iter_mut().for_each(|sink| sink.relative_to(base));
        issuer.iter_mut().for_each(|issuer| issuer.relative_to(base));
        let Keys { user_ca, host_ca, log, krl, .. } = keys;
        let needed = [user_ca, host_ca, log, krl, &mut policy.directory];
        let optional = [&mut listen.tls_certificate, &mut listen.tls_key, &mut keys.passphrase_file];
        for path in needed.into_iter().chain(optional.into_iter().flatten()) {
            *path = base.join(&*path);
        }
    }

    /// What each value allows and all together do not.
    fn contradictions(&self, name: &str, text: &str) -> Vec<Finding> {
        let at = |offset: usize, message: &str, hint: &str| problem::at(name, text, offset, message, hint);
        let address = &self.listen.address;
        let mut findings = Vec::new();
        if self.listen.tls_certificate.is_some() != self.listen.tls_key.is_some() {
            findings.push(at(
                address.span().start,
                "listen.tls_certificate and listen.tls_key go together",
                "give both, or neither on a loopback address",
            ));
        } else if self.tls().is_none() && !address.get_ref().ip().is_loopback() {
            findings.push(at(
                address.span().start,
                "plain HTTP is served on loopback only",
                "set listen.tls_certificate and listen.tls_key, or listen on 127.0.0.1 behind a proxy that ends TLS",
            ));
        }
        let everybody = ["0.0.0.0/0", "::/0"].map(str::parse::<Network>);
        if self.listen.trusted_proxies.iter().any(|network| everybody.contains(&Ok(*network))) {
            findings.push(at(
                text.find("trusted_proxies").unwrap_or(0),
                "listen.trusted_proxies names everybody: any client could then claim any address",
                "name the addresses of your own proxies",
            ));
        }
        if self.sessions.idle.get() > self.sessions.lifetime.get() {
            findings.push(at(
                text.find("idle").unwrap_or(0),
                "sessions.idle is longer than sessions.lifetime",
                "no login session would live long enough to be idle: shorten idle",
            ));
        }
        for fault in check_all(&self.issuer).err().unwrap_or_default() {
            let offset = text.find(fault.issuer.as_str()).unwrap_or(0);
            findings.push(at(offset, &fault.to_string(), ""));
        }
        for (offset, fault, hint) in sink::check_all(&self.sink) {
            findings.push(at(offset, &fault, hint));
        }
        findings
    }
}

impl Keys {
    /// The passphrase of the CA keys, if one is configured.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn passphrase(&self) -> std::io::Result<Option<Passphrase>> {
        match &self.passphrase_file {
            Some(file) => Passphrase::read(file).map(Some),
            None => Ok(std::env::var(PASSPHRASE_VARIABLE).ok().map(Passphrase::new)),
        }
    }
}

impl Default for Listen {
    fn default() -> Self {
        let loopback = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        Self {
            address: Spanned::new(0..0, loopback(8443)),
            ops: loopback(9464),
            tls_certificate: None,
            tls_key: None,
            trusted_proxies: Vec::new(),
        }
    }
}

impl Default for Keys {
    fn default() -> Self {
        let [user_ca, host_ca, log, krl] = ["keys/user_ca", "keys/host_ca", "keys/log", "keys/krl"].map(PathBuf::from);
        Self { user_ca, host_ca, log, krl, passphrase_file: None }
    }
}

impl Default for PolicyConfig {
    fn default() -> Self {
        Self { directory: "policy".into() }
    }
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            lifetime: Span::new(Seconds::new(12 * 3600)),
            idle: Span::new(Seconds::new(2 * 3600)),
            most_per_user: Count::new(20),
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { level: Level::Info, requests: Requests::All }
    }
}

#[cfg(test)]
mod tests;
