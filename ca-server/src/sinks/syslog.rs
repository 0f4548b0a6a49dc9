//! Syslog (RFC 5424) over TLS (RFC 5425), TCP (RFC 6587, octet counting) or UDP (RFC 5426).
//!
//! Syslog has no acknowledgement. What the operating system took counts as delivered; if the connection turns out to be
//! dead at the next delivery, the one before is sent once more. Over UDP nothing is known at all.

mod connect;

use super::{
    deliver::{Deliver, Failure},
    letter::{Letter, Weight, time},
};
use crate::config::sink::{Format, SinkConfig, Transport};
use async_trait::async_trait;
use connect::{Connection, Connector};
use tokio::net::UdpSocket;

/// The log audit facility (RFC 5424 6.2.1).
const FACILITY: u8 = 13;
/// The most bytes of one datagram.
const MOST_DATAGRAM: usize = 65_000;

pub(super) struct Syslog {
    host: String,
    format: Format,
    way: Way,
}

enum Way {
    Stream { connector: Connector, open: Option<Connection>, last: Vec<u8> },
    Datagrams { address: String, open: Option<UdpSocket> },
}

impl Syslog {
    pub(super) fn new(config: &SinkConfig, host: &str) -> Result<Self, String> {
        let address = config.address.clone().ok_or("it has no address")?;
        let way = match config.transport.unwrap_or_default() {
            Transport::Udp => Way::Datagrams { address: connect::dial(&address), open: None },
            transport => {
                let connector = Connector::new(address, transport == Transport::Tls, config.ca_file.as_deref())?;
                Way::Stream { connector, open: None, last: Vec::new() }
            }
        };
        Ok(Self { host: host.to_owned(), format: config.format.unwrap_or_default(), way })
    }
}

#[async_trait]
impl Deliver for Syslog {
    async fn deliver(&mut self, letters: &[Letter]) -> Result<(), Failure> {
        let messages: Vec<String> = letters.iter().map(|letter| message(letter, self.format, &self.host)).collect();
        match &mut self.way {
            Way::Stream { connector, open, last } => {
                let framed: Vec<u8> =
                    messages.iter().flat_map(|text| format!("{} {text}", text.len()).into_bytes()).collect();
                // Taken, so that a delivery that is given up half-way leaves no torn frame behind.
                let mut connection = match open.take().and_then(Connection::alive) {
                    Some(connection) => connection,
                    None => {
                        let mut fresh = connector.connect().await?;
                        fresh.send(last).await?;
                        fresh
                    }
                };
                connection.send(&framed).await?;
                *last = framed;
                *open = Some(connection);
                Ok(())
            }
            Way::Datagrams { address, open } => {
                let socket = match open.take() {
                    Some(socket) => socket,
                    None => connect::datagrams(address).await?,
                };
                for text in &messages {
                    if text.len() > MOST_DATAGRAM {
                        return Err(Failure::Refused("the entry does not fit into a datagram".to_owned()));
                    }
                    socket.send(text.as_bytes()).await.map_err(Failure::later)?;
                }
                *open = Some(socket);
                Ok(())
            }
        }
    }
}

/// One message. The text is JSON or CEF in which controls are escaped; every header field is ours or cut to what the
/// field allows.
fn message(letter: &Letter, format: Format, host: &str) -> String {
    let severity = match letter.weight() {
        Weight::Usual => 6,
        Weight::Warning => 4,
        Weight::Loud => 1,
    };
    let code: String = letter.code.chars().filter(char::is_ascii_graphic).take(32).collect();
    let code = if code.is_empty() { "-" } else { &code };
    let priority = FACILITY * 8 + severity;
    format!("<{priority}>1 {} {host} jit-ssh-ca - {code} - {}", time(letter.time_ms), format.render(letter))
}
