//! (i): lists of requests with a million of them in the store.

use crate::{
    measure::{Effort, Latencies, cores},
    report::{Aim, Report},
    stage::{self, identity},
};
use anyhow::{Result, ensure};
use ca_server::{
    audit::Entry,
    clock::{Clock as _, SystemClock},
    custody::CaKey,
    store::{Filed, Requests as _, Stepped, Which, redb::RedbStore},
};
use policy::{Request, RequestId, Seconds, Step, UnixTime, What};
use std::{net::IpAddr, path::Path, sync::Arc, time::Instant};

/// Writers at once, so that they share commits as callers do.
const WRITERS: u64 = 256;
/// So many people filed them.
const PEOPLE: u64 = 5_000;
/// One of so many still waits for somebody.
const WAITS: u64 = 200;
const PAGE: usize = 50;
const ROUNDS: u64 = 300;

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
        for (what, which) in
            [("one person's", None), ("those that wait", Some(Which::Waiting(now))), ("all", Some(Which::All))]
        {
            let mut took = Latencies::default();
            for round in 0..ROUNDS {
                let person = identity(round % PEOPLE)?;
                let which = which.clone().unwrap_or(Which::Of(person.issuer, person.subject));
                let started = Instant::now();
                let first = store.requests(&which, None, PAGE).await?;
                let after = first.last().map(|kept| kept.request.id.clone());
                let second = store.requests(&which, after.as_ref(), PAGE).await?;
                took.add(started.elapsed() / 2);
                ensure!(!first.is_empty() && first != second, "pages repeat themselves");
            }
            let name = format!("i  a page of {PAGE} of {what}, {} requests kept, p99", effort.records);
            report.millis(&name, took.percentile(99).as_secs_f64() * 1e3, Aim::AtMost(20.0));
        }
        Ok(())
    })
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
        targets: vec!["deploy@h5".parse()?],
        duration: Seconds::new(3_600),
        reason: Some("looking into the alert".parse()?),
        ticket: None,
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
