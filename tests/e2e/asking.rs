//! Where people must approve first: what stock ssh's own terminal says and asks, access that begins later, the offers of a dry
//! run, and what the clock leaves on record.

use super::approval::{done, json, next_for};
use anyhow::{Context as _, Result, ensure};
use e2e::kit::{client::Client, process::Process, world::World};
use serde_json::Value;
use std::{
    fs,
    path::PathBuf,
    process::Stdio,
    time::{Duration, Instant},
};
use tokio::{io::AsyncWriteExt as _, process::Command};

/// alice's machine after `jit-ssh setup`: her ssh_config.
async fn set_up(world: &World, alice: &Client) -> Result<PathBuf> {
    let config = alice.home.join(".ssh/config");
    let hosts = world.web.client_block()? + &world.db.client_block()?;
    fs::write(&config, format!("{hosts}\nHost *\n  User {}\n", world.accounts.first))?;
    done(alice, &["setup", "--yes"]).await?;
    Ok(config)
}

/// Plain ssh, on a terminal: the terminal says which policy and who may approve, asks, waits, says what became of it, connects.
#[tokio::test]
async fn plain_ssh_asks_on_its_terminal_and_connects_when_it_is_approved() -> Result<()> {
    let world = World::new().await?;
    let (alice, lena) = (world.person("alice").await?, world.person("lena").await?);
    let config = set_up(&world, &alice).await?;
    let line = format!("exec ssh -F {} db-1 'echo connected $((40 + 2))'", config.display());
    let mut command = Command::new("script");
    command.args(["-qfec", &line, "/dev/null"]).stdin(Stdio::piped());
    alice.dress(&mut command);
    let mut waiting = Process::start("ssh", command)?;
    waiting.out.wait_for(0, |line| line.contains("people must approve")).await?;
    let mut typed = waiting.stdin().context("no input")?;
    typed.write_all(b"roll back 4.2\n9h\n5m\n").await?;
    waiting.out.wait_for(0, |line| line.contains("db/approval allows at most 10m")).await?;
    waiting.out.wait_for(0, |line| line.contains("Ctrl-C stops waiting")).await?;
    let id = next_for(&lena, "").await?;
    assert_eq!(json(&lena, &["show", &id]).await?["reason"], "roll back 4.2");
    done(&lena, &["approve", &id, "--yes", "--for", "2m", "--reason", "be quick"]).await?;
    waiting.out.wait_for(0, |line| line.contains("connected 42")).await?;
    assert!(waiting.wait().await?.success(), "{}", waiting.out.text());
    let text = waiting.out.text();
    for word in ["db/approval", "leads", "lena@corp.example approved less than you asked for: only for 2m: be quick"] {
        assert!(text.contains(word), "{word} was not said: {text}");
    }
    Ok(())
}

/// Nobody sits there: one line, and nothing is filed.
#[tokio::test]
async fn plain_ssh_asks_nobody_where_nobody_would_see_it() -> Result<()> {
    let world = World::new().await?;
    let alice = world.person("alice").await?;
    let config = set_up(&world, &alice).await?;
    // A terminal there is, but what is said goes into a pipe, as with Ansible or an editor.
    let line = format!("exec ssh -F {} db-1 true 2>&1 | cat", config.display());
    let mut command = Command::new("script");
    command.args(["-qfec", &line, "/dev/null"]).stdin(Stdio::piped());
    alice.dress(&mut command);
    let said = Process::start("ssh", command)?.finish().await?;
    assert!(said.out.contains("jit-ssh request") && !said.out.contains("Reason"), "{said:?}");
    assert_eq!(json(&alice, &["requests"]).await?["requests"], serde_json::json!([]), "nothing was filed");
    Ok(())
}

/// The server is restarted while somebody waits: they wait on, and learn what was decided afterwards.
#[tokio::test]
async fn whoever_waits_waits_through_a_restart() -> Result<()> {
    let mut world = World::new().await?;
    let (alice, lena) = (world.person("alice").await?, world.person("lena").await?);
    let target = format!("{}@db-1", world.accounts.first);
    let command = alice.command(&["request", &target, "--for", "2m", "--reason", "reindex", "--wait"])?;
    let waiting = Process::start("request", command)?;
    waiting.err.wait_for(0, |line| line.contains("Ctrl-C stops waiting")).await?;
    let id = next_for(&lena, "").await?;
    let address = world.server.url.strip_prefix("http://").context("plain HTTP")?.to_owned();
    let home = world.server.stop().await?;
    let config = fs::read_to_string(home.path("config.toml"))?;
    fs::write(home.path("config.toml"), config.replacen("127.0.0.1:0", &address, 1))?;
    // Noticed, before there is a server again: the connection it waited on is gone.
    ensure!(!alice.run(&["requests"]).await?.err.is_empty(), "nobody is there");
    world.server = home.start().await?;
    done(&lena, &["approve", &id, "--yes"]).await?;
    let waited = waiting.finish().await?;
    ensure!(waited.code == Some(0) && waited.out.contains(&format!("{id} approved")), "{waited:?}");
    Ok(())
}

#[tokio::test]
async fn access_that_was_asked_for_later_begins_then_and_ends_on_record() -> Result<()> {
    let world = World::new().await?;
    let (alice, lena) = (world.person("alice").await?, world.person("lena").await?);
    let target = format!("{}@db-1", world.accounts.first);
    let filed = json(&alice, &["request", &target, "--start", "+6s", "--for", "4s", "--reason", "at night"]).await?;
    let id = filed["id"].as_str().context("no id")?;
    done(&lena, &["approve", id, "--yes"]).await?;
    let start = filed["start"].as_u64().context("no start")?;
    let shown = json(&alice, &["show", id]).await?;
    if shown["stage"]["stage"] == "scheduled" {
        assert_eq!(shown["stage"]["from"], start, "{shown}");
        let early = alice.run(&["ensure", &target]).await?;
        let told = early.code == Some(5) && early.err.contains(&format!("request {id} is approved and begins at "));
        assert!(told || now() >= start, "{early:?}");
    }
    let ensured = loop {
        let tried = alice.run(&["--json", "ensure", &target]).await?;
        if tried.code == Some(0) {
            break serde_json::from_str::<Value>(&tried.out)?;
        }
        ensure!(now() < start + 20, "it never began: {tried:?}");
    };
    let until = ensured["until"].as_u64().context("no end")?;
    assert!(until >= start + 4, "four seconds, counted from the first use: {ensured}");
    world.ssh(&alice)?.login(&world.accounts.first, &world.db, "true").await?;
    // Nobody ends it: the clock does, and that is on record.
    let store = world.server.home.path("jit-ssh.redb").display().to_string();
    let began = Instant::now();
    loop {
        let log = world.server.home.audit(&["export", "--store", &store]).await?.success()?;
        if log.contains("grant.finished") && log.contains(id) {
            break;
        }
        ensure!(began.elapsed() < Duration::from_secs(40), "its end is not on record: {log}");
    }
    assert_eq!(json(&alice, &["show", id]).await?["stage"]["how"], "finished");
    let found = json(&alice, &["requests", "--host", "db-1", "--stage", "finished"]).await?;
    assert_eq!(found["requests"][0]["id"], id, "{found}");
    assert_eq!(json(&alice, &["requests", "--stage", "pending"]).await?["requests"], serde_json::json!([]));
    Ok(())
}

/// Two policies would do: both are shown with their terms, and one is picked.
#[tokio::test]
async fn a_dry_run_shows_all_offers_and_one_of_them_can_be_picked() -> Result<()> {
    let world = World::new().await?;
    let other = format!(
        "@id(\"db/long\")\n@max_duration(\"8h\")\n@approvals(\"2\")\n@ticket(\"required\")\npermit (\n  principal in Group::\"sre\",\n  \
         action == Action::\"connect\",\n  resource in HostGroup::\"db\"\n)\nwhen {{ resource.name == \"{}\" }};\n",
        world.accounts.first
    );
    fs::write(world.server.home.path("policy").join("long.cedar"), other)?;
    let world = world.restart_server().await?;
    let alice = world.person("alice").await?;
    let target = format!("{}@db-1", world.accounts.first);
    let asked = ["request", &target, "--reason", "x", "--ticket", "OPS-1", "--dry-run"];
    let shown = done(&alice, &asked).await?.out;
    for word in
        ["db/approval", "1 approval", "at most 10m", "db/long", "2 approvals", "a ticket", "at most 8h", "leads"]
    {
        assert!(shown.contains(word), "{word} is not shown:\n{shown}");
    }
    let lacking = done(&alice, &["request", &target, "--reason", "x", "--under", "db/long", "--dry-run"]).await?.out;
    assert!(lacking.contains("missing    db/long needs a ticket: --ticket ID"), "{lacking}");
    let further = done(&alice, &["request", &target, "--reason", "x", "--dry-run"]).await?.out;
    for word in ["db/approval", "or under   db/long: 2 approvals, a ticket; at most 8h", "db/long needs a ticket"] {
        assert!(further.contains(word), "{word} is not shown:\n{further}");
    }
    let unknown = alice.run(&["request", &target, "--reason", "x", "--under", "db/none", "--dry-run"]).await?;
    assert!(unknown.code == Some(3) && unknown.err.contains("there is no policy db/none"), "{unknown:?}");
    let picked = json(&alice, &[&asked[..6], &["--under", "db/long", "--for", "2h"]].concat()).await?;
    assert_eq!(picked["stage"]["needs"][0]["policy"], "db/long", "{picked}");
    assert_eq!(picked["stage"]["needs"][0]["approvals"], 2, "{picked}");
    Ok(())
}

fn now() -> u64 {
    e2e::kit::caller::now_ms() / 1_000
}
