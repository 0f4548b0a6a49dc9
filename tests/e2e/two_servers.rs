//! Two servers on one PostgreSQL database: the life of a request goes on at either, is counted once, and leaves one log;
//! wherever one of them dies, nothing is lost.

use crate::{
    crashes::check,
    pair::{Database, Pair, certificate, verify},
};
use anyhow::{Context as _, Result, ensure};
use api::{ApproveRequest, CertificateResponse, Code, RequestBody, paths};
use e2e::kit::{
    accounts::Accounts,
    binaries,
    browser::http,
    caller::{Answer, Caller},
    idp::Idp,
    postgres::Cluster,
    process::run,
    server::{Home, LOOSE, Server, people},
    world,
};
use serde_json::{Value, json};
use std::{
    path::Path,
    time::{Duration, Instant},
};
use tokio::process::Command;

#[tokio::test]
async fn a_requests_life_goes_on_at_either_server_and_is_counted_once() -> Result<()> {
    let pair = Pair::new().await?;
    let (a, b) = (&pair.a, &pair.b);
    let (carl, lena, nina) = tokio::try_join!(
        Caller::login(a, &pair.idp, "carl"),
        Caller::login(b, &pair.idp, "lena"),
        Caller::login(a, &pair.idp, "nina")
    )?;
    let target = pair.target("db-1");
    let body = serde_json::to_vec(&json!({ "targets": [target], "reason": "the pair", "duration": "5m" }))?;
    let filed = carl.ask(a, "POST", paths::REQUESTS, &body).await?;
    ensure!((200..300).contains(&filed.status), "{filed:?}");
    let filed: RequestBody = serde_json::from_str(&filed.body)?;
    let path = format!("{}/{}", paths::REQUESTS, filed.id.as_ref().context("no id")?);

    // The same person at both servers at once is one person.
    let (one, other) = tokio::join!(approve(&lena, a, &path), approve(&lena, b, &path));
    let (one, other) = (one?, other?);
    ensure!(one.status == 200 || other.status == 200, "{one:?} {other:?}");
    let (seen, tag) = look(&carl, b, &path).await?;
    assert_eq!(seen.steps.len(), 1, "{seen:?}");
    assert_eq!(serde_json::to_value(&seen.stage)?["stage"], "pending", "one of two: {seen:?}");

    // Whoever waits at the other server is woken within a second.
    let waiting = tokio::spawn(wait(carl.clone(), b.url.clone(), path.clone(), tag));
    ensure!(matches!(
        tokio::time::timeout(Duration::from_millis(300), async { waiting.is_finished() }).await,
        Ok(false)
    ));
    let refused = carl.ask(b, "POST", paths::CERTIFICATES, &carl.certificate_body(&target)?).await?;
    assert_eq!(refused.code(), Some(Code::NeedsApproval), "{refused:?}");
    let approved = approve(&nina, a, &path).await?;
    let began = Instant::now();
    ensure!(approved.status == 200, "{approved:?}");
    let woken = waiting.await??;
    let late = began.elapsed();
    assert_eq!(woken.status, 200, "{woken:?}");
    ensure!(late < Duration::from_secs(1), "woken after {late:?}");

    // Its first use is one step, though both servers see it first.
    let (body, again) = (carl.certificate_body(&target)?, carl.certificate_body(&target)?);
    let (at_a, at_b) =
        tokio::join!(carl.ask(a, "POST", paths::CERTIFICATES, &body), carl.ask(b, "POST", paths::CERTIFICATES, &again));
    at_a?.good::<CertificateResponse>()?;
    at_b?.good::<CertificateResponse>()?;
    let (seen, _) = look(&carl, b, &path).await?;
    let steps: Vec<&str> = seen.steps.iter().map(|step| step.what.as_str()).collect();
    assert_eq!(steps, ["approved", "approved", "claimed"]);

    // What one server took the other takes no more.
    let signed = carl.sign("POST", paths::CERTIFICATES, &carl.certificate_body(&target)?)?;
    signed.send(a).await?.good::<CertificateResponse>()?;
    assert_eq!(signed.send(b).await?.code(), Some(Code::Replayed));

    let end = serde_json::to_vec(&json!({ "why": "done" }))?;
    let ended = carl.ask(b, "POST", &format!("{path}/end"), &end).await?;
    ensure!(ended.status == 200, "{ended:?}");
    let refused = carl.ask(a, "POST", paths::CERTIFICATES, &carl.certificate_body(&target)?).await?;
    assert_eq!(refused.code(), Some(Code::NeedsApproval), "given back is gone: {refused:?}");
    let out = carl.ask(a, "DELETE", paths::SESSION, b"").await?;
    ensure!((200..300).contains(&out.status), "{out:?}");
    assert_eq!(carl.ask(b, "GET", paths::SESSION, b"").await?.code(), Some(Code::LoginRequired));

    verify(&a.home).await?;
    verify(&b.home).await?;
    let codes = pair
        .database
        .entries()?
        .iter()
        .map(|entry| serde_json::from_slice(entry))
        .collect::<Result<Vec<Value>, _>>()?;
    let count = |code: &str| codes.iter().filter(|entry| entry["code"] == code).count();
    assert_eq!((count("server.started"), count("request.approved"), count("request.claimed")), (2, 2, 1));
    assert_eq!(count("certificate.issued"), 3);
    Ok(())
}

/// Either dies at every point of issuing, under load at both: what left is on record, the log is one chain, and the other goes
/// on.
#[tokio::test]
async fn whichever_server_dies_wherever_nothing_that_left_is_lost() -> Result<()> {
    let mut pair = Pair::new().await?;
    let alice = Caller::login(&pair.a, &pair.idp, "alice").await?;
    let target = pair.target("web-1");
    let (mut released, mut former) = (Vec::new(), Vec::new());
    for (round, point) in [
        "issue.decided",
        "issue.signed",
        "issue.recorded",
        "issue.released",
        "store.before-commit",
        "store.after-commit",
    ]
    .into_iter()
    .enumerate()
    {
        // Now the one, now the other.
        if round % 2 == 1 {
            std::mem::swap(&mut pair.a, &mut pair.b);
        }
        let home = pair.a.stop().await?;
        pair.a = home.start_with_fault(point).await?;
        home.strike()?;
        let (a, b) = (&pair.a, &pair.b);
        let issue = async |server: &Server| {
            let mut got = Vec::new();
            for _ in 0..3 {
                got.extend(certificate(server, &alice, &target).await);
            }
            got
        };
        let (one, two, three, four) = tokio::join!(issue(a), issue(b), issue(a), issue(b));
        ensure!(two.len() + four.len() == 6, "{point}: the other server stood still");
        released.extend([one, two, three, four].concat());
        let home = pair.a.died().await.with_context(|| format!("{point} was never reached"))?;
        verify(&home).await.with_context(|| point)?;
        let entries = pair.database.entries()?;
        ensure!(entries.starts_with(&former), "{point}: an entry was changed or lost");
        check(&home, &entries, &released, &target).with_context(|| point)?;
        former = entries;
        pair.a = home.start().await.with_context(|| format!("after {point}"))?;
        released.push(certificate(&pair.a, &alice, &target).await.with_context(|| format!("after {point}"))?);
    }
    Ok(())
}

/// A server dies over an approval: it is on record or it is not, and made again at the other it counts once.
#[tokio::test]
async fn a_server_that_dies_over_an_approval_leaves_it_whole_or_not_at_all() -> Result<()> {
    let mut pair = Pair::new().await?;
    let (alice, lena) =
        (Caller::login(&pair.a, &pair.idp, "alice").await?, Caller::login(&pair.b, &pair.idp, "lena").await?);
    let target = pair.target("db-1");
    for (point, steps) in [("store.before-commit", 0), ("store.after-commit", 1)] {
        let body = serde_json::to_vec(&json!({ "targets": [target], "reason": point }))?;
        let filed = alice.ask(&pair.b, "POST", paths::REQUESTS, &body).await?;
        let filed: RequestBody = serde_json::from_str(&filed.body).with_context(|| filed.body.clone())?;
        let path = format!("{}/{}", paths::REQUESTS, filed.id.context("no id")?);
        let home = pair.a.stop().await?;
        pair.a = home.start_with_fault(point).await?;
        look(&lena, &pair.a, &path).await?;
        home.strike()?;
        ensure!(approve(&lena, &pair.a, &path).await.is_err(), "{point}: nobody lived to answer");
        let home = pair.a.died().await?;
        verify(&home).await.with_context(|| point)?;
        assert_eq!(look(&alice, &pair.b, &path).await?.0.steps.len(), steps, "{point}");
        let again = approve(&lena, &pair.b, &path).await?;
        ensure!(again.status == 200 || steps == 1, "{point}: {again:?}");
        let (seen, _) = look(&alice, &pair.b, &path).await?;
        assert_eq!((seen.steps.len(), seen.steps[0].by.as_str()), (1, "lena@corp.example"), "{point}");
        alice
            .ask(&pair.b, "POST", paths::CERTIFICATES, &alice.certificate_body(&target)?)
            .await?
            .good::<CertificateResponse>()?;
        let end = serde_json::to_vec(&json!({ "why": "done" }))?;
        ensure!(alice.ask(&pair.b, "POST", &format!("{path}/end"), &end).await?.status == 200);
        pair.a = home.start().await?;
    }
    verify(&pair.b.home).await
}

/// The database goes away and comes back; nothing is issued meanwhile, and nobody restarts anything.
#[tokio::test]
async fn without_its_database_a_server_issues_nothing_and_comes_back_by_itself() -> Result<()> {
    let pair = Pair::new().await?;
    let alice = Caller::login(&pair.a, &pair.idp, "alice").await?;
    let target = pair.target("web-1");
    certificate(&pair.a, &alice, &target).await.context("at first")?;
    let cluster = Cluster::shared()?;
    cluster.psql("postgres", &format!("ALTER DATABASE {} ALLOW_CONNECTIONS false", pair.database.name))?;
    let ends =
        format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'", pair.database.name);
    cluster.psql("postgres", &ends)?;
    for server in [&pair.a, &pair.b] {
        let refused = alice.ask(server, "POST", paths::CERTIFICATES, &alice.certificate_body(&target)?).await?;
        assert_eq!(refused.code(), Some(Code::StoreUnavailable), "{refused:?}");
    }
    cluster.psql("postgres", &format!("ALTER DATABASE {} ALLOW_CONNECTIONS true", pair.database.name))?;
    for server in [&pair.a, &pair.b] {
        certificate(server, &alice, &target).await.context("afterwards")?;
    }
    verify(&pair.a.home).await
}

/// `migrate-store`: login sessions, requests and the log go on where they were.
#[tokio::test]
async fn a_server_moves_from_its_file_to_a_database() -> Result<()> {
    let dir = tempfile::Builder::new().prefix("jit-ssh-story-").tempdir()?;
    let (idp, accounts) = (Idp::start(dir.path()).await?, Accounts::ready()?);
    let claims = |name: &str, group: &str| json!({ "email": format!("{name}@corp.example"), "email_verified": true, "groups": [group], "amr": ["pwd", "otp"] });
    idp.account("alice", &claims("alice", "sre")).await?;
    let home = Home::init(&dir.path().join("ca"), &world::policy(&accounts), &people(&idp.issuer)).await?;
    let server = home.start().await?;
    let alice = Caller::login(&server, &idp, "alice").await?;
    let target = format!("{}@web-1", accounts.first);
    let before = certificate(&server, &alice, &target).await.context("before")?;
    let body = serde_json::to_vec(&json!({ "targets": [format!("{}@db-1", accounts.first)], "reason": "moving" }))?;
    ensure!((200..300).contains(&alice.ask(&server, "POST", paths::REQUESTS, &body).await?.status));

    let database = Database::new(Cluster::shared()?)?;
    std::fs::rename(home.path("config.toml"), home.path("file.toml"))?;
    home.configure(&(people(&idp.issuer) + &database.section()), LOOSE)?;
    let (old, new) = (home.path("file.toml"), home.path("config.toml"));
    let served = migrate(&old, &new).await?;
    ensure!(served.code == Some(1) && served.err.contains("stop the other ca-server first"), "{served:?}");
    server.stop().await?;
    let moved = migrate(&old, &new).await?;
    ensure!(moved.code == Some(0) && moved.out.contains("on both sides"), "{moved:?}");
    let twice = migrate(&old, &new).await?;
    ensure!(twice.code == Some(1) && twice.err.contains("name an empty one"), "{twice:?}");
    let mut checked = Command::new(binaries::program("ca-server")?);
    checked.args(["check", "--offline", "--config"]).arg(&new);
    let checked = run("ca-server check", checked).await?;
    ensure!(checked.code == Some(0) && checked.out.contains("fsync"), "what may lose a commit is said: {checked:?}");

    let server = home.start().await?;
    let after = certificate(&server, &alice, &target).await.context("after: the login session moved along")?;
    let mine = alice.ask(&server, "GET", paths::REQUESTS, b"").await?;
    ensure!(mine.body.contains("moving"), "{mine:?}");
    let key = home.log_key().await?;
    home.audit(&["verify", "--config", &new.to_string_lossy(), "--key", &key]).await?.success()?;
    // What was exported before is a beginning of what is exported now.
    let exported = async |config: &Path| {
        let all = home.audit(&["export", "--config", &config.to_string_lossy()]).await?.success()?;
        let line = |line: &str| serde_json::from_str::<Value>(line).map(|line| line["entry"].clone());
        Ok::<_, anyhow::Error>(all.lines().map(line).collect::<Result<Vec<_>, _>>()?)
    };
    let (mut old, new) = (exported(&old).await?, exported(&new).await?);
    old.pop();
    ensure!(new.starts_with(&old) && new.len() > old.len());
    let entries: Vec<Vec<u8>> = new.iter().filter_map(Value::as_str).map(|entry| entry.as_bytes().to_vec()).collect();
    check(&home, &entries, &[before, after], &target)?;
    let tail = home.audit(&["tail", "--config", &home.path("config.toml").to_string_lossy()]).await?.success()?;
    ensure!(tail.contains("certificate.issued"), "{tail}");
    Ok(())
}

async fn migrate(old: &Path, new: &Path) -> Result<e2e::kit::process::Finished> {
    let mut command = Command::new(binaries::program("ca-server")?);
    command.arg("migrate-store").arg("--config").arg(old).arg("--to").arg(new);
    run("ca-server migrate-store", command).await
}

async fn approve(caller: &Caller, server: &Server, path: &str) -> Result<Answer> {
    let (seen, _) = look(caller, server, path).await?;
    let body = ApproveRequest { digest: seen.digest, duration: None, only: Vec::new(), reason: None };
    caller.ask(server, "POST", &format!("{path}/approvals"), &serde_json::to_vec(&body)?).await
}

/// The request and its version.
async fn look(caller: &Caller, server: &Server, path: &str) -> Result<(RequestBody, String)> {
    let signed = caller.sign("GET", path, b"")?;
    let asked = http()?.get(format!("{}{path}", server.url)).header("authorization", signed.authorization);
    let answer = asked.send().await?;
    let tag = answer.headers().get("etag").and_then(|tag| tag.to_str().ok()).context("no ETag")?.to_owned();
    Ok((answer.json().await?, tag))
}

/// Waits for the request to be another than this version.
async fn wait(caller: Caller, url: String, path: String, tag: String) -> Result<Answer> {
    let path = format!("{path}?wait=20");
    let signed = caller.sign("GET", &path, b"")?;
    let asked = http()?.get(format!("{url}{path}")).header("authorization", signed.authorization);
    let answer = asked.header("if-none-match", tag).send().await?;
    Ok(Answer { status: answer.status().as_u16(), body: answer.text().await? })
}
