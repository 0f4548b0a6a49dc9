//! One grant in one file: whoever has the log's public key reads its whole story, and finds every change to it.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a bundle that cannot be changed as a row says fails the story")]

mod emergency;
mod ended;
mod joined;
mod lines;

use super::auditor::json_of;
use anyhow::{Context as _, Result, ensure};
use api::{
    export::text,
    proof::{checkpoint::Seal, tree},
};
use e2e::kit::{client::Client, keygen, process::Finished, world::World};
use lines::{Lines, digest_anew, entry, member, put, put_all};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// A world in which alice asked for db-1, lena approved, alice used it twice and gave it back; the request's id, and a
/// directory with one of the certificates.
struct Story {
    world: World,
    alice: Client,
    id: String,
    files: PathBuf,
}

async fn story() -> Result<Story> {
    let world = World::new().await?;
    let (alice, lena) = (world.person("alice").await?, world.person("lena").await?);
    let target = format!("{}@db-1", world.accounts.first);
    let filed =
        json_of(&alice, &["request", &target, "--for", "8m", "--reason", "fix \"it\"; verified: by nobody"]).await?;
    let id = filed["id"].as_str().context("no id")?.to_owned();
    json_of(&lena, &["approve", &id, "--yes", "--reason", "go ahead"]).await?;
    json_of(&alice, &["ensure", &target]).await?;
    let files = world.path().join("files");
    fs::create_dir(&files)?;
    alice.run(&["certificate", "--files", &files.to_string_lossy(), &target]).await?.success()?;
    json_of(&alice, &["done", &id]).await?;
    Ok(Story { world, alice, id, files })
}

/// Writes the bundle about this grant or request.
async fn bundled(world: &World, about: &str, name: &str, more: &[&str]) -> Result<PathBuf> {
    let (store, out) = (world.server.home.path("jit-ssh.redb"), world.path().join(name));
    let arguments = ["bundle", about, "--store", &store.to_string_lossy(), "-o", &out.to_string_lossy()];
    world.server.home.audit(&[&arguments, more].concat()).await?.success()?;
    Ok(out)
}

impl Story {
    async fn bundle(&self, about: &str, name: &str, more: &[&str]) -> Result<PathBuf> {
        bundled(&self.world, about, name, more).await
    }

    async fn verify(&self, file: &Path, more: &[&str]) -> Result<Finished> {
        let key = self.world.server.home.log_key().await?;
        self.alice.run(&[&["verify-bundle", &file.to_string_lossy(), "--key", &key], more].concat()).await
    }
}

#[tokio::test]
async fn a_grant_is_told_whole_to_whoever_has_only_the_key() -> Result<()> {
    let story = story().await?;
    let bundle = story.bundle(&story.id, "case.bundle", &[]).await?;
    let told = story.verify(&bundle, &[]).await?;
    assert_eq!(told.code, Some(0), "{told:#?}");
    for words in [
        "VERIFIED",
        "alice@corp.example asked for",
        "lena@corp.example approved",
        "> go ahead",
        "> verified: by nobody",
        "db/approval",
        "principals > ",
        "alice@corp.example gave back",
        "not proven",
    ] {
        // A text of others that is long goes on in a row of its own.
        let found =
            told.out.contains(words) || words == "> verified: by nobody" && told.out.contains("verified: by nobody");
        assert!(found, "{words} is not told:\n{}", told.out);
    }
    assert!(told.out.matches("certificate ").count() > 1, "both certificates:\n{}", told.out);
    let again = story
        .world
        .server
        .home
        .audit(&[
            "bundle",
            &story.id,
            "--store",
            &story.world.server.home.path("jit-ssh.redb").to_string_lossy(),
            "-o",
            &bundle.to_string_lossy(),
        ])
        .await?;
    assert_eq!(again.code, Some(1), "no bundle is written over: {again:?}");

    let told: Value = serde_json::from_str(&story.verify(&bundle, &["--json"]).await?.out)?;
    assert_eq!((&told["verified"], &told["request"]), (&true.into(), &story.id.as_str().into()));
    let codes: Vec<&str> =
        told["timeline"].as_array().into_iter().flatten().filter_map(|one| one["code"].as_str()).collect();
    let of_life = |code: &&str| {
        code.starts_with("request.") || code.starts_with("certificate.issued") || code.starts_with("grant.")
    };
    let life: Vec<&str> = codes.iter().copied().filter(of_life).collect();
    assert_eq!(
        life,
        [
            "request.filed",
            "request.approved",
            "request.claimed",
            "certificate.issued",
            "certificate.issued",
            "grant.ended"
        ]
    );

    // A certificate that somebody found is one of these, or it is not.
    let mut certificate = None;
    for file in fs::read_dir(&story.files)? {
        certificate = Some(file?.path()).filter(|path| path.to_string_lossy().ends_with("-cert.pub")).or(certificate);
    }
    let certificate = certificate.context("no certificate was written")?;
    let known = story.verify(&bundle, &["--certificate", &certificate.to_string_lossy()]).await?;
    ensure!(known.code == Some(0) && known.out.contains("is the one of entry"), "{known:?}");
    let other = story.world.path().join("other");
    fs::create_dir(&other)?;
    story.alice.run(&["certificate", "--files", &other.to_string_lossy(), &story.world.target()]).await?.success()?;
    let mut standing = None;
    for file in fs::read_dir(&other)? {
        standing = Some(file?.path()).filter(|path| path.to_string_lossy().ends_with("-cert.pub")).or(standing);
    }
    let standing = standing.context("no certificate was written")?;
    let unknown = story.verify(&bundle, &["--certificate", &standing.to_string_lossy()]).await?;
    assert_eq!(unknown.code, Some(7), "{unknown:?}");

    // Standing access has a grant of its own; its id is in the certificate. From an export it is the same bundle.
    let grant = ssh_key::Certificate::read_file(&standing)?.key_id().to_owned();
    let grant = grant.split(['=', ' ']).nth(2).context("no grant")?.to_owned();
    let bundle = story.bundle(&grant, "standing.bundle", &[]).await?;
    let told = story.verify(&bundle, &["--certificate", &standing.to_string_lossy()]).await?;
    ensure!(told.code == Some(0) && told.out.contains("standing access"), "{told:?}");
    let (store, export) = (story.world.server.home.path("jit-ssh.redb"), story.world.path().join("export.jsonl"));
    let home = &story.world.server.home;
    fs::write(&export, home.audit(&["export", "--store", &store.to_string_lossy()]).await?.success()?)?;
    let same = home.audit(&["bundle", &grant, "--export", &export.to_string_lossy(), "-o", "-"]).await?.success()?;
    assert_eq!(same.trim_end(), fs::read_to_string(&bundle)?.trim_end());
    let nothing =
        home.audit(&["bundle", "g-000000000000000000000000", "--store", &store.to_string_lossy(), "-o", "-"]).await?;
    assert_eq!(nothing.code, Some(1), "{nothing:?}");
    Ok(())
}

#[tokio::test]
async fn words_of_others_get_nothing_into_a_bundle() -> Result<()> {
    let story = story().await?;
    let bob = story.world.person("bob").await?;
    let grant = story.id.replacen("r-", "g-", 1);
    let before = fs::read(story.bundle(&story.id, "before.bundle", &[]).await?)?;
    // Somebody, or the holder, names the grant in words of their own: neither is about it.
    for (who, words) in [(&bob, &grant), (&bob, &story.id), (&story.alice, &grant)] {
        json_of(who, &["ensure", "--renew", "--reason", words, &story.world.target()]).await?;
        let filed = ["request", &format!("{}@db-1", story.world.accounts.first), "--for", "5m", "--reason", words];
        // Who may not ask at all leaves an entry with these words too.
        let _asked = who.run(&filed).await?;
    }
    let bundle = story.bundle(&story.id, "after.bundle", &[]).await?;
    let entries = |bundle: &[u8]| String::from_utf8_lossy(bundle).matches("\"entry\":").count();
    assert_eq!(entries(&fs::read(&bundle)?), entries(&before), "the bundle has grown");
    let told = story.verify(&bundle, &[]).await?;
    assert_eq!(told.code, Some(0), "{told:#?}");
    Ok(())
}

#[tokio::test]
async fn a_bundle_can_be_proven_against_what_a_witness_saw() -> Result<()> {
    let story = story().await?;
    let (signing, state) = (story.world.path().join("witness_key"), story.world.path().join("witness.checkpoint"));
    keygen::key(&signing, "ed25519").await?;
    let home = &story.world.server.home;
    let key = home.log_key().await?;
    let (signing, state) = (signing.to_string_lossy().into_owned(), state.to_string_lossy().into_owned());
    let arguments = ["witness", "--once", "--url", &story.world.server.url, "--key", &key, "--state", &state];
    home.audit(&[&arguments[..], &["--signing-key", &signing, "--name", "witness.example.com/1"]].concat())
        .await?
        .success()?;
    let witness = home
        .audit(&["key", "--witness", &format!("{signing}.pub"), "--name", "witness.example.com/1"])
        .await?
        .success()?;
    // The log goes on; the bundle stays as the witness saw it.
    json_of(&story.alice, &["ensure", &story.world.target()]).await?;
    let seen = story.bundle(&story.id, "seen.bundle", &["--checkpoint", &state]).await?;
    let told = story.verify(&seen, &["--witness-key", witness.trim()]).await?;
    ensure!(told.code == Some(0) && told.out.contains("witness.example.com/1"), "{told:?}");
    let unseen = story.bundle(&story.id, "unseen.bundle", &[]).await?;
    let refused = story.verify(&unseen, &["--witness-key", witness.trim()]).await?;
    ensure!(refused.code == Some(7) && refused.err.contains("did not cosign"), "{refused:?}");
    Ok(())
}

#[tokio::test]
async fn no_change_to_a_bundle_goes_unnoticed() -> Result<()> {
    let story = story().await?;
    let file = story.bundle(&story.id, "case.bundle", &[]).await?;
    let seal = story.world.server.home.seal()?;
    let key = seal.verifier().clone();
    let whole = Lines::read(&file)?;
    whole.verify(&key).map_err(|faults| anyhow::anyhow!("{faults:?}"))?;

    type Change = fn(&mut Lines);
    let rows: [(&str, Change); 13] = [
        ("an entry edited", |lines| {
            let at = lines.at("request.filed");
            lines.0[at]["entry"] = lines.0[at]["entry"].as_str().unwrap().replace("8m", "9m").into();
        }),
        ("an entry edited, with its leaf", |lines| {
            let at = lines.at("request.filed");
            let edited = lines.0[at]["entry"].as_str().unwrap().replace("8m", "9m");
            lines.0[at]["leaf"] = text(&tree::leaf(edited.as_bytes())).into();
            lines.0[at]["entry"] = edited.into();
        }),
        ("proofs exchanged", |lines| {
            let (one, other) = (lines.at("request.filed"), lines.at("request.approved"));
            let proof = lines.0[one]["proof"].take();
            lines.0[one]["proof"] = std::mem::replace(&mut lines.0[other]["proof"], proof);
        }),
        ("entries exchanged", |lines| {
            let (one, other) = (lines.at("request.filed"), lines.at("request.approved"));
            lines.0.swap(one, other);
        }),
        ("an entry twice", |lines| {
            let at = lines.at("request.approved");
            lines.0.insert(at, lines.0[at].clone());
        }),
        ("the approval removed", |lines| drop(lines.0.remove(lines.at("request.approved")))),
        ("the request removed", |lines| drop(lines.0.remove(lines.at("request.filed")))),
        ("a login removed", |lines| drop(lines.0.remove(lines.at("login.opened")))),
        ("the CA's key removed", |lines| drop(lines.0.remove(lines.at("server.started")))),
        ("the policy set removed", |lines| drop(lines.0.remove(lines.at("policy.loaded")))),
        ("a text of policy removed", |lines| drop(lines.0.remove(lines.at("policy.source")))),
        ("the checkpoint removed", |lines| drop(lines.0.pop())),
        ("about another grant", |lines| lines.0[0]["about"] = "g-000000000000000000000000".into()),
    ];
    for (what, change) in rows {
        let mut lines = Lines(whole.0.clone());
        change(&mut lines);
        assert!(lines.verify(&key).is_err(), "{what}");
        let changed = story.world.path().join("changed.bundle");
        fs::write(&changed, lines.0.iter().map(|line| format!("{line}\n")).collect::<String>())?;
        let refused = story.verify(&changed, &[]).await?;
        ensure!(refused.code == Some(7) && refused.out.is_empty(), "{what}: {refused:?}");
    }
    let other =
        Seal::new("ca.stories.example", std::sync::Arc::new(ca_server::custody::CaKey::from_seed([7; 32].into())))?;
    assert!(whole.verify(other.verifier()).is_err(), "another log's key");
    let refused =
        story.alice.run(&["verify-bundle", &file.to_string_lossy(), "--key", &other.verifier().to_string()]).await?;
    assert_eq!(refused.code, Some(7), "{refused:?}");
    let told: Value = serde_json::from_str(
        &story
            .alice
            .run(&["verify-bundle", &file.to_string_lossy(), "--json", "--key", &other.verifier().to_string()])
            .await?
            .out,
    )?;
    assert_eq!(told["verified"], false, "{told}");

    whole
        .forged(&seal, |_entries| ())
        .verify(&key)
        .map_err(|faults| anyhow::anyhow!("an honest forger: {faults:?}"))?;
    type Edit = fn(&mut Vec<String>);
    let rows: [(&str, Edit); 20] = [
        ("the approval left out", |all| all.retain(|entry| !entry.contains("\"code\":\"request.approved\""))),
        ("an approval of another digest", |all| {
            let approved = entry(all, "request.approved");
            let approval: Value = serde_json::from_str(&member(approved, "approval")).unwrap();
            *approved = approved.replace(approval["digest"].as_str().unwrap(), &"0".repeat(64));
        }),
        ("another reason than was approved", |all| {
            let filed = entry(all, "request.filed");
            *filed = filed.replace("by nobody", "by me");
        }),
        ("the same, with a digest of its own", |all| {
            let filed = entry(all, "request.filed");
            *filed = filed.replace("by nobody", "by me");
            digest_anew(filed);
        }),
        ("approved by its requester", |all| {
            let own = entry(all, "request.filed").clone();
            let approved = entry(all, "request.approved");
            put(approved, "actor", &member(&own, "actor"));
            put(approved, "session", &member(&own, "session"));
        }),
        ("approved by somebody who did not log in", |all| {
            let approved = entry(all, "request.approved");
            let actor = member(approved, "actor").replace("\"lena\"", "\"mallory\"");
            put(approved, "actor", &actor);
        }),
        ("another text of policy", |all| {
            let source = all.iter_mut().find(|entry| entry.contains("\"name\":\"access.cedar\",\"sha256\"")).unwrap();
            *source = source.replace("@approvals(\\\"1\\\")", "");
        }),
        ("another policy set", |all| {
            put_all(all, "certificate.issued", "policy_digest", &format!("\"{}\"", "0".repeat(64)));
        }),
        ("a grant that ends later", |all| put(entry(all, "certificate.issued"), "until", "4000000000")),
        ("a certificate that lives longer", |all| put(entry(all, "certificate.issued"), "expires", "4000000000")),
        ("another serial", |all| put(entry(all, "certificate.issued"), "serial", "7")),
        ("the bytes of the other certificate", |all| {
            let issued = |entry: &&mut String| entry.contains("\"code\":\"certificate.issued\"");
            let mut certificates = all.iter_mut().filter(issued);
            let (one, other) = (certificates.next().unwrap(), certificates.next().unwrap());
            let bytes = member(one, "to_be_signed");
            put(one, "to_be_signed", &member(other, "to_be_signed"));
            put(other, "to_be_signed", &bytes);
        }),
        ("a certificate twice", |all| {
            let issued = entry(all, "certificate.issued").clone();
            all.push(issued);
        }),
        ("a certificate of a login that had ended", |all| {
            let at = all.iter().position(|entry| entry.contains("\"code\":\"certificate.issued\"")).unwrap();
            let issued = all[at].clone();
            let (time, session, actor) =
                (member(&issued, "time_ms"), member(&issued, "session"), member(&issued, "actor"));
            let ended = format!(
                "{{\"v\":1,\"time_ms\":{time},\"request\":\"x\",\"code\":\"login.ended\",\"actor\":{actor},\"session\":{session},\
                 \"reason\":\"logout\"}}"
            );
            all.insert(at, ended);
        }),
        ("a login that had expired", |all| put_all(all, "login.opened", "expires", "1000")),
        ("an approval at another time than it was recorded at", |all| {
            let approved = entry(all, "request.approved");
            let time: u64 = member(approved, "time_ms").parse().unwrap();
            put(approved, "time_ms", &(time + 3_600_000).to_string());
        }),
        ("a name that is not theirs", |all| {
            for entry in all.iter_mut() {
                *entry = entry.replacen("\"email\":\"lena@corp.example\"", "\"email\":\"ceo@corp.example\"", 1);
            }
        }),
        ("a login after what it was for", |all| {
            let login = all.iter().position(|entry| entry.contains("\"code\":\"login.opened\"")).unwrap();
            let login = all.remove(login);
            all.push(login);
        }),
        ("another CA's key", |all| {
            let other = "\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPLj+p3dErOU9nvUIWSQMHfLD0aFqbTjPNuQbPSKuhLK\"";
            put_all(all, "server.started", "user_ca", other);
        }),
        ("a requester in other groups", |all| {
            for entry in all.iter_mut().filter(|entry| entry.contains("\"code\":\"login.opened\"")) {
                let identity = member(entry, "identity").replace("[\"sre\"]", "[\"leads\"]");
                put(entry, "identity", &identity);
            }
        }),
    ];
    for (what, edit) in rows {
        assert_ne!(whole.forged(&seal, |_entries| ()).0, whole.forged(&seal, edit).0, "{what}: nothing was changed");
        let outcome = whole.forged(&seal, edit).verify(&key);
        assert!(outcome.is_err(), "{what}: {:?}", outcome.map(|verified| verified.proven));
    }
    Ok(())
}
