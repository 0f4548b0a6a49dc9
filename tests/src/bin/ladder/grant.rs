//! (g) and (h): certificates under approved requests: as fast as without, and how soon one is there once it is approved.

use crate::{
    measure::{Effort, Latencies, cores},
    report::{Aim, Report},
    stage::{self, PATH, Person},
    verb,
};
use anyhow::{Context as _, Result, anyhow};
use api::{ApproveRequest, CertificateRequest, FileRequest};
use ca_server::{
    app::{App, Origin},
    custody::CaKey,
    refusal::Refusal,
    store::redb::RedbStore,
    verbs::{
        authenticate::{Caller, authenticate},
        issue::issue,
        requests::{Outcome, Shown, file, show},
        reviews::approve,
    },
};
use policy::Source;
use std::{
    net::IpAddr,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

/// Granted at once to everybody, and after one approval.
const AT_ONCE: &str = "deploy@h5";
const APPROVED: &str = "deploy@h50";
/// One person to each of these who wait.
const WAITERS: u64 = 1_000;

pub fn climb(effort: &Effort, place: &Path, report: &mut Report) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(cores()).enable_all().build()?;
    runtime.block_on(async {
        let mut sources = stage::sources(100)?;
        let text = "@id(\"asked\") @max_duration(\"8h\") @approvals(\"1\") permit (principal in Group::\"everybody\", \
                    action == Action::\"connect\", resource in HostGroup::\"g50\");\n\
                    @id(\"reviewers\") permit (principal in Group::\"vpn\", action == Action::\"approve\", resource);\n";
        sources.policies.push(Source { name: "asked.cedar".to_owned(), text: text.to_owned() });
        let seal = stage::seal(CaKey::from_seed([5; 32].into()))?;
        let store = RedbStore::open(&place.join("grants.redb"), &seal)?;
        let app = Arc::new(verb::app(Arc::new(store), sources)?);
        let people: Vec<Arc<Person>> = (0..WAITERS).map(|n| Arc::new(Person::new(n))).collect();
        let mut holders = Vec::new();
        for person in &people {
            person.log_in(&*app.store).await?;
            holders.push(Arc::new(caller(&app, person).await?));
        }
        let (mut some, reviewer) = (Vec::new(), holders.last().context("nobody")?);
        for (person, holder) in people.iter().zip(&holders).take(64) {
            let filed = filed(&app, holder).await?;
            said_yes(&app, reviewer, &filed).await?;
            some.push((Arc::clone(person), Arc::clone(holder)));
        }
        // By turns, so that what else the machine does meets both.
        let (mut standing, mut under) = (0.0, 0.0);
        for _ in 0..4 {
            standing += rate(&app, &some, AT_ONCE, effort.requests / 4).await? / 4.0;
            under += rate(&app, &some, APPROVED, effort.requests / 4).await? / 4.0;
        }
        report.ratio("g  issue, standing access, 64 callers", standing, Aim::None);
        report.ratio("g  issue under an approved request, 64 callers", under, Aim::None);
        report.factor("g  under a request against standing", under / standing, Aim::AtLeast(0.9));

        let mut waits = waits(&app, &people, &holders).await?;
        let name = |what: &str| format!("h  approved → certificate in hand, {WAITERS} waiting, {what}");
        report.millis(&name("median"), waits.percentile(50).as_secs_f64() * 1e3, Aim::None);
        report.millis(&name("p99"), waits.percentile(99).as_secs_f64() * 1e3, Aim::AtMost(250.0));
        Ok(())
    })
}

/// Everybody files a request and waits for it; then they are approved one after the other.
async fn waits(app: &Arc<App>, people: &[Arc<Person>], holders: &[Arc<Caller>]) -> Result<Latencies> {
    let (mut waiting, mut pending) = (Vec::new(), Vec::new());
    for (person, holder) in people.iter().zip(holders) {
        let shown = filed(app, holder).await?;
        let (id, etag) = (shown.body.id.clone().context("no id")?, shown.etag.clone());
        let (app, holder, mut wanted) = (Arc::clone(app), Arc::clone(holder), person.wants(APPROVED)?);
        wanted.request = Some(id.clone());
        waiting.push(tokio::spawn(async move {
            // A wait ends after a while; then one asks again.
            while show(&app, &holder, id.as_str(), Some(&etag), Duration::from_secs(60)).await.map_err(no)?.is_none() {}
            issue(&app, &holder, wanted).await.map_err(no)?;
            anyhow::Ok(Instant::now())
        }));
        pending.push(shown);
    }
    let mut all = Latencies::default();
    for ((shown, waiter), n) in pending.iter().zip(waiting).zip(1..) {
        // Their neighbour reviews it: nobody approves their own.
        let reviewer = holders.get(n).or(holders.first()).context("nobody")?;
        let asked = Instant::now();
        said_yes(app, reviewer, shown).await?;
        all.add(waiter.await??.duration_since(asked));
    }
    Ok(all)
}

/// Certificates a second.
async fn rate(app: &Arc<App>, people: &[(Arc<Person>, Arc<Caller>)], target: &str, requests: usize) -> Result<f64> {
    let each = requests / people.len().max(1);
    let mut tasks = Vec::new();
    let mut signed = Vec::new();
    for (person, _) in people {
        let body = serde_json::to_vec(&person.wants(target)?)?;
        signed.push((0..each).map(|_| (person.header(&body), body.clone())).collect::<Vec<_>>());
    }
    let started = Instant::now();
    for requests in signed {
        tasks.push(tokio::spawn(verb::call(Arc::clone(app), requests, None)));
    }
    let mut all = Latencies::default();
    for task in tasks {
        all.join(task.await??);
    }
    Ok(all.count() as f64 / started.elapsed().as_secs_f64())
}

pub async fn caller(app: &App, person: &Person) -> Result<Caller> {
    let origin = Origin { source: IpAddr::from([127, 0, 0, 1]), request_id: "00000000-ladder".to_owned() };
    authenticate(app, &origin, "POST", PATH, Some(&person.header(b"")), b"").await.map_err(no)
}

async fn filed(app: &App, holder: &Caller) -> Result<Shown> {
    let wanted: CertificateRequest = Person::new(0).wants(APPROVED)?;
    let asked = FileRequest {
        targets: vec![wanted.target],
        duration: None,
        reason: wanted.reason,
        ticket: None,
        start: None,
        under: None,
        extends: None,
        incident: None,
        dry_run: false,
    };
    match file(app, holder, asked, None).await.map_err(no)? {
        Outcome::Filed(shown) | Outcome::AsBefore(shown) => Ok(shown),
    }
}

async fn said_yes(app: &App, reviewer: &Caller, shown: &Shown) -> Result<()> {
    let id = shown.body.id.as_ref().context("no id")?;
    let yes = ApproveRequest { digest: shown.body.digest.clone(), duration: None, only: Vec::new(), reason: None };
    approve(app, reviewer, id.as_str(), None, yes).await.map(drop).map_err(no)
}

pub fn no(refusal: Refusal) -> anyhow::Error {
    anyhow!("{refusal:?}")
}
