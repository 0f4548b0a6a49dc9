//! Which server: `--server`, `JIT_SSH_SERVER`, or `config.toml`.

use crate::error::Failure;
use std::{
    fmt, fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};
use url::{Host, Url};

/// What `--ca-file` said. Set once, before anything reads it: every connection to the CA is meant, however deep.
static CA_FILE: OnceLock<PathBuf> = OnceLock::new();

/// Roots named on the command line win over those of the login session.
///
/// # Errors
/// If `path` is relative and there is no working directory.
pub fn insist_on_ca_file(path: &Path) -> Result<(), Failure> {
    let path = std::path::absolute(path).map_err(|error| Failure::usage(format!("--ca-file: {error}")))?;
    CA_FILE.get_or_init(|| path);
    Ok(())
}

/// The roots named on the command line.
pub fn ca_file_named() -> Option<&'static Path> {
    CA_FILE.get().map(PathBuf::as_path)
}

/// A server's address: https, or http on a loopback address; no path, query or credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server(String);

impl Server {
    /// The address without a trailing slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether TLS is spoken.
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https://")
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for Server {
    type Err = Failure;
    fn from_str(text: &str) -> Result<Self, Failure> {
        let wrong = |what: &str| {
            Failure::usage(format!("the server's address {what}")).hint("write it as https://ssh-ca.example.com")
        };
        let url = Url::parse(text).map_err(|error| wrong(&format!("cannot be read ({error})")))?;
        if !safe(&url) {
            return Err(wrong("must be https (plain http only on a loopback address)"));
        }
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        if !bare || !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("must hold a host and a port only"));
        }
        Ok(Self(url.as_str().trim_end_matches('/').to_owned()))
    }
}

/// Whether what is said to `url` stays between us and it: https, or plain http that never leaves this machine.
pub fn safe(url: &Url) -> bool {
    match url.scheme() {
        "https" => url.host().is_some(),
        "http" => match url.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => false,
        },
        _ => false,
    }
}

/// `config.toml` and what overrides it.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The server's address.
    pub server: Option<String>,
    /// A PEM file with further roots that the server's certificate may chain to.
    pub ca_file: Option<PathBuf>,
}

impl Settings {
    /// Reads `config.toml`; a missing file says nothing.
    ///
    /// # Errors
    /// If the file is there and cannot be read or understood.
    pub fn load() -> Result<Self, Failure> {
        let Some(path) = config_file() else { return Ok(Self::default()) };
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(Failure::failed(format!("cannot read {}: {error}", path.display()))),
        };
        toml::from_str(&text).map_err(|error| {
            Failure::failed(format!("{}: {}", path.display(), error.message()))
                .hint("it may hold server = \"https://…\" and ca_file = \"…\", nothing else")
        })
    }

    /// Remembers `server`, leaving every other line as it is.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn remember(server: &Server) -> Result<(), Failure> {
        let Some(path) = config_file() else { return Ok(()) };
        let old = fs::read_to_string(&path).unwrap_or_default();
        let new = with_server(&old, server);
        if new == old {
            return Ok(());
        }
        write_config(&path, &new).map_err(|error| Failure::failed(format!("cannot write {}: {error}", path.display())))
    }
}

fn with_server(old: &str, server: &Server) -> String {
    let line = format!("server = \"{server}\"\n");
    let is_server = |text: &&str| text.split('=').next().is_some_and(|key| key.trim() == "server");
    let others: String = old.split_inclusive('\n').filter(|text| !is_server(text)).collect();
    line + &others
}

fn write_config(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let new = path.with_extension("toml.new");
    fs::write(&new, text)?;
    fs::rename(new, path)
}

/// `$XDG_CONFIG_HOME/jit-ssh/config.toml`, relative values ignored as the specification says.
pub fn config_file() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_CONFIG_HOME").or_else(|| absolute("HOME").map(|home| home.join(".config")))?;
    Some(base.join("jit-ssh/config.toml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_never_leaves_the_machine() {
        for good in ["https://ca.example.com", "https://ca.example.com:8443/", "http://127.0.0.1:99", "http://[::1]:9"]
        {
            assert!(good.parse::<Server>().is_ok(), "{good}");
        }
        for bad in [
            "http://ca.example.com",
            "http://127.0.0.1.example.com",
            "ftp://127.0.0.1",
            "https://user:pw@ca.example.com",
            "https://ca.example.com/x",
            "https://ca.example.com/?a=b",
            "file:///etc/passwd",
            "ca.example.com",
            "",
        ] {
            assert!(bad.parse::<Server>().is_err(), "{bad}");
        }
    }

    #[test]
    fn remembering_a_server_keeps_the_other_lines() {
        let server: Server = "https://new.example.com".parse().unwrap();
        let new = with_server("# mine\nserver = \"https://old\"\nca_file = \"/x\"\n", &server);
        assert_eq!(new, "server = \"https://new.example.com\"\n# mine\nca_file = \"/x\"\n");
    }
}
