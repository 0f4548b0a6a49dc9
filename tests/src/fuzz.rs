//! One function for each parser that a stranger reaches. Each may refuse what it is given and must not do anything else:
//! no panic, no hang, and what it accepts it writes back as it was. `fuzz/` calls them without end, a plain test briefly.

use ca_server::{ca::UserKey, clock::ManualClock, http::client::source, oidc::Issuers, verbs::issue::possession};
use policy::{
    Account, Email, Group, HostGroup, HostName, KeyId, Network, Principal, Seconds, SessionId, Source, Sources, Target,
};
use std::{
    fmt::Display,
    net::IpAddr,
    path::Path,
    str::FromStr,
    sync::Arc,
    task::{Context, Poll, Waker},
};

/// A parser under test.
pub type Parser = fn(&[u8]);

/// Every target by the name of its corpus.
pub const TARGETS: [(&str, Parser); 13] = [
    ("authorization", authorization),
    ("login_request", login_request),
    ("token", token),
    ("certificate_request", certificate_request),
    ("explain_request", explain_request),
    ("forwarded_for", forwarded_for),
    ("user_key", user_key),
    ("proof", proof),
    ("words", words),
    ("key_id", key_id),
    ("policy_text", policy_text),
    ("inventory", inventory),
    ("config", config),
];

/// The `Authorization` header: one request has one header.
pub fn authorization(bytes: &[u8]) {
    same_again::<api::signature::Authorization>(&text(bytes));
}

/// The body of `POST /v1/login`.
pub fn login_request(bytes: &[u8]) {
    if let Ok(request) = serde_json::from_slice::<api::LoginRequest>(bytes) {
        let _digest = api::signature::login_proof("https://ca.example", &request.token);
    }
}

/// An ID token before anybody believes it.
pub fn token(bytes: &[u8]) {
    let Ok(issuers) = Issuers::new(Vec::new(), Arc::new(ManualClock::default())) else { return };
    let key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]).verifying_key();
    let text = text(bytes);
    // With nobody to ask it is ready at once.
    let answer = std::pin::pin!(issuers.verify(&text, &key)).poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(answer, Poll::Ready(Err(_))));
}

/// The body of `POST /v1/certificates`. What it names is safe to put anywhere.
pub fn certificate_request(bytes: &[u8]) {
    let Ok(request) = serde_json::from_slice::<api::CertificateRequest>(bytes) else { return };
    let written = serde_json::to_vec(&request).unwrap_or_default();
    let again = serde_json::from_slice::<api::CertificateRequest>(&written).ok();
    assert_eq!(again.map(|again| again.target), Some(request.target));
}

/// A user key. What is accepted is a single line that says the same again.
pub fn user_key(bytes: &[u8]) {
    let Ok(key) = UserKey::parse(&text(bytes)) else { return };
    let line = key.public().to_openssh().unwrap_or_default();
    assert!(!line.contains(['\n', '\r', '\0']));
    assert_eq!(UserKey::parse(&line).map(|again| *again.digest()), Ok(*key.digest()));
}

/// A proof of possession, checked as `POST /v1/certificates` checks it: against the key it names itself, and over the
/// message of a login session that has proven nothing. The corpus holds good proofs of another session.
pub fn proof(bytes: &[u8]) {
    let text = text(bytes);
    let message = api::signature::user_key_proof("https://ca.example", &SessionId::from_random([1; 12]));
    let named =
        ssh_key::SshSig::from_pem(bytes).map(|signature| ssh_key::PublicKey::from(signature.public_key().clone()));
    let own = named.ok().and_then(|key| key.to_openssh().ok()).and_then(|line| UserKey::parse(&line).ok());
    let stranger = UserKey::parse(STRANGER).ok();
    for key in own.iter().chain(&stranger) {
        assert!(possession::verify(key, &text, &message).is_err(), "a proof without a key");
    }
}

const STRANGER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFwKlSr6n9lUhezvLOKM6PJqp44okMMUsRohuhLJfuyI";

/// The body of `POST /v1/explain`.
pub fn explain_request(bytes: &[u8]) {
    let Ok(request) = serde_json::from_slice::<api::ExplainRequest>(bytes) else { return };
    let written = serde_json::to_vec(&request).unwrap_or_default();
    let again = serde_json::from_slice::<api::ExplainRequest>(&written).ok();
    assert_eq!(again.map(|again| (again.target, again.duration)), Some((request.target, request.duration)));
}

/// `X-Forwarded-For`, one header a line, behind a proxy of ours. The address that counts is the proxy's or stands in the
/// header, and from a stranger the header counts for nothing.
pub fn forwarded_for(bytes: &[u8]) {
    let mut headers = reqwest::header::HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        if let Ok(value) = reqwest::header::HeaderValue::from_bytes(line) {
            headers.append("x-forwarded-for", value);
        }
    }
    let proxies: Vec<Network> = ["10.0.0.0/8", "fd00::/8"].iter().filter_map(|network| network.parse().ok()).collect();
    let (proxy, stranger) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([192, 0, 2, 1]));
    assert_eq!(source(stranger, &headers, &proxies), stranger);
    let found = source(proxy, &headers, &proxies);
    assert_eq!(found, found.to_canonical());
    let written = text(bytes);
    let mut hops = written.split([',', '\n']).filter_map(|hop| hop.trim().parse::<IpAddr>().ok());
    assert!(found == proxy || hops.any(|hop| hop.to_canonical() == found), "{found} came from nowhere");
}

/// The words of policy. What is accepted holds nothing that a shell, a list, a log or a terminal would take for its own.
pub fn words(bytes: &[u8]) {
    let text = text(bytes);
    same_again::<Account>(&text);
    same_again::<HostGroup>(&text);
    same_again::<Group>(&text);
    same_again::<Email>(&text);
    same_again::<Seconds>(&text);
    for name in [same_again::<HostName>(&text), same_again::<Target>(&text), same_again::<Principal>(&text)] {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._@:-".contains(&byte);
        assert!(name.is_none_or(|name| name.bytes().all(plain) && !name.starts_with('-') && !name.is_empty()));
    }
}

/// A key id, as a log or a host hands it back.
pub fn key_id(bytes: &[u8]) {
    if let Some((grant, user)) = KeyId::parse(&text(bytes)) {
        assert!(!user.contains(' ') && grant.as_str().starts_with("g-"));
    }
}

/// A policy file.
pub fn policy_text(bytes: &[u8]) {
    load(Sources { policies: vec![file("fuzz.cedar", bytes)], ..Sources::default() });
}

/// `hosts.toml`, and a test file made of the same bytes.
pub fn inventory(bytes: &[u8]) {
    let hosts = Some(file("hosts.toml", bytes));
    load(Sources { hosts, tests: vec![file("tests/fuzz.toml", bytes)], ..Sources::default() });
}

/// The server's configuration.
pub fn config(bytes: &[u8]) {
    if let Err(findings) = ca_server::config::Config::parse("config.toml", &text(bytes), Path::new("/nowhere")) {
        shown(findings.iter());
    }
}

fn load(sources: Sources) {
    match policy::Policies::load(&sources) {
        Ok(policies) => drop(policies.run_tests(&sources)),
        Err(findings) => shown(findings.iter()),
    }
}

/// A refusal names what it is about, and nothing in it moves a terminal's cursor.
fn shown(findings: impl Iterator<Item: Display>) {
    let lines: Vec<String> = findings.map(|finding| finding.to_string()).collect();
    assert!(!lines.is_empty());
    assert!(!lines.iter().any(|line| line.chars().any(|c| c.is_control() && c != '\n')), "{lines:?}");
}

/// What is read and written is read as the same again.
fn same_again<T: FromStr + Display + PartialEq>(text: &str) -> Option<String> {
    let word = text.parse::<T>().ok()?;
    let written = word.to_string();
    assert!(written.parse::<T>().ok().is_some_and(|again| again == word), "{written:?} is not what was read");
    Some(written)
}

fn file(name: &str, bytes: &[u8]) -> Source {
    Source { name: name.to_owned(), text: text(bytes) }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
