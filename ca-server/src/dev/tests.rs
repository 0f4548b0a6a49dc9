//! The provider as a browser and a client meet it, over HTTP.

use super::{CLIENT_ID, Person, Provider, may_run_beside};
use crate::{clock::ManualClock, config::issuer::IssuerConfig, oidc::Issuers};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::SigningKey;
use reqwest::{Client, Response, StatusCode, header, redirect::Policy};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::{collections::HashMap, sync::Arc};
use url::Url;

const NOW: u64 = 1_767_225_600;
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const REDIRECT: &str = "http://127.0.0.1:45678/callback";

struct Browser {
    provider: Provider,
    clock: Arc<ManualClock>,
    client: Client,
}

impl Browser {
    async fn new() -> Self {
        let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let clock = Arc::new(ManualClock::at(NOW * 1000));
        let provider = Provider::start("127.0.0.1:0".parse().unwrap(), Person::samples(), clock.clone()).await.unwrap();
        let client = Client::builder().redirect(Policy::none()).no_proxy().build().unwrap();
        Self { provider, clock, client }
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.provider.issuer())
    }

    /// The authorization request with some parameters changed; an empty one is left out.
    async fn ask(&self, changes: &[(&str, &str)]) -> Response {
        let nonce = api::signature::login_nonce(&session_key());
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
        let mut parameters = HashMap::from([
            ("response_type", "code"),
            ("client_id", CLIENT_ID),
            ("redirect_uri", REDIRECT),
            ("scope", "openid email"),
            ("state", "st&te"),
            ("nonce", &nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ]);
        parameters.extend(changes.iter().copied());
        parameters.retain(|_, value| !value.is_empty());
        let url = Url::parse_with_params(&self.at("/authorize"), parameters).unwrap();
        self.client.get(url).send().await.unwrap()
    }

    async fn page(&self) -> String {
        self.ask(&[]).await.text().await.unwrap()
    }

    async fn post(&self, path: &str, form: &[(&str, &str)]) -> Response {
        self.client.post(self.at(path)).form(form).send().await.unwrap()
    }

    /// Chooses somebody on a fresh page; the parameters of the redirect.
    async fn choose(&self, person: &str) -> HashMap<String, String> {
        let request = hidden(&self.page().await);
        let answer = self.post("/authorize", &[("request", &request), ("person", person)]).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        parameters(&answer)
    }

    async fn exchange(&self, code: &str, changes: &[(&str, &str)]) -> (StatusCode, Value) {
        let mut form = HashMap::from([
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", REDIRECT),
            ("client_id", CLIENT_ID),
            ("code_verifier", VERIFIER),
        ]);
        form.extend(changes.iter().copied());
        let answer = self.client.post(self.at("/token")).form(&form).send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }
}

#[tokio::test]
async fn somebody_logs_in_and_the_server_believes_it() {
    let browser = Browser::new().await;
    let back = browser.choose("alice").await;
    assert_eq!(back["state"], "st&te");
    assert_eq!(back["iss"], browser.provider.issuer().as_str());
    let (status, answer) = browser.exchange(&back["code"], &[]).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let issuers = Issuers::new(vec![browser.provider.config()], browser.clock.clone()).unwrap();
    let verified = issuers.verify(answer["id_token"].as_str().unwrap(), &session_key()).await.unwrap();
    assert_eq!(verified.binding, "nonce");
    let identity = verified.identity;
    assert_eq!((identity.subject.as_str(), identity.name()), ("alice", "alice@example.com"));
    assert_eq!(identity.groups.iter().map(policy::Group::as_str).collect::<Vec<_>>(), ["deployers", "sre"]);
    assert!(identity.mfa && identity.auth_time.unwrap().as_secs() == NOW);
    let about = &issuers.about()[0];
    assert!(about.name.contains("DEVELOPMENT PROVIDER") && about.client_id == CLIENT_ID);

    let bob = browser.choose("bob").await;
    let (_, answer) = browser.exchange(&bob["code"], &[]).await;
    let bob = issuers.verify(answer["id_token"].as_str().unwrap(), &session_key()).await.unwrap().identity;
    assert!(!bob.mfa && bob.subject.as_str() == "bob");
}

#[tokio::test]
async fn a_code_is_worth_something_once_shortly_and_to_its_owner_only() {
    let browser = Browser::new().await;
    for changes in [
        [("code_verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXX")],
        [("code_verifier", "")],
        [("code_verifier", "short")],
        [("redirect_uri", "http://127.0.0.1:45678/callback/")],
        [("redirect_uri", "http://127.0.0.1:45679/callback")],
        [("redirect_uri", "")],
    ] {
        let code = browser.choose("alice").await["code"].clone();
        let (status, answer) = browser.exchange(&code, &changes).await;
        assert_eq!(
            (status, answer["error"].as_str().unwrap()),
            (StatusCode::BAD_REQUEST, "invalid_grant"),
            "{changes:?}"
        );
        assert_eq!(
            browser.exchange(&code, &[]).await.1["error"],
            "invalid_grant",
            "a failed exchange uses the code up"
        );
    }
    let code = browser.choose("alice").await["code"].clone();
    assert_eq!(browser.exchange(&code, &[("client_id", "another")]).await.1["error"], "invalid_client");
    assert_eq!(browser.exchange(&code, &[("grant_type", "password")]).await.1["error"], "unsupported_grant_type");
    assert_eq!(browser.exchange(&code, &[]).await.0, StatusCode::OK);
    assert_eq!(browser.exchange(&code, &[]).await.1["error"], "invalid_grant", "replayed");
    let code = browser.choose("alice").await["code"].clone();
    browser.clock.set((NOW + 60) * 1000);
    assert_eq!(browser.exchange(&code, &[]).await.1["error"], "invalid_grant", "too old");
}

#[tokio::test]
async fn a_page_is_answered_once() {
    let browser = Browser::new().await;
    let request = hidden(&browser.page().await);
    let nobody = browser.post("/authorize", &[("request", &request), ("person", "root")]).await;
    assert_eq!(nobody.status(), StatusCode::BAD_REQUEST);
    let again = browser.post("/authorize", &[("request", &request), ("person", "alice")]).await;
    assert_eq!(again.status(), StatusCode::BAD_REQUEST);
    assert_eq!(browser.choose("").await["error"], "access_denied");
    let late = hidden(&browser.page().await);
    browser.clock.set((NOW + 300) * 1000);
    assert_eq!(
        browser.post("/authorize", &[("request", &late), ("person", "alice")]).await.status(),
        StatusCode::BAD_REQUEST
    );
}

#[tokio::test]
async fn requests_that_are_not_quite_right() {
    let browser = Browser::new().await;
    for changes in [
        ("client_id", "another"),
        ("client_id", ""),
        ("redirect_uri", ""),
        ("redirect_uri", "https://evil.example/callback"),
        ("redirect_uri", "http://localhost:1/callback"),
    ] {
        let answer = browser.ask(&[changes]).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{changes:?} must not be redirected");
    }
    for (changes, error) in [
        ([("code_challenge", ""), ("code_challenge_method", "")], "invalid_request"),
        ([("code_challenge_method", "plain"), ("state", "s")], "invalid_request"),
        ([("code_challenge_method", ""), ("state", "s")], "invalid_request"),
        ([("code_challenge", "short"), ("state", "s")], "invalid_request"),
        ([("response_type", "token"), ("state", "s")], "unsupported_response_type"),
        ([("response_type", "code id_token"), ("state", "s")], "unsupported_response_type"),
        ([("scope", "email"), ("state", "s")], "invalid_scope"),
    ] {
        let answer = browser.ask(&changes).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        assert_eq!(parameters(&answer)["error"], error, "{changes:?}");
    }
}

#[tokio::test]
async fn every_page_says_what_it_is() {
    let browser = Browser::new().await;
    let pages = [
        browser.client.get(browser.at("/")).send().await.unwrap(),
        browser.client.get(browser.at("/nowhere")).send().await.unwrap(),
        browser.ask(&[]).await,
        browser.ask(&[("client_id", "another")]).await,
        browser.ask(&[("login_hint", "\"><script>alert(1)</script>")]).await,
        browser.post("/authorize", &[("request", "unknown")]).await,
        browser.client.get(browser.at("/")).header(header::HOST, "rebound.example").send().await.unwrap(),
    ];
    for page in pages {
        assert!(page.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().contains("frame-ancestors 'none'"));
        let text = page.text().await.unwrap();
        assert!(text.contains("DEVELOPMENT PROVIDER – not for production"), "{text}");
        assert!(!text.contains("<script"), "{text}");
    }
    let rebound = browser.client.get(browser.at("/jwks")).header(header::HOST, "rebound.example").send().await.unwrap();
    assert_eq!(rebound.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn many_open_pages_do_not_grow_without_end() {
    let browser = Browser::new().await;
    let first = hidden(&browser.page().await);
    for _ in 0..256 {
        browser.page().await;
    }
    assert_eq!(
        browser.post("/authorize", &[("request", &first), ("person", "alice")]).await.status(),
        StatusCode::BAD_REQUEST
    );
    assert!(browser.choose("alice").await.contains_key("code"));
}

#[tokio::test]
async fn never_where_it_could_harm() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let clock = Arc::new(ManualClock::at(NOW * 1000));
        assert!(Provider::start(address.parse().unwrap(), Person::samples(), clock).await.is_err(), "{address}");
    }
    let real = IssuerConfig::people("https://login.example.com".parse().unwrap(), "c");
    assert!(may_run_beside(&[], false).is_ok());
    assert!(may_run_beside(&[real], false).unwrap_err().contains("login.example.com"));
    assert!(may_run_beside(&[], true).is_err());
}

#[tokio::test]
async fn a_provider_that_is_dropped_is_gone() {
    let Browser { provider, client, .. } = Browser::new().await;
    let url = provider.issuer().to_string();
    assert!(client.get(&url).send().await.is_ok());
    drop(provider);
    while client.get(&url).send().await.is_ok() {
        tokio::task::yield_now().await;
    }
}

fn session_key() -> ed25519_dalek::VerifyingKey {
    SigningKey::from_bytes(&[7; 32]).verifying_key()
}

fn hidden(page: &str) -> String {
    let (_, rest) = page.split_once("name=\"request\" value=\"").expect(page);
    rest.split_once('"').unwrap().0.to_owned()
}

fn parameters(answer: &Response) -> HashMap<String, String> {
    let location = answer.headers()[header::LOCATION].to_str().unwrap();
    assert!(location.starts_with(REDIRECT), "{location}");
    Url::parse(location).unwrap().query_pairs().into_owned().collect()
}
