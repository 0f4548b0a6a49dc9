//! Connections to a syslog receiver.

use crate::{config::sink::Address, sinks::deliver::Failure};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use std::{
    path::Path,
    sync::Arc,
    task::{Context, Poll, Waker},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpStream, UdpSocket},
};
use tokio_rustls::TlsConnector;

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// How to connect.
pub(super) struct Connector {
    address: Address,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Connector {
    pub(super) fn new(address: Address, tls: bool, ca_file: Option<&Path>) -> Result<Self, String> {
        let tls = if tls {
            let name = ServerName::try_from(address.host.clone()).map_err(|error| error.to_string())?;
            Some((TlsConnector::from(Arc::new(trusting(ca_file)?)), name))
        } else {
            None
        };
        Ok(Self { address, tls })
    }

    pub(super) async fn connect(&self) -> Result<Connection, Failure> {
        let stream = TcpStream::connect(dial(&self.address)).await.map_err(Failure::later)?;
        stream.set_nodelay(true).map_err(Failure::later)?;
        Ok(Connection(match &self.tls {
            Some((tls, name)) => Box::new(tls.connect(name.clone(), stream).await.map_err(Failure::later)?),
            None => Box::new(stream),
        }))
    }
}

/// An open connection.
pub(super) struct Connection(Box<dyn Stream>);

impl Connection {
    /// The connection, if the other end has not closed it. It has nothing to say, so anything else is passed over.
    pub(super) fn alive(mut self) -> Option<Self> {
        let mut heard = [0; 256];
        let alive = {
            let read = std::pin::pin!(self.0.read(&mut heard));
            match read.poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Pending => true,
                Poll::Ready(read) => read.is_ok_and(|length| length > 0),
            }
        };
        alive.then_some(self)
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.0.write_all(bytes).await.map_err(Failure::later)?;
        self.0.flush().await.map_err(Failure::later)
    }
}

/// The address as a resolver takes it.
pub(super) fn dial(address: &Address) -> String {
    if address.host.contains(':') {
        format!("[{}]:{}", address.host, address.port)
    } else {
        format!("{}:{}", address.host, address.port)
    }
}

/// A socket that sends to `address` alone, and so learns if nobody listens there.
pub(super) async fn datagrams(address: &str) -> Result<UdpSocket, Failure> {
    let mut found = tokio::net::lookup_host(address).await.map_err(Failure::later)?;
    let to = found.next().ok_or_else(|| Failure::later("the name leads nowhere"))?;
    let from = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(from).await.map_err(Failure::later)?;
    socket.connect(to).await.map_err(Failure::later)?;
    Ok(socket)
}

/// TLS that believes the system's certificates and those in `ca_file`.
fn trusting(ca_file: Option<&Path>) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(file) = ca_file {
        let at = |error: &dyn std::fmt::Display| format!("ca_file {}: {error}", file.display());
        let pem = std::fs::read(file).map_err(|error| at(&error))?;
        let mut found = 0;
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            roots.add(certificate.map_err(|error| at(&error))?).map_err(|error| at(&error))?;
            found += 1;
        }
        if found == 0 {
            return Err(at(&"it holds no certificate in PEM form"));
        }
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
