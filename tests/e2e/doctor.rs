//! `jit-ssh doctor`: each link of the chain is broken in turn, and doctor names that one, with the fix.

use super::approval::{done, json};
use anyhow::{Context as _, Result, ensure};
use e2e::kit::{
    browser::{self, Person},
    client::Client,
    keygen,
    postgres::free_port,
    process::run,
    world::World,
};
use serde_json::Value;
use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, UnixListener},
    process::Command,
};

/// What doctor found.
#[derive(Debug)]
struct Found {
    exit: Option<i32>,
    /// The names of the checks that held, in order.
    held: Vec<String>,
    /// The first that did not: name, what is wrong, the fix.
    broken: Option<(String, String, String)>,
}

impl Found {
    /// Fails unless `check` is the broken one, with `exit`, saying `what` and advising `fix`.
    fn must_be(&self, check: &str, exit: i32, what: &str, fix: &str) -> Result<()> {
        let (name, detail, advice) = self.broken.as_ref().with_context(|| format!("nothing is broken: {self:#?}"))?;
        let right = name == check && self.exit == Some(exit) && detail.contains(what) && advice.contains(fix);
        ensure!(right, "wanted {check} ({exit}), {what:?}, {fix:?}: {self:#?}");
        Ok(())
    }
}

async fn doctor(client: &Client, args: &[&str], dress: impl FnOnce(&mut Command)) -> Result<Found> {
    let mut command = client.command(&[&["doctor", "--json"], args].concat())?;
    // ssh reads the configuration of the home in the password file; this one says where the hosts of the story are.
    let path = std::env::join_paths(
        std::iter::once(client.home.join("bin"))
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
    )?;
    command.env("PATH", path);
    dress(&mut command);
    let done = run("jit-ssh doctor", command).await?;
    let told: Value = serde_json::from_str(&done.out).with_context(|| format!("{done:?}"))?;
    let checks = told["checks"].as_array().context("checks")?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (held, broken): (Vec<_>, Vec<_>) = checks.iter().partition(|check| check["ok"] == true);
    ensure!(broken.len() <= 1 && (broken.is_empty() || checks.last() == broken.first().copied()), "{told}");
    assert_eq!(told["ok"], Value::from(broken.is_empty()), "{told}");
    assert_eq!(told["exit"], Value::from(done.code), "{told}");
    Ok(Found {
        exit: done.code,
        held: held.iter().map(|check| text(&check["check"])).collect(),
        broken: broken.first().map(|check| (text(&check["check"]), text(&check["detail"]), text(&check["fix"]))),
    })
}

/// A `ssh` that is stock ssh with the story's configuration.
fn with_ssh(client: &Client, config: &Path) -> Result<()> {
    let bin = client.home.join("bin");
    fs::create_dir_all(&bin)?;
    fs::write(bin.join("ssh"), format!("#!/bin/sh\nexec /usr/bin/ssh -F '{}' \"$@\"\n", config.display()))?;
    Ok(fs::set_permissions(bin.join("ssh"), fs::Permissions::from_mode(0o755))?)
}

const CHAIN: [&str; 11] =
    ["state", "agent", "agent lifetime", "server", "CA", "clock", "login", "account", "policy", "certificate", "sshd"];

#[tokio::test]
async fn each_link_of_the_chain_is_named_when_it_is_the_broken_one() -> Result<()> {
    let world = World::new().await?;
    let target = world.target();
    let alice = world.person("alice").await?;
    with_ssh(&alice, &world.ssh(&alice)?.config)?;
    let whole = doctor(&alice, &[&target], |_| {}).await?;
    assert_eq!((whole.exit, whole.held.as_slice()), (Some(0), CHAIN.map(str::to_owned).as_slice()), "{whole:#?}");
    let alone = doctor(&alice, &[], |_| {}).await?;
    assert_eq!(alone.held, CHAIN[..7], "without a host as far as the login");

    // This machine.
    let state = alice.home.join("run/jit-ssh");
    fs::set_permissions(&state, fs::Permissions::from_mode(0o755))?;
    doctor(&alice, &[], |_| {}).await?.must_be("state", 1, "only you can use", "chmod 700")?;
    fs::set_permissions(&state, fs::Permissions::from_mode(0o700))?;
    let no_agent = doctor(&alice, &[], |command| _ = command.env_remove("SSH_AUTH_SOCK")).await?;
    no_agent.must_be("agent", 6, "SSH_AUTH_SOCK is not set", "ssh-agent")?;
    let nobody = alice.home.join("nobody-listens");
    let dead = doctor(&alice, &[], |command| _ = command.env("SSH_AUTH_SOCK", &nobody)).await?;
    dead.must_be("agent", 6, "does not answer", "ssh-agent")?;
    for (name, agent) in [("refuses", Keyring::Refuses), ("forgets", Keyring::Forgets)] {
        let socket = alice.home.join(name);
        let keyring = keyring(&socket, agent)?;
        let found = doctor(&alice, &[], |command| _ = command.env("SSH_AUTH_SOCK", &socket)).await?;
        found.must_be("agent lifetime", 1, "certificate", "certificate --files")?;
        keyring.abort();
    }

    // The CA.
    let elsewhere = world.machine("elsewhere").await?;
    let unnamed = doctor(&elsewhere, &[], |command| _ = command.env_remove("JIT_SSH_SERVER")).await?;
    unnamed.must_be("server", 2, "which CA?", "jit-ssh login --server")?;
    let nothing = free_port()?;
    let away = doctor(&elsewhere, &["--server", &format!("http://127.0.0.1:{nothing}")], |_| {}).await?;
    away.must_be("CA", 6, "does not answer", "does the CA run?")?;
    for (minutes, direction) in [(10, "600 s behind"), (-10, "s ahead of")] {
        let (skewed, answers) = skewed(&world.server.url, minutes * 60_000).await?;
        let found = doctor(&elsewhere, &["--server", &skewed], |_| {}).await?;
        let (_, detail, _) = found.broken.as_ref().context("the clock")?;
        ensure!(detail.contains(direction) || detail.contains("599 s"), "{found:#?}");
        found.must_be("clock", 1, "this machine's clock", "set-ntp")?;
        answers.abort();
    }
    doctor(&elsewhere, &[], |_| {}).await?.must_be("login", 4, "not logged in", "jit-ssh login")?;

    // The answer of policy.
    let first = &world.accounts.first;
    let approval = doctor(&alice, &[&format!("{first}@db-1")], |_| {}).await?;
    approval.must_be("policy", 5, "needs approval", "jit-ssh request")?;
    standing_of_a_request(&world, &alice, &format!("{first}@db-1")).await?;
    if let Some(second) = &world.accounts.second {
        let denied = doctor(&alice, &[&format!("{second}@web-1")], |_| {}).await?;
        denied.must_be("policy", 3, "Ask the owner of the second account.", "jit-ssh explain")?;
    }
    doctor(&alice, &["nobody-at-all@web-1"], |_| {}).await?.must_be("policy", 3, "is denied", "jit-ssh explain")?;

    // A login that was ended from another machine.
    let (login, page) = elsewhere.login(Person::LogsIn("alice")).await?;
    ensure!(login.code == Some(0), "{login:#?} {page:#?}");
    let sessions: Value = serde_json::from_str(&elsewhere.run(&["sessions", "--json"]).await?.success()?)?;
    let mut others = sessions["sessions"].as_array().context("sessions")?.iter().filter(|one| one["current"] != true);
    let other = others.next().and_then(|one| one["session"].as_str()).context("the other one")?;
    elsewhere.run(&["sessions", "end", other]).await?.success()?;
    doctor(&alice, &[], |_| {}).await?.must_be("login", 4, "", "jit-ssh login")
}

/// Where people must approve, doctor says how far that is, and starts no clock by looking.
async fn standing_of_a_request(world: &World, alice: &Client, target: &str) -> Result<()> {
    let lena = world.person("lena").await?;
    let filed = json(alice, &["request", target, "--for", "2m", "--reason", "reindex"]).await?;
    let id = filed["id"].as_str().context("no id")?;
    let looked = async || doctor(alice, &[target], |_| {}).await;
    looked().await?.must_be("policy", 5, "waits for people", "jit-ssh show")?;
    done(&lena, &["approve", id, "--yes"]).await?;
    looked().await?.must_be("policy", 5, "approved and not used yet", "jit-ssh ssh")?;
    assert_eq!(json(alice, &["show", id]).await?["stage"]["stage"], "claimable", "looking is no use");
    done(alice, &["ensure", target]).await?;
    let used = looked().await?;
    ensure!(used.held.iter().any(|check| check == "policy"), "{used:?}");
    done(alice, &["done", id]).await.map(drop)
}

/// The last link is the host's own sshd, which tells a client little: what it does tell is enough for a fix.
#[tokio::test]
async fn what_is_wrong_on_the_host_is_told_apart() -> Result<()> {
    let mut world = World::new().await?;
    let target = world.target();
    let alice = world.person("alice").await?;
    with_ssh(&alice, &world.ssh(&alice)?.config)?;
    let at = world.web.dir.clone();
    let doctor = async || doctor(&alice, &[&target], |_| {}).await;

    let principals = at.join("principals").join(&world.accounts.first);
    let lines = fs::read_to_string(&principals)?;
    fs::remove_file(&principals)?;
    doctor().await?.must_be("sshd", 3, "does not take the certificate", "AuthorizedPrincipalsFile")?;
    fs::write(&principals, lines)?;

    let trusted = fs::read_to_string(at.join("user_ca.pub"))?;
    keygen::key(&at.join("other_ca"), "ed25519").await?;
    fs::copy(at.join("other_ca.pub"), at.join("user_ca.pub"))?;
    doctor().await?.must_be("sshd", 3, "does not take the certificate", "TrustedUserCAKeys")?;
    fs::write(at.join("user_ca.pub"), trusted)?;

    let known = at.join("known_hosts");
    let line = fs::read_to_string(&known)?;
    fs::write(&known, "")?;
    doctor().await?.must_be("sshd", 1, "not known here", "ssh-keyscan")?;
    let other = fs::read_to_string(at.join("other_ca.pub"))?;
    fs::write(&known, format!("web-1 {other}"))?;
    doctor().await?.must_be("sshd", 1, "not the one you know", "ssh-keygen -R")?;
    fs::write(&known, line)?;

    let whole = doctor().await?;
    assert_eq!((whole.exit, whole.held.len()), (Some(0), CHAIN.len()), "mended: {whole:#?}");
    world.web.stop().await?;
    doctor().await?.must_be("sshd", 6, "no sshd answers", "firewall")
}

/// The first lines are for people: the broken one comes last, with its fix beneath.
#[tokio::test]
async fn people_read_the_same() -> Result<()> {
    let world = World::new().await?;
    let machine = world.machine("alice").await?;
    let mut command = machine.command(&["doctor"])?;
    command.env("LC_ALL", "C");
    let said = run("jit-ssh doctor", command).await?;
    let lines: Vec<&str> = said.out.lines().collect();
    assert_eq!(said.code, Some(4), "{said:?}");
    ensure!(lines.len() == 8 && lines[..6].iter().all(|line| line.starts_with("ok  ")), "{said:?}");
    ensure!(lines[6].starts_with("FAIL login: ") && lines[7].trim() == "fix: log in: jit-ssh login", "{said:?}");
    Ok(())
}

#[derive(Clone, Copy)]
enum Keyring {
    /// Says no to whatever is added.
    Refuses,
    /// Says yes, and has nothing afterwards.
    Forgets,
}

/// An agent as some desktops have it.
fn keyring(socket: &Path, agent: Keyring) -> Result<tokio::task::JoinHandle<()>> {
    const LIST: u8 = 11;
    let listener = UnixListener::bind(socket)?;
    Ok(tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                while let Ok(length) = client.read_u32().await {
                    let mut asked = vec![0; usize::try_from(length).unwrap_or(0)];
                    if client.read_exact(&mut asked).await.is_err() {
                        break;
                    }
                    let answer: &[u8] = match (asked.first(), agent) {
                        (Some(&LIST), _) => &[0, 0, 0, 5, 12, 0, 0, 0, 0],
                        (_, Keyring::Refuses) => &[0, 0, 0, 1, 5],
                        (_, Keyring::Forgets) => &[0, 0, 0, 1, 6],
                    };
                    if client.write_all(answer).await.is_err() {
                        break;
                    }
                }
            });
        }
    }))
}

/// What the server says about itself, from a machine whose clock is `ms` ahead of ours.
async fn skewed(server: &str, ms: i64) -> Result<(String, tokio::task::JoinHandle<()>)> {
    let about = browser::http()?.get(format!("{server}{}", api::paths::ABOUT)).send().await?.text().await?;
    let mut about: Value = serde_json::from_str(&about)?;
    let now = about["time_ms"].as_u64().context("time_ms")?;
    about["time_ms"] = now.saturating_add_signed(ms).into();
    let body = about.to_string();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let answers = tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut asked = [0; 4096];
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
            if client.read(&mut asked).await.is_err() || client.write_all(answer.as_bytes()).await.is_err() {
                break;
            }
        }
    });
    Ok((url, answers))
}
