//! PostgreSQL fails under two servers, and they recover by themselves: what was answered is on record, once.

use crate::{
    crashes::check,
    pair::{Database, Pair, until, verify},
};
use anyhow::{Context as _, Result, ensure};
use api::{CertificateResponse, Code, paths};
use e2e::kit::{
    binaries,
    browser::http,
    caller::Caller,
    postgres::{Cluster, free_port},
    process::{Finished, run},
    server::{Home, LOOSE, Server},
};
use std::{
    collections::BTreeSet,
    fs::Permissions,
    os::unix::fs::PermissionsExt as _,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
};
use tokio::{process::Command, task::spawn_blocking};

/// Certificates at a time that are enough to be in the middle of it.
const ENOUGH: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn struck_down_in_the_middle_of_issuing_the_database_comes_back_with_all_that_was_answered() -> Result<()> {
    let cluster: &Cluster = Box::leak(Box::new(Cluster::start(&std::env::temp_dir(), true)?));
    let pair = Pair::new_on(cluster).await?;
    let released = storm(&pair, async |so_far| {
        spawn_blocking(|| cluster.strike()).await??;
        unready(&pair).await?;
        spawn_blocking(|| cluster.again()).await??;
        ready_again(&pair, so_far).await
    });
    judge(&pair, cluster, &released.await?).await
}

/// The standby has what was answered, because no commit was answered before it had it.
#[tokio::test(flavor = "multi_thread")]
async fn the_standby_takes_over_in_the_middle_of_issuing_with_all_that_was_answered() -> Result<()> {
    let cluster: &Cluster = Box::leak(Box::new(Cluster::start(&std::env::temp_dir(), true)?));
    let standby = spawn_blocking(|| cluster.standby()).await??;
    let database = Database::new(cluster)?;
    let section = database.section_at(&format!("[\"{}\", \"{}\"]", cluster.home.display(), standby.0.home.display()));
    let pair = Pair::with(database, &section).await?;
    let released = storm(&pair, async |so_far| {
        spawn_blocking(|| cluster.strike()).await??;
        unready(&pair).await?;
        standby.promote()?;
        ready_again(&pair, so_far).await
    });
    judge(&pair, &standby.0, &released.await?).await
}

/// Alice asks both servers again and again while `trouble` goes on, and is told at worst that the store is not there; what she
/// got. Trouble begins when it is under way, and is told how many certificates there are.
async fn storm(pair: &Pair, trouble: impl AsyncFnOnce(&AtomicUsize) -> Result<()>) -> Result<Vec<CertificateResponse>> {
    let alice = Caller::login(&pair.a, &pair.idp, "alice").await?;
    let (target, over, count) = (pair.target("web-1"), AtomicBool::new(false), AtomicUsize::new(0));
    let asking = async |server: &Server| -> Result<(Vec<CertificateResponse>, BTreeSet<String>)> {
        let (mut got, mut refused) = (Vec::new(), BTreeSet::new());
        while !over.load(SeqCst) {
            let body = alice.certificate_body(&target)?;
            let answer = alice.ask(server, "POST", paths::CERTIFICATES, &body).await.context("it died itself")?;
            match answer.code() {
                None => {
                    got.push(answer.good()?);
                    count.fetch_add(1, SeqCst);
                }
                // A database that crashed has forgotten which requests it took: what was signed before is asked for again.
                Some(code @ (Code::StoreUnavailable | Code::ClockSkew)) => drop(refused.insert(format!("{code:?}"))),
                Some(_) => anyhow::bail!("{answer:?}"),
            }
        }
        Ok((got, refused))
    };
    let steering = async {
        let done = async {
            until("a storm", async || Ok(count.load(SeqCst) >= ENOUGH)).await?;
            trouble(&count).await
        };
        let done = done.await;
        over.store(true, SeqCst);
        done
    };
    let (a, b, c, d, done) = tokio::join!(asking(&pair.a), asking(&pair.b), asking(&pair.a), asking(&pair.b), steering);
    done?;
    let all = [a?, b?, c?, d?];
    ensure!(all.iter().any(|(_, refused)| refused.contains("StoreUnavailable")), "nobody noticed");
    Ok(all.into_iter().flat_map(|(got, _)| got).collect())
}

async fn status(server: &Server) -> Result<u16> {
    Ok(http()?.get(format!("{}/ready", server.ops)).send().await?.status().as_u16())
}

/// Both say that they cannot issue.
async fn unready(pair: &Pair) -> Result<()> {
    for server in [&pair.a, &pair.b] {
        assert_eq!(status(server).await?, 503);
        let alive = http()?.get(format!("{}/health", server.ops)).send().await?;
        assert_eq!(alive.status(), 200, "it lives");
    }
    Ok(())
}

/// Both are back by themselves, and issue.
async fn ready_again(pair: &Pair, so_far: &AtomicUsize) -> Result<()> {
    for server in [&pair.a, &pair.b] {
        until("ready", async || Ok(status(server).await? == 200)).await?;
    }
    let before = so_far.load(SeqCst);
    until("issuing again", async || Ok(so_far.load(SeqCst) >= before + ENOUGH)).await
}

/// All that was answered is on record, once, in one chain.
async fn judge(pair: &Pair, cluster: &Cluster, released: &[CertificateResponse]) -> Result<()> {
    let serials: BTreeSet<u64> = released.iter().map(|one| one.serial.get()).collect();
    ensure!(serials.len() == released.len() && released.len() >= 2 * ENOUGH, "{} of {}", serials.len(), released.len());
    verify(&pair.a.home).await?;
    verify(&pair.b.home).await?;
    let certificates: Vec<String> = released.iter().map(|one| one.certificate.clone()).collect();
    check(&pair.a.home, &pair.database.entries_at(cluster)?, &certificates, &pair.target("web-1"))
}

/// What would keep all stories waiting is told: a server that does not come up.
#[test]
fn a_database_that_cannot_start_keeps_nobody_waiting() -> Result<()> {
    let taken = std::net::TcpListener::bind(("127.0.0.1", free_port()?))?;
    ensure!(
        Cluster::start_at(taken.local_addr()?.port(), &std::env::temp_dir(), false)?.is_none(),
        "at another's port"
    );
    let readable = Permissions::from_mode(0o755);
    let deep = tempfile::Builder::new().prefix(&"deep-".repeat(20)).permissions(readable).tempdir()?;
    let said = Cluster::start_at(free_port()?, deep.path(), false).err().map(|error| format!("{error:#}"));
    ensure!(said.as_ref().is_some_and(|said| said.contains("is too long")), "{said:?}");
    Ok(())
}

/// The password comes from the environment, goes over TLS to the server that `ca_file` vouches for, and appears nowhere.
#[tokio::test]
async fn a_password_and_a_certificate_are_checked_and_what_is_wrong_is_said_without_them() -> Result<()> {
    const RIGHT: &str = "correct horse";
    let database = Database::new(Cluster::shared()?)?;
    let role = format!("role_{}", database.name);
    database.cluster.psql(
        "postgres",
        &format!("CREATE ROLE {role} LOGIN PASSWORD '{RIGHT}'; ALTER DATABASE {} OWNER TO {role}", database.name),
    )?;
    let dir = tempfile::tempdir()?;
    let home = Home::init(&dir.path().join("ca"), &[], "").await?;
    let other = dir.path().join("other.crt");
    let mut made = Command::new("openssl");
    made.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]);
    made.args(["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout"]);
    made.arg(dir.path().join("other.key")).arg("-out").arg(&other);
    run("openssl", made).await?.success()?;
    let own = database.cluster.home.join("server.crt");
    let at = |host: &str, ca: &std::path::Path| {
        let section =
            database.section_at(&format!("\"{host}\"")).replace("user = \"postgres\"", &format!("user = \"{role}\""));
        home.configure(&format!("{section}tls = \"require\"\nca_file = \"{}\"\n", ca.display()), LOOSE)
    };
    for (host, ca, password, says) in [
        ("127.0.0.1", &own, Some("wrong horse"), "password authentication failed"),
        ("127.0.0.1", &own, None, "password"),
        ("127.0.0.1", &other, Some(RIGHT), "certificate"),
        ("localhost", &own, Some(RIGHT), "certificate"),
    ] {
        at(host, ca)?;
        for verb in [&["run"][..], &["check", "--offline"]] {
            let said = ca_server(&home, verb, password).await?;
            let all = format!("{}{}", said.out, said.err);
            ensure!(said.code == Some(1) && all.contains(says) && !all.contains("horse"), "{host} {verb:?}: {said:?}");
        }
    }
    at("127.0.0.1", &own)?;
    let checked = ca_server(&home, &["check", "--offline"], Some(RIGHT)).await?;
    ensure!(checked.code == Some(0) && !checked.out.contains("horse"), "{checked:?}");
    let mut command = Command::new(binaries::program("ca-server")?);
    command.arg("run").arg("--config").arg(home.path("config.toml")).env("JIT_SSH_STORE_PASSWORD", RIGHT);
    let server = home.serve(command).await?;
    assert_eq!(status(&server).await?, 200);
    ensure!(!server.process.err.text().contains("horse"), "{}", server.process.err.text());
    let encrypted =
        format!("SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = '{role}'");
    assert_eq!(database.cluster.psql("postgres", &encrypted)?, "t");
    server.stop().await.map(drop)
}

async fn ca_server(home: &Home, arguments: &[&str], password: Option<&str>) -> Result<Finished> {
    let mut command = Command::new(binaries::program("ca-server")?);
    command.args(arguments).arg("--config").arg(home.path("config.toml")).env_remove("JIT_SSH_STORE_PASSWORD");
    if let Some(password) = password {
        command.env("JIT_SSH_STORE_PASSWORD", password);
    }
    run("ca-server", command).await
}
