//! Ask, approve, use, give back: what two people and stock ssh see of a grant's life.

use anyhow::{Context as _, Result, ensure};
use e2e::kit::{
    client::Client,
    process::{Finished, Process},
    world::World,
};
use serde_json::{Value, json};
use std::{
    process::Stdio,
    time::{Duration, Instant},
};
use tokio::{io::AsyncWriteExt as _, process::Command};

/// alice asks, lena approves: refused → request → shell → given back → refused.
#[tokio::test]
async fn a_grants_whole_life() -> Result<()> {
    let world = World::new().await?;
    let (alice, lena) = (world.person("alice").await?, world.person("lena").await?);
    let target = format!("{}@db-1", world.accounts.first);

    let refused = alice.run(&["ensure", &target]).await?;
    assert_eq!(refused.code, Some(5), "{refused:?}");
    assert!(refused.err.contains(&format!("jit-ssh request {target}")), "the command to type: {refused:?}");

    let would_be = done(&alice, &["request", &target, "--reason", "x", "--dry-run"]).await?;
    assert!(would_be.out.contains("db/approval") && would_be.out.contains("leads"), "{would_be:?}");
    assert!(json(&alice, &["requests"]).await?["requests"].as_array().is_some_and(Vec::is_empty), "nothing was filed");

    let filed =
        json(&alice, &["request", &target, "--for", "8m", "--reason", "roll back 4.2", "--ticket", "OPS-17"]).await?;
    let id = filed["id"].as_str().context("no id")?;
    assert_eq!(filed["stage"]["stage"], "pending", "{filed}");
    assert_eq!(alice.run(&["ensure", &target]).await?.code, Some(5), "asked for is not approved");
    let status = json(&lena, &["status"]).await?;
    assert_eq!(status["requests"]["review"][0]["id"], id, "{status}");

    let shown = done(&lena, &["review", id]).await?.out;
    for word in [
        "alice@corp.example",
        "> sre",
        "more than one factor",
        &target,
        "8m",
        "> roll back 4.2",
        "OPS-17",
        "db/approval",
    ] {
        assert!(shown.contains(word), "{word} is not shown:\n{shown}");
    }
    let unasked = lena.run(&["approve", id]).await?;
    assert_eq!(unasked.code, Some(2), "no approval without a question or --yes: {unasked:?}");
    done(&lena, &["approve", id, "--yes", "--reason", "go ahead"]).await?;

    done(&alice, &["ensure", &target]).await?;
    let ssh = world.ssh(&alice)?;
    ssh.login(&world.accounts.first, &world.db, "true").await?.must_be_in()?;
    assert_eq!(json(&alice, &["show", id]).await?["stage"]["stage"], "active");

    let given_back = json(&alice, &["done"]).await?;
    assert_eq!((&given_back["removed_from_agent"], &given_back["receipts"][0]["requests"]), (&json!(1), &json!([id])));
    let after = alice.agent.list().await?;
    assert!(!after.iter().any(|line| line.contains("-cert-v01@openssh.com")), "{after:?}");
    ssh.login(&world.accounts.first, &world.db, "true").await?.must_be_out("Connection closed")?;
    assert_eq!(alice.run(&["ensure", &target]).await?.code, Some(5), "given back is gone");
    assert_eq!(json(&alice, &["show", id]).await?["stage"], json!({ "stage": "over", "how": "done" }));
    Ok(())
}

#[tokio::test]
async fn nobody_approves_what_is_their_own() -> Result<()> {
    let world = on_call().await?;
    let mona = world.person("mona").await?;
    let target = format!("{}@db-1", world.accounts.first);
    let filed = json(&mona, &["request", &target, "--reason", "for myself"]).await?;
    let id = filed["id"].as_str().context("no id")?;
    let own = mona.run(&["approve", id, "--yes"]).await?;
    assert_eq!(own.code, Some(3), "{own:?}");
    let review = json(&mona, &["requests", "--review"]).await?;
    assert!(review["requests"].as_array().is_some_and(Vec::is_empty), "{review}");
    assert_eq!(mona.run(&["ensure", "--reason", "for myself", &target]).await?.code, Some(5));
    // The same person may approve somebody else's, and whoever is nobody to it sees nothing of it.
    let olga = world.person("olga").await?;
    let hers = json(&olga, &["request", &target, "--reason", "for olga"]).await?;
    let hers = hers["id"].as_str().context("no id")?;
    assert_ne!(world.person("bob").await?.run(&["show", hers]).await?.code, Some(0));
    done(&mona, &["approve", hers, "--yes"]).await?;
    // The request said why: nobody has to say it again.
    done(&olga, &["ensure", &target]).await?;
    Ok(())
}

#[tokio::test]
async fn a_denial_after_the_approval_ends_it() -> Result<()> {
    let world = on_call().await?;
    let (olga, lena) = (world.person("olga").await?, world.person("lena").await?);
    let target = format!("{}@db-1", world.accounts.first);
    let filed = json(&olga, &["request", &target, "--reason", "look at it"]).await?;
    let id = filed["id"].as_str().context("no id")?;
    let waits = done(&lena, &["show", id]).await?.out;
    assert!(waits.contains("waits for people: 1 approval, "), "{waits}");
    done(&lena, &["approve", id, "--yes"]).await?;
    done(&olga, &["ensure", &target]).await?;
    let ssh = world.ssh(&olga)?;
    ssh.login(&world.accounts.first, &world.db, "true").await?.must_be_in()?;

    done(&lena, &["deny", id, "--reason", "not tonight"]).await?;
    let refused = olga.run(&["ensure", "--renew", &target]).await?;
    assert_eq!(refused.code, Some(5), "{refused:?}");
    assert!(refused.err.contains("is over: denied by lena@corp.example: not tonight"), "{refused:?}");
    assert!(!olga.agent.list().await?.iter().any(|line| line.contains(&target)), "it is still in the agent");
    let began = Instant::now();
    while ssh.login(&world.accounts.first, &world.db, "true").await?.accepted().is_some() {
        ensure!(began.elapsed() < Duration::from_secs(15), "the last certificate lives five seconds");
    }
    let again = ["request", &target, "--reason", "again", "--wait"];
    let (waited, denied) = tokio::join!(olga.run(&again), deny_next(&lena, id));
    denied?;
    let waited = waited?;
    assert!(waited.code == Some(3) && waited.err.contains("lena@corp.example said no: never"), "{waited:?}");
    Ok(())
}

#[tokio::test]
async fn security_takes_what_was_granted() -> Result<()> {
    let world = on_call().await?;
    let (olga, lena) = (world.person("olga").await?, world.person("lena").await?);
    let target = format!("{}@db-1", world.accounts.first);
    let filed = json(&olga, &["request", &target, "--reason", "look at it"]).await?;
    let id = filed["id"].as_str().context("no id")?;
    done(&lena, &["approve", id, "--yes"]).await?;
    let grant = json(&olga, &["ensure", &target]).await?;
    let grant = grant["grant"].as_str().context("no grant")?;
    let not_hers = olga.run(&["revoke", "--grant", grant, "--reason", "x"]).await?;
    assert_eq!(not_hers.code, Some(3), "{not_hers:?}");
    let taken = json(&lena, &["revoke", "--grant", grant, "--reason", "laptop stolen"]).await?;
    assert!(taken["receipts"][0]["last_expiry"].is_u64(), "{taken}");
    // sshd would say no more than "Permission denied".
    let config = world.ssh(&olga)?.config;
    let refused = olga.run(&["ssh", &target, "-F", &config.to_string_lossy(), "true"]).await?;
    assert_eq!(refused.code, Some(5), "{refused:?}");
    assert!(refused.err.contains("is over: revoked by lena@corp.example: laptop stolen (removed"), "{refused:?}");
    assert!(refused.err.contains(&format!("jit-ssh request {target} --reason")), "the command to type: {refused:?}");
    assert_eq!(json(&olga, &["show", id]).await?["stage"], json!({ "stage": "over", "how": "revoked" }));
    Ok(())
}

#[tokio::test]
async fn an_approver_narrows_time_and_hosts_and_never_widens() -> Result<()> {
    let world = on_call().await?;
    let (olga, lena) = (world.person("olga").await?, world.person("lena").await?);
    let (web, db) = (world.target(), format!("{}@db-1", world.accounts.first));
    let filed = json(&olga, &["request", &web, &db, "--for", "8m", "--reason", "both"]).await?;
    let id = filed["id"].as_str().context("no id")?;
    for wider in [&["--for", "9m"][..], &["--only", "web-2"]] {
        let refused = lena.run(&[&["approve", id, "--yes"], wider].concat()).await?;
        assert_eq!(refused.code, Some(2), "{wider:?}: {refused:?}");
    }
    done(&lena, &["approve", id, "--yes", "--for", "2m", "--only", "db-1"]).await?;
    let ensured = json(&olga, &["ensure", &db]).await?;
    let certified = json(&olga, &["show", id]).await?;
    assert_eq!(certified["stage"]["until"], ensured["until"], "{certified}");
    let since = certified["stage"]["since"].as_u64().context("not in use")?;
    assert_eq!(ensured["until"].as_u64(), Some(since + 120), "two minutes, not eight: {ensured}");
    let other = olga.run(&["ensure", "--reason", "both", &web]).await?;
    assert_eq!(other.code, Some(5), "web-1 was left away: {other:?}");
    world.ssh(&olga)?.login(&world.accounts.first, &world.db, "true").await?.must_be_in()?;

    // More time is a request of its own, under the same policy and approvals.
    let more = json(&olga, &["extend", id, "--by", "1m", "--reason", "nearly there"]).await?;
    let more = more["id"].as_str().context("no id")?;
    done(&lena, &["approve", more, "--yes"]).await?;
    let longer = json(&olga, &["ensure", "--renew", &db]).await?;
    assert_eq!(longer["until"].as_u64(), Some(since + 180), "{longer}");
    let too_long = olga.run(&["extend", id, "--by", "3h"]).await?;
    assert!(
        too_long.code == Some(3) && too_long.err.contains(&format!("jit-ssh extend {id} --by 10m")),
        "{too_long:?}"
    );

    done(&lena, &["deny", id, "--reason", "enough"]).await?;
    let status = json(&olga, &["status"]).await?;
    assert_eq!(status["ended"][0]["how"], "denied by lena@corp.example: enough", "{status}");
    assert_eq!((&status["ended"][0]["removed"], &status["certificates"]), (&json!(true), &json!([])), "{status}");
    Ok(())
}

/// Two policies would do, and only the one that wants more takes a ticket.
#[tokio::test]
async fn the_policy_and_who_approves_are_named_before_anything_is_asked() -> Result<()> {
    let world = on_call().await?;
    let more = format!(
        "@id(\"db/two\")\n@max_duration(\"1h\")\n@approvals(\"2\")\n@reason(\"required\")\n@ticket(\"required\")\npermit (\n  \
         principal in Group::\"on-call\",\n  action == Action::\"connect\",\n  resource in HostGroup::\"db\"\n)\nwhen {{ \
         resource.name == \"{}\" }};\n",
        world.accounts.first
    );
    std::fs::write(world.server.home.path("policy").join("two.cedar"), more)?;
    let world = world.restart_server().await?;
    let (olga, lena) = (world.person("olga").await?, world.person("lena").await?);
    let target = format!("{}@db-1", world.accounts.first);

    let unattended = olga.run(&["ensure", &target]).await?;
    assert_eq!(unattended.code, Some(5), "{unattended:?}");
    for word in ["policy: db/on-call", "may approve: leads", &format!("jit-ssh request {target} --reason '…'")] {
        assert!(unattended.err.contains(word), "{word}: {unattended:?}");
    }
    let unsaid = olga.run(&["request", &target, "--for", "20m"]).await?;
    assert_eq!(unsaid.code, Some(5), "{unsaid:?}");
    for word in ["may approve: leads", &format!("jit-ssh request {target} --for 20m --reason '…'")] {
        assert!(unsaid.err.contains(word), "{word}: {unsaid:?}");
    }
    let explained = done(&olga, &["explain", &target]).await?.out;
    assert!(explained.starts_with(&format!("{target}: takes a reason: --reason '…'\n")), "{explained}");
    let dry = done(&olga, &["request", &target, "--dry-run"]).await?.out;
    for word in ["not filed", "missing    db/on-call needs a reason", "may decide leads", "db/two needs a ticket"] {
        assert!(dry.contains(word), "{word} is not shown:\n{dry}");
    }

    let mut waiting = on_a_terminal(&world, &olga, &target)?;
    let mut typed = waiting.stdin().context("no input")?;
    typed.write_all(b"look at it\nsoon\n5m\n").await?;
    waiting.out.wait_for(0, |line| line.contains("Ctrl-C stops waiting")).await?;
    let text = waiting.out.text();
    let at = |word: &str| text.find(word).with_context(|| format!("{word} was not said: {text}"));
    let asked = at("Reason, for those who decide:")?;
    for word in ["policy: db/on-call", "may approve: leads", "or under db/two, with a reason and a ticket"] {
        ensure!(at(word)? < asked, "{word} comes too late: {text}");
    }
    ensure!(!text.contains("Ticket:") && text.matches("For how long").count() == 2, "{text}");
    done(&lena, &["approve", &next_for(&lena, "").await?, "--yes"]).await?;
    waiting.out.wait_for(0, |line| line.contains("connected 42")).await?;
    assert!(waiting.wait().await?.success(), "{}", waiting.out.text());
    Ok(())
}

/// On a terminal, one command asks, waits and connects.
#[tokio::test]
async fn ssh_waits_and_connects_the_moment_it_is_approved() -> Result<()> {
    let world = World::new().await?;
    let (alice, lena) = (world.person("alice").await?, world.person("lena").await?);
    let target = format!("{}@db-1", world.accounts.first);
    let mut waiting = on_a_terminal(&world, &alice, &target)?;
    waiting.out.wait_for(0, |line| line.contains("people must approve")).await?;
    let mut typed = waiting.stdin().context("no input")?;
    typed.write_all(b"roll back 4.2\n5m\n").await?;
    waiting.out.wait_for(0, |line| line.contains("Ctrl-C stops waiting")).await?;
    let id = next_for(&lena, "").await?;
    let shown = json(&lena, &["show", &id]).await?;
    assert_eq!((&shown["reason"], &shown["duration"]), (&json!("roll back 4.2"), &json!("5m")), "{shown}");
    done(&lena, &["approve", &id, "--yes"]).await?;
    waiting.out.wait_for(0, |line| line.contains("connected 42")).await?;
    assert!(waiting.wait().await?.success(), "{}", waiting.out.text());
    assert!(waiting.out.text().contains("leads"), "who may approve: {}", waiting.out.text());
    Ok(())
}

/// Ctrl-C leaves it filed; the next attempt finds it and files no second one.
#[tokio::test]
async fn an_interrupted_wait_goes_on_later() -> Result<()> {
    let world = World::new().await?;
    let (alice, lena) = (world.person("alice").await?, world.person("lena").await?);
    let target = format!("{}@db-1", world.accounts.first);
    let mut waiting = on_a_terminal(&world, &alice, &target)?;
    let mut typed = waiting.stdin().context("no input")?;
    waiting.out.wait_for(0, |line| line.contains("people must approve")).await?;
    typed.write_all(b"first\n\n").await?;
    waiting.out.wait_for(0, |line| line.contains("Ctrl-C stops waiting")).await?;
    typed.write_all(b"\x03").await?;
    waiting.out.wait_for(0, |line| line.contains("jit-ssh cancel r-")).await?;
    assert_eq!(waiting.wait().await?.code(), Some(5), "{}", waiting.out.text());

    let mut again = on_a_terminal(&world, &alice, &target)?;
    let typed = again.stdin().context("no input")?;
    again.out.wait_for(0, |line| line.contains("already: r-")).await?;
    let mine = json(&alice, &["requests"]).await?;
    assert_eq!(mine["requests"].as_array().map(Vec::len), Some(1), "{mine}");
    done(&lena, &["approve", &next_for(&lena, "").await?, "--yes"]).await?;
    again.out.wait_for(0, |line| line.contains("connected 42")).await?;
    assert!(again.wait().await?.success(), "{}", again.out.text());
    drop(typed);
    Ok(())
}

/// A person's `jit-ssh ssh` in a terminal of its own.
fn on_a_terminal(world: &World, person: &Client, target: &str) -> Result<Process> {
    let config = world.ssh(person)?.config;
    let line = format!("exec jit-ssh ssh {target} -F {} 'echo connected $((40 + 2))'", config.display());
    let mut command = Command::new("script");
    command.args(["-qfec", &line, "/dev/null"]).stdin(Stdio::piped());
    person.dress(&mut command);
    Process::start("jit-ssh ssh", command)
}

/// The world with people on call: what they ask for, leads approve, for both hosts; certificates live for moments.
async fn on_call() -> Result<World> {
    let world = World::new().await?;
    let first = &world.accounts.first;
    let permit = |group: &str| {
        format!(
            "@id(\"{group}/on-call\")\n@max_duration(\"10m\")\n@cert_ttl(\"5s\")\n@approvals(\"1\")\n\
             @reason(\"required\")\npermit (\n  principal in Group::\"on-call\",\n  action == Action::\"connect\",\n  \
             resource in HostGroup::\"{group}\"\n)\nwhen {{ resource.name == \"{first}\" }};\n"
        )
    };
    let approve = "@id(\"web/leads-approve\")\npermit (\n  principal in Group::\"leads\",\n  \
                   action == Action::\"approve\",\n  resource in HostGroup::\"web\"\n);\n\
                   @id(\"security\")\npermit (\n  principal in Group::\"leads\",\n  \
                   action == Action::\"administer\",\n  resource == Service::\"jit-ssh\"\n);\n";
    let policy = world.server.home.path("policy").join("on_call.cedar");
    std::fs::write(policy, permit("web") + &permit("db") + approve)?;
    for (name, groups) in [("olga", &["on-call"][..]), ("mona", &["on-call", "leads"])] {
        let email = format!("{name}@corp.example");
        let claims = json!({ "email": email, "email_verified": true, "groups": groups, "amr": ["pwd", "otp"] });
        world.idp.account(name, &claims).await?;
    }
    world.restart_server().await
}

pub(crate) async fn done(person: &Client, args: &[&str]) -> Result<Finished> {
    let said = person.run(args).await?;
    ensure!(said.code == Some(0), "{args:?}: {said:#?}");
    Ok(said)
}

pub(crate) async fn json(person: &Client, args: &[&str]) -> Result<Value> {
    let said = done(person, &[&["--json"], args].concat()).await?;
    serde_json::from_str(&said.out).with_context(|| format!("{args:?}: {said:?}"))
}

/// The request that waits for `reviewer` and is not `other`, as soon as there is one.
pub(crate) async fn next_for(reviewer: &Client, other: &str) -> Result<String> {
    let began = Instant::now();
    loop {
        let waiting = json(reviewer, &["requests", "--review"]).await?;
        let ids = waiting["requests"].as_array().into_iter().flatten().filter_map(|request| request["id"].as_str());
        if let Some(id) = ids.map(str::to_owned).find(|id| id != other) {
            return Ok(id);
        }
        ensure!(began.elapsed() < Duration::from_secs(20), "nothing waits: {waiting}");
    }
}

async fn deny_next(reviewer: &Client, other: &str) -> Result<()> {
    let id = next_for(reviewer, other).await?;
    done(reviewer, &["deny", &id, "--reason", "never"]).await.map(|_said| ())
}
