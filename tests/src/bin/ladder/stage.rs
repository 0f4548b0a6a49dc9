//! What is asked of whom: policies, hosts, people, login sessions and user keys.

use anyhow::{Context as _, Result, bail};
use api::signature::{Nonce, Request, USER_KEY_NAMESPACE, user_key_proof};
use ca_server::{
    audit::{
        Entry,
        checkpoint::{self, Seal},
    },
    clock::{Clock as _, SystemClock},
    custody::CaKey,
    store::{Issued, KeyBinding, LoginSession, Opened, Recorded, Store, TokenUse},
};
use ed25519_dalek::SigningKey;
use policy::{
    Ask, Decision, Grant, GrantId, Identity, Kind, Now, Policies, Seconds, Serial, SessionId, Source, Sources, UnixTime,
};
use sha2::{Digest as _, Sha256};
use ssh_key::{HashAlg, LineEnding, PrivateKey, private::Ed25519Keypair};
use std::{
    fmt::Write as _,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

pub const AUDIENCE: &str = "http://127.0.0.1:8443";
pub const PATH: &str = api::paths::CERTIFICATES;

/// What signs the audit log.
pub fn seal(key: CaKey) -> Result<Seal> {
    Ok(Seal::new(checkpoint::origin(AUDIENCE), Arc::new(key))?)
}

/// A set of `count` policies: one team each, a forbid for root, 100 hosts in 100 groups.
pub fn sources(count: usize) -> Result<Sources> {
    let (mut groups, mut hosts) = (String::new(), String::new());
    for n in 0..100 {
        writeln!(groups, "[[group]]\nname = \"g{n}\"")?;
        writeln!(hosts, "[[host]]\nname = \"h{n}\"\ngroups = [\"g{n}\"]\naccounts = [\"deploy\", \"root\"]")?;
        writeln!(hosts, "labels = {{ env = \"prod\" }}")?;
    }
    let mut text = String::from(
        "@id(\"no-root\") forbid (principal, action == Action::\"connect\", resource is Account) \
         when { resource.name == \"root\" };\n",
    );
    for n in 1..count {
        writeln!(
            text,
            "@id(\"team-{n}\") @max_duration(\"1h\") permit (principal in Group::\"team-{n}\", \
             action == Action::\"connect\", resource in HostGroup::\"g{}\") when {{ context.mfa }};",
            n % 100
        )?;
    }
    let source = |name: &str, text| Source { name: name.to_owned(), text };
    Ok(Sources {
        policies: vec![source("teams.cedar", text)],
        hosts: Some(source("hosts.toml", hosts)),
        groups: Some(source("groups.toml", groups)),
        tests: Vec::new(),
    })
}

pub fn policies(count: usize) -> Result<Policies> {
    match Policies::load(&sources(count)?) {
        Ok(policies) => Ok(policies),
        Err(findings) => bail!("{findings:?}"),
    }
}

pub fn identity(n: u64) -> Result<Identity> {
    let groups = ["everybody", "team-5", "team-6", "team-7", "vpn"];
    Ok(Identity {
        kind: Kind::User,
        issuer: "https://login.example.com/realms/main".parse()?,
        subject: format!("00u1abcd{n:08}").parse()?,
        email: Some(format!("person{n}@example.com").parse()?),
        groups: groups.iter().map(|group| group.parse()).collect::<Result<_, _>>()?,
        amr: vec!["pwd".to_owned(), "otp".to_owned()],
        acr: None,
        mfa: true,
        auth_time: Some(SystemClock.now()),
        claims: Vec::new(),
        known_as: Vec::new(),
    })
}

pub fn ask() -> Result<Ask> {
    Ok(Ask {
        identity: identity(0)?,
        target: "deploy@h5".parse()?,
        duration: None,
        reason: Some("looking into the alert".parse()?),
        ticket: None,
        source: IpAddr::from([127, 0, 0, 1]),
    })
}

pub fn moment() -> Now {
    Now { time: SystemClock.now(), weekday: 3, minute: 720 }
}

pub fn grant(policies: &Policies) -> Result<Grant> {
    match policy::decide(policies, &ask()?, moment()) {
        Decision::Granted(grant) => Ok(*grant),
        other => bail!("the ask is not granted: {other:?}"),
    }
}

/// Somebody who is logged in and has a user key.
pub struct Person {
    pub session: SessionId,
    key: SigningKey,
    user_key: PrivateKey,
    n: u64,
    nonces: AtomicU64,
}

impl Person {
    pub fn new(n: u64) -> Self {
        let seed = |what: &str| -> [u8; 32] { Sha256::digest(format!("{what} {n}")).into() };
        let mut id = [0xb0; 12];
        id.iter_mut().zip(n.to_be_bytes()).for_each(|(place, byte)| *place = byte);
        // Nonces need be new, not random; those of an earlier step of this run must not come again.
        let nonces = AtomicU64::new(SystemClock.now_ms() << 20);
        let user_key = Ed25519Keypair::from_seed(&seed("user key")).into();
        Self { session: SessionId::from_random(id), key: SigningKey::from_bytes(&seed("session")), user_key, n, nonces }
    }

    /// Opens their session and binds their key to it, so that it needs no proof any more.
    pub async fn log_in(&self, store: &dyn Store) -> Result<()> {
        let now = SystemClock.now();
        let session = LoginSession {
            id: self.session.clone(),
            identity: identity(self.n)?,
            key: self.key.verifying_key().to_bytes(),
            started: now,
            used: now,
            expires: now.plus(Seconds::new(43_200)),
            idle_seconds: 7_200,
            source: IpAddr::from([127, 0, 0, 1]),
        };
        let token = TokenUse { digest: Sha256::digest(self.n.to_be_bytes()).into(), forget: UnixTime::from_secs(0) };
        let opened = store.open_session(session, token, 20, Entry::from_bytes(b"{}".to_vec())).await?;
        let key = Sha256::digest(self.user_key.public_key().to_bytes()?).into();
        let binding = Some(KeyBinding { key, at: now });
        let identity = identity(self.n)?;
        let issued = Issued {
            serial: Serial::from_random(self.n.saturating_add(1)).context("a serial")?,
            expires: now,
            holder: (identity.issuer, identity.subject),
            host: "none".parse()?,
            policy: "none".parse()?,
            grant: GrantId::from_random([0; 12]),
            freezes: 0,
        };
        let bound = store.record_issue(&self.session, binding, None, issued, Entry::from_bytes(b"{}".to_vec())).await?;
        if (opened, bound) == (Opened::Yes, Recorded::Yes) { Ok(()) } else { bail!("{opened:?} {bound:?}") }
    }

    /// The body of their request, with a key that is proven already.
    pub fn body(&self) -> Result<Vec<u8>> {
        Ok(serde_json::to_vec(&self.request(&self.user_key, None)?)?)
    }

    /// The body of a request with a fresh key and the proof of its possession.
    pub fn body_with_fresh_key(&self) -> Result<Vec<u8>> {
        let fresh: [u8; 32] = Sha256::digest(self.nonce().0).into();
        let key: PrivateKey = Ed25519Keypair::from_seed(&fresh).into();
        let proof = key.sign(USER_KEY_NAMESPACE, HashAlg::Sha512, &user_key_proof(AUDIENCE, &self.session))?;
        Ok(serde_json::to_vec(&self.request(&key, Some(proof.to_pem(LineEnding::LF)?))?)?)
    }

    /// The `Authorization` header over `body`, as of now.
    pub fn header(&self, body: &[u8]) -> String {
        let request = Request { audience: AUDIENCE, method: "POST", path: PATH, body };
        request.sign(&self.key, &self.session, SystemClock.now_ms(), self.nonce()).to_string()
    }

    fn nonce(&self) -> Nonce {
        let mut nonce = [0; 16];
        let count = self.nonces.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        nonce.iter_mut().zip(count.into_iter().chain(self.n.to_be_bytes())).for_each(|(place, byte)| *place = byte);
        Nonce(nonce)
    }

    /// What they ask for with a key that is proven already.
    pub fn wants(&self, target: &str) -> Result<api::CertificateRequest> {
        Ok(api::CertificateRequest { target: target.parse()?, ..self.request(&self.user_key, None)? })
    }

    fn request(&self, key: &PrivateKey, proof: Option<String>) -> Result<api::CertificateRequest> {
        Ok(api::CertificateRequest {
            target: "deploy@h5".parse()?,
            public_key: key.public_key().to_openssh()?,
            proof,
            duration: None,
            reason: Some("looking into the alert".parse()?),
            ticket: None,
            request: None,
        })
    }
}
