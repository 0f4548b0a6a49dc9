//! (i): lists of requests, and what is searched for among them, with a million of them in the store.

use crate::{
    grant::{caller, no},
    measure::{Effort, Latencies, cores},
    report::{Aim, Report},
    stage::{self, Person, identity},
    verb,
};
use anyhow::{Context as _, Result, ensure};
use api::RequestsResponse;
use ca_server::{
    audit::Entry,
    clock::{Clock as _, SystemClock},
    custody::CaKey,
    store::{Filed, Requests as _, Stepped, redb::RedbStore},
    verbs::requests::{Filter, Page, View, Wanted, list},
};
use policy::{Request, RequestId, Seconds, Source, Step, UnixTime, What};
use std::{net::IpAddr, path::Path, sync::Arc, time::Instant};

/// Writers at once, so that they share commits as callers do.
const WRITERS: u64 = 256;
/// So many people filed them.
const PEOPLE: u64 = 5_000;
/// One of so many still waits for somebody.
const WAITS: u64 = 200;
/// As many as the inventory has.
const HOSTS: u64 = 100;
const READERS: u64 = 16;
const PAGE: usize = 50;
const ROUNDS: u64 = 300;

/// What is searched for in which round.
type Only = fn(u64) -> Result<Filter>;

pub fn climb(effort: &Effort, place: &Path, report: &mut Report) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(cores()).enable_all().build()?;
    runtime.block_on(async {
        let seal = stage::seal(CaKey::from_seed([5; 32].into()))?;
        let store = Arc::new(RedbStore::open(&place.join("requests.redb"), &seal)?);
        let now = SystemClock.now();
        let writers = (0..WRITERS).map(|writer| {
            let (store, records) = (Arc::clone(&store), effort.records);
            tokio::spawn(async move {
                for n in (writer..records).step_by(usize::try_from(WRITERS)?) {
                    keep(&store, n, now).await?;
                }
                anyhow::Ok(())
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await??;
        }
        let mut sources = stage::sources(100)?;
        let text = "@id(\"reviewers\") permit (principal in Group::\"vpn\", action == Action::\"approve\", resource);\n\
                    @id(\"asked\") @approvals(\"1\") permit (principal in Group::\"everybody\", \
                    action == Action::\"connect\", resource);\n\
                    @id(\"auditors\") permit (principal in Group::\"vpn\", action == Action::\"audit\", resource);\n";
        sources.policies.push(Source { name: "lists.cedar".to_owned(), text: text.to_owned() });
        let app = verb::app(store, sources)?;
        let mut readers = Vec::new();
        for n in 0..READERS {
            let person = Person::new(n);
            person.log_in(&*app.store).await?;
            readers.push(caller(&app, &person).await?);
        }
        let named = |stage| Wanted::named(stage).context("a stage");
        let lists: [(&str, View, Only, Option<Wanted>); 7] = [
            ("one's own", View::Mine, |_| Ok(Filter::default()), None),
            ("what waits for one's word", View::Review, |_| Ok(Filter::default()), None),
            ("all", View::All, |_| Ok(Filter::default()), None),
            ("all of a person", View::All, by_user, None),
            ("all for a host", View::All, by_host, None),
            ("a ticket", View::All, by_ticket, None),
            ("all for a host that are active, of which there are none", View::All, by_host, Some(named("active")?)),
        ];
        for (what, view, only, stage) in lists {
            let mut took = Latencies::default();
            for (round, reader) in (0..ROUNDS).zip(readers.iter().cycle()) {
                let only = Filter { stage: stage.clone(), ..only(round)? };
                let page = |after| Page { after, limit: PAGE, only: only.clone() };
                let started = Instant::now();
                let first = list(&app, reader, view, page(None)).await.map_err(no)?;
                took.add(started.elapsed());
                ensure!(first.requests.is_empty() == stage.is_some(), "{what}: {}", first.requests.len());
                if let Some(next) = first.next.clone() {
                    let started = Instant::now();
                    let second = list(&app, reader, view, page(Some(next))).await.map_err(no)?;
                    took.add(started.elapsed());
                    let ids =
                        |page: &RequestsResponse| page.requests.iter().map(|row| row.id.clone()).collect::<Vec<_>>();
                    ensure!(stage.is_some() || ids(&first) != ids(&second), "pages repeat themselves");
                }
            }
            let name = format!("i  a page of {PAGE} of {} requests: {what}, p99", effort.records);
            report.millis(&name, took.percentile(99).as_secs_f64() * 1e3, Aim::AtMost(20.0));
        }
        Ok(())
    })
}

fn by_user(round: u64) -> Result<Filter> {
    let email = identity(round % PEOPLE)?.email.context("an address")?;
    Ok(Filter { user: Some(email.as_str().to_owned()), ..Filter::default() })
}

fn by_host(round: u64) -> Result<Filter> {
    Ok(Filter { host: Some(format!("h{}", round % HOSTS).parse()?), ..Filter::default() })
}

fn by_ticket(round: u64) -> Result<Filter> {
    Ok(Filter { ticket: Some(format!("OPS-{}", round * 7).parse()?), ..Filter::default() })
}

async fn keep(store: &RedbStore, n: u64, now: UnixTime) -> Result<()> {
    let mut random = [0; 12];
    random.iter_mut().zip(n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()).for_each(|(at, byte)| *at = byte);
    let id = RequestId::from_random(random);
    let who = identity(n % PEOPLE)?;
    let filed = UnixTime::from_secs(now.as_secs().saturating_sub(n / 4));
    let request = Request {
        id: id.clone(),
        requester: who.clone(),
        targets: vec![format!("deploy@h{}", n % HOSTS).parse()?],
        duration: Seconds::new(3_600),
        reason: Some("looking into the alert".parse()?),
        ticket: Some(format!("OPS-{n}").parse()?),
        start: None,
        under: None,
        source: IpAddr::from([127, 0, 0, 1]),
        filed,
        expires: now.plus(Seconds::new(86_400)),
        extends: None,
        break_glass: None,
    };
    let entry = || Entry::from_bytes(vec![b'x'; 700]);
    ensure!(store.file_request(request, None, entry()).await? == Filed::Yes, "it was there before");
    if !n.is_multiple_of(WAITS) {
        let step = Step { at: filed, by: who, what: What::Cancelled };
        ensure!(store.add_step(&id, 0, step, entry()).await? == Stepped::Yes, "somebody was faster");
    }
    Ok(())
}
