//! What a stranger may use up, and what whoever is logged in may have.

use super::values::{Count, Span};
use policy::Seconds;

/// Bounds on connections, requests and time. Every one has a default that suits a company of a few thousand people.
#[derive(Clone, Copy, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Connections open at once.
    pub connections: Count<1, 100_000>,
    /// Connections open at once from one client. A client is an IPv4 address or an IPv6 /64.
    pub connections_per_client: Count<1, 100_000>,
    /// Requests a second of one client, in the long run.
    pub requests_per_second: Count<1, 1_000_000>,
    /// How many requests a client may send at once before that rate holds.
    pub request_burst: Count<1, 1_000_000>,
    /// Logins a minute of one client, in the long run. Each costs a signature check of the issuer's kind.
    pub logins_per_minute: Count<1, 1_000_000>,
    /// How many logins a client may send at once before that rate holds.
    pub login_burst: Count<1, 1_000_000>,
    /// Certificates a minute of one identity, and how many it may have at once; 0 is no bound.
    pub certificates_per_minute: Count<0, 1_000_000>,
    /// For a TLS handshake.
    pub handshake_timeout: Span<1, 60>,
    /// For the header of a request.
    pub header_timeout: Span<1, 120>,
    /// For a request, from its header to the answer, the body included.
    pub request_timeout: Span<1, 300>,
    /// For a connection without a request.
    pub idle_timeout: Span<1, 3600>,
    /// For requests in flight when the server stops.
    pub stop_timeout: Span<1, 300>,
    /// HTTP/2 requests at once on one connection.
    pub streams: Count<1, 1000>,
}

impl Default for Limits {
    fn default() -> Self {
        let span = |seconds| Seconds::new(seconds);
        Self {
            connections: Count::new(4096),
            connections_per_client: Count::new(256),
            requests_per_second: Count::new(50),
            request_burst: Count::new(200),
            logins_per_minute: Count::new(30),
            login_burst: Count::new(30),
            certificates_per_minute: Count::new(600),
            handshake_timeout: Span::new(span(5)),
            header_timeout: Span::new(span(10)),
            request_timeout: Span::new(span(15)),
            idle_timeout: Span::new(span(60)),
            stop_timeout: Span::new(span(20)),
            streams: Count::new(64),
        }
    }
}
