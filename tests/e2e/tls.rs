//! The server over TLS, as the world reaches it: believed only by whoever trusts its issuer, and new certificate files are
//! in force without a restart.

use anyhow::{Context as _, Result, ensure};
use e2e::kit::{browser::Person, process::run, server::Home, world::World};
use rustix::process::Signal;
use std::{
    fs,
    path::{Path, PathBuf},
};
use tokio::process::Command;

#[tokio::test]
async fn tls_is_believed_for_its_issuer_alone_and_renewed_in_flight() -> Result<()> {
    let mut world = World::new().await?;
    let (old, new) = (issuer(world.path(), "old").await?, issuer(world.path(), "new").await?);
    let home = world.server.stop().await?;
    serve_with(&home, &old)?;
    let config = fs::read_to_string(home.path("config.toml"))?;
    let tls = "[listen]\ntls_certificate = \"tls.pem\"\ntls_key = \"tls.key\"";
    fs::write(home.path("config.toml"), config.replace("[listen]", tls))?;
    world.server = home.start().await?;
    ensure!(world.server.url.starts_with("https://"), "{}", world.server.url);

    let alice = world.machine("alice").await?;
    let untrusted = alice.run(&["login", "--no-browser"]).await?;
    assert_eq!(untrusted.code, Some(6), "an issuer that nobody trusts is nobody: {untrusted:?}");
    // The file of roots a person was given; who renews the CA's issuer renews it too.
    let roots = world.path().join("roots.pem");
    fs::copy(old.join("root.pem"), &roots)?;
    let named = roots.display().to_string();
    let (process, url) = alice.begin_login(&["--ca-file", &named]).await?;
    e2e::kit::browser::Browser::new()?.visit(&url, Person::LogsIn("alice")).await?;
    let login = process.finish().await?;
    ensure!(login.code == Some(0), "login: {login:?}");
    let ensured = alice.run(&["ensure", &world.target()]).await?;
    ensure!(ensured.code == Some(0), "ensured: {ensured:?}");

    // Half of a renewal, and one that does not fit, change nothing; the whole one does.
    let mark = world.server.process.err.mark();
    fs::copy(new.join("leaf.key"), home.path("tls.key"))?;
    world.server.process.signal(Signal::HUP);
    world.server.process.err.wait_for(mark, |line| line.contains("TLS") && line.contains("refused")).await?;
    let still = alice.run(&["ensure", "--renew", &world.target()]).await?;
    ensure!(still.code == Some(0), "the old one in force: {still:?}");
    let mark = world.server.process.err.mark();
    serve_with(&home, &new)?;
    world.server.process.signal(Signal::HUP);
    world.server.process.err.wait_for(mark, |line| line.contains("new TLS files are in force")).await?;
    let former = alice.run(&["status", "--check"]).await?;
    ensure!(former.code == Some(6), "the old root: {former:?}");
    fs::copy(new.join("root.pem"), &roots)?;
    let renewed = alice.run(&["ensure", "--renew", &world.target()]).await?;
    ensure!(renewed.code == Some(0), "the new one in force: {renewed:?}");

    // Who speaks plain HTTP to it is not served.
    let plain = world.server.url.replace("https://", "http://");
    let answer = e2e::kit::browser::http()?.get(format!("{plain}/v1/about")).send().await;
    ensure!(answer.is_err() || answer.is_ok_and(|answer| !answer.status().is_success()), "plain HTTP was served");
    Ok(())
}

fn serve_with(home: &Home, issuer: &Path) -> Result<()> {
    fs::copy(issuer.join("leaf.pem"), home.path("tls.pem"))?;
    fs::copy(issuer.join("leaf.key"), home.path("tls.key")).map(|_bytes| ()).context("tls.key")
}

/// A root and a certificate for 127.0.0.1 under it.
async fn issuer(under: &Path, name: &str) -> Result<PathBuf> {
    let dir = under.join(name);
    fs::create_dir(&dir)?;
    fs::write(dir.join("leaf.ext"), "subjectAltName = IP:127.0.0.1\nbasicConstraints = CA:FALSE\n")?;
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    for line in [
        format!("req -x509 {key} -keyout root.key -out root.pem -days 2 -subj /CN=root-{name}"),
        format!("req {key} -keyout leaf.key -out leaf.csr -subj /CN=leaf-{name}"),
        "x509 -req -in leaf.csr -CA root.pem -CAkey root.key -CAcreateserial -days 2 -extfile leaf.ext -out leaf.pem"
            .into(),
    ] {
        let mut command = Command::new("openssl");
        command.args(line.split(' ')).current_dir(&dir);
        run("openssl", command).await?.success().with_context(|| line)?;
    }
    Ok(dir)
}
