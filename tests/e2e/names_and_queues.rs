//! One host with several names, and many who want a certificate at once.

use anyhow::{Context as _, Result, ensure};
use e2e::kit::{
    client::Client,
    gate::Gate,
    process::{Finished, PATIENCE, Process},
    world::World,
};
use rustix::process::Signal;
use serde_json::Value;
use std::{fs, os::unix::fs::MetadataExt as _, path::Path, time::Instant};

/// The inventory with these names for web-1 and db-1, db-1 as open as web-1.
async fn rename(world: &World, web: &str, db: &str) -> Result<()> {
    let first = &world.accounts.first;
    let host = |name: &str, aliases: &str| {
        format!("[[host]]\nname = \"{name}\"\naliases = [{aliases}]\ngroups = [\"web\"]\naccounts = [\"{first}\"]\n")
    };
    let log = &world.server.process.err;
    let mark = log.mark();
    let hosts = host("web-1", web) + &host("db-1", db);
    fs::write(world.server.home.path("policy/hosts.toml"), hosts)?;
    world.server.process.signal(Signal::HUP);
    log.wait_for(mark, |line| line.contains("polic") && line.contains("INFO")).await.map(|_told| ())
}

async fn ensured(alice: &Client, args: &[&str]) -> Result<Value> {
    let done = alice.run(&[&["ensure", "--json"], args].concat()).await?;
    ensure!(done.code == Some(0), "{done:?}");
    Ok(serde_json::from_str(&done.out)?)
}

#[tokio::test]
async fn a_name_that_moves_to_another_host_is_followed_at_the_next_renewal() -> Result<()> {
    let world = World::new().await?;
    let first = &world.accounts.first;
    rename(&world, "\"www\", \"shop\"", "\"store\"").await?;
    let alice = world.person("alice").await?;
    let [www, web, db] = ["www", "web-1", "db-1"].map(|host| format!("{first}@{host}"));

    assert_eq!(ensured(&alice, &[&www]).await?["target"], web);
    let kept = ensured(&alice, &[&web]).await?;
    assert_eq!((&kept["target"], &kept["kept"]), (&Value::from(web.as_str()), &Value::from(true)), "one certificate");
    let said = alice.run(&["ssh", &www, "-F", "/dev/null", "-o", "ProxyCommand=false", "true"]).await?;
    assert_eq!(said.code, Some(255), "ssh itself ran: {said:?}");

    rename(&world, "\"shop\"", "\"store\", \"www\"").await?;
    assert_eq!(ensured(&alice, &["--renew", &www]).await?["target"], db);
    let again = ensured(&alice, &[&www]).await?;
    assert_eq!((&again["target"], &again["kept"]), (&Value::from(db.as_str()), &Value::from(true)));

    // Back to being a name of its own.
    let hosts = world.server.home.path("policy/hosts.toml");
    let text = fs::read_to_string(&hosts)?.replace(", \"www\"", "").replace("\"db-1\"", "\"www\"");
    let mark = world.server.process.err.mark();
    fs::write(&hosts, text)?;
    world.server.process.signal(Signal::HUP);
    world.server.process.err.wait_for(mark, |line| line.contains("polic") && line.contains("INFO")).await?;
    assert_eq!(ensured(&alice, &["--renew", &www]).await?["target"], www);
    assert_eq!(ensured(&alice, &[&www]).await?["kept"], true);
    Ok(())
}

/// All of them asked before the first was answered: they end with one live entry, and each with a certificate that works.
#[tokio::test]
async fn two_names_of_one_host_asked_for_at_once_leave_one_entry() -> Result<()> {
    let world = World::new().await?;
    rename(&world, "\"www\", \"shop\"", "").await?;
    let gate = Gate::before(&world.server.url).await?;
    let alice = Client::new(world.path(), "alice", &gate.url).await?;
    let (login, page) = alice.login(e2e::kit::browser::Person::LogsIn("alice")).await?;
    ensure!(login.code == Some(0), "{login:#?} {page:#?}");

    gate.hold();
    let before = gate.came();
    let mut asking = Vec::new();
    for name in ["www", "shop", "web-1"] {
        let target = format!("{}@{name}", world.accounts.first);
        asking.push(Process::start(name, alice.command(&["ensure", "--json", &target])?)?);
    }
    gate.wait_for(before + 3).await?;
    gate.open();
    let mut serials = Vec::new();
    for process in asking {
        let done = process.finish().await?;
        ensure!(done.code == Some(0), "{done:?}");
        serials.push(serde_json::from_str::<Value>(&done.out)?["serial"].clone());
    }
    let held = alice.agent.list().await?;
    assert_eq!(held.len(), 1, "{held:#?}");
    assert!(serials.iter().all(|serial| *serial == serials[0]), "all were told of the one that stays: {serials:?}");
    world.ssh(&alice)?.login(&world.accounts.first, &world.web, "true").await?.must_be_in()
}

/// Fifty forks to a name that is not known yet are one certificate, not fifty in turn.
#[tokio::test]
async fn those_who_queue_behind_a_new_name_share_what_the_first_got() -> Result<()> {
    let world = World::new().await?;
    rename(&world, "\"www\"", "").await?;
    let gate = Gate::before(&world.server.url).await?;
    let alice = Client::new(world.path(), "alice", &gate.url).await?;
    let (login, page) = alice.login(e2e::kit::browser::Person::LogsIn("alice")).await?;
    ensure!(login.code == Some(0), "{login:#?} {page:#?}");
    let (first, queued) = queue(&gate, &alice, &format!("{}@www", world.accounts.first), 4).await?;
    gate.open();
    for done in finished(first, queued).await? {
        ensure!(done.code == Some(0), "{done:?}");
    }
    assert_eq!(alice.agent.list().await?.len(), 1);
    let log = world.server.process.err.text();
    assert_eq!(log.lines().filter(|line| line.contains("/v1/certificates")).count(), 1, "{log}");
    Ok(())
}

/// A CA that nobody reaches costs the first one a timeout; whoever queued behind it is told the same at once.
#[tokio::test]
async fn those_who_queue_behind_a_failed_attempt_do_not_repeat_it() -> Result<()> {
    let world = World::new().await?;
    let gate = Gate::before(&world.server.url).await?;
    let alice = Client::new(world.path(), "alice", &gate.url).await?;
    let (login, page) = alice.login(e2e::kit::browser::Person::LogsIn("alice")).await?;
    ensure!(login.code == Some(0), "{login:#?} {page:#?}");
    let target = world.target();
    let before = gate.came();
    let (first, queued) = queue(&gate, &alice, &target, 4).await?;
    gate.shut();
    for done in finished(first, queued).await? {
        assert_eq!(done.code, Some(6), "{done:?}");
        assert!(done.err.contains("does not answer"), "{done:?}");
    }
    assert_eq!(gate.came() - before, 1, "one attempt for all");

    // It is about that attempt alone: the next one tries, and a renewal that fails leaves what still holds.
    gate.open();
    let done = alice.run(&["ensure", &target]).await?;
    ensure!(done.code == Some(0), "{done:?}");
    Ok(())
}

/// One `ensure` that waits at the gate, and `many` behind it that wait for its lock.
async fn queue(gate: &Gate, client: &Client, target: &str, many: usize) -> Result<(Process, Vec<Process>)> {
    gate.hold();
    let before = gate.came();
    let first = Process::start("the first", client.command(&["ensure", target])?)?;
    gate.wait_for(before + 1).await?;
    let lock = client.home.join("run/jit-ssh/certs").join(format!("{target}.lock"));
    let mut queued = Vec::new();
    for _queued in 0..many {
        queued.push(Process::start("a queued one", client.command(&["ensure", target])?)?);
    }
    let started = Instant::now();
    while waiting_for(&lock)? < many {
        ensure!(started.elapsed() < PATIENCE, "they do not queue");
        tokio::task::yield_now().await;
    }
    Ok((first, queued))
}

/// How many processes wait for the lock, as the kernel tells it.
fn waiting_for(lock: &Path) -> Result<usize> {
    let inode = format!(":{}", fs::metadata(lock).with_context(|| lock.display().to_string())?.ino());
    let locks = fs::read_to_string("/proc/locks")?;
    let waits = |line: &&str| line.contains("-> ") && line.split_whitespace().any(|word| word.ends_with(&inode));
    Ok(locks.lines().filter(waits).count())
}

async fn finished(first: Process, queued: Vec<Process>) -> Result<Vec<Finished>> {
    let mut all = vec![first.finish().await?];
    for process in queued {
        all.push(process.finish().await?);
    }
    Ok(all)
}
