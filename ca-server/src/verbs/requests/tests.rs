//! The life of a request, through every verb that touches it.

mod attacks;
mod clock;
mod faults;
mod frozen;
mod glass;
mod life;
mod lists;
mod races;
mod revoked;
mod told;
mod waits;

use super::{Outcome, Shown};
use crate::{
    clock::Clock as _,
    fixture::{NOW, POLICY, Stage, certificate_request, database::Place, identity, user_key},
    refusal::Refusal,
    store::{Store, memory::MemoryStore, redb::RedbStore},
    verbs::{ends, issue::issue, requests, reviews},
};
use api::{ApproveRequest, CertificateResponse, Code, DenyRequest, EndRequest, FileRequest, RequestBody};
use policy::{EndReason, Identity, Over, Stage as Where};
use serde_json::Value;
use std::{sync::Arc, time::Duration};

const ANN: u8 = 1;
const LEA: u8 = 2;
const SAM: u8 = 3;
const JOE: u8 = 4;
const AUDREY: u8 = 5;
const ADA: u8 = 6;
const BEA: u8 = 7;
const KIM: u8 = 8;

/// A house in which Ann (ops) may ask for root, Lea, Sam and Kim (leads) may approve, Audrey audits, Ada and Bea
/// administer, and Joe is nobody in particular.
struct House(Stage);

fn person(subject: &str, group: &str) -> Identity {
    Identity {
        email: Some(format!("{subject}@example.com").parse().unwrap()),
        groups: vec![group.parse().unwrap()],
        ..identity(subject)
    }
}

fn ask(targets: &[&str]) -> FileRequest {
    FileRequest {
        targets: targets.iter().map(|target| target.parse().unwrap()).collect(),
        duration: Some("30m".parse().unwrap()),
        reason: Some("vacuum".parse().unwrap()),
        ticket: None,
        start: None,
        under: None,
        extends: None,
        incident: None,
        dry_run: false,
    }
}

fn yes(body: &RequestBody) -> ApproveRequest {
    ApproveRequest { digest: body.digest.clone(), duration: None, only: Vec::new(), reason: None }
}

fn no() -> DenyRequest {
    DenyRequest { reason: "not today".parse().unwrap() }
}

fn end_as(why: EndReason) -> EndRequest {
    EndRequest { why, reason: Some("over".parse().unwrap()) }
}

fn id(body: &RequestBody) -> &str {
    body.id.as_ref().unwrap().as_str()
}

impl House {
    async fn new() -> Self {
        Self::with("").await
    }

    async fn with(further: &str) -> Self {
        Self::under(&Self::policy(further)).await
    }

    fn policy(further: &str) -> String {
        let more = r#"
            @id("auditors") permit (principal in Group::"auditors", action == Action::"audit", resource);
            @id("admins") permit (principal in Group::"admins", action == Action::"administer", resource);
        "#;
        format!("{POLICY}{more}{further}")
    }

    async fn under(policy: &str) -> Self {
        Self::on(Arc::new(MemoryStore::new(crate::fixture::seal())), policy).await
    }

    /// Another server of this house.
    fn beside(&self, store: Arc<dyn Store>, policy: &str) -> Self {
        Self(self.0.beside(store, policy))
    }

    async fn on(store: Arc<dyn Store>, policy: &str) -> Self {
        let stage = Stage::with(store, policy);
        let people = [
            (ANN, "ann", "ops"),
            (LEA, "lea", "leads"),
            (SAM, "sam", "leads"),
            (JOE, "joe", "ops"),
            (AUDREY, "audrey", "auditors"),
            (ADA, "ada", "admins"),
            (KIM, "kim", "leads"),
            (BEA, "bea", "admins"),
        ];
        for (n, subject, group) in people {
            stage.login_as(n, person(subject, group)).await;
        }
        Self(stage)
    }

    async fn file(&self, n: u8, asked: FileRequest) -> Result<RequestBody, Refusal> {
        match requests::file(&self.0.app, &self.0.caller(n).await, asked, None).await? {
            Outcome::Filed(shown) | Outcome::AsBefore(shown) => Ok(shown.body),
        }
    }

    /// A request of Ann's for root on web-1.
    async fn filed(&self) -> RequestBody {
        self.file(ANN, ask(&["root@web-1"])).await.unwrap()
    }

    async fn approved(&self) -> RequestBody {
        let body = self.filed().await;
        self.approve(LEA, &body).await.unwrap();
        self.approve(SAM, &body).await.unwrap()
    }

    async fn approve(&self, n: u8, body: &RequestBody) -> Result<RequestBody, Refusal> {
        self.approve_with(n, body, yes(body)).await
    }

    async fn approve_with(&self, n: u8, body: &RequestBody, approve: ApproveRequest) -> Result<RequestBody, Refusal> {
        let caller = self.0.caller(n).await;
        reviews::approve(&self.0.app, &caller, id(body), None, approve).await.map(|shown| shown.body)
    }

    async fn deny(&self, n: u8, body: &RequestBody) -> Result<RequestBody, Refusal> {
        let caller = self.0.caller(n).await;
        reviews::deny(&self.0.app, &caller, id(body), None, no()).await.map(|shown| shown.body)
    }

    async fn cancel(&self, n: u8, body: &RequestBody) -> Result<RequestBody, Refusal> {
        let caller = self.0.caller(n).await;
        ends::cancel(&self.0.app, &caller, id(body), None).await.map(|shown| shown.body)
    }

    async fn end(&self, n: u8, body: &RequestBody, why: EndReason) -> Result<api::Receipt, Refusal> {
        let caller = self.0.caller(n).await;
        ends::end(&self.0.app, &caller, id(body), None, end_as(why)).await.map(|(receipt, _)| receipt)
    }

    async fn look(&self, n: u8, body: &RequestBody) -> Result<Shown, Refusal> {
        let caller = self.0.caller(n).await;
        requests::show(&self.0.app, &caller, id(body), None, Duration::ZERO).await.map(|shown| shown.unwrap())
    }

    async fn stage(&self, body: &RequestBody) -> Where {
        self.look(ANN, body).await.unwrap().body.stage
    }

    async fn issue(&self, n: u8, target: &str) -> Result<CertificateResponse, Refusal> {
        let request = certificate_request(target, &user_key(10 + n), Some(n));
        issue(&self.0.app, &self.0.caller(n).await, request).await
    }

    async fn issue_under(&self, n: u8, target: &str, body: &RequestBody) -> Result<CertificateResponse, Refusal> {
        let mut request = certificate_request(target, &user_key(10 + n), Some(n));
        request.request.clone_from(&body.id);
        issue(&self.0.app, &self.0.caller(n).await, request).await
    }

    /// Lets so many seconds pass.
    fn pass(&self, seconds: u64) {
        self.0.clock.set(self.0.clock.now_ms() + seconds * 1_000);
    }

    async fn entries(&self) -> Vec<Value> {
        self.entries_from(0).await
    }

    async fn entries_from(&self, first: u64) -> Vec<Value> {
        let entries = self.0.app.store.entries(first, 10_000).await.unwrap();
        entries.iter().map(|entry| serde_json::from_slice(entry.as_bytes()).unwrap()).collect()
    }

    async fn codes(&self) -> Vec<String> {
        let codes = self.entries().await.into_iter();
        codes.filter_map(|entry| entry["code"].as_str().map(str::to_owned)).collect()
    }
}

/// What must hold on all backends is tried on each of these.
#[derive(Clone, Copy, Debug)]
enum Backend {
    Memory,
    Redb,
    Postgres,
}

const BACKENDS: [Backend; 3] = [Backend::Memory, Backend::Redb, Backend::Postgres];

impl Backend {
    /// An empty store, as each of the servers that may share it opens it: two where several may.
    async fn open(self, home: &std::path::Path) -> Vec<Arc<dyn Store>> {
        let seal = crate::fixture::seal;
        match self {
            Self::Memory => vec![Arc::new(MemoryStore::new(seal()))],
            Self::Redb => vec![Arc::new(RedbStore::open(&home.join("store.redb"), &seal()).unwrap())],
            Self::Postgres => {
                let place = Place::new();
                vec![place.open().await, place.open().await]
            }
        }
    }
}

/// What must be true of a log in which nothing went wrong, whoever raced whom: it is in the order of the commits.
///
/// Never a certificate under a request before two different people had approved it and its first use is on record, or after
/// anything had ended it; one first use; one end.
fn in_order(entries: &[Value], body: &RequestBody) {
    let id = id(body);
    let (mut approved, mut claimed, mut ended, mut issued) = (std::collections::BTreeSet::new(), 0, 0, 0);
    for entry in entries {
        let ours = entry["id"] == id || entry["under"] == id;
        match entry["code"].as_str().filter(|_| ours) {
            Some("request.approved") => {
                assert!(approved.insert(entry["actor"]["subject"].to_string()), "twice: {entry}");
            }
            Some("request.claimed") => {
                claimed += 1;
                assert!(approved.len() >= 2 && ended == 0, "claimed without quorum or after an end: {entries:#?}");
            }
            Some("certificate.issued") => {
                issued += 1;
                assert!(claimed == 1 && ended == 0, "issued before the first use or after an end: {entries:#?}");
            }
            Some(code) if ENDS.contains(&code) => ended += 1,
            _ => {}
        }
    }
    assert!(claimed <= 1 && ended <= 1 && claimed == issued.min(1), "{claimed} {ended} {issued}: {entries:#?}");
}

const ENDS: [&str; 7] = [
    "request.denied",
    "request.cancelled",
    "grant.ended",
    "request.expired",
    "request.unclaimed",
    "request.emptied",
    "grant.finished",
];

#[track_caller]
fn refused<T: std::fmt::Debug>(outcome: Result<T, Refusal>, code: Code) -> Refusal {
    let refusal = outcome.unwrap_err();
    assert_eq!(refusal.code, code, "{refusal:?}");
    refusal
}

fn is_over(stage: &Where, how: Over) -> bool {
    *stage == Where::Over { how }
}

fn now() -> u64 {
    NOW.as_secs()
}
