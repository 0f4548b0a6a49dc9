//! A change of policy: on record with the texts, whenever it happened, and asked of the past before it is made.

use super::auditor::{entries, json_of};
use anyhow::{Result, ensure};
use e2e::kit::{
    binaries,
    process::{Finished, run},
    world::World,
};
use serde_json::Value;
use std::{fs, path::Path};
use tokio::process::Command;

#[tokio::test]
async fn what_changed_while_the_server_was_down_is_on_record_with_a_diff() -> Result<()> {
    let world = World::new().await?;
    let first = entries(&world).await?;
    let codes: Vec<&str> = first.iter().filter_map(|entry| entry["code"].as_str()).collect();
    assert_eq!(codes[..5], ["policy.source", "policy.source", "policy.source", "policy.loaded", "server.started"]);
    let world = world.restart_server().await?;
    let again = entries(&world).await?;
    assert_eq!(again.len(), first.len() + 1, "the same set is not told again");

    let file = world.server.home.path("policy").join("access.cedar");
    fs::write(&file, fs::read_to_string(&file)?.replacen("@max_duration(\"10m\")", "@max_duration(\"20m\")", 1))?;
    let world = world.restart_server().await?;
    let log = entries(&world).await?;
    let loaded = log.iter().filter(|entry| entry["code"] == "policy.loaded").collect::<Vec<_>>();
    assert_eq!((loaded.len(), &loaded[1]["from"]), (2, &loaded[0]["to"]));
    let change = &loaded[1]["changes"][0];
    let diff = change["diff"].as_str().unwrap_or_default();
    ensure!(diff.contains("-@max_duration(\"10m\")\n+@max_duration(\"20m\")"), "{change}");
    assert_eq!(rebuilt(&log, loaded[1])?, loaded[1]["to"], "from the log alone");
    assert_eq!(log.last().map(|entry| &entry["policy_digest"]), Some(&loaded[1]["to"]));
    Ok(())
}

/// The digest of a set whose texts are all in the log, as docs/AUDIT.md says it is made.
fn rebuilt(log: &[Value], loaded: &Value) -> Result<String> {
    let mut files = Vec::new();
    for file in loaded["files"].as_array().into_iter().flatten() {
        let parts = log.iter().filter(|entry| entry["code"] == "policy.source" && entry["sha256"] == file["sha256"]);
        let text: String = parts.filter_map(|part| part["text"].as_str()).collect();
        files.push((file["name"].as_str().unwrap_or_default().to_owned(), text));
    }
    let digest = api::digest::of_policies(files.iter().map(|(name, text)| (name.as_str(), text.as_str())));
    Ok(api::digest::hex(&digest))
}

#[tokio::test]
async fn the_past_is_asked_before_a_policy_changes() -> Result<()> {
    let world = World::new().await?;
    let (alice, vera) = (world.person("alice").await?, world.person("vera").await?);
    let (web, db) = (world.target(), format!("{}@db-1", world.accounts.first));
    json_of(&alice, &["ensure", &web]).await?;
    json_of(&vera, &["ensure", &web]).await?;
    assert_eq!(vera.run(&["ensure", &db]).await?.code, Some(3));
    json_of(&alice, &["request", &db, "--for", "5m", "--reason", "x"]).await?;

    let (old, new) = (world.server.home.path("policy"), world.path().join("proposed"));
    copy(&old, &new)?;
    let store = world.server.home.path("jit-ssh.redb");
    let same = diff(&old, &new, Some(&store), false).await?;
    ensure!(same.code == Some(0) && same.out.contains("no policy and no host differs"), "{same:?}");
    ensure!(same.out.contains("4 asks replayed: 0 would have another outcome"), "{same:?}");
    ensure!(!same.out.contains("not decided then as OLD"), "{same:?}");

    let text = fs::read_to_string(new.join("access.cedar"))?;
    let forbid =
        "@id(\"no-vendors\") forbid (principal in Group::\"vendor\", action == Action::\"connect\", resource);\n";
    fs::write(new.join("access.cedar"), text.replace("@approvals(\"1\")", "@approvals(\"2\")") + forbid)?;
    let changed = diff(&old, &new, None, false).await?;
    assert_eq!(changed.code, Some(4), "{changed:?}");
    ensure!(changed.out.contains("policy no-vendors: added") && changed.out.contains("+ @approvals: 2"), "{changed:?}");
    let found = diff(&old, &new, Some(&store), false).await?;
    assert_eq!(found.code, Some(4), "{found:?}");
    for line in [
        format!(
            "1 × vera@corp.example {web}: granted by web/forced for at most 10m → denied, forbidden (no-vendors); because of policy no-vendors"
        ),
        format!(
            "alice@corp.example {db}: needs 1 approval by db/approval → needs 2 approvals by db/approval; because of policy db/approval"
        ),
        format!("vera@corp.example {db}: denied, no permit matches → denied, forbidden (no-vendors)"),
        "4 asks replayed: 1 would have another outcome, 2 the same".to_owned(),
    ] {
        ensure!(found.out.contains(&line), "{line}\nis not in\n{}", found.out);
    }

    // An export says the same as the store, and a program the same as a person.
    let export = world.path().join("export.jsonl");
    fs::write(&export, world.server.home.audit(&["export", "--store", &store.to_string_lossy()]).await?.success()?)?;
    let told = diff(&old, &new, Some(&export), true).await?;
    assert_eq!(told.code, Some(4), "{told:?}");
    let lines: Vec<Value> = told.out.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    assert_eq!(lines.iter().filter(|line| line.get("otherwise").is_some()).count(), 3, "{told:?}");
    let summary = lines.last().map(|line| &line["summary"]).cloned().unwrap_or_default();
    assert_eq!((&summary["asks"], &summary["outcome"], &summary["terms"]), (&4.into(), &1.into(), &2.into()));
    Ok(())
}

async fn diff(old: &Path, new: &Path, replay: Option<&Path>, json: bool) -> Result<Finished> {
    let mut command = Command::new(binaries::program("ca-server")?);
    command.args(["policy", "diff"]).arg(old).arg(new);
    if let Some(replay) = replay {
        command.arg("--replay").arg(replay);
    }
    if json {
        command.arg("--json");
    }
    run("ca-server policy diff", command).await
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}
