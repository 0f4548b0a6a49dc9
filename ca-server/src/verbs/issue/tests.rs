use super::issue;
use crate::{
    audit::{Entry, tree::Hash},
    fixture::{Stage, ca_key, certificate_request, seal, session_key, user_key},
    store::{
        Agenda, Claim, Due, Edition, Filed, Freezes, Idempotency, Issued, KeptRequest, KeyBinding, Known,
        LiveCertificate, LoginSession, Look, Opened, PolicyRecord, PolicySet, Recorded, Requests, Revocations, Revoked,
        Selection, Stepped, Store, StoreError, TokenUse, Which, memory::MemoryStore, redb::RedbStore,
        revocations::Account,
    },
    verbs::certificates::Certificates,
};
use api::Code;
use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use policy::{Freeze, FreezeId, Group, Identity, Issuer, Request, RequestId, SessionId, Step, Subject, Thaw, UnixTime};
use serde_json::Value;
use ssh_key::Certificate;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

async fn stage() -> Stage {
    let stage = Stage::new(Arc::new(MemoryStore::new(seal())));
    stage.login(1, "ann").await;
    stage
}

async fn entries(store: &dyn Store) -> Vec<Value> {
    let entries = store.entries(0, 10_000).await.unwrap();
    entries.iter().map(|entry| serde_json::from_slice(entry.as_bytes()).unwrap()).collect()
}

async fn refused(stage: &Stage, n: u8, request: api::CertificateRequest) -> Code {
    let before = entries(&*stage.app.store).await.len();
    let refusal = issue(&stage.app, &stage.caller(n).await, request).await.unwrap_err();
    let new = entries(&*stage.app.store).await.split_off(before);
    assert!(new.iter().all(|entry| entry["code"] != "certificate.issued"), "refused, yet recorded: {new:?}");
    refusal.code
}

#[tokio::test]
async fn a_certificate_is_on_record_with_its_exact_bytes() {
    let stage = stage().await;
    let request = certificate_request("deploy@web-1", &user_key(3), Some(1));
    let response = issue(&stage.app, &stage.caller(1).await, request).await.unwrap();
    let certificate = Certificate::from_openssh(&response.certificate).unwrap();
    certificate.verify_signature().unwrap();
    assert_eq!(certificate.signature_key(), ca_key(1).public().key_data());
    assert_eq!(certificate.serial(), response.serial.get());
    assert_eq!(certificate.valid_before(), response.expires.as_secs());

    let record = entries(&*stage.app.store).await.pop().unwrap();
    assert_eq!(record["code"], "certificate.issued");
    assert_eq!(record["serial"].as_u64(), Some(certificate.serial()));
    assert_eq!(record["grant"], response.grant.as_str());
    assert_eq!(record["target"], "deploy@web-1");
    assert_eq!(record["policy"], "ops");
    assert_eq!(record["actor"]["subject"], "ann");
    let recorded = STANDARD.decode(record["to_be_signed"].as_str().unwrap()).unwrap();
    let bytes = certificate.to_bytes().unwrap();
    assert_eq!(bytes[..recorded.len()], recorded, "I1: exactly what was signed");
    assert_eq!(bytes.len(), recorded.len() + 4 + 83, "and nothing but the signature after it");
}

#[tokio::test]
async fn a_key_is_proven_once_in_a_login_session() {
    let stage = stage().await;
    stage.login(2, "ann").await;
    let key = user_key(3);
    assert_eq!(refused(&stage, 1, certificate_request("deploy@web-1", &key, None)).await, Code::ProofRequired);
    issue(&stage.app, &stage.caller(1).await, certificate_request("deploy@web-1", &key, Some(1))).await.unwrap();
    issue(&stage.app, &stage.caller(1).await, certificate_request("deploy@web-1", &key, None)).await.unwrap();
    assert_eq!(refused(&stage, 2, certificate_request("deploy@web-1", &key, None)).await, Code::ProofRequired);
}

#[tokio::test]
async fn one_identity_has_so_many_certificates_a_minute_in_all_its_sessions() {
    let mut stage = stage().await;
    stage.app.certificates = Certificates::per_minute(2);
    stage.login(2, "ann").await;
    stage.login(3, "bob").await;
    let request = |n, proof| certificate_request("deploy@web-1", &user_key(n + 10), proof);
    for n in [1, 2] {
        // Whoever is asked for a proof first had none yet.
        assert_eq!(refused(&stage, n, request(n, None)).await, Code::ProofRequired);
        issue(&stage.app, &stage.caller(n).await, request(n, Some(n))).await.unwrap();
    }
    let before = entries(&*stage.app.store).await.len();
    for n in [1, 2] {
        assert_eq!(refused(&stage, n, request(n, None)).await, Code::RateLimited);
    }
    assert_eq!(entries(&*stage.app.store).await.len(), before, "that fills no disk either");
    issue(&stage.app, &stage.caller(3).await, request(3, Some(3))).await.unwrap();
}

#[tokio::test]
async fn a_proof_for_another_session_key_or_purpose_is_refused() {
    let stage = stage().await;
    let key = user_key(3);
    assert_eq!(refused(&stage, 1, certificate_request("deploy@web-1", &key, Some(2))).await, Code::ProofRequired);
    let mut stolen = certificate_request("deploy@web-1", &key, None);
    stolen.proof = certificate_request("deploy@web-1", &user_key(4), Some(1)).proof;
    assert_eq!(refused(&stage, 1, stolen).await, Code::ProofRequired);
    let mut file = certificate_request("deploy@web-1", &key, None);
    let message = api::signature::user_key_proof(crate::fixture::AUDIENCE, &SessionId::from_random([1; 12]));
    let signed = key.sign("file", ssh_key::HashAlg::Sha512, &message).unwrap();
    file.proof = Some(signed.to_pem(ssh_key::LineEnding::LF).unwrap());
    assert_eq!(refused(&stage, 1, file).await, Code::ProofRequired);
    let mut junk = certificate_request("deploy@web-1", &key, None);
    junk.proof = Some("-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----".to_owned());
    assert_eq!(refused(&stage, 1, junk).await, Code::ProofRequired);
}

#[tokio::test]
async fn a_key_of_somebody_else_is_refused() {
    let stage = stage().await;
    stage.login(2, "bob").await;
    let key = user_key(3);
    issue(&stage.app, &stage.caller(1).await, certificate_request("deploy@web-1", &key, Some(1))).await.unwrap();
    assert_eq!(refused(&stage, 2, certificate_request("deploy@web-1", &key, Some(2))).await, Code::KeyRefused);
}

#[tokio::test]
async fn keys_of_the_cas_are_refused() {
    let stage = stage().await;
    for seed in [1, 2] {
        let request = certificate_request("deploy@web-1", &user_key(seed), Some(1));
        assert_eq!(refused(&stage, 1, request).await, Code::KeyRefused, "CA {seed}");
    }
}

#[tokio::test]
async fn a_no_is_on_record_before_it_is_answered() {
    let stage = stage().await;
    let rows = [
        ("deploy@db-1", Code::Denied, "denied", "no-db"),
        ("root@web-1", Code::NeedsApproval, "needs-approval", "root-by-two"),
        ("deploy@nowhere", Code::Denied, "denied", ""),
    ];
    for (target, code, outcome, policy) in rows {
        let request = certificate_request(target, &user_key(3), Some(1));
        let refusal = issue(&stage.app, &stage.caller(1).await, request).await.unwrap_err();
        assert_eq!(refusal.code, code, "{target}");
        let decision = refusal.decision.unwrap();
        assert_eq!(decision.policies.first().map_or("", |id| id.as_str()), policy);
        let record = entries(&*stage.app.store).await.pop().unwrap();
        assert_eq!(record["code"], "decision.refused");
        assert_eq!(record["target"], target);
        assert_eq!(record["decision"]["outcome"], outcome);
    }
    let request = certificate_request("deploy@db-1", &user_key(3), Some(1));
    let advice = issue(&stage.app, &stage.caller(1).await, request).await.unwrap_err().hint;
    assert_eq!(advice.unwrap(), "Ask the database team.");
}

#[tokio::test]
async fn a_session_that_ends_between_request_and_record_gets_nothing() {
    let stage = stage().await;
    let caller = stage.caller(1).await;
    stage.app.store.end_session(&caller.session.id, Entry::from_bytes(b"{}".to_vec())).await.unwrap();
    let request = certificate_request("deploy@web-1", &user_key(3), Some(1));
    assert_eq!(issue(&stage.app, &caller, request).await.unwrap_err().code, Code::LoginRequired);
    assert!(entries(&*stage.app.store).await.iter().all(|entry| entry["code"] != "certificate.issued"));
}

/// What a failing store does with the call that fails.
#[derive(Clone, Copy, Debug)]
pub(in crate::verbs) enum Fault {
    /// Nothing happened.
    Failed,
    /// It happened, but the answer got lost.
    FailedButPersisted,
}

/// A store whose call number `at` fails.
pub(in crate::verbs) struct Faulty {
    pub(in crate::verbs) inner: Arc<dyn Store>,
    pub(in crate::verbs) at: usize,
    pub(in crate::verbs) fault: Fault,
    pub(in crate::verbs) calls: AtomicUsize,
}

impl Faulty {
    async fn run<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        if self.calls.fetch_add(1, Ordering::SeqCst) != self.at {
            return call.await;
        }
        if let Fault::FailedButPersisted = self.fault {
            call.await.unwrap();
        }
        Err(StoreError("the disk is on fire".to_owned()))
    }
}

#[async_trait]
impl Requests for Faulty {
    async fn file_request(&self, r: Request, i: Option<Idempotency>, e: Entry) -> Result<Filed, StoreError> {
        self.run(self.inner.file_request(r, i, e)).await
    }
    async fn filed_with(
        &self,
        issuer: &Issuer,
        subject: &Subject,
        key: &[u8; 32],
    ) -> Result<Option<([u8; 32], RequestId)>, StoreError> {
        self.run(self.inner.filed_with(issuer, subject, key)).await
    }
    fn changes(&self) -> Option<u64> {
        self.inner.changes()
    }
    async fn request(&self, id: &RequestId) -> Result<Option<KeptRequest>, StoreError> {
        self.run(self.inner.request(id)).await
    }
    async fn requests(
        &self,
        which: &Which,
        after: Option<&RequestId>,
        most: usize,
    ) -> Result<Vec<KeptRequest>, StoreError> {
        self.run(self.inner.requests(which, after, most)).await
    }
    async fn extensions_of(&self, id: &RequestId) -> Result<Vec<KeptRequest>, StoreError> {
        self.run(self.inner.extensions_of(id)).await
    }
    async fn add_step(&self, id: &RequestId, seen: usize, step: Step, e: Entry) -> Result<Stepped, StoreError> {
        self.run(self.inner.add_step(id, seen, step, e)).await
    }
    async fn last_expiry(&self, id: &RequestId) -> Result<Option<UnixTime>, StoreError> {
        self.run(self.inner.last_expiry(id)).await
    }
    async fn groups_since(&self, issuer: &Issuer, subject: &Subject) -> Result<Vec<(Group, UnixTime)>, StoreError> {
        self.run(self.inner.groups_since(issuer, subject)).await
    }
    async fn latest_identity(&self, issuer: &Issuer, subject: &Subject) -> Result<Option<Identity>, StoreError> {
        self.run(self.inner.latest_identity(issuer, subject)).await
    }
}

#[async_trait]
impl PolicyRecord for Faulty {
    async fn recorded_policies(&self) -> Result<Option<PolicySet>, StoreError> {
        self.inner.recorded_policies().await
    }
    async fn record_policies(
        &self,
        was: Option<&str>,
        set: PolicySet,
        entries: Vec<Entry>,
    ) -> Result<Stepped, StoreError> {
        self.inner.record_policies(was, set, entries).await
    }
}

#[async_trait]
impl Revocations for Faulty {
    async fn live(&self, which: &Selection, now: UnixTime) -> Result<Vec<LiveCertificate>, StoreError> {
        self.inner.live(which, now).await
    }
    async fn revoke(&self, w: Selection, now: UnixTime, a: Account) -> Result<Vec<LiveCertificate>, StoreError> {
        self.inner.revoke(w, now, a).await
    }
    async fn revoked(&self, known: Option<&Edition>) -> Result<Option<Revoked>, StoreError> {
        self.inner.revoked(known).await
    }
    async fn freezes(&self) -> Result<Arc<Freezes>, StoreError> {
        self.run(self.inner.freezes()).await
    }
    async fn freeze(&self, seen: u64, freeze: Freeze, entry: Entry) -> Result<Stepped, StoreError> {
        self.inner.freeze(seen, freeze, entry).await
    }
    async fn thaw(&self, id: &FreezeId, seen: u64, word: Thaw, lift: bool, e: Entry) -> Result<Stepped, StoreError> {
        self.inner.thaw(id, seen, word, lift, e).await
    }
    async fn known(&self, who: &Known) -> Result<Vec<Identity>, StoreError> {
        self.inner.known(who).await
    }
}

#[async_trait]
impl Agenda for Faulty {
    async fn due(&self, now: UnixTime, most: usize) -> Result<Vec<Due>, StoreError> {
        self.run(self.inner.due(now, most)).await
    }
    async fn attend(&self, due: &Due, next: Option<Look>, entry: Option<Entry>) -> Result<bool, StoreError> {
        self.run(self.inner.attend(due, next, entry)).await
    }
}

#[async_trait]
impl Store for Faulty {
    async fn open_session(
        &self,
        session: LoginSession,
        token: TokenUse,
        most: usize,
        entry: Entry,
    ) -> Result<Opened, StoreError> {
        self.inner.open_session(session, token, most, entry).await
    }
    async fn session(&self, id: &SessionId) -> Result<Option<LoginSession>, StoreError> {
        self.run(self.inner.session(id)).await
    }
    async fn sessions_of(&self, issuer: &Issuer, subject: &Subject) -> Result<Vec<LoginSession>, StoreError> {
        self.inner.sessions_of(issuer, subject).await
    }
    async fn touch_session(&self, id: &SessionId, at: UnixTime) -> Result<(), StoreError> {
        self.run(self.inner.touch_session(id, at)).await
    }
    async fn end_session(&self, id: &SessionId, entry: Entry) -> Result<bool, StoreError> {
        self.inner.end_session(id, entry).await
    }
    async fn record_issue(
        &self,
        session: &SessionId,
        key: Option<KeyBinding>,
        claim: Option<Claim>,
        issued: Issued,
        entry: Entry,
    ) -> Result<Recorded, StoreError> {
        self.run(self.inner.record_issue(session, key, claim, issued, entry)).await
    }
    async fn key_proven(&self, session: &SessionId, key: &[u8; 32]) -> Result<bool, StoreError> {
        self.run(self.inner.key_proven(session, key)).await
    }
    async fn append(&self, entry: Entry) -> Result<(), StoreError> {
        self.run(self.inner.append(entry)).await
    }
    async fn entries(&self, from: u64, most: usize) -> Result<Vec<Entry>, StoreError> {
        self.inner.entries(from, most).await
    }
    async fn entry_count(&self) -> Result<u64, StoreError> {
        self.inner.entry_count().await
    }
    async fn checkpoint(&self) -> Result<String, StoreError> {
        self.inner.checkpoint().await
    }
    async fn tree_hashes(&self, places: &[u64]) -> Result<Vec<Hash>, StoreError> {
        self.inner.tree_hashes(places).await
    }
    async fn prune(&self, now: UnixTime) -> Result<(), StoreError> {
        self.inner.prune(now).await
    }
    async fn ready(&self) -> Result<(), StoreError> {
        self.inner.ready().await
    }
}

/// CVE-2025-44005: an error on the way was ignored and a certificate issued. Here each call of the store fails in turn,
/// in both ways; there is never a certificate without its record (I1), and never one at all after an error (I5).
#[tokio::test]
async fn cve_2025_44005_no_error_of_the_store_ends_in_a_certificate() {
    let mut failures = 0;
    for target in ["deploy@web-1", "deploy@db-1"] {
        for fault in [Fault::Failed, Fault::FailedButPersisted] {
            for at in 0..13 {
                let home = tempfile::tempdir().unwrap();
                let inner: Arc<dyn Store> = Arc::new(RedbStore::open(&home.path().join("store"), &seal()).unwrap());
                Stage::new(Arc::clone(&inner)).login(1, "ann").await;
                let store = Arc::new(Faulty { inner, at, fault, calls: AtomicUsize::new(0) });
                let stage = Stage::new(Arc::clone(&store) as _);
                let mut released = Vec::new();
                for proof in [Some(1), None] {
                    match whole(&stage, certificate_request(target, &user_key(3), proof)).await {
                        Ok(response) => released.push(response.serial.get()),
                        Err(refusal) if refusal.code == Code::StoreUnavailable => {
                            failures += 1;
                            assert!(refusal.cause.unwrap().contains("on fire"));
                        }
                        Err(refusal) => {
                            assert!(matches!(refusal.code, Code::Denied | Code::ProofRequired), "{refusal:?}")
                        }
                    }
                }
                let all = entries(&*store.inner).await;
                let recorded: Vec<u64> = all.iter().filter_map(|entry| entry["serial"].as_u64()).collect();
                assert!(released.iter().all(|serial| recorded.contains(serial)), "I1 at call {at}, {fault:?}");
                assert!(target == "deploy@web-1" || released.is_empty());
                let lost = recorded.len() - released.len();
                assert!(lost <= usize::from(matches!(fault, Fault::FailedButPersisted)), "at call {at}, {fault:?}");
            }
        }
    }
    assert!(failures >= 20, "the faults were met: {failures}");
}

/// The request as it comes through the door: authenticated, then issued.
async fn whole(
    stage: &Stage,
    request: api::CertificateRequest,
) -> Result<api::CertificateResponse, crate::refusal::Refusal> {
    let body = serde_json::to_vec(&request).unwrap();
    let signed = api::signature::Request {
        audience: crate::fixture::AUDIENCE,
        method: "POST",
        path: api::paths::CERTIFICATES,
        body: &body,
    };
    let id = SessionId::from_random([1; 12]);
    let header = signed.sign(&session_key(1), &id, stage.app.clock.now_ms(), stage.nonce()).to_string();
    let origin = crate::fixture::origin();
    let path = api::paths::CERTIFICATES;
    let caller =
        crate::verbs::authenticate::authenticate(&stage.app, &origin, "POST", path, Some(&header), &body).await?;
    issue(&stage.app, &caller, request).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_at_once_each_has_its_own_serial_grant_and_record() {
    let home = tempfile::tempdir().unwrap();
    let stage = Arc::new(Stage::new(Arc::new(RedbStore::open(&home.path().join("store"), &seal()).unwrap())));
    stage.login(1, "ann").await;
    let callers: Vec<_> = (0..100u8)
        .map(|n| {
            let stage = Arc::clone(&stage);
            tokio::spawn(async move {
                let request = certificate_request("deploy@web-1", &user_key(n.wrapping_add(10)), Some(1));
                issue(&stage.app, &stage.caller(1).await, request).await.unwrap()
            })
        })
        .collect();
    let (mut serials, mut grants) = (std::collections::BTreeSet::new(), std::collections::BTreeSet::new());
    for caller in callers {
        let response = caller.await.unwrap();
        serials.insert(response.serial.get());
        grants.insert(response.grant.to_string());
    }
    assert_eq!((serials.len(), grants.len()), (100, 100));
    let recorded = entries(&*stage.app.store).await;
    let recorded: std::collections::BTreeSet<u64> =
        recorded.iter().filter_map(|entry| entry["serial"].as_u64()).collect();
    assert_eq!(recorded, serials);
}

/// How many entries of each code there are.
async fn counted(stage: &Stage, code: &str) -> usize {
    entries(&*stage.app.store).await.iter().filter(|entry| entry["code"] == code).count()
}

#[tokio::test]
async fn denials_without_end_do_not_fill_the_log() {
    let stage = stage().await;
    stage.login(2, "bob").await;
    stage.login(3, "ann").await;
    let mut codes = Vec::new();
    for n in 0..40 {
        let session = if n % 2 == 0 { 1 } else { 3 };
        let request = certificate_request("deploy@db-1", &user_key(3), Some(session));
        codes.push(issue(&stage.app, &stage.caller(session).await, request).await.unwrap_err().code);
    }
    assert_eq!(codes[..30], [Code::Denied; 30]);
    assert_eq!(codes[30..], [Code::RateLimited; 10], "all sessions of one identity share one allowance");
    assert_eq!(counted(&stage, "decision.refused").await, 30, "each decision is on record");
    assert_eq!(counted(&stage, "decision.limited").await, 1, "and that more was asked");
    let request = certificate_request("deploy@db-1", &user_key(4), Some(2));
    assert_eq!(refused(&stage, 2, request).await, Code::Denied, "others have their own");
}

#[tokio::test]
async fn certificates_use_up_no_allowance() {
    let stage = stage().await;
    for _ in 0..60 {
        let request = certificate_request("deploy@web-1", &user_key(3), Some(1));
        issue(&stage.app, &stage.caller(1).await, request).await.unwrap();
    }
}

#[tokio::test]
async fn a_key_that_is_refused_is_on_record() {
    let stage = stage().await;
    stage.login(2, "bob").await;
    let key = user_key(3);
    issue(&stage.app, &stage.caller(1).await, certificate_request("deploy@web-1", &key, Some(1))).await.unwrap();
    for (proof_for, refusal) in [(2, "key_refused"), (1, "proof_required")] {
        refused(&stage, 2, certificate_request("deploy@web-1", &key, Some(proof_for))).await;
        let record = entries(&*stage.app.store).await.pop().unwrap();
        assert_eq!((&record["code"], &record["refusal"]), (&"key.refused".into(), &refusal.into()), "{record}");
        assert_eq!(record["actor"]["subject"], "bob");
        assert_eq!(record["target"], "deploy@web-1");
        assert!(record["user_key"].as_str().unwrap().starts_with("SHA256:"), "{record}");
    }
    let before = entries(&*stage.app.store).await.len();
    refused(&stage, 2, certificate_request("deploy@web-1", &user_key(9), None)).await;
    assert_eq!(entries(&*stage.app.store).await.len(), before, "to be asked for a proof is everyday");
    for _ in 0..40 {
        refused(&stage, 2, certificate_request("deploy@web-1", &key, Some(1))).await;
    }
    assert_eq!(counted(&stage, "key.refused").await, 30, "they share the allowance of denials");
}
