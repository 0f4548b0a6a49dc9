//! Fetching from an issuer: bounded in size and time, never redirected, HTTPS except to this very machine.

use crate::{
    config::issuer::{IssuerConfig, is_loopback},
    outbound,
};
use serde_json::Value;
use std::time::Duration;
use url::{Host, Url};

/// The longest answer that is read, in bytes.
pub(super) const MOST_BYTES: usize = 1024 * 1024;

/// The way to one issuer.
pub(super) struct Way {
    client: reqwest::Client,
    issuer: Url,
    /// `iss` as configured: the discovery document must say the very same.
    iss: String,
}

impl Way {
    pub(super) fn new(config: &IssuerConfig, patience: Duration) -> Result<Self, String> {
        let issuer = Url::parse(config.url.as_str()).map_err(|error| error.to_string())?;
        let client = outbound::client(&issuer, patience, config.ca_file.as_deref())?;
        Ok(Self { client, issuer, iss: config.url.to_string() })
    }

    /// The issuer's key set, found through its discovery document (OIDC Discovery 4).
    pub(super) async fn key_set(&self) -> Result<Vec<u8>, String> {
        let discovery = format!("{}/.well-known/openid-configuration", self.iss.trim_end_matches('/'));
        let discovery = Url::parse(&discovery).map_err(|error| format!("the discovery address: {error}"))?;
        let document = self.get(discovery).await.map_err(|error| format!("discovery: {error}"))?;
        let document = super::strict_json::object(&document)
            .ok_or("discovery: it is not a JSON object in which every name stands once")?;
        // Discovery 4.3: or a document of one issuer could name another's keys.
        if document.get("issuer").and_then(Value::as_str) != Some(self.iss.as_str()) {
            return Err("discovery: `issuer` is not exactly the configured url".to_owned());
        }
        let unverified_address = document.get("jwks_uri").and_then(Value::as_str).ok_or("discovery: no jwks_uri")?;
        let address =
            self.allowed(unverified_address).ok_or("discovery: jwks_uri is not an address to be fetched from")?;
        self.get(address).await.map_err(|error| format!("keys: {error}"))
    }

    /// A `jwks_uri` that may be fetched. The document is not the operator's own, so it must not be able to point this server at
    /// its own network: HTTPS only (plain HTTP only where the issuer itself is on this machine), no user name, and no
    /// bare address but the issuer's own. `Url` has by then written decimal, octal and hex addresses as what they are.
    fn allowed(&self, unverified_address: &str) -> Option<Url> {
        let url = Url::parse(unverified_address).ok()?;
        let scheme = url.scheme() == "https" || (is_loopback(&self.issuer) && is_loopback(&url));
        let named = matches!(url.host()?, Host::Domain(name) if name != "localhost" && !name.ends_with(".localhost"));
        let host = named || url.host() == self.issuer.host();
        let bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        (scheme && host && bare && unverified_address.len() <= 2048).then_some(url)
    }

    async fn get(&self, url: Url) -> Result<Vec<u8>, String> {
        let mut response =
            self.client.get(url).header("accept", "application/json").send().await.map_err(outbound::cause)?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(format!("the answer was {}", response.status().as_u16()));
        }
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(outbound::cause)? {
            if body.len() + piece.len() > MOST_BYTES {
                return Err("the answer is longer than 1 MiB".to_owned());
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jwks_uri_never_points_into_our_own_network() {
        let way =
            |iss: &str| Way::new(&IssuerConfig::people(iss.parse().unwrap(), "c"), Duration::from_secs(1)).unwrap();
        let far = way("https://login.example.com/tenant");
        for refused in [
            "http://login.example.com/keys",
            "https://127.0.0.1/keys",
            "https://2130706433/keys",
            "https://0x7f.1/keys",
            "https://0177.0.0.1/keys",
            "https://[::1]/keys",
            "https://[::ffff:169.254.169.254]/keys",
            "https://169.254.169.254/latest",
            "http://169.254.169.254/latest",
            "https://localhost/keys",
            "https://x.localhost/keys",
            "https://user@login.example.com/keys",
            "https://user:pass@login.example.com/keys",
            "https://login.example.com/keys#x",
            "file:///etc/passwd",
            "ftp://login.example.com/keys",
            "gopher://login.example.com/",
            "//login.example.com/keys",
            "",
        ] {
            assert!(far.allowed(refused).is_none(), "{refused}");
        }
        assert!(far.allowed("https://keys.example.net/jwks").is_some());
        let near = way("http://127.0.0.1:9");
        assert!(near.allowed("http://127.0.0.1:10/jwks").is_some());
        assert!(near.allowed("http://169.254.169.254/latest").is_none());
        assert!(near.allowed("http://keys.example.net/jwks").is_none());
    }
}
