use super::{HOSTILE, Running, append, entry, memory};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, BufReader},
    net::{TcpListener, UdpSocket},
};

// For this test alone: nobody trusts it, so its key guards nothing.
const CERTIFICATE: &str = include_str!("receiver.crt");
const KEY: &str = include_str!("receiver.key");

/// Reads octet-counted frames until the end.
async fn frames(stream: impl AsyncRead + Unpin, got: Arc<Mutex<Vec<String>>>) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut length = String::new();
        while let Ok(digit) = stream.read_u8().await {
            if digit == b' ' {
                break;
            }
            length.push(char::from(digit));
        }
        if length.is_empty() {
            return;
        }
        let mut text = vec![0; length.parse().unwrap()];
        if stream.read_exact(&mut text).await.is_err() {
            return;
        }
        got.lock().unwrap().push(String::from_utf8(text).unwrap());
    }
}

fn sink(transport: &str, port: u16, more: &str) -> String {
    format!(
        "[[sink]]\nname = \"siem\"\nkind = \"syslog\"\ntransport = \"{transport}\"\naddress = \"127.0.0.1:{port}\"\n{more}"
    )
}

#[tokio::test]
async fn tcp_frames_are_counted_and_a_connection_that_broke_repeats_its_last() {
    let (store, got) = (memory(), Arc::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let running = Running::start(&sink("tcp", listener.local_addr().unwrap().port(), ""), &store).await;
    store.append(entry("request.denied", HOSTILE)).await.unwrap();
    let (first, _) = listener.accept().await.unwrap();
    running.until(|sink| sink.delivered == 1).await;
    // It took the bytes and died without reading them.
    drop(first);
    append(&store, &["login.opened"]).await;
    let (second, _) = listener.accept().await.unwrap();
    tokio::spawn(frames(second, Arc::clone(&got)));
    running.until(|_| got.lock().unwrap().len() >= 2).await;
    let got = got.lock().unwrap().clone();
    assert!(
        got[0].starts_with("<108>1 2027-01-15T08:00:00.000Z ca.example.com jit-ssh-ca - request.denied - {"),
        "{}",
        got[0]
    );
    let (_, json) = got[0].split_once(" - {").unwrap();
    let value: serde_json::Value = serde_json::from_str(&format!("{{{json}")).unwrap();
    assert_eq!((value["index"].as_u64(), value["entry"]["reason"].as_str()), (Some(0), Some(HOSTILE)));
    assert!(!got[0].contains(['\n', '\u{1b}', '\u{9b}']));
    assert!(got[1].starts_with("<110>1 ") && got[1].contains(" login.opened - "), "{}", got[1]);
}

#[tokio::test]
async fn udp_carries_one_message_each_and_what_does_not_fit_is_a_dead_letter() {
    let (store, socket) = (memory(), UdpSocket::bind("127.0.0.1:0").await.unwrap());
    let text = sink("udp", socket.local_addr().unwrap().port(), "tries = 1\nformat = \"cef\"\n");
    let running = Running::start(&text, &store).await;
    append(&store, &["login.opened"]).await;
    let mut message = vec![0; 70_000];
    let length = socket.recv(&mut message).await.unwrap();
    let told = String::from_utf8_lossy(&message[..length]).into_owned();
    assert!(told.contains(" login.opened - CEF:0|jit-ssh|ca-server|"), "{told}");
    running.crash().await;

    let running = Running::start(&text.replace("cef", "json"), &store).await;
    store.append(entry("login.opened", &"x".repeat(1024 * 1024))).await.unwrap();
    append(&store, &["login.ended"]).await;
    running.until(|sink| sink.dead_letters == 1 && sink.lag_entries == 0).await;
}

#[tokio::test]
async fn tls_is_checked() {
    let home = tempfile::tempdir().unwrap();
    let ca = super::secret(home.path(), "ca.pem", CERTIFICATE);
    let chain = vec![CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let got: Arc<Mutex<Vec<String>>> = Arc::default();
    let kept = Arc::clone(&got);
    tokio::spawn(async move {
        let tls = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            if let Ok(stream) = tls.accept(stream).await {
                tokio::spawn(frames(stream, Arc::clone(&kept)));
            }
        }
    });
    let store = memory();
    let running = Running::start(&sink("tls", port, "begin = \"first\"\n"), &store).await;
    append(&store, &["login.opened"]).await;
    let status = running.until(|sink| sink.failures > 1).await;
    assert_eq!((status.delivered, got.lock().unwrap().len()), (0, 0), "a stranger's certificate gets nothing");
    running.crash().await;
    let running = Running::start(&sink("tls", port, &format!("ca_file = \"{ca}\"\n")), &store).await;
    running.until(|_| got.lock().unwrap().len() == 1).await;
    let mut due = tokio::time::interval(Duration::from_millis(2));
    due.tick().await;
    assert!(got.lock().unwrap()[0].contains("login.opened"));
}
