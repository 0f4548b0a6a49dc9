//! The audit log as an outsider sees it: with the log's public key and what a witness remembers, and nothing else.

use anyhow::{Context as _, Result, ensure};
use api::{CertificateResponse, Code, ConsistencyResponse, paths};
use ca_server::audit::checkpoint::Checkpoint;
use e2e::kit::{caller::Caller, keygen, process::Finished, server::Home, world::World};
use std::{
    fs,
    path::{Path, PathBuf},
};

#[tokio::test]
async fn an_outsider_checks_a_server_that_runs() -> Result<()> {
    let world = World::new().await?;
    let (server, home) = (&world.server, &world.server.home);
    issue(&world, 3).await?;
    let key = home.log_key().await?;
    let verified = home.verify_log(None).await?.success()?;
    ensure!(verified.starts_with("verified: "), "{verified}");

    let store = home.path("jit-ssh.redb");
    let store = store.to_string_lossy();
    let export = world.path().join("export.jsonl");
    fs::write(&export, home.audit(&["export", "--store", &store, "--from", "1"]).await?.success()?)?;
    let export = export.to_string_lossy();
    home.audit(&["verify", "--export", &export, "--key", &key]).await?.success()?;
    let other = key.replace("ca.stories.example+", "other.example+");
    assert_eq!(home.audit(&["verify", "--export", &export, "--key", &other]).await?.code, Some(2), "no key at all");
    fs::write(&*export, fs::read_to_string(&*export)?.replace("certificate.issued", "certificate.refused"))?;
    let found = home.audit(&["verify", "--export", &export, "--key", &key]).await?;
    assert_eq!(found.code, Some(3), "{found:?}");
    ensure!(found.out.contains(": changed"), "{found:?}");

    let tail = home.audit(&["tail", "--store", &store, "-n", "3"]).await?.success()?;
    assert_eq!(tail.lines().count(), 3, "{tail}");
    ensure!(tail.lines().all(|line| line.contains(" certificate.issued alice@corp.example ")), "{tail}");
    let json = home.audit(&["tail", "--store", &store, "-n", "1", "--json"]).await?.success()?;
    assert_eq!(serde_json::from_str::<serde_json::Value>(&json)?["code"], "certificate.issued");

    let ask = async |path: &str| anyhow::Ok(reqwest::get(format!("{}{path}", server.url)).await?);
    let note = ask(paths::CHECKPOINT).await?.text().await?;
    let size = Checkpoint::verify(&note, &key.parse()?)?.size;
    ensure!(note.starts_with("ca.stories.example\n"), "{note}");
    let proof = ask(&format!("{}?from=2&to={size}", paths::CONSISTENCY)).await?.json::<ConsistencyResponse>().await?;
    ensure!(!proof.proof.is_empty());
    let too_much = format!("from=1&to={}", size + 1);
    let sizes = ["", "from=1", "from=3&to=2", "from=-1&to=2", "from=1&to=+2", "to=2&from=1", "from=1&to=2&x=3"];
    let spelled = ["from=01&to=2", "from=1&to=02", "from=00&to=1", "from=&to=1", "from=0x1&to=2", "from=1&to=2&"];
    let places = ["", "index=00&size=1", "index=0&size=01", "index=+0&size=1", "size=1&index=0", "index=1&size=1"];
    let sizes = sizes.into_iter().chain(spelled).chain([too_much.as_str()]).map(|query| (paths::CONSISTENCY, query));
    for (path, query) in sizes.chain(places.map(|query| (paths::INCLUSION, query))) {
        let answer = ask(&format!("{path}?{query}")).await?;
        ensure!(!answer.status().is_success(), "{query}");
        let body = answer.json::<api::ErrorBody>().await?;
        assert_eq!(body.error.code, Code::BadRequest, "{query}");
    }
    for good in [format!("{}?index=0&size=1", paths::INCLUSION), format!("{}?from=1&to=2", paths::CONSISTENCY)] {
        ensure!(ask(&good).await?.status().is_success(), "{good}");
    }
    Ok(())
}

#[tokio::test]
async fn a_witness_finds_an_old_database_a_fork_and_a_wiped_one() -> Result<()> {
    let mut world = World::new().await?;
    let witness = Witness::new(world.path(), &world.server.home).await?;
    issue(&world, 2).await?;
    let first = witness.look(&world).await?.success()?;
    assert_eq!(first.matches('\u{2014}').count(), 2, "the log's signature and the witness': {first}");
    let backup = world.path().join("backup");
    let home = world.server.stop().await?;
    let store = home.path("jit-ssh.redb");
    fs::copy(&store, &backup)?;

    world.server = home.start().await?;
    issue(&world, 5).await?;
    witness.look(&world).await?.success().context("the log went on")?;
    home.verify_log(Some(&witness.state)).await?.success()?;
    let remembered = fs::read(&witness.state)?;

    // The old database: good by itself, and shorter than what was seen.
    let home = world.server.stop().await?;
    fs::copy(&backup, &store)?;
    home.verify_log(None).await?.success()?;
    world.server = home.start().await?;
    witness.finds(&world, "rolled back").await?;
    let found = home.verify_log(Some(&witness.state)).await?;
    assert_eq!(found.code, Some(3), "{found:?}");
    ensure!(found.out.contains("rolled back"), "{found:?}");

    // It goes on, and is longer at last: the same key signs another history.
    issue(&world, 12).await?;
    witness.finds(&world, "forked").await?;
    let found = home.verify_log(Some(&witness.state)).await?;
    ensure!(found.code == Some(3) && found.out.contains("replaced"), "{found:?}");

    let home = world.server.stop().await?;
    fs::remove_file(&store)?;
    world.server = home.start().await?;
    witness.finds(&world, "rolled back").await?;
    assert_eq!(fs::read(&witness.state)?, remembered, "what it saw is kept, for whoever looks into it");
    Ok(())
}

struct Witness {
    state: PathBuf,
    signing: PathBuf,
    key: String,
}

impl Witness {
    async fn new(dir: &Path, home: &Home) -> Result<Self> {
        let signing = dir.join("witness_key");
        keygen::key(&signing, "ed25519").await?;
        Ok(Self { state: dir.join("witness.checkpoint"), signing, key: home.log_key().await? })
    }

    async fn look(&self, world: &World) -> Result<Finished> {
        let (state, signing) = (self.state.to_string_lossy(), self.signing.to_string_lossy());
        let url = &world.server.url;
        let arguments = ["witness", "--once", "--url", url, "--key", &self.key, "--state", &state];
        let signing = ["--signing-key", &*signing, "--name", "witness.example.com/1"];
        world.server.home.audit(&[&arguments[..], &signing].concat()).await
    }

    async fn finds(&self, world: &World, what: &str) -> Result<()> {
        let found = self.look(world).await?;
        ensure!(found.code == Some(3) && found.err.contains(what) && found.out.is_empty(), "{what}: {found:?}");
        Ok(())
    }
}

/// So many certificates for alice, after a login.
async fn issue(world: &World, count: usize) -> Result<()> {
    let alice = Caller::login(&world.server, &world.idp, "alice").await?;
    for _ in 0..count {
        let body = alice.certificate_body(&world.target())?;
        alice.ask(&world.server, "POST", paths::CERTIFICATES, &body).await?.good::<CertificateResponse>()?;
    }
    Ok(())
}
