//! The way to a receiver over HTTPS: never redirected, bounded, and silent about its URL, which may be a secret.

use super::deliver::Failure;
use crate::{
    config::{issuer::is_loopback, sink::SinkConfig},
    outbound,
};
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
        let client = outbound::client(&url, config.timeout.duration(), config.ca_file.as_deref())?;
        Ok(Self { client, url })
    }

    /// Posts JSON; any 2xx means that it was taken.
    pub(super) async fn post(&self, headers: HeaderMap, body: String) -> Result<(), Failure> {
        let plain = |error: reqwest::Error| Failure::later(outbound::cause(error));
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
