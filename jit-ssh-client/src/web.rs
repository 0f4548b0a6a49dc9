//! HTTP as we speak it: bounded in time and size, never redirected, TLS by the system's roots and the user's own.

use crate::error::Failure;
use reqwest::{Client, Response, redirect::Policy};
use std::{path::Path, time::Duration};
use tokio::runtime::Runtime;

/// No answer is larger. JWKS of large providers stay below 64 KiB, the list of 10,000 hosts needs a few MiB.
pub const LARGEST_ANSWER: usize = 16 * 1024 * 1024;
const CONNECT: Duration = Duration::from_secs(5);
const TOTAL: Duration = Duration::from_secs(20);
/// No server closes an idle connection sooner. Nothing here looks at a connection while somebody reads a screen or types, so
/// one that rested may be closed already, and what is asked on it would be lost.
const RESTED: Duration = Duration::from_millis(500);

/// The runtime that waits for the network. Made by the commands that need it: the others start faster without.
///
/// # Errors
/// If the kernel has no file descriptors left.
pub fn runtime() -> Result<Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("cannot start: {error}")))
}

/// A client. Without `tls` no roots are loaded, which would cost 20 ms.
///
/// # Errors
/// If there are no roots, or `ca_file` cannot be read.
pub fn client(tls: bool, ca_file: Option<&Path>) -> Result<Client, Failure> {
    // A second call finds the provider installed; both are the same.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let mut builder = Client::builder()
        .user_agent(concat!("jit-ssh/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .connect_timeout(CONNECT)
        .timeout(TOTAL)
        .pool_idle_timeout(RESTED)
        .tls_built_in_root_certs(tls);
    if !tls {
        builder = builder.no_proxy();
    }
    if let Some(path) = ca_file.filter(|_| tls) {
        let failed = |cause: String| {
            Failure::failed(format!("cannot use ca_file {}: {cause}", path.display()))
                .hint("name a file with certificates in PEM form")
        };
        let pem = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
        let roots = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| failed(error.to_string()))?;
        for root in roots {
            builder = builder.add_root_certificate(root);
        }
    }
    builder.build().map_err(|error| {
        Failure::failed(format!("TLS cannot be set up: {}", reason(&error)))
            .hint("install the system's certificates (Debian: apt install ca-certificates), or name a ca_file")
    })
}

/// The answer's body.
///
/// # Errors
/// If it is too large or stops half-way.
pub async fn body(mut response: Response) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| unreachable_by(&error))? {
        if bytes.len() + chunk.len() > LARGEST_ANSWER {
            return Err(Failure::failed("the answer is too large"));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// Nobody answered, or somebody whom we cannot tell from an impostor.
pub fn unreachable_by(error: &reqwest::Error) -> Failure {
    let whom = error.url().and_then(whom).unwrap_or_else(|| "the server".to_owned());
    let reason = reason(error);
    if reason.contains("invalid peer certificate") {
        return Failure::unreachable(format!("{whom} cannot prove that it is {whom}: {reason}"))
            .hint(tls_hint(&reason));
    }
    Failure::unreachable(format!("{whom} does not answer: {reason}"))
        .hint("check network and VPN; jit-ssh doctor looks at each step")
}

/// What the reason is in rustls' words. A clock that is off by a day looks like a certificate that is.
fn tls_hint(reason: &str) -> &'static str {
    if ["expired", "Expired", "not valid yet", "NotValidYet"].iter().any(|word| reason.contains(word)) {
        "look at this machine's clock (date); if it is right, tell whoever runs the CA that its TLS certificate is not"
    } else {
        "if its TLS certificate is from a CA of your own, name that: --ca-file FILE"
    }
}

/// Host and port, also where the port is the scheme's own: a firewall is asked for both.
fn whom(url: &url::Url) -> Option<String> {
    let port = url.port_or_known_default().map(|port| format!(":{port}")).unwrap_or_default();
    Some(format!("{}{port}", url.host_str()?))
}

/// The innermost cause, which names what happened; those around it name the library's parts.
fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it takes too long".to_owned();
    }
    let mut innermost: &dyn std::error::Error = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use super::{tls_hint, whom};
    use rustls::{CertificateError, Error, pki_types::UnixTime};
    use std::time::Duration;

    #[test]
    fn who_does_not_answer_is_named_with_the_port() {
        let named = |url: &str| whom(&url.parse().unwrap()).unwrap();
        assert_eq!(named("https://ca.example.com/v1/about"), "ca.example.com:443");
        assert_eq!(named("https://ca.example.com:8443/"), "ca.example.com:8443");
        assert_eq!(named("http://[::1]:80/"), "[::1]:80");
    }

    #[test]
    fn a_certificate_out_of_its_time_makes_one_look_at_the_clock() {
        let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let said = |error| Error::InvalidCertificate(error).to_string();
        let expired = CertificateError::ExpiredContext { time: at(2), not_after: at(1) };
        let early = CertificateError::NotValidYetContext { time: at(1), not_before: at(2) };
        for clock in [expired, early, CertificateError::Expired, CertificateError::NotValidYet] {
            let said = said(clock);
            assert!(tls_hint(&said).contains("clock"), "{said}");
        }
        assert!(tls_hint(&said(CertificateError::UnknownIssuer)).contains("--ca-file"));
    }
}
