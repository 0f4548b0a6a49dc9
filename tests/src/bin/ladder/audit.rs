//! (f): the audit log: what a place in the tree costs, and how long an outsider needs to check all of it.

use crate::{
    measure::Effort,
    report::{Aim, Report},
    stage,
};
use anyhow::{Context as _, Result, ensure};
use ca_server::{
    audit::{
        Entry,
        tree::{self, Frontier},
    },
    custody::CaKey,
    store::{Store, redb::RedbStore},
};
use std::{convert::Infallible, hint::black_box, path::Path, process::Command, sync::Arc, time::Instant};

/// As long as the entry of a certificate.
const ENTRY: usize = 1_100;
/// Writers at once, so that they share commits as callers do.
const WRITERS: u64 = 256;

pub fn climb(effort: &Effort, programs: &Path, place: &Path, report: &mut Report) -> Result<()> {
    let started = Instant::now();
    let mut frontier = Frontier::default();
    for n in 0..effort.records {
        let Ok(()) = frontier.push(tree::leaf(entry(n).as_bytes()), |_place, hash| {
            black_box(hash);
            Ok::<(), Infallible>(())
        });
    }
    let each = started.elapsed().as_secs_f64() * 1e6 / effort.records as f64;
    report.micros("f  one entry hashed and put into the tree", each, Aim::None);

    let seal = stage::seal(CaKey::from_seed([5; 32].into()))?;
    let started = Instant::now();
    for n in 0..10_000 {
        black_box(seal.checkpoint(n, [0; 32]));
    }
    report.micros("f  one checkpoint signed", started.elapsed().as_secs_f64() * 1e6 / 1e4, Aim::None);

    let file = place.join("log.redb");
    let store: Arc<dyn Store> = Arc::new(RedbStore::open(&file, &seal)?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(fill(&store, effort.records))?;
    drop(store);

    let verify = ["audit", "verify", "--store"];
    let key = seal.verifier().to_string();
    let started = Instant::now();
    let ran = Command::new(programs.join("ca-server")).args(verify).arg(&file).args(["--key", &key]).output();
    let took = started.elapsed();
    let ran = ran.context("ca-server cannot be started")?;
    ensure!(ran.status.success(), "{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    let million = took.as_secs_f64() * 1e6 / effort.records as f64;
    report.factor("f  a million entries verified from the store, seconds", million, Aim::AtMost(10.0));
    Ok(())
}

async fn fill(store: &Arc<dyn Store>, records: u64) -> Result<()> {
    let writers = (0..WRITERS).map(|writer| {
        let store = Arc::clone(store);
        tokio::spawn(async move {
            for n in (writer..records).step_by(usize::try_from(WRITERS)?) {
                store.append(entry(n)).await?;
            }
            anyhow::Ok(())
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await??;
    }
    Ok(())
}

fn entry(n: u64) -> Entry {
    let mut bytes =
        format!("{{\"v\":1,\"time_ms\":{n},\"code\":\"certificate.issued\",\"to_be_signed\":\"").into_bytes();
    bytes.resize(ENTRY - 2, b'A');
    bytes.extend_from_slice(b"\"}");
    Entry::from_bytes(bytes)
}
