//! (c): the whole issue verb in this process: request verified, decided among 100 policies, recorded durably, signed.

use crate::{
    measure::{Effort, Latencies, cores},
    report::{Aim, Report},
    stage::{self, AUDIENCE, PATH, Person},
};
use anyhow::{Result, anyhow};
use ca_server::{
    app::{App, Origin, SessionRules},
    audit::Entry,
    ca::Authority,
    clock::SystemClock,
    custody::CaKey,
    oidc::Issuers,
    policies::LivePolicies,
    store::{Store, redb::RedbStore},
    verbs::{authenticate::authenticate, certificates::Certificates, issue::issue, refusals::Refusals, replay::Replay},
};
use policy::Seconds;
use std::{net::IpAddr, path::Path, sync::Arc, time::Instant};

pub fn climb(effort: &Effort, place: &Path, report: &mut Report) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(cores()).enable_all().build()?;
    runtime.block_on(async {
        let store = RedbStore::open(&place.join("verb.redb"), &stage::seal(CaKey::from_seed([5; 32].into()))?)?;
        let app = Arc::new(app(Arc::new(store), stage::sources(100)?)?);
        let people: Vec<Arc<Person>> = (0..64).map(|n| Arc::new(Person::new(n))).collect();
        for person in &people {
            person.log_in(&*app.store).await?;
        }
        let one = run(&app, people.get(..1).unwrap_or_default(), effort.requests, Variation::None).await?;
        report.ratio("c  issue verb in process, 1 caller", one.0, Aim::None);
        let many = run(&app, &people, effort.requests, Variation::None).await?;
        report.ratio("c  issue verb in process, 64 callers", many.0, Aim::AtLeast(0.20));
        let fresh = run(&app, &people, effort.requests, Variation::FreshKey).await?;
        report.ratio("c  the same, each with a fresh key and its proof", fresh.0, Aim::None);
        let count = app.store.entry_count().await?;
        anyhow::ensure!(count >= (one.1 + many.1 + fresh.1) as u64, "a record is missing");
        // What the log costs shows if each certificate's entry is appended once more. By turns, so that what else the machine
        // does meets both.
        let entry = app.store.entries(count - 1, 1).await?.pop();
        let (mut once, mut twice) = (0.0, 0.0);
        for _ in 0..4 {
            once += run(&app, &people, effort.requests / 4, Variation::None).await?.0;
            twice += run(&app, &people, effort.requests / 4, Variation::Entry(entry.clone())).await?.0;
        }
        let name = "c  the same, its entry appended to the log once more, against itself";
        report.factor(name, twice / once, Aim::AtLeast(0.9));
        Ok(())
    })
}

/// What the verb works with, around any store.
pub fn app(store: Arc<dyn Store>, policies: policy::Sources) -> Result<App> {
    let clock: Arc<dyn ca_server::clock::Clock> = Arc::new(SystemClock);
    Ok(App {
        sinks: ca_server::sinks::Sinks::default(),
        audience: AUDIENCE.to_owned(),
        zone: jiff::tz::TimeZone::UTC,
        sessions: SessionRules { lifetime: Seconds::new(43_200), idle: Seconds::new(7_200), most_per_identity: 20 },
        store,
        authority: Authority::new(CaKey::from_seed([7; 32].into())),
        krl: ca_server::verbs::krl::Lists::new(
            CaKey::from_seed([7; 32].into()).public().clone(),
            CaKey::from_seed([4; 32].into()),
        ),
        host_ca: CaKey::from_seed([6; 32].into()).public().to_openssh()?,
        policies: LivePolicies::from_sources(policies)?,
        issuers: Issuers::new(Vec::new(), Arc::clone(&clock)).map_err(|faults| anyhow!("{faults:?}"))?,
        replay: Replay::new(clock.now_ms()),
        waiting: ca_server::verbs::waiting::Waiting::default(),
        cases: ca_server::verbs::cases::Cases::default(),
        refusals: Refusals::default(),
        certificates: Certificates::per_minute(0),
        clock,
    })
}

/// What is otherwise with each certificate.
#[derive(Clone)]
pub enum Variation {
    /// Nothing: its key was proven before.
    None,
    /// It has a fresh key, with the proof of its possession.
    FreshKey,
    /// This entry is appended to the log beside its own.
    Entry(Option<Entry>),
}

/// Certificates a second, and how many.
pub async fn run(
    app: &Arc<App>,
    people: &[Arc<Person>],
    requests: usize,
    variation: Variation,
) -> Result<(f64, usize)> {
    let mut callers = Vec::new();
    // Signed beforehand: what is measured is the server's part. The window for signed requests is a minute.
    let each = requests / people.len().max(3);
    for person in people {
        let mut requests = Vec::with_capacity(each);
        for _ in 0..each {
            let fresh = matches!(variation, Variation::FreshKey);
            let body = if fresh { person.body_with_fresh_key()? } else { person.body()? };
            requests.push((person.header(&body), body));
        }
        callers.push(requests);
    }
    let started = Instant::now();
    let entry = if let Variation::Entry(entry) = variation { entry } else { None };
    let call = |requests| call(Arc::clone(app), requests, entry.clone());
    let tasks: Vec<_> = callers.into_iter().map(|requests| tokio::spawn(call(requests))).collect();
    let mut all = Latencies::default();
    for task in tasks {
        all.join(task.await??);
    }
    Ok((all.count() as f64 / started.elapsed().as_secs_f64(), all.count()))
}

pub async fn call(app: Arc<App>, requests: Vec<(String, Vec<u8>)>, entry: Option<Entry>) -> Result<Latencies> {
    let origin = Origin { source: IpAddr::from([127, 0, 0, 1]), request_id: "00000000-ladder".to_owned() };
    let mut latencies = Latencies::default();
    for (header, body) in requests {
        let started = Instant::now();
        let caller = authenticate(&app, &origin, "POST", PATH, Some(&header), &body).await;
        let caller = caller.map_err(|refusal| anyhow!("{refusal:?}"))?;
        let more = async { if let Some(entry) = &entry { app.store.append(entry.clone()).await } else { Ok(()) } };
        let (response, more) = tokio::join!(issue(&app, &caller, serde_json::from_slice(&body)?), more);
        let response = response.map_err(|refusal| anyhow!("{refusal:?}"))?;
        more?;
        std::hint::black_box(serde_json::to_vec(&response)?);
        latencies.add(started.elapsed());
    }
    Ok(latencies)
}
