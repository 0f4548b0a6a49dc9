//! Where a host is, if its name does not say: the inventory's `address` and `port`, as ssh is told them.

use crate::{
    ca_client::CaClient,
    error::Failure,
    state::{StateDir, certs::Certs, session::Session},
    terminal,
};
use api::HostEntry;
use policy::{HostName, Target};
use std::{ffi::OsString, net::IpAddr, num::NonZeroU16};

/// The way to a host. Made only of what is a host name or an IP address, and a port: it is written into ssh_config.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Route {
    address: Option<String>,
    port: Option<NonZeroU16>,
}

/// As it is kept.
#[derive(serde::Serialize, serde::Deserialize)]
struct Written {
    address: Option<String>,
    port: Option<u16>,
}

impl Route {
    /// The way to the host of the CA's list.
    ///
    /// # Errors
    /// If the list names an address that is none.
    pub fn of(entry: &HostEntry) -> Result<Self, Failure> {
        Self::checked(entry.address.as_deref(), entry.port).ok_or_else(|| {
            Failure::failed(format!("the CA's list names an address or port for {} that is none", entry.host))
                .hint("tell whoever runs the CA: address is a host name or an IP address, port 1 to 65535")
        })
    }

    fn checked(address: Option<&str>, port: Option<u16>) -> Option<Self> {
        let address = match address {
            Some(text) => Some(plain(text)?),
            None => None,
        };
        let port = match port {
            Some(port) => Some(NonZeroU16::new(port)?),
            None => None,
        };
        Some(Self { address, port })
    }

    /// What ssh_config is told; nothing where the name says it all. The host's key stays known by the host's name,
    /// whatever it is called and wherever it moves.
    pub fn directives(&self, host: &HostName) -> Vec<(&'static str, String)> {
        let address = self.address.clone().map(|address| ("HostName", address));
        let port = self.port.map(|port| ("Port", port.to_string()));
        let mut told: Vec<_> = address.into_iter().chain(port).collect();
        if !told.is_empty() {
            told.push(("HostKeyAlias", host.to_string()));
        }
        told
    }

    /// The address, where the name is not it.
    pub fn address(&self) -> Option<&str> {
        self.address.as_deref()
    }

    /// To another port than the inventory's, which the caller says elsewhere.
    #[must_use]
    pub fn without_port(self) -> Self {
        Self { port: None, ..self }
    }

    /// The same for ssh's command line.
    pub fn options(&self, host: &HostName) -> Vec<OsString> {
        let told = self.directives(host).into_iter();
        told.flat_map(|(name, value)| [OsString::from("-o"), format!("{name}={value}").into()]).collect()
    }

    /// As it is kept between two commands.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn to_json(&self) -> Result<Vec<u8>, Failure> {
        let written = Written { address: self.address.clone(), port: self.port.map(NonZeroU16::get) };
        serde_json::to_vec(&written).map_err(|_unwritable| Failure::failed("an address cannot be written"))
    }

    /// What was kept; none if it is not what we wrote.
    pub fn from_json(bytes: &[u8]) -> Option<Self> {
        let written: Written = serde_json::from_slice(bytes).ok()?;
        Self::checked(written.address.as_deref(), written.port)
    }
}

impl std::fmt::Display for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.address, self.port) {
            (Some(address), Some(port)) => write!(f, "{address} port {port}"),
            (Some(address), None) => f.write_str(address),
            (None, Some(port)) => write!(f, "port {port}"),
            (None, None) => f.write_str("-"),
        }
    }
}

/// In the one spelling that its type has, so that nothing of the text itself goes on.
fn plain(text: &str) -> Option<String> {
    let address = text.parse::<IpAddr>().map(|address| address.to_string());
    address.ok().or_else(|| text.parse::<HostName>().ok().map(|name| name.to_string()))
}

/// The way to `target`'s host. Asked of the CA once for each certificate and kept beside it, so that ssh with a kept
/// certificate needs no network. Where the CA does not say, ssh goes to where it went before, or to the name.
///
/// # Errors
/// If the state directory cannot be used.
pub fn to(state: &StateDir, target: &Target, kept: bool) -> Result<Route, Failure> {
    let certs = Certs::open(state)?;
    let known = certs.route(target);
    if let Some(known) = known.clone().filter(|_| kept) {
        return Ok(known);
    }
    match asked(state, target) {
        Ok(route) => {
            certs.keep_route(target, &route)?;
            Ok(route)
        }
        Err(failure) => {
            let said = terminal::plain(&failure.message);
            if known.is_none() {
                terminal::say(&format!("Where {} is, the CA did not say, so ssh uses the name: {said}", target.host()));
            }
            Ok(known.unwrap_or_default())
        }
    }
}

fn asked(state: &StateDir, target: &Target) -> Result<Route, Failure> {
    let session = Session::live(state)?;
    let hosts = CaClient::for_session(&session)?.hosts(&session)?.hosts;
    hosts.iter().find(|entry| entry.host == *target.host()).map_or(Ok(Route::default()), Route::of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_and_ports_become_a_route() {
        let route = |address, port| Route::checked(address, port).map(|route| route.to_string());
        assert_eq!(route(Some("192.0.2.11"), Some(2222)).unwrap(), "192.0.2.11 port 2222");
        assert_eq!(route(Some("2001:DB8::0:1"), None).unwrap(), "2001:db8::1");
        assert_eq!(route(Some("Web-1.Example.com"), None).unwrap(), "web-1.example.com");
        assert_eq!(route(None, None).unwrap(), "-");
        let hostile = ["", "-oProxyCommand=id", "%h", "a b", "a\n  ProxyCommand id", "$(id)", "\"x\"", "fe80::1%eth0"];
        for address in hostile {
            assert_eq!(route(Some(address), None), None, "{address:?}");
        }
        assert_eq!(route(Some("192.0.2.11"), Some(0)), None);
    }

    #[test]
    fn it_is_kept_beside_the_certificate_and_read_as_strictly() {
        let outer = tempfile::tempdir().unwrap();
        let state = StateDir::at(outer.path().join("s")).unwrap();
        let certs = Certs::open(&state).unwrap();
        let target: Target = "deploy@web-1".parse().unwrap();
        assert_eq!(certs.route(&target), None);
        let route = Route::checked(Some("192.0.2.11"), Some(2222)).unwrap();
        certs.keep_route(&target, &route).unwrap();
        // Kept, so neither a login nor a network is needed: there is none here.
        assert_eq!(to(&state, &target, true).unwrap(), route);
        assert_eq!(
            to(&state, &target, true).unwrap().options(target.host()),
            ["-o", "HostName=192.0.2.11", "-o", "Port=2222", "-o", "HostKeyAlias=web-1"]
        );
        assert_eq!(Route::from_json(br#"{"address":"-oProxyCommand=id","port":null}"#), None);
        assert!(certs.all().is_empty());
    }
}
