use super::{bind, serve};
use crate::{
    config::Config,
    fixture::{AUDIENCE, NOW, Stage, seal, session_key},
    http::{
        Door, Listener,
        door::Shared,
        tls::{Tls, tests as files},
    },
    store::memory::MemoryStore,
};
use rustls::{ClientConfig, RootCertStore, pki_types::pem::PemObject as _};
use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::watch,
    task::JoinHandle,
    time::timeout,
};

/// Longer than any limit set here, by far: what is still open then was not cut.
const PATIENCE: Duration = Duration::from_secs(20);
const QUICK: &str =
    "header_timeout = \"1s\"\nhandshake_timeout = \"1s\"\nrequest_timeout = \"1s\"\nidle_timeout = \"1s\"\n";

struct Served {
    /// Two requests of whoever is logged in.
    signed: String,
    another: String,
    address: SocketAddr,
    door: Door,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

async fn served(limits: &str, tls: Option<Arc<Tls>>) -> Served {
    let text = format!("audience = \"{AUDIENCE}\"\n[limits]\n{limits}");
    let config = Config::parse("c.toml", &text, Path::new("/")).unwrap();
    let stage = Stage::new(Arc::new(MemoryStore::new(seal())));
    stage.login(1, "ann").await;
    let request = api::signature::Request { audience: AUDIENCE, method: "GET", path: "/v1/session", body: b"" };
    let id = policy::SessionId::from_random([1; 12]);
    let [signed, another] = [(), ()].map(|()| {
        let header = request.sign(&session_key(1), &id, NOW.as_secs() * 1000, stage.nonce());
        format!("GET /v1/session HTTP/1.1\r\nhost: x\r\nauthorization: {header}\r\n\r\n")
    });
    let door = Door::new(Arc::new(Shared::new(Arc::new(stage.app), &config).unwrap()), Listener::Api);
    let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    let task = tokio::spawn(serve(listener, door.clone(), tls, stopped));
    Served { signed, another, address, door, stop, task }
}

/// Everything the server says before it closes; an error of the connection counts as closed.
async fn all(stream: &mut TcpStream) -> String {
    let mut said = Vec::new();
    let mut part = [0; 4096];
    let read = async {
        while let Ok(count @ 1..) = stream.read(&mut part).await {
            said.extend_from_slice(&part[..count]);
        }
    };
    timeout(PATIENCE, read).await.expect("the connection was not cut");
    String::from_utf8_lossy(&said).into_owned()
}

async fn connect(served: &Served) -> TcpStream {
    TcpStream::connect(served.address).await.unwrap()
}

#[tokio::test]
async fn slow_and_silent_clients_are_cut() {
    let served = served(QUICK, None).await;
    // What is sent before falling silent; what the answer starts with.
    let rows = [
        ("silent", "", ""),
        ("half a header", "GET /v1/about HTTP/1.1\r\nhost: x\r\n", ""),
        ("half a body", "POST /v1/login HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{", "HTTP/1.1 408"),
        ("keep-alive", "GET /health HTTP/1.1\r\nhost: x\r\n\r\n", "HTTP/1.1 200"),
        ("half a preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM", ""),
        ("HTTP/2 without a request", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", "\0"),
    ];
    for (name, sent, said) in rows {
        let mut stream = connect(&served).await;
        stream.write_all(sent.as_bytes()).await.unwrap();
        let answer = all(&mut stream).await;
        assert!(answer.starts_with(said) && (!said.is_empty() || answer.is_empty()), "{name}: {answer}");
    }
}

#[tokio::test]
async fn headers_without_end_are_refused() {
    let served = served("", None).await;
    let many: String = (0..1000).map(|n| format!("x-{n}: 1\r\n")).collect();
    let long = format!("x: {}\r\n", "a".repeat(1 << 20));
    for fields in [many, long] {
        let mut stream = connect(&served).await;
        let request = format!("GET /v1/about HTTP/1.1\r\nhost: x\r\n{fields}\r\n");
        // The server may close before all of it is written.
        let _cut = stream.write_all(request.as_bytes()).await.is_err();
        let answer = all(&mut stream).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    }
    let mut stream = connect(&served).await;
    stream.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    assert!(all(&mut stream).await.starts_with("HTTP/1.1 200"), "others are served as ever");
}

#[tokio::test]
async fn a_body_without_end_is_refused_before_it_arrives() {
    let served = served("", None).await;
    let mut stream = connect(&served).await;
    stream.write_all(b"POST /v1/login HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
    let chunk = format!("1000\r\n{}\r\n", "a".repeat(0x1000));
    for _ in 0..64 {
        if stream.write_all(chunk.as_bytes()).await.is_err() {
            break;
        }
    }
    let answer = all(&mut stream).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[tokio::test]
async fn one_client_holds_no_more_than_its_share_of_connections() {
    let served = served("connections_per_client = 2\n", None).await;
    let mut held = Vec::new();
    for signed in [&served.signed, &served.another] {
        let mut stream = connect(&served).await;
        stream.write_all(signed.as_bytes()).await.unwrap();
        assert!(stream.read(&mut [0; 2048]).await.unwrap() > 0);
        held.push(stream);
    }
    assert_eq!(all(&mut connect(&served).await).await, "", "the third is closed without an answer");
    held.clear();
    // The place comes back as soon as the server has seen the end.
    let again = async {
        loop {
            let mut stream = connect(&served).await;
            let sent = stream.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
            if sent.is_ok() && all(&mut stream).await.starts_with("HTTP/1.1 200") {
                break;
            }
        }
    };
    timeout(PATIENCE, again).await.unwrap();
}

#[tokio::test]
async fn a_stop_finishes_what_is_in_flight_and_takes_nothing_new() {
    let served = served("", None).await;
    let mut idle = connect(&served).await;
    idle.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert!(idle.read(&mut [0; 512]).await.unwrap() > 0);
    let mut stream = connect(&served).await;
    stream
        .write_all(b"POST /v1/login HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n")
        .await
        .unwrap();
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).await.unwrap();
    assert!(interim.starts_with(b"HTTP/1.1 100"), "the request is in flight");
    served.stop.send(true).unwrap();
    assert_eq!(all(&mut idle).await, "", "an idle connection ends");
    stream.write_all(b"{}").await.unwrap();
    assert!(all(&mut stream).await.starts_with("HTTP/1.1 400"), "the one in flight gets its answer");
    timeout(PATIENCE, served.task).await.unwrap().unwrap();
    assert!(TcpStream::connect(served.address).await.is_err());
}

#[tokio::test]
async fn a_stop_does_not_wait_for_ever() {
    let served = served("stop_timeout = \"1s\"\nrequest_timeout = \"5m\"\nheader_timeout = \"2m\"\n", None).await;
    let mut stream = connect(&served).await;
    stream
        .write_all(b"POST /v1/login HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n")
        .await
        .unwrap();
    stream.read_exact(&mut [0; 25]).await.unwrap();
    served.stop.send(true).unwrap();
    timeout(PATIENCE, served.task).await.expect("cut after limits.stop_timeout").unwrap();
}

#[tokio::test]
async fn cve_2026_7776_a_stalled_tls_handshake_gives_its_place_back() {
    let directory = TempDir::new().unwrap();
    files::write(directory.path(), files::ONE);
    let tls = Tls::load(&directory.path().join("c"), &directory.path().join("k")).unwrap();
    let served = served(QUICK, Some(Arc::new(tls))).await;
    for sent in [&b""[..], b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\n\r\n"] {
        let mut stream = connect(&served).await;
        stream.write_all(sent).await.unwrap();
        let mut said = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut said)).await.expect("cut").unwrap_or_default();
        // At most a TLS alert.
        assert!(said.is_empty() || said[0] == 0x15, "{said:?}");
    }
    assert!(served.door.shared().metrics_text().await.contains("jit_ssh_handshakes_failed_total 3\n"));
}

#[tokio::test]
async fn tls_speaks_http_1_and_http_2() {
    let directory = TempDir::new().unwrap();
    files::write(directory.path(), files::ONE);
    let tls = Tls::load(&directory.path().join("c"), &directory.path().join("k")).unwrap();
    let served = served("", Some(Arc::new(tls))).await;
    let mut roots = RootCertStore::empty();
    roots.add(rustls::pki_types::CertificateDer::from_pem_slice(files::ONE.0.as_bytes()).unwrap()).unwrap();
    for (protocol, expected) in [("h2", reqwest::Version::HTTP_2), ("http/1.1", reqwest::Version::HTTP_11)] {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots.clone())
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let client = reqwest::Client::builder().use_preconfigured_tls(config).build().unwrap();
        let url = format!("https://127.0.0.1:{}/v1/about", served.address.port());
        let answer = client.get(url).send().await.unwrap();
        assert_eq!((answer.version(), answer.status().as_u16()), (expected, 200), "{protocol}");
        assert_eq!(answer.json::<api::About>().await.unwrap().audience, AUDIENCE);
    }
}

/// The first bytes of an answer on a connection that stays open.
async fn health(stream: &mut TcpStream) -> bool {
    let sent = stream.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await;
    sent.is_ok() && matches!(timeout(PATIENCE, stream.read(&mut [0; 512])).await, Ok(Ok(1..)))
}

#[tokio::test]
async fn when_all_places_are_taken_the_oldest_stranger_goes_and_who_is_logged_in_stays() {
    for limits in ["connections = 3\n", "connections_per_client = 3\n"] {
        let served = served(limits, None).await;
        let mut known = connect(&served).await;
        known.write_all(served.signed.as_bytes()).await.unwrap();
        assert!(known.read(&mut [0; 2048]).await.unwrap() > 0);
        let mut strangers = [connect(&served).await, connect(&served).await];
        for stranger in &mut strangers {
            assert!(health(stranger).await);
        }
        let mut newcomer = connect(&served).await;
        assert!(health(&mut newcomer).await, "{limits}: there is a place");
        assert_eq!(all(&mut strangers[0]).await, "", "{limits}: the oldest stranger's");
        assert!(health(&mut strangers[1]).await && health(&mut known).await, "{limits}");
        let mut another = connect(&served).await;
        assert!(health(&mut another).await);
        assert_eq!(all(&mut strangers[1]).await, "", "{limits}: and the next");
        assert!(health(&mut known).await, "{limits}");
    }
}

/// An HTTP/2 frame.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// GET http://x/v1/about, in the static table's terms.
fn about() -> Vec<u8> {
    [&[0x82, 0x86, 0x04, 9][..], b"/v1/about", &[0x01, 1, b'x']].concat()
}

/// A client that has no room for any answer.
async fn without_room(served: &Served) -> TcpStream {
    let mut stream = connect(served).await;
    let no_window = [&[0, 4][..], &[0; 4]].concat();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    stream.write_all(&[frame(4, 0, 0, &no_window), frame(4, 1, 0, &[])].concat()).await.unwrap();
    stream
}

#[tokio::test]
async fn whoever_does_not_read_the_answers_is_cut_however_much_they_ask() {
    let served = served(QUICK, None).await;
    let (mut read, mut write) = without_room(&served).await.into_split();
    let asking = async {
        let mut due = tokio::time::interval(Duration::from_millis(300));
        for number in 0.. {
            due.tick().await;
            if write.write_all(&frame(1, 5, 2 * number + 1, &about())).await.is_err() {
                break;
            }
        }
    };
    let gone = async {
        let mut part = [0; 4096];
        while let Ok(1..) = read.read(&mut part).await {}
    };
    let cut = async {
        tokio::select! {
            () = asking => {}
            () = gone => {}
        }
    };
    timeout(PATIENCE, cut).await.expect("the connection was not cut");
}

/// Behind one of ours is somebody on a slow line, and it is not for us to say how slow.
#[tokio::test]
async fn whoever_reads_slowly_through_a_proxy_of_ours_gets_all_of_it() {
    let served = served(&format!("{QUICK}[listen]\ntrusted_proxies = [\"127.0.0.1/32\"]\n"), None).await;
    let mut stream = without_room(&served).await;
    stream.write_all(&frame(1, 5, 1, &about())).await.unwrap();
    let reading = async {
        let mut pings = 0;
        loop {
            let mut head = [0; 9];
            stream.read_exact(&mut head).await.expect("it is not cut");
            let mut payload = vec![0; usize::from(u16::from_be_bytes([head[1], head[2]]))];
            stream.read_exact(&mut payload).await.unwrap();
            match (head[3], head[4]) {
                // One for each span in which nothing else comes: after so many, some room.
                (6, 0) => {
                    pings += 1;
                    stream.write_all(&frame(6, 1, 0, &payload)).await.unwrap();
                    if pings == 6 {
                        stream.write_all(&frame(8, 0, 1, &0xffff_u32.to_be_bytes())).await.unwrap();
                    }
                }
                (0, _) => return payload,
                _ => {}
            }
        }
    };
    let answer = timeout(PATIENCE, reading).await.expect("it comes");
    assert_eq!(serde_json::from_slice::<api::About>(&answer).unwrap().audience, AUDIENCE);
}
