//! `[[sink]]`: where audit entries are delivered to. Read as written here, judged in `check`, built in `crate::sinks`.

mod check;
mod codes;

use super::{Count, Passphrase, Span};
pub(super) use check::check_all;
pub use codes::CodePattern;
use policy::Seconds;
use std::{
    io,
    path::{Path, PathBuf},
};
use toml::Spanned;

/// One sink.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SinkConfig {
    /// Its name, under which the store remembers how far it has come.
    pub name: Spanned<SinkName>,
    /// What it is.
    pub kind: SinkKind,
    /// Which entries it takes; all of them if absent.
    #[serde(default = "every_code")]
    pub codes: Vec<CodePattern>,
    /// Of these, those that policy wants told to one of these channels (`@notify`); whether it does or not if absent.
    #[serde(default)]
    pub notify: Vec<Channel>,
    /// How an entry is written; JSON if absent.
    pub format: Option<Format>,
    /// Where a sink that was never seen begins.
    #[serde(default)]
    pub begin: Begin,
    /// The most entries of one delivery; each kind has its own default.
    pub batch: Option<Count<1, 500>>,
    /// How long a delivery may take.
    #[serde(default = "timeout")]
    pub timeout: Span<1, 60>,
    /// An entry this old is given up when its delivery fails once more.
    #[serde(default = "max_age")]
    pub max_age: Span<60, { 30 * 86_400 }>,
    /// So often may the receiver refuse an entry for what it is, before it is given up.
    #[serde(default = "tries")]
    pub tries: Count<1, 100>,
    /// `file`: where to.
    pub path: Option<PathBuf>,
    /// `syslog`, `smtp`: host and port.
    pub address: Option<Address>,
    /// `syslog`: over what; TLS if absent.
    pub transport: Option<Transport>,
    /// `smtp`: how it is protected; STARTTLS if absent.
    pub encryption: Option<Encryption>,
    /// Certificates (PEM) that may vouch for the receiver's, beside the system's.
    pub ca_file: Option<PathBuf>,
    /// `webhook`: where to.
    pub url: Option<String>,
    /// `webhook`, `slack`: a file whose first line is the URL.
    pub url_file: Option<PathBuf>,
    /// `webhook`, `slack`: an environment variable that holds the URL.
    pub url_env: Option<String>,
    /// `webhook`: a file whose first line is the signing secret.
    pub secret_file: Option<PathBuf>,
    /// `webhook`: an environment variable that holds the signing secret.
    pub secret_env: Option<String>,
    /// `slack`, `smtp`: a page to point to; the request's id is appended.
    pub link: Option<String>,
    /// `smtp`: the sender.
    pub from: Option<lettre::message::Mailbox>,
    /// `smtp`: the receivers.
    #[serde(default)]
    pub to: Vec<lettre::message::Mailbox>,
    /// `smtp`: the user to log in as.
    pub username: Option<String>,
    /// `smtp`: a file whose first line is the password.
    pub password_file: Option<PathBuf>,
    /// `smtp`: an environment variable that holds the password.
    pub password_env: Option<String>,
}

/// What a sink is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SinkKind {
    /// Lines in a file.
    File,
    /// RFC 5424.
    Syslog,
    /// Signed batches over HTTPS.
    Webhook,
    /// A Slack-compatible incoming webhook.
    Slack,
    /// E-mail.
    Smtp,
}

/// How an entry is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// The entry with its index.
    #[default]
    Json,
    /// Open Cybersecurity Schema Framework.
    Ocsf,
    /// Common Event Format.
    Cef,
}

/// Where a sink that was never seen begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Begin {
    /// With what comes after its first start.
    #[default]
    Now,
    /// With the first entry of the log.
    First,
}

/// What syslog goes over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// RFC 5425.
    #[default]
    Tls,
    /// RFC 6587, octet counting.
    Tcp,
    /// RFC 5426.
    Udp,
}

/// How SMTP is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encryption {
    /// STARTTLS, demanded.
    #[default]
    Starttls,
    /// TLS from the first byte.
    Tls,
    /// None; on a loopback address only.
    None,
}

/// A sink's name: a label of metrics and a key in the store.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct SinkName(String);

impl SinkName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for SinkName {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let letters = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        let fits = (1..=40).contains(&text.len());
        if letters && fits { Ok(Self(text)) } else { Err("a sink's name is 1 to 40 of a-z, 0-9 and -") }
    }
}

/// A name that policies use in `@notify`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct Channel(String);

impl TryFrom<String> for Channel {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let letters = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._#@:/-".contains(&byte));
        let fits = (1..=64).contains(&text.len());
        if letters && fits {
            Ok(Self(text))
        } else {
            Err("a channel is named as @notify names it: 1 to 64 of A-Z a-z 0-9 . _ # @ : / -")
        }
    }
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct Address {
    /// A name or an address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Address {
    /// Whether it is this very machine, by address or by the name `localhost`.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
    }
}

impl TryFrom<String> for Address {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        const SAYS: &str = "host and port, such as siem.example.com:6514 or [2001:db8::1]:6514";
        let (host, port) = text.rsplit_once(':').ok_or(SAYS)?;
        let port = port.parse().ok().filter(|port| *port != 0).ok_or(SAYS)?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let valid = match bare {
            Some(host) => host.parse::<std::net::Ipv6Addr>().is_ok(),
            None => url::Host::parse(host).is_ok() && host.is_ascii(),
        };
        if valid { Ok(Self { host: bare.unwrap_or(host).to_owned(), port }) } else { Err(SAYS) }
    }
}

impl SinkConfig {
    /// Whether it takes entries with this code that are for these channels.
    pub fn takes<'c>(&self, code: &str, mut channels: impl Iterator<Item = &'c str>) -> bool {
        self.codes.iter().any(|pattern| pattern.takes(code))
            && (self.notify.is_empty() || channels.any(|channel| self.is_for(channel)))
    }

    /// Whether it lists this channel.
    pub fn is_for(&self, channel: &str) -> bool {
        self.notify.iter().any(|Channel(name)| name == channel)
    }

    /// The URL, from wherever it is configured.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read_url(&self) -> io::Result<Option<Passphrase>> {
        match &self.url {
            Some(url) => Ok(Some(Passphrase::new(url.clone()))),
            None => secret(self.url_file.as_deref(), self.url_env.as_deref()),
        }
    }

    /// The signing secret.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read_secret(&self) -> io::Result<Option<Passphrase>> {
        secret(self.secret_file.as_deref(), self.secret_env.as_deref())
    }

    /// The password.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read_password(&self) -> io::Result<Option<Passphrase>> {
        secret(self.password_file.as_deref(), self.password_env.as_deref())
    }

    pub(super) fn relative_to(&mut self, directory: &Path) {
        let Self { path, ca_file, url_file, secret_file, password_file, .. } = self;
        for file in [path, ca_file, url_file, secret_file, password_file].into_iter().flatten() {
            *file = directory.join(&*file);
        }
    }
}

fn secret(file: Option<&Path>, variable: Option<&str>) -> io::Result<Option<Passphrase>> {
    let at = |what: String| move |error| io::Error::other(format!("{what}: {error}"));
    match (file, variable) {
        (Some(file), _) => Passphrase::read(file).map(Some).map_err(at(file.display().to_string())),
        (None, Some(name)) => {
            let read = std::env::var(name).map_err(|error| io::Error::other(error.to_string()));
            read.map(|text| Some(Passphrase::new(text))).map_err(at(format!("environment variable {name}")))
        }
        (None, None) => Ok(None),
    }
}

fn every_code() -> Vec<CodePattern> {
    vec![CodePattern::all()]
}

fn timeout() -> Span<1, 60> {
    Span::new(Seconds::new(10))
}

fn max_age() -> Span<60, { 30 * 86_400 }> {
    Span::new(Seconds::new(3 * 86_400))
}

const fn tries() -> Count<1, 100> {
    Count::new(5)
}
