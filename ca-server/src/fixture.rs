//! What the tests of several rooms stand on: a policy set, a login session and an app around any store.

pub(crate) mod database;

use crate::{
    app::{App, Origin, SessionRules},
    audit::checkpoint::Seal,
    ca::Authority,
    clock::ManualClock,
    custody::CaKey,
    oidc::Issuers,
    policies::LivePolicies,
    store::{LoginSession, Opened, Store, TokenUse},
    verbs::{
        authenticate::{Caller, authenticate},
        certificates::Certificates,
        krl::Lists,
        login::carry_over,
        refusals::Refusals,
        replay::Replay,
        waiting::Waiting,
    },
};
use api::{
    CertificateRequest,
    signature::{self, Nonce, Request},
};
use ed25519_dalek::SigningKey;
use policy::{Ask, Identity, Kind, Policies, Seconds, SessionId, Source, Sources, UnixTime};
use ssh_key::{HashAlg, LineEnding, PrivateKey, private::Ed25519Keypair};
use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use zeroize::Zeroizing;

pub(crate) const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);
pub(crate) const AUDIENCE: &str = "https://ssh-ca.example.com";
pub(crate) const POLICY: &str = r#"
@id("ops") @max_duration("1h") @cert_ttl("5m")
permit (principal in Group::"ops", action == Action::"connect", resource is Account) when { resource.name == "deploy" };
@id("no-db") @advice("Ask the database team.")
forbid (principal, action == Action::"connect", resource in HostGroup::"db");
@id("root-by-two") @approvals("2")
permit (principal in Group::"ops", action == Action::"connect", resource is Account) when { resource.name == "root" };
@id("approvers")
permit (principal in Group::"leads", action == Action::"approve", resource is Request);
"#;

pub(crate) fn sources(policy: &str) -> Sources {
    let source = |name: &str, text: &str| Source { name: name.to_owned(), text: text.to_owned() };
    let hosts = r#"
        [[host]]
        name = "web-1"
        groups = ["web"]
        accounts = ["deploy", "root"]
        [[host]]
        name = "web-2"
        groups = ["web"]
        accounts = ["root"]
        [[host]]
        name = "db-1"
        groups = ["db"]
        accounts = ["deploy"]
    "#;
    let groups = "[[group]]\nname = \"web\"\n[[group]]\nname = \"db\"\n";
    Sources {
        policies: vec![source("test.cedar", policy)],
        hosts: Some(source("hosts.toml", hosts)),
        groups: Some(source("groups.toml", groups)),
        tests: Vec::new(),
    }
}

pub(crate) fn policies(policy: &str) -> Policies {
    Policies::load(&sources(policy)).unwrap_or_else(|findings| panic!("{findings:?}"))
}

pub(crate) fn identity(subject: &str) -> Identity {
    Identity {
        kind: Kind::User,
        issuer: "https://id.example.com".parse().unwrap(),
        subject: subject.parse().unwrap(),
        email: Some("ann@example.com".parse().unwrap()),
        groups: vec!["ops".parse().unwrap()],
        amr: vec!["pwd".to_owned(), "otp".to_owned()],
        acr: None,
        mfa: true,
        auth_time: Some(NOW),
        claims: Vec::new(),
        known_as: Vec::new(),
    }
}

pub(crate) fn ask(target: &str) -> Ask {
    Ask {
        identity: identity("ann"),
        target: target.parse().unwrap(),
        duration: None,
        reason: None,
        ticket: None,
        source: IpAddr::from([192, 0, 2, 7]),
    }
}

pub(crate) fn ca_key(seed: u8) -> CaKey {
    CaKey::from_seed(Zeroizing::new([seed; 32]))
}

/// What signs the audit logs of tests.
pub(crate) fn seal() -> Seal {
    Seal::new("ssh-ca.example.com", Arc::new(ca_key(3))).unwrap()
}

/// A user key with a known seed.
pub(crate) fn user_key(seed: u8) -> PrivateKey {
    Ed25519Keypair::from_seed(&[seed; 32]).into()
}

/// An app around `store`, and somebody who is logged in to it.
pub(crate) struct Stage {
    pub(crate) app: App,
    pub(crate) clock: Arc<ManualClock>,
    nonces: Arc<AtomicU64>,
}

impl Stage {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self::with(store, POLICY)
    }

    pub(crate) fn with(store: Arc<dyn Store>, policy: &str) -> Self {
        Self::around(store, policy, Arc::new(ManualClock::at(NOW.as_secs() * 1000)), Arc::default())
    }

    /// Another server of the same house, with the same clock; `store` leads to the same facts.
    pub(crate) fn beside(&self, store: Arc<dyn Store>, policy: &str) -> Self {
        Self::around(store, policy, Arc::clone(&self.clock), Arc::clone(&self.nonces))
    }

    fn around(store: Arc<dyn Store>, policy: &str, clock: Arc<ManualClock>, nonces: Arc<AtomicU64>) -> Self {
        let now_ms = NOW.as_secs() * 1000;
        let app = App {
            audience: AUDIENCE.to_owned(),
            zone: jiff::tz::TimeZone::UTC,
            sessions: SessionRules { lifetime: Seconds::new(43_200), idle: Seconds::new(7_200), most_per_identity: 20 },
            clock: Arc::clone(&clock) as _,
            store,
            authority: Authority::new(ca_key(1)),
            host_ca: ca_key(2).public().to_openssh().unwrap(),
            krl: Lists::new(ca_key(1).public().clone(), ca_key(4)),
            policies: LivePolicies::from_sources(sources(policy)).unwrap(),
            issuers: Issuers::new(Vec::new(), Arc::clone(&clock) as _).unwrap(),
            sinks: crate::sinks::Sinks::default(),
            replay: Replay::new(now_ms - 120_000),
            waiting: Waiting::default(),
            cases: Default::default(),
            refusals: Refusals::default(),
            certificates: Certificates::per_minute(0),
        };
        Self { app, clock, nonces }
    }

    /// Opens session number `n` for `subject`.
    pub(crate) async fn login(&self, n: u8, subject: &str) -> LoginSession {
        self.login_as(n, identity(subject)).await
    }

    /// Opens session number `n` for `identity`, as a login does.
    pub(crate) async fn login_as(&self, n: u8, mut identity: Identity) -> LoginSession {
        carry_over(&self.app, &mut identity).await.unwrap();
        let now = self.app.clock.now();
        let session = LoginSession {
            id: SessionId::from_random([n; 12]),
            identity,
            key: session_key(n).verifying_key().to_bytes(),
            started: now,
            used: now,
            expires: now.plus(Seconds::new(43_200)),
            idle_seconds: 7_200,
            source: IpAddr::from([192, 0, 2, 7]),
        };
        let token = TokenUse { digest: [n; 32], forget: now.plus(Seconds::new(600)) };
        let entry = crate::audit::Entry::from_bytes(b"{}".to_vec());
        let opened = self.app.store.open_session(session.clone(), token, 20, entry).await.unwrap();
        assert_eq!(opened, Opened::Yes);
        session
    }

    /// A nonce that was never used before.
    pub(crate) fn nonce(&self) -> Nonce {
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&self.nonces.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        Nonce(nonce)
    }

    /// The caller of a request that session number `n` signed.
    pub(crate) async fn caller(&self, n: u8) -> Caller {
        let request = Request { audience: AUDIENCE, method: "POST", path: "/v1/certificates", body: b"{}" };
        let id = SessionId::from_random([n; 12]);
        let header = request.sign(&session_key(n), &id, self.app.clock.now_ms(), self.nonce()).to_string();
        authenticate(&self.app, &origin(), "POST", "/v1/certificates", Some(&header), b"{}").await.unwrap()
    }
}

pub(crate) fn origin() -> Origin {
    Origin { source: IpAddr::from([192, 0, 2, 7]), request_id: "r-1".to_owned() }
}

pub(crate) fn session_key(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n.wrapping_add(100); 32])
}

/// A request for `target` with `key`, and its proof for session number `n` if one is wanted.
pub(crate) fn certificate_request(target: &str, key: &PrivateKey, proof_for: Option<u8>) -> CertificateRequest {
    let proof = proof_for.map(|n| {
        let message = signature::user_key_proof(AUDIENCE, &SessionId::from_random([n; 12]));
        let signed = key.sign(signature::USER_KEY_NAMESPACE, HashAlg::Sha512, &message).unwrap();
        signed.to_pem(LineEnding::LF).unwrap()
    });
    CertificateRequest {
        target: target.parse().unwrap(),
        public_key: key.public_key().to_openssh().unwrap(),
        proof,
        duration: None,
        reason: None,
        ticket: None,
        request: None,
    }
}
