//! Logins with real tokens of a real issuer, into a real store.

use super::login;
use crate::{
    audit::{Entry, tree::Hash},
    clock::Clock as _,
    config::issuer::{Condition, IssuerConfig},
    fixture::{AUDIENCE, NOW, Stage, origin, seal},
    oidc::{
        Issuers,
        tests::{issuer_server::IssuerServer, signer::Signer},
    },
    store::{
        Agenda, Claim, Due, Edition, Filed, Freezes, Idempotency, Issued, KeptRequest, KeyBinding, Known,
        LiveCertificate, LoginSession, Look, Opened, PolicyRecord, PolicySet, Recorded, Requests, Revocations, Revoked,
        Selection, Stepped, Store, StoreError, TokenUse, Which, memory::MemoryStore, redb::RedbStore,
        revocations::Account,
    },
};
use api::{Code, LoginRequest};
use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use policy::{Freeze, FreezeId, Group, Identity, Issuer, Request, RequestId, SessionId, Step, Subject, Thaw, UnixTime};
use serde_json::{Value, json};
use std::sync::Arc;

struct Desk {
    stage: Stage,
    server: IssuerServer,
    signer: Signer,
}

impl Desk {
    async fn new(store: Arc<dyn Store>) -> Self {
        Self::with(store, |_config| {}).await
    }

    async fn with(store: Arc<dyn Store>, change: impl FnOnce(&mut IssuerConfig)) -> Self {
        let (server, signer) = (IssuerServer::start().await, Signer::p256("k"));
        server.publish(&[&signer]);
        let mut config = IssuerConfig::people(server.url().parse().unwrap(), "jit-ssh");
        change(&mut config);
        let mut stage = Stage::new(store);
        stage.app.issuers = Issuers::new(vec![config], stage.clock.clone()).unwrap();
        Self { stage, server, signer }
    }

    fn token(&self, changes: Value) -> String {
        let now = NOW.as_secs();
        let mut claims = json!({
            "iss": self.server.url(), "sub": "u-1", "aud": "jit-ssh", "iat": now, "exp": now + 300,
            "nonce": api::signature::login_nonce(&key().verifying_key()),
            "email": "ann@example.com", "email_verified": true, "groups": ["ops"], "amr": ["mfa"],
        });
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        self.signer.token(&claims)
    }

    async fn login(&self, request: LoginRequest) -> Result<api::LoginResponse, Code> {
        login(&self.stage.app, &origin(), request).await.map_err(|refusal| refusal.code)
    }

    async fn entries(&self) -> Vec<Value> {
        let entries = self.stage.app.store.entries(0, 1000).await.unwrap();
        entries.iter().map(|entry| serde_json::from_slice(entry.as_bytes()).unwrap()).collect()
    }
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn request(token: String) -> LoginRequest {
    let proof = key().sign(&api::signature::login_proof(AUDIENCE, &token));
    LoginRequest {
        session_key: URL_SAFE_NO_PAD.encode(key().verifying_key()),
        proof: URL_SAFE_NO_PAD.encode(proof.to_bytes()),
        token,
    }
}

#[tokio::test]
async fn a_login_is_on_record_before_it_is_answered() {
    let home = tempfile::tempdir().unwrap();
    let desk = Desk::new(Arc::new(RedbStore::open(&home.path().join("store"), &seal()).unwrap())).await;
    let response = desk.login(request(desk.token(json!({})))).await.unwrap();
    let session = desk.stage.app.store.session(&response.session).await.unwrap().unwrap();
    assert_eq!(session.key, key().verifying_key().to_bytes());
    assert_eq!(session.expires, response.expires);
    assert_eq!(response.expires.as_secs(), NOW.as_secs() + 43_200);
    assert_eq!(response.identity.email.unwrap().as_str(), "ann@example.com");
    assert!(session.alive(desk.stage.clock.now()));
    let [entry]: [Value; 1] = desk.entries().await.try_into().unwrap();
    assert_eq!(entry["code"], "login.opened");
    assert_eq!(entry["session"], response.session.as_str());
    assert_eq!(entry["actor"]["subject"], "u-1");
    assert_eq!((&entry["binding"], &entry["mfa"], &entry["request"]), (&json!("nonce"), &json!(true), &json!("r-1")));
}

/// What a client asks its issuer for is its own choice: an address that was seen once is not forgotten.
#[tokio::test]
async fn an_account_keeps_the_addresses_that_it_had() {
    let home = tempfile::tempdir().unwrap();
    let desk = Desk::new(Arc::new(RedbStore::open(&home.path().join("store"), &seal()).unwrap())).await;
    let rows = [
        (json!({}), "ann@example.com", vec![]),
        (json!({ "jti": 2, "email": null }), "", vec!["ann@example.com"]),
        (json!({ "jti": 3, "email": "ANN@example.com" }), "ANN@example.com", vec!["ann@example.com"]),
        (json!({ "jti": 4, "email": "ann@new.example" }), "ann@new.example", vec!["ann@example.com"]),
        (json!({ "jti": 5, "email_verified": false }), "", vec!["ann@example.com", "ann@new.example"]),
        (json!({ "jti": 6, "sub": "u-2" }), "ann@example.com", vec![]),
    ];
    for (changes, email, known_as) in rows {
        let response = desk.login(request(desk.token(changes.clone()))).await.unwrap();
        let Identity { email: now, known_as: known, .. } =
            desk.stage.app.store.session(&response.session).await.unwrap().unwrap().identity;
        assert_eq!(now.as_ref().map_or("", |email| email.as_str()), email, "{changes}");
        assert_eq!(known.iter().map(|email| email.as_str()).collect::<Vec<_>>(), known_as, "{changes}");
        let told = desk.entries().await.pop().unwrap();
        let on_record = told["identity"].get("known_as").cloned().unwrap_or_else(|| json!([]));
        assert_eq!(on_record, json!(known_as), "{changes}");
    }
}

#[tokio::test]
async fn a_token_opens_one_session_whoever_comes_and_however_it_is_signed() {
    let desk = Desk::new(Arc::new(MemoryStore::new(seal()))).await;
    let token = desk.token(json!({}));
    let (one, two) = (request(token.clone()), request(token.clone()));
    let (first, second) = tokio::join!(desk.login(one), desk.login(two));
    assert!(first.is_ok() != second.is_ok(), "of two at once, one");
    assert_eq!(desk.login(request(token.clone())).await.unwrap_err(), Code::TokenUsed);
    let signed_again = desk.token(json!({}));
    assert_ne!(token, signed_again);
    assert_eq!(desk.login(request(signed_again)).await.unwrap_err(), Code::TokenUsed);
    let codes: Vec<Value> = desk.entries().await.iter().map(|entry| entry["code"].clone()).collect();
    assert_eq!(codes, ["login.opened", "login.refused"], "on record once, however often it comes");
    assert_eq!(desk.entries().await[1]["refusal"], "token_used");
    assert!(desk.login(request(desk.token(json!({ "jti": "another" })))).await.is_ok());
}

#[tokio::test]
async fn without_possession_of_the_key_nothing_is_even_looked_at() {
    let desk = Desk::new(Arc::new(MemoryStore::new(seal()))).await;
    let token = desk.token(json!({}));
    let signed = |audience: &str, token: &str, key: &SigningKey| {
        URL_SAFE_NO_PAD.encode(key.sign(&api::signature::login_proof(audience, token)).to_bytes())
    };
    let stranger = SigningKey::from_bytes(&[8; 32]);
    for proof in [
        signed("https://another.example.com", &token, &key()),
        signed("https://ssh-ca.example.com/", &token, &key()),
        signed(AUDIENCE, &desk.token(json!({ "jti": "2" })), &key()),
        signed(AUDIENCE, &token, &stranger),
        URL_SAFE_NO_PAD.encode(key().sign(token.as_bytes()).to_bytes()),
    ] {
        let refused = desk.login(LoginRequest { proof, ..request(token.clone()) }).await.unwrap_err();
        assert_eq!(refused, Code::BadSignature);
    }
    for proof in ["", "AA", &"A".repeat(10_000), &format!("{}=", request(token.clone()).proof), "!"] {
        let refused = desk.login(LoginRequest { proof: proof.to_owned(), ..request(token.clone()) }).await.unwrap_err();
        assert_eq!(refused, Code::BadRequest, "{proof}");
    }
    let weak = [[0u8; 32], {
        let mut identity = [0; 32];
        identity[0] = 1;
        identity
    }];
    for session_key in
        weak.map(|bytes| URL_SAFE_NO_PAD.encode(bytes)).into_iter().chain([String::new(), "AA".to_owned()])
    {
        let refused = desk.login(LoginRequest { session_key, ..request(token.clone()) }).await.unwrap_err();
        assert_eq!(refused, Code::BadRequest);
    }
    // A thief's own key and proof are in order; the token was made for another key.
    let theft = LoginRequest {
        session_key: URL_SAFE_NO_PAD.encode(stranger.verifying_key()),
        proof: signed(AUDIENCE, &token, &stranger),
        token: token.clone(),
    };
    assert_eq!(desk.login(theft).await.unwrap_err(), Code::TokenRefused);
    assert_eq!(desk.entries().await.len(), 1, "only the theft is on record");
    assert_eq!(desk.entries().await[0]["reason"], "its nonce belongs to another session key");
    assert_eq!(desk.server.key_fetches(), 1);
    assert!(desk.login(request(token)).await.is_ok(), "and the token is still its owner's");
}

#[tokio::test]
async fn rubbish_is_refused_and_not_kept() {
    let desk = Desk::new(Arc::new(MemoryStore::new(seal()))).await;
    let forged = Signer::p256("k").token(&json!({ "iss": desk.server.url(), "sub": "root", "aud": "jit-ssh" }));
    for token in [String::new(), "a.b.c".to_owned(), "\u{1b}[31m".to_owned(), "x".repeat(20_000), forged] {
        assert_eq!(desk.login(request(token)).await.unwrap_err(), Code::TokenRefused);
    }
    assert_eq!(desk.entries().await.len(), 0);
    let late = desk.token(json!({ "exp": NOW.as_secs() - 61 }));
    assert_eq!(desk.login(request(late)).await.unwrap_err(), Code::TokenRefused);
    let [entry]: [Value; 1] = desk.entries().await.try_into().unwrap();
    assert_eq!((&entry["code"], &entry["subject"]), (&json!("login.refused"), &json!("u-1")));
}

#[tokio::test]
async fn a_workloads_session_ends_with_its_token() {
    let desk = Desk::with(Arc::new(MemoryStore::new(seal())), |config| {
        let require = vec![Condition::equals("sub", "u-1")];
        *config = IssuerConfig::workload(config.url.clone(), AUDIENCE, require);
    })
    .await;
    let now = NOW.as_secs();
    let response = desk.login(request(desk.token(json!({ "aud": AUDIENCE })))).await.unwrap();
    assert_eq!(response.expires.as_secs(), now + 300);
    // Within the clock skew the token still holds, but there would be nothing left of the session.
    let just_expired = desk.token(json!({ "aud": AUDIENCE, "exp": now }));
    assert_eq!(desk.login(request(just_expired)).await.unwrap_err(), Code::TokenRefused);
}

#[tokio::test]
async fn nothing_is_answered_that_could_not_be_recorded() {
    let desk = Desk::new(Arc::new(Burning)).await;
    assert_eq!(desk.login(request(desk.token(json!({})))).await.unwrap_err(), Code::StoreUnavailable);
    let late = desk.token(json!({ "exp": NOW.as_secs() - 61 }));
    assert_eq!(desk.login(request(late)).await.unwrap_err(), Code::TokenRefused, "a refusal stands, recorded or not");
}

#[test]
fn the_refused_session_key_is_weak() {
    assert!(VerifyingKey::from_bytes(&[0; 32]).is_ok_and(|key| key.is_weak()), "or the test above tests nothing");
}

/// A store on a broken disk.
struct Burning;

fn burning<T>() -> Result<T, StoreError> {
    Err(StoreError("the disk is on fire".to_owned()))
}

#[async_trait]
impl Requests for Burning {
    async fn file_request(&self, _: Request, _: Option<Idempotency>, _: Entry) -> Result<Filed, StoreError> {
        burning()
    }
    async fn filed_with(
        &self,
        _: &Issuer,
        _: &Subject,
        _: &[u8; 32],
    ) -> Result<Option<([u8; 32], RequestId)>, StoreError> {
        burning()
    }
    async fn request(&self, _: &RequestId) -> Result<Option<KeptRequest>, StoreError> {
        burning()
    }
    async fn requests(&self, _: &Which, _: Option<&RequestId>, _: usize) -> Result<Vec<KeptRequest>, StoreError> {
        burning()
    }
    fn changes(&self) -> Option<u64> {
        None
    }
    async fn extensions_of(&self, _: &RequestId) -> Result<Vec<KeptRequest>, StoreError> {
        burning()
    }
    async fn add_step(&self, _: &RequestId, _: usize, _: Step, _: Entry) -> Result<Stepped, StoreError> {
        burning()
    }
    async fn last_expiry(&self, _: &RequestId) -> Result<Option<UnixTime>, StoreError> {
        burning()
    }
    async fn groups_since(&self, _: &Issuer, _: &Subject) -> Result<Vec<(Group, UnixTime)>, StoreError> {
        burning()
    }
    async fn latest_identity(&self, _: &Issuer, _: &Subject) -> Result<Option<Identity>, StoreError> {
        burning()
    }
}

#[async_trait]
impl PolicyRecord for Burning {
    async fn recorded_policies(&self) -> Result<Option<PolicySet>, StoreError> {
        burning()
    }
    async fn record_policies(&self, _: Option<&str>, _: PolicySet, _: Vec<Entry>) -> Result<Stepped, StoreError> {
        burning()
    }
}

#[async_trait]
impl Revocations for Burning {
    async fn live(&self, _: &Selection, _: UnixTime) -> Result<Vec<LiveCertificate>, StoreError> {
        burning()
    }
    async fn revoke(&self, _: Selection, _: UnixTime, _: Account) -> Result<Vec<LiveCertificate>, StoreError> {
        burning()
    }
    async fn revoked(&self, _: Option<&Edition>) -> Result<Option<Revoked>, StoreError> {
        burning()
    }
    async fn freezes(&self) -> Result<Arc<Freezes>, StoreError> {
        burning()
    }
    async fn freeze(&self, _: u64, _: Freeze, _: Entry) -> Result<Stepped, StoreError> {
        burning()
    }
    async fn thaw(&self, _: &FreezeId, _: u64, _: Thaw, _: bool, _: Entry) -> Result<Stepped, StoreError> {
        burning()
    }
    async fn known(&self, _: &Known) -> Result<Vec<Identity>, StoreError> {
        burning()
    }
}

#[async_trait]
impl Agenda for Burning {
    async fn due(&self, _: UnixTime, _: usize) -> Result<Vec<Due>, StoreError> {
        burning()
    }
    async fn attend(&self, _: &Due, _: Option<Look>, _: Option<Entry>) -> Result<bool, StoreError> {
        burning()
    }
}

#[async_trait]
impl Store for Burning {
    async fn open_session(&self, _: LoginSession, _: TokenUse, _: usize, _: Entry) -> Result<Opened, StoreError> {
        burning()
    }
    async fn session(&self, _: &SessionId) -> Result<Option<LoginSession>, StoreError> {
        burning()
    }
    async fn sessions_of(&self, _: &Issuer, _: &Subject) -> Result<Vec<LoginSession>, StoreError> {
        burning()
    }
    async fn touch_session(&self, _: &SessionId, _: UnixTime) -> Result<(), StoreError> {
        burning()
    }
    async fn end_session(&self, _: &SessionId, _: Entry) -> Result<bool, StoreError> {
        burning()
    }
    async fn record_issue(
        &self,
        _: &SessionId,
        _: Option<KeyBinding>,
        _: Option<Claim>,
        _: Issued,
        _: Entry,
    ) -> Result<Recorded, StoreError> {
        burning()
    }
    async fn key_proven(&self, _: &SessionId, _: &[u8; 32]) -> Result<bool, StoreError> {
        burning()
    }
    async fn append(&self, _: Entry) -> Result<(), StoreError> {
        burning()
    }
    async fn entries(&self, _: u64, _: usize) -> Result<Vec<Entry>, StoreError> {
        burning()
    }
    async fn entry_count(&self) -> Result<u64, StoreError> {
        burning()
    }
    async fn checkpoint(&self) -> Result<String, StoreError> {
        burning()
    }
    async fn tree_hashes(&self, _: &[u64]) -> Result<Vec<Hash>, StoreError> {
        burning()
    }
    async fn prune(&self, _: UnixTime) -> Result<(), StoreError> {
        burning()
    }
    async fn ready(&self) -> Result<(), StoreError> {
        burning()
    }
}

#[tokio::test]
async fn a_token_that_is_refused_ever_again_is_on_record_once() {
    let desk = Desk::new(Arc::new(MemoryStore::new(crate::fixture::seal()))).await;
    let token = desk.token(json!({}));
    desk.login(request(token.clone())).await.unwrap();
    for _ in 0..5 {
        assert_eq!(desk.login(request(token.clone())).await.unwrap_err(), Code::TokenUsed);
    }
    let count = |entries: Vec<Value>| entries.iter().filter(|entry| entry["code"] == "login.refused").count();
    assert_eq!(count(desk.entries().await), 1);
    let late = desk.token(json!({"exp": NOW.as_secs() - 3_600, "iat": NOW.as_secs() - 7_200}));
    for _ in 0..5 {
        assert_eq!(desk.login(request(late.clone())).await.unwrap_err(), Code::TokenRefused);
    }
    assert_eq!(count(desk.entries().await), 2, "another token has its own");
}
