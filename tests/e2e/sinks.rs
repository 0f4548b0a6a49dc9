//! The server dies between a delivery and the note of it, as `kill -9` would end it there. Whoever receives gets every
//! entry, some perhaps twice, and can tell by the index. Of two servers with the same sinks one delivers, and the other when
//! that one is gone.

use crate::pair::{Database, Pair, certificate, until};
use anyhow::{Context as _, Result, ensure};
use ca_server::store::{Store as _, redb::RedbStore};
use e2e::kit::{browser::http, caller::Caller, postgres::Cluster, receiver::Receiver, server::Server, world::World};
use serde_json::Value;
use std::{collections::BTreeMap, fs, path::Path, time::Duration};

#[tokio::test]
async fn killed_between_delivery_and_cursor_every_entry_arrives_all_the_same() -> Result<()> {
    let mut world = World::new().await?;
    let home = world.server.stop().await?;
    let file = home.path("audit.jsonl");
    let sink = format!("[[sink]]\nname = \"log\"\nkind = \"file\"\nbegin = \"first\"\npath = \"{}\"\n", file.display());
    let config = fs::read_to_string(home.path("config.toml"))?;
    fs::write(home.path("config.toml"), format!("{config}\n{sink}"))?;

    world.server = home.start_with_fault("sinks.delivered").await?;
    lines_until(&file, |lines| !lines.is_empty()).await?;
    home.strike()?;
    // What happens now is the last thing this run delivers; the login may or may not get its answer.
    let _cut_off = Caller::login(&world.server, &world.idp, "alice").await;
    let home = world.server.died().await.context("it never delivered")?;

    world.server = home.start().await?;
    Caller::login(&world.server, &world.idp, "bob").await?;
    let home = {
        // The last fact there is.
        lines_until(&file, |lines| lines.last().is_some_and(|line| line.to_string().contains("bob"))).await?;
        world.server.stop().await?
    };
    let store = RedbStore::open(&home.path("jit-ssh.redb"), &home.seal()?)?;
    let entries = store.entries(0, usize::MAX).await?;
    let arrived = lines(&file)?;
    let mut seen = BTreeMap::new();
    for line in &arrived {
        let index = line.get("index").and_then(Value::as_u64).context("no index")?;
        let entry = line.get("entry").context("no entry")?;
        ensure!(seen.insert(index, entry.clone()).is_none_or(|former| former == *entry), "one index, two entries");
    }
    for (index, entry) in (0..).zip(&entries) {
        let kept: Value = serde_json::from_slice(entry.as_bytes())?;
        ensure!(seen.get(&index) == Some(&kept), "entry {index} of {} is missing", entries.len());
    }
    ensure!(arrived.len() > entries.len(), "the blow fell after a delivery, so something came twice");
    Ok(())
}

/// The same sinks at two servers on one database: in calm each entry comes once and in order, at whichever server it happened;
/// when the server that delivers is killed the other goes on, and nothing is missing.
#[tokio::test]
async fn of_two_servers_one_delivers_and_the_other_when_that_one_is_gone() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("audit.jsonl");
    let (hook, siem) = tokio::try_join!(Receiver::webhook(), Receiver::syslog())?;
    let sinks = webhook(&hook, dir.path(), "")?
        + &format!(
            "[[sink]]\nname = \"log\"\nkind = \"file\"\nbegin = \"first\"\npath = \"{}\"\n\
         [[sink]]\nname = \"siem\"\nkind = \"syslog\"\nbegin = \"first\"\naddress = \"{}\"\ntransport = \"tcp\"\n",
            file.display(),
            siem.address
        );
    let mut pair = Pair::with(Database::new(Cluster::shared()?)?, &sinks).await?;
    let alice = Caller::login(&pair.a, &pair.idp, "alice").await?;
    let target = pair.target("web-1");
    let arrived = || {
        let written = lines(&file).unwrap_or_default();
        [written.iter().filter_map(|line| line["index"].as_u64()).collect(), hook.seen(), siem.seen()]
    };
    for _ in 0..20 {
        certificate(&pair.a, &alice, &target).await.context("at the one")?;
        certificate(&pair.b, &alice, &target).await.context("at the other")?;
    }
    let count = u64::try_from(pair.database.entries()?.len())?;
    for server in [&pair.a, &pair.b] {
        // Whichever delivers, both know how far it is.
        until("all delivered", async || Ok(status(server).await?.iter().all(|sink| sink["lag_entries"] == 0))).await?;
    }
    assert_eq!(arrived(), [(); 3].map(|()| (0..count).collect::<Vec<u64>>()), "each once, in order");

    // Whichever delivers for the hook dies in the middle of it.
    if status(&pair.a).await?.iter().all(|sink| sink["name"] != "hook" || sink["delivered"] == 0) {
        std::mem::swap(&mut pair.a, &mut pair.b);
    }
    let before = hook.seen().len();
    let storm = async { while certificate(&pair.a, &alice, &target).await.is_some() {} };
    let kill = async {
        until("under way", async || Ok(hook.seen().len() > before + 10)).await?;
        pair.a.process.signal(rustix::process::Signal::KILL);
        anyhow::Ok(())
    };
    tokio::join!(storm, kill).1?;
    pair.a.died().await?;
    certificate(&pair.b, &alice, &target).await.context("at the other")?;
    let count = u64::try_from(pair.database.entries()?.len())?;
    until("the other goes on", async || {
        let all = |seen: &Vec<u64>| (0..count).all(|index| seen.contains(&index));
        Ok(arrived().iter().all(all))
    })
    .await
}

/// A receiver that takes longer than a server that is gone would be waited for: still one server delivers, and once.
#[tokio::test]
async fn a_slow_receiver_gets_nothing_twice() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let hook = Receiver::slow_webhook(Duration::from_secs(18)).await?;
    let sink = webhook(&hook, dir.path(), "timeout = \"25s\"\n")?;
    let pair = Pair::with(Database::new(Cluster::shared()?)?, &sink).await?;
    let count = u64::try_from(pair.database.entries()?.len())?;
    until("all delivered", async || {
        let (a, b) = tokio::try_join!(status(&pair.a), status(&pair.b))?;
        let delivered = a.iter().chain(&b).filter_map(|sink| sink["delivered"].as_u64()).sum::<u64>();
        Ok(delivered >= count)
    })
    .await?;
    assert_eq!(hook.seen(), (0..count).collect::<Vec<u64>>());
    Ok(())
}

fn webhook(to: &Receiver, dir: &Path, more: &str) -> Result<String> {
    let key = dir.join("secret");
    fs::write(&key, "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")?;
    fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    let (address, key) = (&to.address, key.display());
    Ok(format!(
        "[[sink]]\nname = \"hook\"\nkind = \"webhook\"\nbegin = \"first\"\nurl = \"http://{address}/\"\n\
         secret_file = \"{key}\"\n{more}"
    ))
}

async fn status(server: &Server) -> Result<Vec<Value>> {
    let body: Value = http()?.get(format!("{}/sinks", server.ops)).send().await?.json().await?;
    body["sinks"].as_array().cloned().with_context(|| body.to_string())
}

fn lines(file: &Path) -> Result<Vec<Value>> {
    let text = fs::read_to_string(file)?;
    text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

async fn lines_until(file: &Path, enough: impl Fn(&[Value]) -> bool) -> Result<()> {
    let mut due = tokio::time::interval(Duration::from_millis(20));
    for _ in 0..1_000 {
        due.tick().await;
        if lines(file).is_ok_and(|lines| enough(&lines)) {
            return Ok(());
        }
    }
    anyhow::bail!("what was waited for never arrived")
}
