//! An emergency from the broken glass to its review, as somebody sees it who was not there.

use super::{
    bundled, json_of,
    lines::{Lines, digest_anew, entry, member, put, put_last},
};
use anyhow::{Context as _, Result, ensure};
use e2e::kit::world::World;
use std::fs;

/// sre may break the glass on db-1, and leads look at it within the hour.
async fn night_shift() -> Result<World> {
    let world = World::new().await?;
    let glass = format!(
        "@id(\"db/glass\")\n@max_duration(\"5m\")\n@cert_ttl(\"1m\")\n@reason(\"required\")\n@record(\"required\")\n\
         @review_within(\"1h\")\npermit (\n  principal in Group::\"sre\",\n  action == Action::\"break-glass\",\n  \
         resource in HostGroup::\"db\"\n)\nwhen {{ resource.name == \"{}\" }};\n",
        world.accounts.first
    );
    fs::write(world.server.home.path("policy").join("glass.cedar"), glass)?;
    world.restart_server().await
}

/// An emergency that alice gave back and lena reviewed; its bundle.
async fn emergency() -> Result<(World, Lines)> {
    let world = night_shift().await?;
    let (alice, lena) = (world.person("alice").await?, world.person("lena").await?);
    let target = format!("{}@db-1", world.accounts.first);
    let line = ["break-glass", &target, "--incident", "INC-7", "--reason", "primary is down", "--no-connect"];
    let broken = json_of(&alice, &line).await?;
    let id = broken["request"]["id"].as_str().context("no id")?.to_owned();
    json_of(&alice, &["done", &id]).await?;
    json_of(&lena, &["reviewed", &id, "--verdict", "fine", "--reason", "read the record"]).await?;
    let file = bundled(&world, &id, "emergency.bundle", &[]).await?;
    let key = world.server.home.log_key().await?;
    let told = alice.run(&["verify-bundle", &file.to_string_lossy(), "--key", &key]).await?;
    ensure!(told.code == Some(0), "{told:#?}");
    // A text that is long goes on in a row of its own.
    let on_one_line = told.out.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in ["broke the glass", "INC-7", "primary is down", "db/glass", "reviewed", "found it right"] {
        ensure!(on_one_line.contains(words), "{words} is not told:\n{}", told.out);
    }
    ensure!(!told.out.contains("of a version that did not record"), "something is in doubt:\n{}", told.out);
    Ok((world, Lines::read(&file)?))
}

#[tokio::test]
async fn an_emergency_is_decided_anew_and_no_word_of_it_can_be_changed() -> Result<()> {
    let (world, whole) = emergency().await?;
    let seal = world.server.home.seal()?;
    let key = seal.verifier().clone();
    let verified = whole.verify(&key).map_err(|faults| anyhow::anyhow!("{faults:?}"))?;
    let life: Vec<&str> = verified.timeline.iter().map(|told| told.code.as_str()).collect();
    let life: Vec<&str> =
        life.into_iter().filter(|code| !["login", "policy", "server"].iter().any(|of| code.starts_with(of))).collect();
    assert_eq!(
        life,
        [
            "break-glass.opened",
            "request.claimed",
            "certificate.issued",
            "grant.ended",
            "certificates.revoked",
            "break-glass.reviewed"
        ]
    );

    type Edit = fn(&mut Vec<String>);
    let rows: [(&str, Edit); 12] = [
        ("another incident beside the request", |all| {
            put_last(entry(all, "break-glass.opened"), "incident", "\"INC-8\"");
        }),
        ("another reason beside it", |all| put_last(entry(all, "break-glass.opened"), "reason", "\"a test\"")),
        ("another target beside it", |all| put_last(entry(all, "break-glass.opened"), "target", "\"root@db-1\"")),
        ("more time for the review beside it", |all| {
            put_last(entry(all, "break-glass.opened"), "review_by", "4000000000")
        }),
        ("another incident in both places", |all| {
            let opened = entry(all, "break-glass.opened");
            *opened = opened.replace("INC-7", "INC-8");
        }),
        ("another reason in both places, with a digest of its own", |all| {
            let opened = entry(all, "break-glass.opened");
            *opened = opened.replace("primary is down", "a test");
            digest_anew(opened);
        }),
        ("another target in both places, with its digest in every entry", |all| {
            let opened = entry(all, "break-glass.opened");
            *opened = opened.replace("@db-1", "@web-1");
            let (was, digest) = digest_anew(opened);
            all.iter_mut().for_each(|entry| *entry = entry.replace(&was, &digest));
        }),
        ("a review put off in both places, with its digest in every entry", |all| {
            let opened = entry(all, "break-glass.opened");
            *opened =
                opened.replace(&format!("\"review_by\":{}", member(opened, "review_by")), "\"review_by\":4000000000");
            let (was, digest) = digest_anew(opened);
            all.iter_mut().for_each(|entry| *entry = entry.replace(&was, &digest));
        }),
        ("told as a usual request", |all| {
            let opened = entry(all, "break-glass.opened");
            *opened = opened.replace("break-glass.opened", "request.filed");
        }),
        ("by somebody in no group that may", |all| {
            for login in all.iter_mut().filter(|entry| entry.contains("\"code\":\"login.opened\"")) {
                let identity = member(login, "identity").replace("[\"sre\"]", "[\"brief\"]");
                put(login, "identity", &identity);
            }
            let opened = entry(all, "break-glass.opened");
            *opened = opened.replace("[\"sre\"]", "[\"brief\"]");
            let (was, digest) = digest_anew(opened);
            all.iter_mut().for_each(|entry| *entry = entry.replace(&was, &digest));
        }),
        ("reviewed by whoever broke the glass", |all| {
            let own = entry(all, "break-glass.opened").clone();
            let reviewed = entry(all, "break-glass.reviewed");
            put(reviewed, "actor", &member(&own, "actor"));
            put(reviewed, "session", &member(&own, "session"));
        }),
        ("a review of another digest", |all| {
            put(entry(all, "break-glass.reviewed"), "digest", &format!("\"{}\"", "0".repeat(64)));
        }),
    ];
    for (what, edit) in rows {
        assert_ne!(whole.forged(&seal, |_entries| ()).0, whole.forged(&seal, edit).0, "{what}: nothing was changed");
        let outcome = whole.forged(&seal, edit).verify(&key);
        assert!(outcome.is_err(), "{what}: {:?}", outcome.map(|verified| verified.proven));
    }

    // As an older version wrote it: told, and told as not proven.
    let older = whole.forged(&seal, |all| {
        let opened = entry(all, "break-glass.opened");
        *opened = opened.replace(&format!("\"decided\":{},", member(opened, "decided")), "");
    });
    let older = older.verify(&key).map_err(|faults| anyhow::anyhow!("{faults:?}"))?;
    let opened = verified.timeline.iter().find(|told| told.code == "break-glass.opened").context("not told")?;
    assert!(older.not_proven.len() == verified.not_proven.len() + 1, "{:?}", older.not_proven);
    assert!(older.timeline.iter().any(|told| told.text == opened.text), "{:?}", older.timeline);
    Ok(())
}
