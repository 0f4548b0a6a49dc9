//! One function for each parser that a stranger reaches. Each may refuse what it is given and must not do anything else:
//! no panic, no hang, and what it accepts it writes back as it was. `fuzz/` calls them without end, a plain test briefly.

use ca_server::{clock::ManualClock, oidc::Issuers};
use policy::{Account, Email, Group, HostGroup, HostName, KeyId, Principal, Seconds, Source, Sources, Target};
use std::{
    fmt::Display,
    path::Path,
    str::FromStr,
    sync::Arc,
    task::{Context, Poll, Waker},
};

/// A parser under test.
pub type Parser = fn(&[u8]);

/// Every target by the name of its corpus.
pub const TARGETS: [(&str, Parser); 11] = [
    ("authorization", authorization),
    ("login_request", login_request),
    ("token", token),
    ("certificate_request", certificate_request),
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
    let Ok(key) = ca_server::ca::UserKey::parse(&text(bytes)) else { return };
    let line = key.public().to_openssh().unwrap_or_default();
    assert!(!line.contains(['\n', '\r', '\0']));
    assert_eq!(ca_server::ca::UserKey::parse(&line).map(|again| *again.digest()), Ok(*key.digest()));
}

/// An SSHSIG in PEM.
pub fn proof(bytes: &[u8]) {
    if let Ok(signature) = ssh_key::SshSig::from_pem(bytes) {
        let _algorithm = signature.algorithm();
    }
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
    load(Sources { policies: vec![source("fuzz.cedar", bytes)], ..Sources::default() });
}

/// `hosts.toml`, and a test file made of the same bytes.
pub fn inventory(bytes: &[u8]) {
    let hosts = Some(source("hosts.toml", bytes));
    load(Sources { hosts, tests: vec![source("tests/fuzz.toml", bytes)], ..Sources::default() });
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

fn source(name: &str, bytes: &[u8]) -> Source {
    Source { name: name.to_owned(), text: text(bytes) }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
