//! A real HTTP server that publishes keys, and can be made to misbehave, to go and to come back.

use super::signer::Signer;
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{net::TcpListener, task::JoinHandle};

pub(crate) struct IssuerServer {
    address: SocketAddr,
    room: Arc<Room>,
    task: Mutex<Option<JoinHandle<()>>>,
}

struct Room {
    discovery: Mutex<Answer>,
    keys: Mutex<Answer>,
    key_fetches: AtomicUsize,
}

#[derive(Clone)]
pub(crate) enum Answer {
    Json(Value),
    Text(String),
    Status(u16),
    Redirect(String),
    /// So many bytes of white space, and then this.
    Padded(usize, Value),
    /// The head, one byte, and then nothing for ever.
    Stalls,
}

impl IssuerServer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let url = format!("http://{address}");
        let discovery = Answer::Json(json!({ "issuer": url, "jwks_uri": format!("{url}/jwks") }));
        let room = Arc::new(Room {
            discovery: Mutex::new(discovery),
            keys: Mutex::new(Answer::Json(json!({ "keys": [] }))),
            key_fetches: AtomicUsize::new(0),
        });
        let task = serve(listener, room.clone());
        Self { address, room, task: Mutex::new(Some(task)) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn publish(&self, signers: &[&Signer]) {
        let keys: Vec<Value> = signers.iter().map(|signer| signer.jwk()).collect();
        self.keys(Answer::Json(json!({ "keys": keys })));
    }

    pub(crate) fn keys(&self, answer: Answer) {
        *self.room.keys.lock().unwrap() = answer;
    }

    pub(crate) fn discovery(&self, answer: Answer) {
        *self.room.discovery.lock().unwrap() = answer;
    }

    pub(crate) fn key_fetches(&self) -> usize {
        self.room.key_fetches.load(Ordering::SeqCst)
    }

    /// Closes the port, and every connection.
    pub(crate) async fn stop(&self) {
        let task = self.task.lock().unwrap().take();
        if let Some(task) = task {
            task.abort();
            assert!(task.await.unwrap_err().is_cancelled());
        }
    }

    /// Opens the port again.
    pub(crate) async fn come_back(&self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        *self.task.lock().unwrap() = Some(serve(listener, self.room.clone()));
    }
}

/// One connection for each request: whatever stops the listener stops everything.
fn serve(listener: TcpListener, room: Arc<Room>) -> JoinHandle<()> {
    let routes = Router::new().fallback(answer).with_state(room);
    tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() })
}

async fn answer(State(room): State<Arc<Room>>, request: Request) -> Response {
    let answer = match request.uri().path() {
        "/.well-known/openid-configuration" => room.discovery.lock().unwrap().clone(),
        "/jwks" => {
            room.key_fetches.fetch_add(1, Ordering::SeqCst);
            room.keys.lock().unwrap().clone()
        }
        _ => Answer::Status(404),
    };
    let mut response = match answer {
        Answer::Json(value) => axum::Json(value).into_response(),
        Answer::Text(text) => text.into_response(),
        Answer::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Answer::Redirect(to) => Redirect::temporary(&to).into_response(),
        Answer::Padded(bytes, value) => format!("{}{value}", " ".repeat(bytes)).into_response(),
        Answer::Stalls => Body::new(Stalling(true)).into_response(),
    };
    response.headers_mut().insert("connection", "close".parse().unwrap());
    response
}

/// A body of one byte that never ends.
struct Stalling(bool);

impl hyper::body::Body for Stalling {
    type Data = axum::body::Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Self::Data>, Self::Error>>> {
        if std::mem::take(&mut self.0) {
            return std::task::Poll::Ready(Some(Ok(hyper::body::Frame::data(axum::body::Bytes::from_static(b"{")))));
        }
        std::task::Poll::Pending
    }
}
