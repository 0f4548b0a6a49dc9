//! The server dies between a delivery and the note of it, as `kill -9` would end it there. Whoever receives gets every
//! entry, some perhaps twice, and can tell by the index.

use anyhow::{Context as _, Result, ensure};
use ca_server::store::{Store as _, redb::RedbStore};
use e2e::kit::{caller::Caller, world::World};
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
