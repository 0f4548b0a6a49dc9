use super::*;
use api::signature::Authorization;
use ed25519_dalek::VerifyingKey;
use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    thread::JoinHandle,
};

/// A server that gives the prepared answers, one a connection, and returns what it heard.
pub fn serving(answers: Vec<String>) -> (Server, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let heard = std::thread::spawn(move || {
        answers
            .into_iter()
            .map(|answer| {
                let (mut stream, _) = listener.accept().unwrap();
                let mut heard = vec![0; 16 * 1024];
                let read = stream.read(&mut heard).unwrap();
                heard.truncate(read);
                drop(stream.write_all(answer.as_bytes()));
                String::from_utf8(heard).unwrap()
            })
            .collect()
    });
    (server, heard)
}

fn answer(status: &str, body: &str) -> String {
    answer_with(status, "", body)
}

/// With further `headers`, each with its line end.
pub fn answer_with(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

fn refusal(code: &str, more: &str) -> String {
    answer("401 x", &format!("{{\"error\":{{\"code\":\"{code}\",\"message\":\"no\",\"request_id\":\"r-1\"{more}}}}}"))
}

/// A login session at `server`.
pub fn session(server: &Server) -> (Session, VerifyingKey) {
    let key = keys::session_key().unwrap();
    let about = About {
        audience: "https://ca.example.com".to_owned(),
        version: "0".to_owned(),
        time_ms: clock::now_ms(),
        user_ca: Vec::new(),
        host_ca: Vec::new(),
        issuers: Vec::new(),
    };
    let identity =
        serde_json::json!({ "kind": "user", "issuer": "https://i", "subject": "a", "groups": [], "mfa": false });
    let login = LoginResponse {
        session: SessionId::from_random([1; 12]),
        identity: serde_json::from_value(identity).unwrap(),
        expires: policy::UnixTime::from_secs(u64::from(u32::MAX)),
        idle_seconds: 60,
    };
    (Session::new(server, None, &about, login, &key, 0), key.verifying_key())
}

fn authorization_in(heard: &str) -> Authorization {
    let line = heard.lines().find_map(|line| line.strip_prefix("authorization: ")).unwrap();
    line.parse().unwrap()
}

#[test]
fn a_wrong_clock_is_corrected_once_by_the_servers() {
    let skew = || refusal("clock_skew", ",\"server_time_ms\":4102444800000");
    let (server, heard) = serving(vec![skew(), answer("200 OK", "{\"hosts\":[]}")]);
    let (session, key) = session(&server);
    let ca = CaClient::new(server, None).unwrap();
    assert!(ca.hosts(&session).unwrap().hosts.is_empty());
    let heard = heard.join().unwrap();
    let second = authorization_in(&heard[1]);
    assert_eq!(second.time_ms, 4_102_444_800_000);
    assert_ne!(authorization_in(&heard[0]).nonce, second.nonce);
    let path = heard[1].split(' ').nth(1).unwrap();
    assert!(path.starts_with(paths::HOSTS), "{path}");
    let request = Request { audience: "https://ca.example.com", method: "GET", path, body: b"" };
    assert!(request.verify(&key, &second));
}

/// The server gives a login session one list at a time; who asks from another terminal waits for their turn.
#[test]
fn a_list_that_another_command_is_being_given_is_waited_for() {
    let busy = || refusal("rate_limited", "");
    let (server, heard) = serving(vec![busy(), busy(), answer("200 OK", "{\"hosts\":[]}")]);
    let (session, _key) = session(&server);
    assert!(CaClient::new(server, None).unwrap().hosts(&session).unwrap().hosts.is_empty());
    assert_eq!(heard.join().unwrap().len(), 3);
}

#[test]
fn a_login_session_is_ended_by_its_id_and_signed_for() {
    let (server, heard) = serving(vec![answer("204 No Content", "")]);
    let (session, key) = session(&server);
    let lost = SessionId::from_random([9; 12]);
    CaClient::new(server, None).unwrap().end_session_by_id(&session, &lost).unwrap();
    let heard = heard.join().unwrap();
    let path = format!("/v1/sessions/{lost}");
    assert!(heard[0].starts_with(&format!("DELETE {path} HTTP/1.1\r\n")), "{}", heard[0]);
    let request = Request { audience: "https://ca.example.com", method: "DELETE", path: &path, body: b"" };
    assert!(request.verify(&key, &authorization_in(&heard[0])));
}

#[test]
fn a_server_that_is_never_content_is_not_asked_a_third_time() {
    let skew = || refusal("clock_skew", ",\"server_time_ms\":4102444800000");
    let (server, heard) = serving(vec![skew(), skew()]);
    let (session, _key) = session(&server);
    let failure = CaClient::new(server, None).unwrap().hosts(&session).unwrap_err();
    assert_eq!(failure.exit, Exit::Failed);
    assert_eq!(heard.join().unwrap().len(), 2);
}

#[test]
fn each_refusal_has_its_exit_code() {
    for (code, exit) in [
        ("login_required", Exit::NeedsLogin),
        ("bad_signature", Exit::NeedsLogin),
        ("denied", Exit::Denied),
        ("needs_approval", Exit::NeedsApproval),
        ("store_unavailable", Exit::Unreachable),
        ("issuer_unavailable", Exit::Unreachable),
        ("internal", Exit::Failed),
        ("a_code_of_the_future", Exit::Failed),
    ] {
        let (server, heard) = serving(vec![refusal(code, "")]);
        let (session, _key) = session(&server);
        assert_eq!(CaClient::new(server, None).unwrap().hosts(&session).unwrap_err().exit, exit, "{code}");
        heard.join().unwrap();
    }
}

/// A signed request says who asks; it must not be carried to wherever an answer points.
#[test]
fn redirects_are_not_followed() {
    let away =
        "HTTP/1.1 307 x\r\nLocation: http://127.0.0.1:1/v1/hosts\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let (server, heard) = serving(vec![away.to_owned()]);
    let (session, _key) = session(&server);
    let failure = CaClient::new(server, None).unwrap().hosts(&session).unwrap_err();
    assert_eq!(failure.exit, Exit::Failed, "{}", failure.message);
    heard.join().unwrap();
}

#[test]
fn an_endless_answer_is_cut_off() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server: Server = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let endless = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
        stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").unwrap();
        let chunk = vec![b' '; 1024 * 1024];
        (0..64).take_while(|_| stream.write_all(&chunk).is_ok()).count()
    });
    let failure = CaClient::new(server, None).unwrap().about().unwrap_err();
    assert!(failure.message.contains("too large"), "{}", failure.message);
    assert!(endless.join().unwrap() < 64);
}

#[test]
fn nobody_there_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server: Server = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    drop(listener);
    assert_eq!(CaClient::new(server, None).unwrap().about().unwrap_err().exit, Exit::Unreachable);
}

/// Between two attempts at a server that is away; with and without somebody who may press Ctrl-C.
#[test]
fn time_passes() {
    let ca = CaClient::new("http://127.0.0.1:1".parse().unwrap(), None).unwrap();
    ca.pause(Duration::from_millis(1)).unwrap();
    ca.mind_interrupts().unwrap();
    ca.pause(Duration::from_millis(1)).unwrap();
}
