//! Three in the morning: nobody to ask, the notifications down, and db-1 has to be mended. And what comes after.

use crate::approval::{done, json};
use anyhow::{Context as _, Result, ensure};
use e2e::kit::{
    client::Client,
    postgres::free_port,
    server::{LOOSE, people},
    world::World,
};
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

#[tokio::test]
async fn alice_breaks_the_glass_and_somebody_else_answers_for_it() -> Result<()> {
    let (world, hook) = night_shift().await?;
    let (alice, lena, bob) = (world.person("alice").await?, world.person("lena").await?, world.person("bob").await?);
    let second = world.person("alice-admin").await?;
    let target = format!("{}@db-1", world.accounts.first);

    // Standing policy would have her wait for lena, who sleeps.
    assert_eq!(alice.run(&["ensure", &target]).await?.code, Some(5));
    let told = done(&alice, &["explain", &target]).await?.out;
    assert!(told.contains(&format!("in an emergency: jit-ssh break-glass {target}")), "{told}");
    let listed = done(&alice, &["hosts", "db-1"]).await?.out;
    assert!(listed.contains("in an emergency: 5m by db/glass"), "{listed}");

    let unsaid = alice.run(&["break-glass", &target, "--incident", "INC-7"]).await?;
    assert!(unsaid.code == Some(2) && unsaid.err.contains("--reason"), "it states why: {unsaid:?}");
    let not_his = bob.run(&["break-glass", &target, "--incident", "INC-7", "--reason", "curious"]).await?;
    assert_eq!(not_his.code, Some(3), "{not_his:?}");

    // Nobody takes the notification, and that keeps nobody out.
    let config = world.ssh(&alice)?.config;
    let config = config.to_string_lossy();
    let line = ["break-glass", &target, "--incident", "INC-7", "--reason", "primary is down", "--", "-F", &config];
    let shell = alice.run(&[&line[..], &["echo in $((40 + 2))"]].concat()).await?;
    assert!(shell.code == Some(0) && shell.out.contains("in 42"), "{shell:#?}");
    assert!(shell.err.contains("the glass is broken") && shell.err.contains("must review it"), "{shell:#?}");
    let again = alice.run(&[&line[..], &["true"]].concat()).await?;
    assert_eq!(again.code, Some(0), "{again:?}");
    let mine = json(&alice, &["requests", "--unreviewed"]).await?;
    assert_eq!(mine["requests"].as_array().map(Vec::len), Some(1), "a second terminal is no second emergency: {mine}");
    let id = mine["requests"][0]["id"].as_str().context("no id")?;
    assert_eq!(
        (&mine["requests"][0]["incident"], &mine["requests"][0]["may_review"]),
        (&json!("INC-7"), &json!(false))
    );
    world.ssh(&alice)?.login(&world.accounts.first, &world.db, "true").await?.must_be_in()?;

    // On record, as loud as can be, with the channels that policy wants told; and delivered once somebody takes it.
    let entries = receive(&hook, |entries| {
        entries.iter().any(|entry| entry["code"] == "certificate.issued" && entry["under"] == id)
    });
    let entries = entries.await?;
    let find = |code: &str| entries.iter().find(|entry| entry["code"] == code).with_context(|| format!("no {code}"));
    let opened = find("break-glass.opened")?;
    assert_eq!((&opened["severity"], &opened["notify"]), (&json!("high"), &json!(["security"])), "{opened}");
    assert_eq!((&opened["id"], &opened["incident"]), (&json!(id), &json!("INC-7")), "{opened}");
    assert_eq!(opened["filed"]["reason"], "primary is down");
    assert!(find("certificate.issued")?["to_be_signed"].is_string());
    assert!(!entries.iter().any(|entry| entry["code"] == "login.opened"), "it takes what is for its channel alone");

    // Not by herself, by neither account, and not while it is in use.
    let fine = ["reviewed", id, "--verdict", "fine", "--reason", "read the record"];
    assert_eq!(alice.run(&fine).await?.code, Some(3));
    let unseen = second.run(&fine).await?;
    assert!(unseen.code == Some(1) && unseen.err.contains("no such request"), "{unseen:?}");
    let early = lena.run(&fine).await?;
    assert!(early.code != Some(0) && early.err.contains("still in use"), "{early:?}");
    done(&alice, &["done"]).await?;

    overdue(&lena, id).await?;
    let shown = done(&lena, &["status"]).await?.out;
    assert!(shown.contains("others broke the glass") && shown.contains("OVERDUE"), "{shown}");
    let shown = done(&alice, &["status"]).await?.out;
    assert!(shown.contains("you broke the glass") && shown.contains(id), "{shown}");
    let barred = alice.run(&line).await?;
    assert!(barred.code == Some(3) && barred.err.contains(id), "{barred:?}");
    assert_eq!(second.run(&line).await?.code, Some(3), "not by another account either");

    let screen = done(&lena, &["review", id]).await?.out;
    for word in
        ["alice@corp.example", "> sre", "INC-7", "> primary is down", "recorded", "db/glass", "OVERDUE", &target]
    {
        assert!(screen.contains(word), "{word} is not shown:\n{screen}");
    }
    done(&lena, &fine).await?;
    assert_eq!(json(&lena, &["requests", "--unreviewed"]).await?["requests"], json!([]));
    let free = json(&alice, &[&line[..6], &["--no-connect"]].concat()).await?;
    assert!(free["certificate_file"].is_string() && free["request"]["id"] != id, "{free}");

    let sam = world.person("sam").await?;
    done(&sam, &["freeze", "--everything", "--reason", "drill", "--yes"]).await?;
    let frozen = alice.run(&["break-glass", &target, "--incident", "INC-8", "--reason", "still down"]).await?;
    assert!(frozen.code == Some(3) && frozen.err.contains("everything is frozen"), "{frozen:?}");
    assert!(!frozen.err.contains("policy does not allow"), "{frozen:?}");
    Ok(())
}

/// The world at night: sre may break the glass on db-1, leads review it within seconds, and a sink is for security alone.
async fn night_shift() -> Result<(World, SocketAddr)> {
    let world = World::new().await?;
    let first = &world.accounts.first;
    let glass = format!(
        "@id(\"db/glass\")\n@max_duration(\"5m\")\n@cert_ttl(\"1m\")\n@reason(\"required\")\n@record(\"required\")\n\
         @review_within(\"20s\")\n@notify(\"security\")\npermit (\n  principal in Group::\"sre\",\n  \
         action == Action::\"break-glass\",\n  resource in HostGroup::\"db\"\n)\nwhen {{ resource.name == \"{first}\" }};\n"
    );
    let security = "@id(\"security\")\npermit (\n  principal in Group::\"security\",\n  action == Action::\"administer\",\n  \
                    resource == Service::\"jit-ssh\"\n);\n";
    std::fs::write(world.server.home.path("policy").join("glass.cedar"), glass + security)?;
    let claims = json!({ "email": "Alice@corp.example", "email_verified": true, "groups": ["sre", "leads"] });
    world.idp.account("alice-admin", &claims).await?;
    let claims =
        json!({ "email": "sam@corp.example", "email_verified": true, "groups": ["security"], "amr": ["pwd", "otp"] });
    world.idp.account("sam", &claims).await?;
    // Nobody listens there yet.
    let hook = SocketAddr::from(([127, 0, 0, 1], free_port()?));
    let secret = world.server.home.path("hook_secret");
    std::fs::write(&secret, "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0")?;
    std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    let sink = format!(
        "[[sink]]\nname = \"security\"\nkind = \"webhook\"\nurl = \"http://{hook}/\"\nsecret_file = \"{}\"\n\
         notify = [\"security\"]\n",
        secret.display()
    );
    world.server.home.configure(&(people(&world.idp.issuer) + &sink), LOOSE)?;
    Ok((world.restart_server().await?, hook))
}

/// What arrives at `hook` from now on, until that is enough.
async fn receive(hook: &SocketAddr, enough: impl Fn(&[Value]) -> bool) -> Result<Vec<Value>> {
    let listener = TcpListener::bind(hook).await?;
    let mut entries = Vec::new();
    while !enough(&entries) {
        let next = tokio::time::timeout(Duration::from_secs(90), listener.accept()).await;
        let (stream, _) = next.with_context(|| format!("nothing more came after {entries:?}"))??;
        let batch = answered(stream).await?;
        entries.extend(batch["entries"].as_array().into_iter().flatten().map(|row| row["entry"].clone()));
    }
    Ok(entries)
}

/// One request, taken; its connection is closed.
async fn answered(mut stream: TcpStream) -> Result<Value> {
    let mut read = Vec::new();
    loop {
        ensure!(stream.read_buf(&mut read).await? > 0, "it ended early: {}", String::from_utf8_lossy(&read));
        let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&read[..end]).to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:")).context("no length")?;
        let length: usize = length.trim().parse()?;
        if read.len() >= end + 4 + length {
            stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await?;
            return Ok(serde_json::from_slice(&read[end + 4..end + 4 + length])?);
        }
    }
}

/// Looks until the review of `id` is overdue.
async fn overdue(reviewer: &Client, id: &str) -> Result<()> {
    let began = Instant::now();
    loop {
        let status = json(reviewer, &["status"]).await?;
        let unreviewed = &status["requests"]["unreviewed"];
        ensure!(unreviewed[0]["id"] == id, "not there for its reviewer: {status}");
        if unreviewed[0]["review"]["review"] == "overdue" {
            return Ok(());
        }
        ensure!(began.elapsed() < Duration::from_secs(40), "never overdue: {status}");
    }
}
