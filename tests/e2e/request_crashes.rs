//! The server dies at every point of asking, approving and first use, as `kill -9` would end it; whoever asked tries again.
//! Then there is one request, one approval, one first use; no certificate without all of them; and a log that only grew.

use anyhow::{Context as _, Result, ensure};
use api::{CertificateResponse, RequestBody, paths};
use ca_server::store::{Store as _, redb::RedbStore};
use e2e::kit::{
    caller::{Answer, Caller},
    server::Home,
    world::World,
};
use serde_json::Value;

/// What is under way, and the points at which the server can die meanwhile.
const POINTS: [(Doing, &[&str]); 3] = [
    (Doing::Filing, &["file.decided", "file.recorded", "store.before-commit", "store.after-commit"]),
    (Doing::Approving, &["step.decided", "step.recorded", "store.before-commit", "store.after-commit"]),
    (Doing::Using, &["issue.decided", "issue.signed", "issue.recorded", "store.before-commit", "store.after-commit"]),
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Doing {
    Filing,
    Approving,
    Using,
}

#[tokio::test]
async fn wherever_the_server_dies_a_request_lives_once() -> Result<()> {
    let mut world = World::new().await?;
    let alice = Caller::login(&world.server, &world.idp, "alice").await?;
    let lena = Caller::login(&world.server, &world.idp, "lena").await?;
    let (mut former, mut number) = (Vec::new(), 0);
    for (doing, points) in POINTS {
        for point in points {
            number += 1;
            let what = format!("{doing:?}, {point}");
            let key = format!("key-{number}");
            let home = world.server.stop().await?;
            world.server = home.start_with_fault(point).await?;
            // Up to the step that is hit; then the blow; then all of it again, from the beginning.
            if doing != Doing::Filing {
                let filed = file(&world, &alice, &key).await?;
                if doing == Doing::Using {
                    approve(&world, &lena, &filed).await?;
                }
                home.strike()?;
                match doing {
                    Doing::Approving => drop(approve(&world, &lena, &filed).await),
                    _ => drop(certificate(&world, &alice, &filed).await),
                }
            } else {
                home.strike()?;
                drop(file(&world, &alice, &key).await);
            }
            let home = world.server.died().await.with_context(|| format!("{what} was never reached"))?;
            home.verify_log(None).await?.success().with_context(|| what.clone())?;
            let entries = entries(&home).await?;
            ensure!(entries.starts_with(&former), "{what}: an entry was changed or lost");
            former = entries;
            world.server = home.start().await.with_context(|| what.clone())?;
            let filed = file(&world, &alice, &key).await.with_context(|| what.clone())?;
            approve(&world, &lena, &filed).await.with_context(|| what.clone())?;
            let released = certificate(&world, &alice, &filed).await.with_context(|| what.clone())?;
            end(&world, &alice, &filed).await.with_context(|| what.clone())?;
            let home = world.server.stop().await?;
            let log = entries_of(&home, &filed).await?;
            once(&log, &released).with_context(|| format!("{what}: {log:#?}"))?;
            world.server = home.start().await?;
        }
    }
    Ok(())
}

/// One of each, in their order; and the certificate that left is on record between first use and end.
fn once(log: &[Value], released: &CertificateResponse) -> Result<()> {
    let places =
        |code: &str| log.iter().enumerate().filter(|(_, entry)| entry["code"] == code).map(|(at, _)| at).collect();
    let one = |code: &str| -> Result<usize> {
        let places: Vec<usize> = places(code);
        ensure!(places.len() == 1, "{code} {} times", places.len());
        places.first().copied().context("none")
    };
    let (filed, approved) = (one("request.filed")?, one("request.approved")?);
    let (claimed, ended) = (one("request.claimed")?, one("grant.ended")?);
    ensure!(filed < approved && approved < claimed && claimed < ended, "out of order");
    let issued: Vec<usize> = places("certificate.issued");
    ensure!(issued.iter().all(|at| claimed < *at && *at < ended), "issued outside its grant");
    let serial = released.serial.get();
    ensure!(issued.iter().any(|at| log[*at]["serial"] == serial), "I1: {serial} left without a record");
    Ok(())
}

async fn file(world: &World, alice: &Caller, key: &str) -> Result<RequestBody> {
    let body = format!("{{\"targets\":[\"{}@db-1\"],\"reason\":\"{key}\"}}", world.accounts.first).into_bytes();
    let signed = alice.sign("POST", paths::REQUESTS, &body)?;
    let request = e2e::kit::browser::http()?.post(format!("{}{}", world.server.url, paths::REQUESTS));
    let request = request.header("authorization", signed.authorization).header("idempotency-key", key);
    let answer = request.header("content-type", "application/json").body(body).send().await?;
    ensure!(matches!(answer.status().as_u16(), 200 | 201), "{}", answer.status());
    Ok(serde_json::from_str(&answer.text().await?)?)
}

async fn approve(world: &World, lena: &Caller, filed: &RequestBody) -> Result<()> {
    let body = format!("{{\"digest\":\"{}\"}}", filed.digest);
    step(world, lena, filed, "approvals", &body).await?.good::<RequestBody>().map(drop)
}

async fn end(world: &World, alice: &Caller, filed: &RequestBody) -> Result<()> {
    let ended = step(world, alice, filed, "end", "{\"why\":\"done\"}").await?;
    ensure!(ended.status == 200, "{ended:?}");
    Ok(())
}

async fn step(world: &World, who: &Caller, filed: &RequestBody, verb: &str, body: &str) -> Result<Answer> {
    let id = filed.id.as_ref().context("no id")?;
    who.ask(&world.server, "POST", &format!("{}/{id}/{verb}", paths::REQUESTS), body.as_bytes()).await
}

async fn certificate(world: &World, alice: &Caller, filed: &RequestBody) -> Result<CertificateResponse> {
    let target = format!("{}@db-1", world.accounts.first);
    let mut request: Value = serde_json::from_slice(&alice.certificate_body(&target)?)?;
    request["request"] = serde_json::to_value(&filed.id)?;
    alice.ask(&world.server, "POST", paths::CERTIFICATES, request.to_string().as_bytes()).await?.good()
}

async fn entries(home: &Home) -> Result<Vec<Vec<u8>>> {
    let store = RedbStore::open(&home.path("jit-ssh.redb"), &home.seal()?)?;
    let entries = store.entries(0, usize::MAX).await?;
    Ok(entries.iter().map(|entry| entry.as_bytes().to_vec()).collect())
}

/// What the log says of one request.
async fn entries_of(home: &Home, filed: &RequestBody) -> Result<Vec<Value>> {
    let id = serde_json::to_value(&filed.id)?;
    let all = entries(home).await?.into_iter().filter_map(|entry| serde_json::from_slice::<Value>(&entry).ok());
    Ok(all.filter(|entry| entry["id"] == id || entry["under"] == id).collect())
}
