//! HTTP to others, as all rooms that speak it do: never redirected, bounded in time, HTTPS except to this very machine.

use crate::config::issuer::is_loopback;
use std::{path::Path, time::Duration};
use url::Url;

/// A client for `url` and whatever is on the same side of the loopback line. `ca_file` holds further roots.
///
/// # Errors
/// If a root cannot be read, or TLS cannot be set up: a sentence for the operator.
pub fn client(url: &Url, patience: Duration, ca_file: Option<&Path>) -> Result<reqwest::Client, String> {
    // A provider that is installed already is as good: it can only be this one.
    let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let near = is_loopback(url);
    let mut builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(patience)
        .pool_max_idle_per_host(1)
        .https_only(!near)
        .user_agent(concat!("jit-ssh-ca/", env!("CARGO_PKG_VERSION")));
    if near {
        builder = builder.no_proxy();
    }
    if let Some(file) = ca_file {
        let at = |error: &dyn std::fmt::Display| format!("ca_file {}: {error}", file.display());
        let pem = std::fs::read(file).map_err(|error| at(&error))?;
        let certificates = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| at(&error))?;
        if certificates.is_empty() {
            return Err(at(&"it holds no certificate in PEM form"));
        }
        builder = certificates.into_iter().fold(builder, reqwest::ClientBuilder::add_root_certificate);
    }
    builder.build().map_err(|error| format!("TLS cannot be set up: {error}"))
}

/// What went wrong and what caused it, on one line, without the URL: that may be a secret, or from a document.
pub fn cause(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
