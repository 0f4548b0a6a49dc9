//! An auditor: reads everything, may do nothing, and leaves a trace with each look.

use anyhow::{Context as _, Result, ensure};
use e2e::kit::{client::Client, world::World};
use serde_json::{Value, json};

#[tokio::test]
async fn an_auditor_sees_all_does_nothing_and_is_seen() -> Result<()> {
    let world = World::new().await?;
    let policy = world.server.home.path("policy").join("records.cedar");
    let records = "@id(\"records/auditors\")\npermit (\n  principal in Group::\"auditors\",\n  \
                   action == Action::\"audit\",\n  resource == Service::\"jit-ssh\"\n);\n";
    std::fs::write(policy, records)?;
    let claims = json!({ "email": "otto@corp.example", "email_verified": true, "groups": ["auditors"] });
    world.idp.account("otto", &claims).await?;
    let world = world.restart_server().await?;
    let (alice, otto, bob) = (world.person("alice").await?, world.person("otto").await?, world.person("bob").await?);
    let target = format!("{}@db-1", world.accounts.first);
    let filed = json_of(&alice, &["request", &target, "--reason", "look at it"]).await?;
    let id = filed["id"].as_str().context("no id")?.to_owned();

    let all = json_of(&otto, &["requests", "--all"]).await?;
    assert_eq!(all["requests"][0]["id"], id.as_str(), "{all}");
    let shown = json_of(&otto, &["show", &id]).await?;
    assert_eq!((&shown["reason"], &shown["may_review"]), (&"look at it".into(), &false.into()), "{shown}");
    assert!(json_of(&otto, &["requests", "--review"]).await?["requests"].as_array().is_some_and(Vec::is_empty));

    for args in [
        &["approve", &id, "--yes"][..],
        &["deny", &id, "--reason", "no"],
        &["revoke", "--grant", &id, "--reason", "no"],
        &["cancel", &id],
        &["done", &id],
        &["extend", &id, "--by", "5m"],
        &["ensure", &target],
        &["request", &target, "--reason", "for myself"],
    ] {
        let refused = otto.run(args).await?;
        ensure!(!matches!(refused.code, Some(0 | 2)), "{args:?}: {refused:?}");
    }
    let stage = &json_of(&alice, &["show", &id]).await?["stage"];
    assert_eq!(stage["stage"], "pending", "nothing that the auditor tried did anything: {stage}");

    // Who is no auditor sees none of it, not even that it exists.
    assert_eq!(bob.run(&["requests", "--all"]).await?.code, Some(3));
    let unseen = bob.run(&["show", &id]).await?;
    ensure!(unseen.code != Some(0) && !unseen.out.contains("look at it"), "{unseen:?}");

    let log = entries(&world).await?;
    let read = |of: Option<&str>| {
        let reads = log.iter().filter(|entry| entry["code"] == "record.read" && entry["actor"]["subject"] == "otto");
        reads.filter(|entry| entry.get("id").and_then(Value::as_str) == of).count()
    };
    assert_eq!(read(None), 1, "the list: {log:#?}");
    assert!(read(Some(&id)) >= 1, "the look, and one before each try: {log:#?}");
    let tried = log.iter().filter(|entry| entry["code"] == "request.refused" && entry["actor"]["subject"] == "otto");
    assert!(tried.count() >= 4, "what the auditor tried is on record too: {log:#?}");
    assert!(!log.iter().any(|entry| entry["code"] == "record.read" && entry["actor"]["subject"] == "bob"));
    Ok(())
}

/// Every entry of the server's log.
pub async fn entries(world: &World) -> Result<Vec<Value>> {
    let store = world.server.home.path("jit-ssh.redb");
    let tail = world.server.home.audit(&["tail", "--store", &store.to_string_lossy(), "-n", "10000", "--json"]).await?;
    tail.success()?.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

/// What `jit-ssh --json` answers.
pub async fn json_of(person: &Client, args: &[&str]) -> Result<Value> {
    let said = person.run(&[&["--json"], args].concat()).await?;
    ensure!(said.code == Some(0), "{args:?}: {said:#?}");
    serde_json::from_str(&said.out).with_context(|| format!("{args:?}: {said:?}"))
}
