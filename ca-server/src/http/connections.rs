//! Connections: how many, how long, how large. A client that is slow, silent or greedy is cut, and costs little before.

mod answers;
mod places;

pub(super) use places::Standing;

use super::{door::Door, tls::Tls};
use answers::Answers;
use axum::body::Body;
use hyper::{Request, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use places::{Place, Places};
use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

/// The most bytes of a request's header, request line included.
const HEADER_BYTES: usize = 32 * 1024;
/// The most fields of a header.
const HEADER_FIELDS: usize = 64;
/// For the rest of a connection that is asked to end.
const FAREWELL: Duration = Duration::from_secs(2);
/// After an error of `accept` (no descriptors left, as a rule), so that it does not spin.
const BREATH: Duration = Duration::from_millis(50);

/// Accepts and serves until `stop` turns true; then finishes what is in flight, for a bounded time.
pub async fn serve(listener: TcpListener, door: Door, tls: Option<Arc<Tls>>, mut stop: watch::Receiver<bool>) {
    let places = Arc::new(Places::default());
    let stopping = stop.clone();
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = stopped(&mut stop) => break,
            Some(_ended) = open.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    if let Some(place) = places.take(&door, peer) {
                        let standing = place.standing.clone();
                        let served = connection(stream, peer, door.clone(), tls.clone(), stopping.clone(), place);
                        open.spawn(async move {
                            tokio::select! {
                                () = served => {}
                                () = standing.left() => {}
                            }
                        });
                    } else {
                        door.shared().metrics.connection_refused();
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    #[expect(clippy::disallowed_methods, reason = "nothing says when a descriptor is free again")]
                    sleep(BREATH).await;
                }
            },
        }
    }
    drop(listener);
    let finished = async { while open.join_next().await.is_some() {} };
    if timeout(door.shared().limits.stop_timeout.duration(), finished).await.is_err() {
        tracing::warn!("some requests were cut: they took longer than limits.stop_timeout");
    }
}

/// Waits until the server stops, or whoever could say so is gone.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _gone = stop.wait_for(|stop| *stop).await.is_err();
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    door: Door,
    tls: Option<Arc<Tls>>,
    stop: watch::Receiver<bool>,
    place: Place,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY");
    }
    let Some(tls) = tls else { return exchange(stream, peer, door, stop, place).await };
    // CVE-2026-7776: a handshake that stalls must not hold its place.
    let handshake = TlsAcceptor::from(tls.config()).accept(stream);
    match timeout(door.shared().limits.handshake_timeout.duration(), handshake).await {
        Ok(Ok(stream)) => exchange(stream, peer, door, stop, place).await,
        Ok(Err(error)) => {
            door.shared().metrics.handshake_failed();
            tracing::debug!(source = %peer.ip(), %error, "TLS handshake failed");
        }
        Err(_stalled) => door.shared().metrics.handshake_failed(),
    }
}

/// Requests and answers on one connection, until it ends, falls silent or the server stops.
async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: SocketAddr,
    door: Door,
    mut stop: watch::Receiver<bool>,
    place: Place,
) {
    let limits = door.shared().limits;
    let traffic = Arc::new(Traffic::default());
    let seen = Arc::clone(&traffic);
    let standing = place.standing.clone();
    // Through one of ours come many clients, and who of them does not read is its to cut.
    let proxy = door.shared().is_proxy(peer.ip());
    let service = service_fn(move |mut request: Request<Incoming>| {
        let (door, traffic) = (door.clone(), Arc::clone(&seen));
        request.extensions_mut().insert(standing.clone());
        async move {
            let _in_flight = traffic.begin();
            let answer = door.answer(peer, request.map(Body::new)).await;
            Ok::<_, Infallible>(traffic.answers.begin(answer).await)
        }
    });
    let builder = builder(&limits);
    let mut served = pin!(builder.serve_connection(TokioIo::new(stream), service));
    #[expect(clippy::disallowed_methods, reason = "silence is the event")]
    let mut silence = pin!(sleep(limits.header_timeout.duration()));
    let mut begun = 0;
    let mut leaving = false;
    loop {
        tokio::select! {
            ended = served.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(source = %peer.ip(), %error, "connection ended early");
                }
                break;
            }
            () = stopped(&mut stop), if !leaving => {
                leaving = true;
                served.as_mut().graceful_shutdown();
                silence.as_mut().reset(Instant::now() + limits.stop_timeout.duration());
            }
            () = silence.as_mut() => {
                let idle = traffic.is_silent() && traffic.begun.load(Relaxed) == begun;
                begun = traffic.begun.load(Relaxed);
                // It was asked to leave and is still here, or asks for more: it does not read, or does not want to.
                if leaving || traffic.answers.are_left() && !proxy {
                    break;
                }
                let rest = if idle {
                    leaving = true;
                    served.as_mut().graceful_shutdown();
                    FAREWELL
                } else {
                    limits.idle_timeout.duration()
                };
                silence.as_mut().reset(Instant::now() + rest);
            }
        }
    }
    drop(place);
}

fn builder(limits: &crate::config::Limits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout.duration())
        .max_buf_size(HEADER_BYTES)
        .max_headers(HEADER_FIELDS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(HEADER_BYTES).unwrap_or(u32::MAX))
        .max_concurrent_streams(limits.streams.get())
        // CVE-2023-44487 (rapid reset) and CVE-2025-8671 (made you reset).
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(20)
        .max_send_buf_size(64 * 1024)
        .initial_stream_window_size(64 * 1024)
        .initial_connection_window_size(64 * 1024)
        .keep_alive_interval(limits.idle_timeout.duration())
        .keep_alive_timeout(limits.header_timeout.duration());
    builder
}

/// What happens on one connection.
#[derive(Default)]
struct Traffic {
    begun: AtomicU64,
    in_flight: AtomicU64,
    answers: Arc<Answers>,
}

impl Traffic {
    fn begin(self: &Arc<Self>) -> InFlight {
        self.begun.fetch_add(1, Relaxed);
        self.in_flight.fetch_add(1, Relaxed);
        InFlight(Arc::clone(self))
    }

    /// Whether nothing is in flight, and no answer on its way out.
    fn is_silent(&self) -> bool {
        self.in_flight.load(Relaxed) == 0 && !self.answers.are_there()
    }
}

/// A request in flight; dropped with its future, also when the client goes away.
struct InFlight(Arc<Traffic>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

/// Binds a listener; a second server on the same port is an error, a port in `TIME_WAIT` is not.
///
/// # Errors
/// If the address cannot be bound.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { tokio::net::TcpSocket::new_v4() } else { tokio::net::TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(1024)
}

#[cfg(test)]
mod tests;
