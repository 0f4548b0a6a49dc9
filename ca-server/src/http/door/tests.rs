mod requests;

use super::{Door, Shared, caught};
use crate::{
    config::Config,
    fixture::{AUDIENCE, NOW, Stage, certificate_request, identity, session_key, user_key},
    http::{
        answer::{Answer, status},
        routes::{Listener, Need, ROUTES},
    },
    store::memory::MemoryStore,
};
use api::{
    Code, ErrorBody,
    signature::{Nonce, Request as Signed},
};
use axum::body::Body;
use http_body_util::BodyExt as _;
use hyper::{Request, StatusCode};
use policy::SessionId;
use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

/// A door with somebody logged in behind it (session 1, `ann`).
struct House {
    door: Door,
    nonces: AtomicU8,
}

const LOOSE: &str = "[limits]\nrequest_burst = 100000\nlogin_burst = 100000\n";

impl House {
    async fn new(settings: &str) -> Self {
        let text = format!("audience = \"{AUDIENCE}\"\n{settings}");
        let config = Config::parse("c.toml", &text, Path::new("/")).unwrap();
        let stage = Stage::new(Arc::new(MemoryStore::new(crate::fixture::seal())));
        stage.login(1, "ann").await;
        let shared = Shared::new(Arc::new(stage.app), &config).unwrap();
        Self { door: Door::new(Arc::new(shared), Listener::Api), nonces: AtomicU8::new(0) }
    }

    async fn ask(&self, request: Request<Body>) -> Answer {
        self.ask_from("192.0.2.7:1000", request).await
    }

    async fn ask_from(&self, peer: &str, request: Request<Body>) -> Answer {
        self.door.answer(peer.parse::<SocketAddr>().unwrap(), request).await
    }

    /// A request that session `n` signs.
    fn signed(&self, n: u8, method: &str, path: &str, body: &[u8]) -> Request<Body> {
        let nonce = Nonce([self.nonces.fetch_add(1, Ordering::Relaxed); 16]);
        let signed = Signed { audience: AUDIENCE, method, path, body };
        let id = SessionId::from_random([n; 12]);
        let header = signed.sign(&session_key(n), &id, NOW.as_secs() * 1000, nonce).to_string();
        plain(method, path, body, Some(&header))
    }

    async fn entries(&self) -> u64 {
        self.door.shared().app.store.entry_count().await.unwrap()
    }
}

fn plain(method: &str, path: &str, body: &[u8], authorization: Option<&str>) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path).header("content-type", "application/json");
    if let Some(value) = authorization {
        request = request.header("authorization", value);
    }
    request.body(Body::from(body.to_vec())).unwrap()
}

async fn refusal(answer: Answer) -> (StatusCode, Code) {
    let status = answer.status();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    let body: ErrorBody = serde_json::from_slice(&body).unwrap_or_else(|error| panic!("{error}: {body:?}"));
    (status, body.error.code)
}

fn concrete(path: &str) -> String {
    path.replace("{id}", "s-00112233445566778899aabb")
}

#[tokio::test]
async fn no_route_that_needs_a_login_answers_without_one() {
    let house = House::new(LOOSE).await;
    let good = house.signed(1, "GET", "/v1/session", b"");
    let taken = good.headers()["authorization"].to_str().unwrap().to_owned();
    let stranger = house.signed(9, "GET", "/v1/session", b"");
    let unknown = stranger.headers()["authorization"].to_str().unwrap().to_owned();
    let before = house.entries().await;
    let mut tried = 0;
    for route in ROUTES.iter().filter(|route| route.need == Need::Login) {
        let path = concrete(route.path);
        // Signed for another method or path: worth nothing here.
        let elsewhere = house.signed(1, "PATCH", &path, b"{}").headers()["authorization"].to_str().unwrap().to_owned();
        let with_query = house.signed(1, route.method.as_str(), &format!("{path}?x"), b"{}").headers()["authorization"]
            .to_str()
            .unwrap()
            .to_owned();
        let other_body = house.signed(1, route.method.as_str(), &path, b"{ }").headers()["authorization"]
            .to_str()
            .unwrap()
            .to_owned();
        let headers = [
            None,
            Some(""),
            Some("Bearer eyJhbGciOiJub25lIn0.e30."),
            Some("JitSSH1"),
            Some("JitSSH1 session=,time=,nonce=,signature="),
            Some(unknown.as_str()),
            Some(elsewhere.as_str()),
            Some(with_query.as_str()),
            Some(other_body.as_str()),
            (route.path != "/v1/session" || route.method != "GET").then_some(taken.as_str()),
        ];
        for header in headers {
            let body: &[u8] = if route.method == "POST" { b"{}" } else { b"" };
            let answer = house.ask(plain(route.method.as_str(), &path, body, header)).await;
            let (status, code) = refusal(answer).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{} {path} {header:?}: {code:?}", route.method);
            assert!(matches!(code, Code::LoginRequired | Code::BadSignature), "{path} {header:?}: {code:?}");
            tried += 1;
        }
    }
    assert_eq!(tried, 190, "nineteen routes by ten headers");
    assert_eq!(house.entries().await, before, "nothing was recorded, so nothing was done");
}

#[tokio::test]
async fn every_route_answers_whoever_is_logged_in() {
    let house = House::new(LOOSE).await;
    let key = user_key(7);
    let certificate = serde_json::to_vec(&certificate_request("deploy@web-1", &key, Some(1))).unwrap();
    let rows: [(&str, &str, &[u8], u16); 8] = [
        ("GET", "/v1/session", b"", 200),
        ("HEAD", "/v1/session", b"", 200),
        ("GET", "/v1/sessions", b"", 200),
        ("GET", "/v1/hosts", b"", 200),
        ("POST", "/v1/explain", br#"{"target":"deploy@db-1"}"#, 200),
        ("POST", "/v1/certificates", &certificate, 200),
        ("DELETE", "/v1/sessions/s-00112233445566778899aabb", b"", 404),
        ("DELETE", "/v1/session", b"", 204),
    ];
    for (method, path, body, expected) in rows {
        let answer = house.ask(house.signed(1, method, path, body)).await;
        assert_eq!(answer.status(), expected, "{method} {path}: {:?}", answer.into_body().collect().await.unwrap());
    }
    let (status, code) = refusal(house.ask(house.signed(1, "GET", "/v1/session", b"")).await).await;
    assert_eq!((status, code), (StatusCode::UNAUTHORIZED, Code::LoginRequired), "it was logged out");
}

#[tokio::test]
async fn hosts_lists_what_is_in_reach_and_nothing_else() {
    let house = House::new(LOOSE).await;
    let answer = house.ask(house.signed(1, "GET", "/v1/hosts", b"")).await;
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    let hosts: api::HostsResponse = serde_json::from_slice(&body).unwrap();
    let shown: Vec<String> = hosts
        .hosts
        .iter()
        .flat_map(|host| {
            host.accounts.iter().map(move |reach| format!("{}@{} {:?}", reach.account, host.host, reach.outcome))
        })
        .collect();
    assert_eq!(shown, ["deploy@web-1 Granted", "root@web-1 NeedsApproval", "root@web-2 NeedsApproval"]);
}

#[tokio::test]
async fn a_replayed_request_is_refused() {
    let house = House::new(LOOSE).await;
    let request = || house.signed(1, "GET", "/v1/session", b"");
    let first = request();
    let header = first.headers()["authorization"].to_str().unwrap().to_owned();
    assert_eq!(house.ask(first).await.status(), 200);
    let again = house.ask(plain("GET", "/v1/session", b"", Some(&header))).await;
    assert_eq!(refusal(again).await.1, Code::Replayed);
}

#[tokio::test]
async fn nobody_ends_or_sees_the_login_session_of_another() {
    let house = House::new(LOOSE).await;
    let (theirs, mine) = (SessionId::from_random([2; 12]), SessionId::from_random([3; 12]));
    let app = &house.door.shared().app;
    for (n, id, subject) in [(2u8, &theirs, "bob"), (3, &mine, "ann")] {
        let now = NOW;
        let session = crate::store::LoginSession {
            id: id.clone(),
            identity: identity(subject),
            key: session_key(n).verifying_key().to_bytes(),
            started: now,
            used: now,
            expires: now.plus(policy::Seconds::new(3600)),
            idle_seconds: 600,
            source: "192.0.2.7".parse().unwrap(),
        };
        let token = crate::store::TokenUse { digest: [n; 32], forget: now.plus(policy::Seconds::new(60)) };
        app.store.open_session(session, token, 20, crate::audit::Entry::from_bytes(b"{}".to_vec())).await.unwrap();
    }
    let end = |id: &SessionId| house.signed(1, "DELETE", &format!("/v1/sessions/{id}"), b"");
    assert_eq!(refusal(house.ask(end(&theirs)).await).await, (StatusCode::NOT_FOUND, Code::NotFound));
    assert!(app.store.session(&theirs).await.unwrap().is_some());
    let list = house.ask(house.signed(1, "GET", "/v1/sessions", b"")).await.into_body().collect().await.unwrap();
    let list: api::SessionsResponse = serde_json::from_slice(&list.to_bytes()).unwrap();
    assert!(list.sessions.len() == 2 && list.sessions.iter().all(|session| session.identity.subject.as_str() == "ann"));
    assert_eq!(house.ask(end(&mine)).await.status(), 204);
    assert!(app.store.session(&mine).await.unwrap().is_none());
    assert_eq!(house.ask(end(&mine)).await.status(), 404, "ended is ended");
}

#[tokio::test]
async fn what_is_too_large_or_misshapen_is_refused_with_its_code() {
    let house = House::new(LOOSE).await;
    let large = vec![b' '; api::BODY_LIMIT + 1];
    let deep = [b"{\"token\":".to_vec(), vec![b'['; 20_000]].concat();
    let login = |body: &[u8]| plain("POST", "/v1/login", body, None);
    let with = |name: &'static str, value: &'static str| {
        let mut request = login(b"{}");
        request.headers_mut().insert(name, value.parse().unwrap());
        request
    };
    let mut two = plain("GET", "/v1/session", b"", Some("JitSSH1 a"));
    two.headers_mut().append("authorization", "JitSSH1 b".parse().unwrap());
    let rows = [
        ("too large", login(&large), Code::TooLarge),
        ("announced too large", with("content-length", "10000000000"), Code::TooLarge),
        ("deep", login(&deep), Code::BadRequest),
        ("not JSON", login(b"\x1f\x8b"), Code::BadRequest),
        ("unknown field", login(br#"{"token":"","session_key":"","proof":"","admin":true}"#), Code::BadRequest),
        ("compressed", with("content-encoding", "gzip"), Code::BadRequest),
        ("a form", with("content-type", "text/plain"), Code::BadRequest),
        ("two headers", two, Code::BadRequest),
        ("nowhere", plain("GET", "/v1/../etc/passwd", b"", None), Code::NotFound),
        ("operators' path", plain("GET", "/metrics", b"", None), Code::NotFound),
        ("trailing slash", plain("GET", "/v1/about/", b"", None), Code::NotFound),
        ("two segments", plain("DELETE", "/v1/sessions/a/b", b"", None), Code::NotFound),
        ("method", plain("DELETE", "/v1/about", b"", None), Code::MethodNotAllowed),
        ("TRACE", plain("TRACE", "/v1/certificates", b"", None), Code::MethodNotAllowed),
    ];
    for (name, request, expected) in rows {
        let (status_seen, code) = refusal(house.ask(request).await).await;
        assert_eq!((status_seen, code), (status(expected), expected), "{name}");
    }
}

#[tokio::test]
async fn the_body_of_a_refusal_never_repeats_what_was_sent() {
    let house = House::new(LOOSE).await;
    for body in [
        &br#"{"<script>":1}"#[..],
        br#"{"token":"<script>"}"#,
        br#"{"token":"","session_key":"","proof":"","<script>":1}"#,
    ] {
        let answer = house.ask(plain("POST", "/v1/login", body, None)).await;
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert!(!String::from_utf8_lossy(&body).contains("script"), "{body:?}");
    }
}

#[tokio::test]
async fn every_answer_is_sealed_and_numbered_by_the_server() {
    let house = House::new(LOOSE).await;
    let mut seen = std::collections::BTreeSet::new();
    for (method, path) in [("GET", "/v1/about"), ("GET", "/nowhere"), ("PUT", "/v1/about"), ("GET", "/v1/session")] {
        let mut request = plain(method, path, b"", None);
        request.headers_mut().insert("x-request-id", "forged".parse().unwrap());
        let answer = house.ask(request).await;
        assert_eq!(answer.headers()["cache-control"], "no-store", "{path}");
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff", "{path}");
        let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
        assert!(id.starts_with("t-") && seen.insert(id.clone()), "{path}: {id}");
    }
}

#[tokio::test]
async fn a_client_is_held_to_its_rate_whatever_it_forwards() {
    let house =
        House::new("[limits]\nrequests_per_second = 1\nrequest_burst = 5\nlogins_per_minute = 1\nlogin_burst = 2\n")
            .await;
    let about = |forwarded: usize| {
        let mut request = plain("GET", "/v1/about", b"", None);
        request.headers_mut().insert("x-forwarded-for", format!("203.0.113.{forwarded}").parse().unwrap());
        request
    };
    for n in 0..5 {
        assert_eq!(house.ask_from("[2001:db8::1]:1", about(n)).await.status(), 200);
    }
    let limited = house.ask_from("[2001:db8::2:0:1]:2", about(6)).await;
    assert_eq!(limited.headers()["retry-after"], "1");
    assert_eq!(refusal(limited).await, (StatusCode::TOO_MANY_REQUESTS, Code::RateLimited));
    assert_eq!(house.ask_from("[2001:db8:0:1::1]:1", about(7)).await.status(), 200, "another /64");
    let login = || plain("POST", "/v1/login", b"{}", None);
    for expected in [Code::BadRequest, Code::BadRequest, Code::RateLimited] {
        assert_eq!(refusal(house.ask_from("198.51.100.1:1", login()).await).await.1, expected);
    }
    assert_eq!(
        house.ask_from("198.51.100.1:1", about(1)).await.status(),
        200,
        "logins have a stricter rate of their own"
    );
}

#[tokio::test]
async fn a_panic_is_one_failed_request() {
    assert_eq!(caught(async { 1 }).await, Some(1));
    let panics = caught(async {
        tokio::task::yield_now().await;
        panic!("on purpose")
    });
    let answer: Option<()> = panics.await;
    assert_eq!(answer, None);
}

#[test]
fn each_code_has_the_status_that_is_documented() {
    let documented = include_str!("../../../../api/src/error.rs");
    let mut lines = documented.lines().map(str::trim);
    let mut checked = 0;
    while let Some(line) = lines.next() {
        let Some(number) = line.strip_prefix("/// ").and_then(|text| text.get(..3)?.parse::<u16>().ok()) else {
            continue;
        };
        let name = lines.find(|line| !line.starts_with("///")).unwrap().trim_end_matches(',');
        let code = crate::http::metrics::CODES.into_iter().find(|code| format!("{code:?}") == name).unwrap();
        assert_eq!(status(code), number, "{name}");
        checked += 1;
    }
    assert_eq!(checked, crate::http::metrics::CODES.len());
}

/// A body that never comes: whoever reads it waits until the request's time is up.
struct Never;

impl hyper::body::Body for Never {
    type Data = hyper::body::Bytes;
    type Error = std::io::Error;
    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Self::Data>, Self::Error>>> {
        std::task::Poll::Pending
    }
}

#[tokio::test(start_paused = true)]
async fn no_body_is_waited_for_before_somebody_known_asks() {
    let house = House::new(LOOSE).await;
    let header = |request: Request<Body>| request.headers()["authorization"].to_str().unwrap().to_owned();
    let (good, unknown) =
        (header(house.signed(1, "POST", "/v1/explain", b"{}")), header(house.signed(9, "POST", "/v1/explain", b"{}")));
    let late = good.replace(&format!("time={}", NOW.as_secs() * 1000), "time=1");
    for (authorization, expected) in [
        (None, Code::LoginRequired),
        (Some("JitSSH1 session=x"), Code::BadSignature),
        (Some(&unknown), Code::LoginRequired),
        (Some(&late), Code::ClockSkew),
        (Some(&good), Code::Timeout),
    ] {
        let mut request = plain("POST", "/v1/explain", b"", authorization);
        *request.body_mut() = Body::new(Never);
        assert_eq!(refusal(house.ask(request).await).await.1, expected, "{authorization:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_method_without_a_body_takes_none() {
    let house = House::new(LOOSE).await;
    for (method, path) in [("GET", "/v1/session"), ("DELETE", "/v1/session"), ("GET", "/v1/about"), ("GET", "/health")]
    {
        for length in [None, Some("2")] {
            let mut request = house.signed(1, method, path, b"{}");
            if let Some(length) = length {
                request.headers_mut().insert("content-length", length.parse().unwrap());
                *request.body_mut() = Body::new(Never);
            }
            assert_eq!(refusal(house.ask(request).await).await.1, Code::BadRequest, "{method} {path}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn bodies_that_are_waited_for_are_bounded_together_and_strangers_use_up_no_ones_but_strangers() {
    let house = Arc::new(House::new(LOOSE).await);
    let mut waiting = tokio::task::JoinSet::new();
    for n in 0..2_000u16 {
        let house = Arc::clone(&house);
        waiting.spawn(async move {
            let mut request = plain("POST", "/v1/login", b"", None);
            *request.body_mut() = Body::new(Never);
            house.ask_from(&format!("192.0.2.{}:{n}", n % 250), request).await
        });
    }
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
    let answer = house.ask(house.signed(1, "POST", "/v1/explain", br#"{"target":"deploy@db-1"}"#)).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(house.door.shared().bodies.free_for_strangers(), 0);
    while waiting.join_next().await.is_some() {}
    assert_eq!(refusal(house.ask(plain("POST", "/v1/login", b"{}", None)).await).await.1, Code::BadRequest);
}

#[tokio::test]
async fn a_cause_says_where_and_nothing_of_what_was_sent() {
    let parse =
        |body: &[u8]| crate::http::body::from_json::<api::LoginRequest>(&hyper::HeaderMap::new(), body).err().unwrap();
    let secret = format!("{{\"token\":\"\",\"session_key\":\"\",\"proof\":\"\",\"{}\":1}}", "eyJhbGciOi".repeat(6_000));
    let cause = parse(secret.as_bytes()).cause.unwrap();
    assert!(!cause.contains("eyJ") && cause.contains("line 1 column "), "{cause}");
    assert!(parse(b"{\"token\":").cause.unwrap().contains("line 1 column 9"));
}

#[tokio::test]
async fn being_asked_often_whether_it_is_ready_costs_the_store_little() {
    let home = tempfile::tempdir().unwrap();
    let store =
        Arc::new(crate::store::redb::RedbStore::open(&home.path().join("s.redb"), &crate::fixture::seal()).unwrap());
    let config = Config::parse("c.toml", &format!("audience = \"{AUDIENCE}\"\n{LOOSE}"), Path::new("/")).unwrap();
    let shared = Arc::new(Shared::new(Arc::new(Stage::new(store).app), &config).unwrap());
    let door = Door::new(shared, Listener::Api);
    let size = || std::fs::metadata(home.path().join("s.redb")).unwrap().modified().unwrap();
    let ask = || door.answer("192.0.2.7:1".parse().unwrap(), plain("GET", "/ready", b"", None));
    assert_eq!(ask().await.status(), 200);
    let before = size();
    for _ in 0..5 {
        assert_eq!(ask().await.status(), 200);
    }
    assert_eq!(size(), before, "nothing was written for the others");
}
