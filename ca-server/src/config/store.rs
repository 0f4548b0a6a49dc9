//! `[store]`: where facts are kept.

use super::{Count, Passphrase, Span};
use policy::Seconds;
use std::{
    env::VarError,
    io,
    path::{Path, PathBuf},
};

/// The environment variable that holds the password of the database.
pub const PASSWORD_VARIABLE: &str = "JIT_SSH_STORE_PASSWORD";

/// Where facts are kept.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(try_from = "Written")]
pub enum StoreConfig {
    /// In one file, by one server.
    Redb(PathBuf),
    /// In a database that several servers may share.
    Postgres(Postgres),
}

/// How to reach a PostgreSQL database.
#[derive(Clone, Debug)]
pub struct Postgres {
    /// Host names or addresses, in the order in which they are tried; one that starts with a slash is the directory of a
    /// Unix socket.
    pub hosts: Vec<String>,
    /// The port, also of a Unix socket.
    pub port: u16,
    /// The database.
    pub database: String,
    /// The role to log in as.
    pub user: String,
    /// A file whose first line is the password; else the environment variable, else none.
    pub password_file: Option<PathBuf>,
    /// Whether the connection is encrypted and the server's certificate checked.
    pub tls: bool,
    /// Certificates (PEM) that may vouch for the database's, beside the system's.
    pub ca_file: Option<PathBuf>,
    /// The most connections for reading. Two more write and listen.
    pub pool: Count<1, 200>,
    /// How long the database may take: to connect, for a statement, for a free connection.
    pub timeout: Span<1, 60>,
}

impl Postgres {
    /// The password, if one is configured.
    ///
    /// # Errors
    /// If the file cannot be read, or others can; if the environment's is not UTF-8.
    pub fn password(&self) -> io::Result<Option<Passphrase>> {
        match &self.password_file {
            Some(file) => Passphrase::read(file).map(Some),
            None => match std::env::var(PASSWORD_VARIABLE) {
                Ok(password) => Ok(Some(Passphrase::new(password))),
                Err(VarError::NotPresent) => Ok(None),
                // What it holds is not shown, nor is another one tried in its place.
                Err(VarError::NotUnicode(_)) => Err(io::Error::other(format!("{PASSWORD_VARIABLE} is not UTF-8"))),
            },
        }
    }
}

impl StoreConfig {
    /// The store's file, where it is one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Redb(path) => Some(path),
            Self::Postgres(_) => None,
        }
    }

    pub(super) fn relative_to(&mut self, base: &Path) {
        match self {
            Self::Redb(path) => *path = base.join(&*path),
            Self::Postgres(Postgres { password_file, ca_file, .. }) => {
                for path in [password_file, ca_file].into_iter().flatten() {
                    *path = base.join(&*path);
                }
            }
        }
    }
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self::Redb("jit-ssh.redb".into())
    }
}

/// As it stands in the file.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    kind: Kind,
    path: Option<PathBuf>,
    host: Option<Hosts>,
    port: Option<Count<1, 65_535>>,
    database: Option<String>,
    user: Option<String>,
    password_file: Option<PathBuf>,
    tls: Option<Tls>,
    ca_file: Option<PathBuf>,
    pool: Option<Count<1, 200>>,
    timeout: Option<Span<1, 60>>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    #[default]
    Redb,
    Postgres,
}

#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Hosts {
    One(String),
    Several(Vec<String>),
}

#[derive(Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum Tls {
    Require,
    Off,
}

impl TryFrom<Written> for StoreConfig {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        match written.kind {
            Kind::Redb => written.file(),
            Kind::Postgres => written.database().map(Self::Postgres),
        }
    }
}

impl Written {
    fn file(self) -> Result<StoreConfig, String> {
        let strange = [
            ("host", self.host.is_some()),
            ("port", self.port.is_some()),
            ("database", self.database.is_some()),
            ("user", self.user.is_some()),
            ("password_file", self.password_file.is_some()),
            ("tls", self.tls.is_some()),
            ("ca_file", self.ca_file.is_some()),
            ("pool", self.pool.is_some()),
            ("timeout", self.timeout.is_some()),
        ];
        if let Some((key, _)) = strange.iter().find(|(_, given)| *given) {
            return Err(format!("store.{key} means nothing for kind = \"redb\": it is a file; see docs/OPERATIONS.md"));
        }
        Ok(self.path.map_or_else(StoreConfig::default, StoreConfig::Redb))
    }

    fn database(self) -> Result<Postgres, String> {
        if self.path.is_some() {
            return Err("store.path means nothing for kind = \"postgres\": give host, database and user".to_owned());
        }
        let hosts = match self.host {
            None => vec!["127.0.0.1".to_owned()],
            Some(Hosts::One(host)) => vec![host],
            Some(Hosts::Several(hosts)) => hosts,
        };
        let words = [self.database.as_ref(), self.user.as_ref()];
        let odd = |word: &String| word.is_empty() || word.contains(char::is_control);
        if hosts.is_empty() || hosts.iter().chain(words.into_iter().flatten()).any(odd) {
            return Err("a host, database or user of the store is empty or holds control characters".to_owned());
        }
        let here = hosts.iter().all(|host| is_local(host));
        let tls = match self.tls {
            None => !here,
            Some(Tls::Require) => true,
            Some(Tls::Off) if here => false,
            Some(Tls::Off) => {
                return Err(
                    "tls = \"off\" is for databases on this machine: what goes to another one is encrypted".to_owned()
                );
            }
        };
        if !tls && self.ca_file.is_some() {
            return Err("store.ca_file means nothing without TLS: set tls = \"require\", or leave it out".to_owned());
        }
        Ok(Postgres {
            hosts,
            port: u16::try_from(self.port.map_or(5_432, Count::get)).unwrap_or(5_432),
            database: self.database.unwrap_or_else(|| "jit_ssh".to_owned()),
            user: self.user.unwrap_or_else(|| "jit_ssh".to_owned()),
            password_file: self.password_file,
            tls,
            ca_file: self.ca_file,
            pool: self.pool.unwrap_or(Count::new(8)),
            timeout: self.timeout.unwrap_or_else(|| Span::new(Seconds::new(5))),
        })
    }
}

/// Whether what goes to `host` stays on this machine.
fn is_local(host: &str) -> bool {
    host.starts_with('/') || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::{Postgres, StoreConfig};
    use crate::config::Config;
    use std::path::Path;

    fn parsed(store: &str) -> Result<StoreConfig, String> {
        let text = format!("audience = \"https://ca.example.com\"\n[store]\n{store}\n");
        let config = Config::parse("c.toml", &text, Path::new("/etc/x"));
        config.map(|config| config.store).map_err(|findings| format!("{findings:?}"))
    }

    fn database(store: &str) -> Postgres {
        match parsed(&format!("kind = \"postgres\"\n{store}")).unwrap() {
            StoreConfig::Postgres(database) => database,
            StoreConfig::Redb(path) => panic!("{path:?}"),
        }
    }

    #[test]
    fn a_database_is_named_and_what_leaves_the_machine_is_encrypted() {
        let plain = database("");
        assert_eq!((plain.hosts.as_slice(), plain.port, plain.tls), (&["127.0.0.1".to_owned()][..], 5_432, false));
        assert!(!database("host = \"/run/postgresql\"").tls);
        assert!(database("host = \"::1\"\ntls = \"require\"").tls);
        let far = database("host = [\"db-1\", \"db-2\"]\nport = 6000\npassword_file = \"p\"\nca_file = \"ca.pem\"");
        assert!(far.tls && far.hosts.len() == 2);
        assert_eq!(far.password_file.as_deref(), Some(Path::new("/etc/x/p")));
        assert!(database("host = \"localhost\"").tls, "a name may lead anywhere");
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_the_way_out() {
        for (store, says) in [
            ("kind = \"postgres\"\npath = \"x\"", "give host"),
            ("kind = \"postgres\"\nhost = \"db\"\ntls = \"off\"", "another one is encrypted"),
            ("kind = \"postgres\"\nca_file = \"ca.pem\"", "without TLS"),
            ("kind = \"postgres\"\npassword = \"x\"", "unknown field"),
            ("kind = \"postgres\"\nhost = \"\"", "empty"),
            ("kind = \"postgres\"\npool = 0", "from 1 to 200"),
            ("kind = \"redb\"\nhost = \"db\"", "store.host means nothing"),
            ("kind = \"mysql\"", "unknown variant"),
        ] {
            let refused = parsed(store).unwrap_err();
            assert!(refused.contains(says), "{store}: {refused}");
        }
    }
}
