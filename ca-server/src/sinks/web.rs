//! The way to a receiver over HTTPS: never redirected, bounded, and silent about its URL, which may be a secret.

use super::deliver::Failure;
use crate::config::{issuer::is_loopback, sink::SinkConfig};
use reqwest::{StatusCode, header::HeaderMap};
use url::Url;

/// Bytes of an answer that are read at most, so that the connection can be used again.
const MOST_BYTES: usize = 16 * 1024;

pub(super) struct Web {
    client: reqwest::Client,
    url: Url,
}

impl Web {
    pub(super) fn new(config: &SinkConfig) -> Result<Self, String> {
        let url = config.read_url().map_err(|error| error.to_string())?.ok_or("it has no url")?;
        // Not the parser's words: they might repeat what was read.
        let url = Url::parse(url.reveal()).map_err(|_unshown| "its url cannot be read")?;
        if url.scheme() != "https" && !is_loopback(&url) {
            return Err("its url is not https; http is for loopback addresses only".to_owned());
        }
        // A provider that is installed already is as good: it can only be this one.
        let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(config.timeout.duration())
            .pool_max_idle_per_host(1)
            .https_only(!is_loopback(&url))
            .user_agent(concat!("jit-ssh-ca/", env!("CARGO_PKG_VERSION")));
        if is_loopback(&url) {
            builder = builder.no_proxy();
        }
        if let Some(file) = &config.ca_file {
            let at = |error: &dyn std::fmt::Display| format!("ca_file {}: {error}", file.display());
            let pem = std::fs::read(file).map_err(|error| at(&error))?;
            let certificates = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| at(&error))?;
            if certificates.is_empty() {
                return Err(at(&"it holds no certificate in PEM form"));
            }
            builder = certificates.into_iter().fold(builder, reqwest::ClientBuilder::add_root_certificate);
        }
        let client = builder.build().map_err(|error| format!("TLS cannot be set up: {error}"))?;
        Ok(Self { client, url })
    }

    /// Posts JSON; any 2xx means that it was taken.
    pub(super) async fn post(&self, headers: HeaderMap, body: String) -> Result<(), Failure> {
        let plain = |error: reqwest::Error| Failure::later(chain(&error.without_url()));
        let request = self.client.post(self.url.clone()).headers(headers).header("content-type", "application/json");
        let mut response = request.body(body).send().await.map_err(plain)?;
        let status = response.status();
        let mut read = 0;
        // What it says is not looked at.
        while read < MOST_BYTES {
            match response.chunk().await {
                Ok(Some(piece)) => read += piece.len(),
                Ok(None) => break,
                // The status has been given; it counts.
                Err(_cut_off) => break,
            }
        }
        let waits =
            matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS);
        match status {
            _ if status.is_success() => Ok(()),
            _ if status.is_client_error() && !waits => Err(Failure::Refused(format!("answered {}", status.as_u16()))),
            _ => Err(Failure::later(format!("answered {}", status.as_u16()))),
        }
    }
}

/// An error and what caused it, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
