//! The server dies at every point of issuing a certificate, as `kill -9` would end it, with requests in flight. Then the
//! store is read: no certificate left without its exact bytes on record (I1), and none on record exceeds its grant (I2).

use anyhow::{Context as _, Result, ensure};
use api::{CertificateResponse, paths};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use ca_server::store::{Store as _, redb::RedbStore};
use e2e::kit::{caller::Caller, server::Home, world::World};
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::Value;
use ssh_key::{Certificate, PrivateKey};
use std::collections::BTreeSet;

const POINTS: [&str; 6] =
    ["issue.decided", "issue.signed", "issue.recorded", "issue.released", "store.before-commit", "store.after-commit"];

#[tokio::test]
async fn wherever_the_server_dies_what_left_is_on_record_and_within_its_grant() -> Result<()> {
    let mut world = World::new().await?;
    let alice = Caller::login(&world.server, &world.idp, "alice").await?;
    let target = world.target();
    let mut released = Vec::new();
    let mut former = Vec::new();
    for point in POINTS {
        let home = world.server.stop().await?;
        world.server = home.start_with_fault(point).await?;
        // One before the blow, eight while it falls.
        released.extend(certificate(&world, &alice).await);
        ensure!(!released.is_empty(), "{point}: no certificate before the fault");
        home.strike()?;
        let (a, b, c, d, e, f, g, h) = tokio::join!(
            certificate(&world, &alice),
            certificate(&world, &alice),
            certificate(&world, &alice),
            certificate(&world, &alice),
            certificate(&world, &alice),
            certificate(&world, &alice),
            certificate(&world, &alice),
            certificate(&world, &alice),
        );
        released.extend([a, b, c, d, e, f, g, h].into_iter().flatten());
        let home = world.server.died().await.with_context(|| format!("{point} was never reached"))?;
        // As it lies there: no entry without its place in the tree, no tree without its signature.
        home.verify_log(None).await?.success().with_context(|| point)?;
        let entries = entries(&home).await?;
        ensure!(entries.starts_with(&former), "{point}: an entry was changed or lost");
        check(&home, &entries, &released, &target).with_context(|| point)?;
        former = entries;
        // It comes back by itself, and the login with it.
        world.server = home.start().await.with_context(|| format!("after {point}"))?;
        released.push(certificate(&world, &alice).await.with_context(|| format!("after {point}"))?);
    }
    Ok(())
}

/// The same without a chosen point: killed from outside in the middle of a storm.
#[tokio::test]
async fn killed_in_a_storm_it_has_everything_on_record_that_left() -> Result<()> {
    let mut world = World::new().await?;
    let alice = Caller::login(&world.server, &world.idp, "alice").await?;
    let target = world.target();
    for _round in 0..3 {
        let storm = async || {
            let mut got = Vec::new();
            while let Some(certificate) = certificate(&world, &alice).await {
                got.push(certificate);
            }
            got
        };
        // After the tenth certificate, wherever the others are.
        let kill = async {
            let mut got = Vec::new();
            for _ in 0..10 {
                got.extend(certificate(&world, &alice).await);
            }
            world.server.process.signal(rustix::process::Signal::KILL);
            got
        };
        let (a, b, c, d) = tokio::join!(storm(), storm(), storm(), kill);
        let released = [a, b, c, d].concat();
        ensure!(released.len() >= 10, "{} certificates", released.len());
        let home = world.server.died().await?;
        home.verify_log(None).await?.success()?;
        check(&home, &entries(&home).await?, &released, &target)?;
        world.server = home.start().await?;
    }
    Ok(())
}

/// A certificate for alice, if the server lived to answer.
async fn certificate(world: &World, alice: &Caller) -> Option<String> {
    let body = alice.certificate_body(&world.target()).ok()?;
    let answer = alice.ask(&world.server, "POST", paths::CERTIFICATES, &body).await.ok()?;
    Some(answer.good::<CertificateResponse>().ok()?.certificate)
}

async fn entries(home: &Home) -> Result<Vec<Vec<u8>>> {
    let store = RedbStore::open(&home.path("jit-ssh.redb"), &home.seal()?)?;
    let count = usize::try_from(store.entry_count().await?)?;
    let entries = store.entries(0, count).await?;
    ensure!(entries.len() == count, "{} of {count} entries", entries.len());
    Ok(entries.iter().map(|entry| entry.as_bytes().to_vec()).collect())
}

pub(crate) fn check(home: &Home, entries: &[Vec<u8>], released: &[String], target: &str) -> Result<()> {
    let ca = PrivateKey::read_openssh_file(home.path("keys/user_ca"))?;
    let mut on_record = BTreeSet::new();
    for line in entries {
        let entry: Value = serde_json::from_slice(line).context("an entry is not JSON")?;
        if entry["code"] == "certificate.issued" {
            let bytes = STANDARD.decode(entry["to_be_signed"].as_str().context("no bytes")?)?;
            within_its_grant(&entry, &bytes, &ca, target).with_context(|| entry.to_string())?;
            ensure!(on_record.insert(bytes), "one certificate twice: {entry}");
        }
    }
    for line in released {
        let blob = STANDARD.decode(line.split(' ').nth(1).context("no certificate")?)?;
        let certificate = Certificate::from_bytes(&blob)?;
        ensure!(certificate.signature_key() == ca.public_key().key_data(), "signed by another key");
        let signed = on_record.iter().find(|bytes| blob.starts_with(bytes));
        // I1: the record and the signature together are the whole certificate.
        let signature = blob.len() - signed.context("I1: a certificate left without a record")?.len();
        ensure!(signature == 4 + 4 + 11 + 4 + 64, "I1: the record is not the whole of what was signed");
    }
    Ok(())
}

/// I2, from the record alone: read back as the certificate it makes, it says what the entry says.
fn within_its_grant(entry: &Value, bytes: &[u8], ca: &PrivateKey, target: &str) -> Result<()> {
    let mut blob = bytes.to_vec();
    let pair = ca.key_data().ed25519().context("an Ed25519 CA")?;
    let signature = SigningKey::from_bytes(&pair.private.to_bytes()).sign(bytes).to_bytes();
    for part in [&83u32.to_be_bytes()[..], &11u32.to_be_bytes(), b"ssh-ed25519", &64u32.to_be_bytes(), &signature] {
        blob.extend(part);
    }
    let made = Certificate::from_bytes(&blob)?;
    let seconds = |name: &str| entry[name].as_u64().with_context(|| format!("no {name}"));
    ensure!(entry["target"] == target && made.valid_principals() == [target], "principals");
    ensure!(made.serial() == seconds("serial")? && made.serial() > 0, "serial");
    ensure!(made.valid_before() == seconds("expires")? && made.valid_before() <= seconds("until")?, "validity");
    ensure!(made.valid_before() - made.valid_after() <= 60 + 60, "longer than the policy's minute and the skew");
    let key_id = format!("jit1 grant={} user=alice@corp.example", entry["grant"].as_str().unwrap_or_default());
    ensure!(made.key_id() == key_id, "key id {}", made.key_id());
    ensure!(made.critical_options().is_empty(), "critical options");
    let names: Vec<&str> = made.extensions().keys().map(String::as_str).collect();
    ensure!(names == ["grant@jit-ssh", "permit-pty", "until@jit-ssh"], "extensions {names:?}");
    let key = made.public_key().fingerprint(ssh_key::HashAlg::Sha256).to_string();
    ensure!(entry["user_key"] == key, "key");
    Ok(())
}
