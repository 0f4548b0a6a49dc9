//! What is taken before its time, as stock sshd sees it; and what is not issued until two people agree to go on.

use anyhow::{Context as _, Result, ensure};
use api::{CertificateResponse, Receipt, paths};
use ca_server::ca::krl::Krl;
use e2e::kit::{
    browser::Person,
    caller::Caller,
    client::Client,
    process::{Finished, run},
    sshd::Sshd,
    world::World,
};
use policy::{Serial, UnixTime};
use serde_json::{Value, json};
use std::{fs, path::Path};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    process::Command,
};

/// A world in which leads administer, there are two of them, and nora works beside alice.
pub(super) async fn guarded() -> Result<World> {
    let world = World::new().await?;
    let security = "@id(\"security\")\npermit (\n  principal in Group::\"leads\",\n  action == Action::\"administer\",\n  \
                    resource == Service::\"jit-ssh\"\n);\n";
    fs::write(world.server.home.path("policy").join("security.cedar"), security)?;
    for (name, group) in [("mona", "leads"), ("nora", "sre")] {
        let email = format!("{name}@corp.example");
        let claims = json!({ "email": email, "email_verified": true, "groups": [group], "amr": ["pwd", "otp"] });
        world.idp.account(name, &claims).await?;
    }
    world.restart_server().await
}

pub(super) async fn said(person: &Client, args: &[&str]) -> Result<Value> {
    let said = person.run(&[&["--json"], args].concat()).await?;
    ensure!(said.code == Some(0), "{args:?}: {said:#?}");
    serde_json::from_str(&said.out).with_context(|| format!("{args:?}: {said:?}"))
}

/// A person at another machine: the server that they knew is gone.
async fn again(world: &World, name: &str) -> Result<Client> {
    let client = world.machine(&format!("{name}-again")).await?;
    let (login, page) = client.login(Person::LogsIn(name)).await?;
    ensure!(login.code == Some(0), "{login:#?} {page:#?}");
    Ok(client)
}

/// The line that `ca-server init` printed for hosts.
pub(super) fn signers(world: &World) -> Result<String> {
    let key = fs::read_to_string(world.server.home.path("keys/krl.pub"))?;
    Ok(format!("krl namespaces=\"krl@jit-ssh\" {}", key.trim()))
}

async fn fetched(world: &World, host: &Sshd) -> Result<()> {
    let fetched = host.fetch_krl(&world.server.url, &signers(world)?).await?;
    ensure!(fetched.code == Some(0), "{fetched:?}");
    Ok(())
}

#[tokio::test]
async fn a_revoked_certificate_is_refused_before_it_expires_and_others_are_not() -> Result<()> {
    let world = guarded().await?;
    let (alice, nora, lena) = (world.person("alice").await?, world.person("nora").await?, world.person("lena").await?);
    let (target, account) = (world.target(), world.accounts.first.clone());
    let (hers, others) = (world.ssh(&alice)?, world.ssh(&nora)?);
    fetched(&world, &world.web).await?;
    ensure!(fs::metadata(world.web.dir.join("krl"))?.len() > 0, "an empty list is a list all the same");
    let issued = said(&alice, &["ensure", &target]).await?;
    said(&nora, &["ensure", &target]).await?;
    hers.login(&account, &world.web, "true").await?.must_be_in()?;

    let serial = issued["serial"].as_u64().context("no serial")?;
    let receipt = said(&lena, &["revoke", "--serial", &serial.to_string(), "--reason", "laptop stolen"]).await?;
    assert_eq!(receipt["receipts"][0]["serials"], json!([serial]), "{receipt}");
    assert_eq!(receipt["receipts"][0]["last_expiry"], issued["expires"], "{receipt}");
    hers.login(&account, &world.web, "true").await?.must_be_in().context("not fetched yet")?;
    fetched(&world, &world.web).await?;
    hers.login(&account, &world.web, "true").await?.must_be_out("revoked by file")?;
    others.login(&account, &world.web, "true").await?.must_be_in().context("somebody else's is no concern of it")?;

    let person = said(&lena, &["revoke", "--user", "NORA@corp.example", "--reason", "left"]).await?;
    assert_eq!(person["receipts"][0]["sessions"], 1, "{person}");
    fetched(&world, &world.web).await?;
    others.login(&account, &world.web, "true").await?.must_be_out("revoked by file")?;
    let after = nora.run(&["ensure", "--renew", &target]).await?;
    assert_eq!(after.code, Some(4), "her login is over: {after:?}");
    let unknown = lena.run(&["revoke", "--user", "nobody@corp.example", "--reason", "x"]).await?;
    assert!(unknown.code == Some(1) && unknown.err.contains("nothing was changed"), "{unknown:?}");
    let hers = alice.run(&["revoke", "--user", "lena@corp.example", "--reason", "x"]).await?;
    assert_eq!(hers.code, Some(3), "{hers:?}");
    Ok(())
}

#[tokio::test]
async fn what_was_denied_after_its_approval_opens_nothing_any_more() -> Result<()> {
    let world = guarded().await?;
    let (alice, lena) = (world.person("alice").await?, world.person("lena").await?);
    let target = format!("{}@db-1", world.accounts.first);
    let filed = said(&alice, &["request", &target, "--reason", "x"]).await?;
    let id = filed["id"].as_str().context("no id")?;
    said(&lena, &["approve", id, "--yes"]).await?;
    said(&alice, &["ensure", &target]).await?;
    let ssh = world.ssh(&alice)?;
    ssh.login(&world.accounts.first, &world.db, "true").await?.must_be_in()?;
    said(&lena, &["deny", id, "--reason", "not tonight"]).await?;
    fetched(&world, &world.db).await?;
    ssh.login(&world.accounts.first, &world.db, "true").await?.must_be_out("revoked by file")
}

/// Serves this statement and this list, as somebody who sits between host and CA would.
async fn impostor(statement: Vec<u8>, list: Vec<u8>) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 4_096];
            let length = stream.read(&mut request).await.unwrap_or(0);
            let asked = String::from_utf8_lossy(request.get(..length).unwrap_or_default()).into_owned();
            let body = if asked.starts_with("GET /v1/krl.sig ") { &statement } else { &list };
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _sent = stream.write_all(&[head.as_bytes(), body].concat()).await.is_ok();
            let _closed = stream.shutdown().await.is_ok();
        }
    });
    Ok(url)
}

pub(super) async fn get(world: &World, path: &str) -> Result<Vec<u8>> {
    Ok(reqwest::get(format!("{}{path}", world.server.url)).await?.error_for_status()?.bytes().await?.to_vec())
}

/// The statement with these lines instead of its own, signed anew by stock ssh-keygen with the key at `key`.
async fn restated(dir: &Path, key: &Path, statement: &[u8], changes: &[(&str, String)]) -> Result<Vec<u8>> {
    let text = String::from_utf8(statement.to_vec())?;
    let text = text.split("-----BEGIN").next().context("no text")?;
    let lines = text.lines().map(|line| {
        let name = line.split(' ').next().unwrap_or_default();
        let changed = changes.iter().find(|(changed, _)| *changed == name);
        changed.map_or_else(|| line.to_owned(), |(_, value)| format!("{name} {value}")) + "\n"
    });
    let file = dir.join("statement");
    fs::write(&file, lines.collect::<String>())?;
    let _absent = fs::remove_file(dir.join("statement.sig"));
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-Y", "sign", "-n", "krl@jit-ssh", "-f"]).arg(key).arg(&file);
    run("ssh-keygen", command).await?.success()?;
    Ok([fs::read(&file)?, fs::read(dir.join("statement.sig"))?].concat())
}

#[tokio::test]
async fn a_host_takes_no_list_that_was_changed_and_none_that_is_old() -> Result<()> {
    let world = guarded().await?;
    let (alice, lena) = (world.person("alice").await?, world.person("lena").await?);
    let (target, signers) = (world.target(), signers(&world)?);
    let (old_statement, old_list) = (get(&world, "/v1/krl.sig").await?, get(&world, "/v1/krl").await?);
    let serial = said(&alice, &["ensure", &target]).await?["serial"].as_u64().context("no serial")?;
    said(&lena, &["revoke", "--serial", &serial.to_string(), "--reason", "x"]).await?;
    fetched(&world, &world.web).await?;
    let installed = fs::read(world.web.dir.join("krl"))?;

    let serial = said(&alice, &["ensure", "--renew", &target]).await?["serial"].as_u64().context("no serial")?;
    said(&lena, &["revoke", "--serial", &serial.to_string(), "--reason", "x"]).await?;
    let (statement, list) = (get(&world, "/v1/krl.sig").await?, get(&world, "/v1/krl").await?);
    let mut changed = list.clone();
    *changed.last_mut().context("no list")? ^= 1;
    let text = String::from_utf8(statement.clone())?;
    let later = text.replace("next_update ", "next_update 9").into_bytes();
    let dir = world.path();
    let (real, other) = (world.server.home.path("keys/krl"), world.server.home.path("keys/log"));
    let stale = restated(dir, &real, &statement, &[("next_update", "1700003600".to_owned())]).await?;
    let future = restated(dir, &real, &statement, &[("generated", "9700000000".to_owned())]).await?;
    let forged = restated(dir, &other, &statement, &[]).await?;
    let sum = "0".repeat(64);
    let strange = restated(dir, &real, &statement, &[("sha256", sum)]).await?;
    let rows = [
        ("a changed list", statement.clone(), changed, "not the one that was signed"),
        ("no list at all", statement.clone(), Vec::new(), "not the one that was signed"),
        ("a changed statement", later, list.clone(), "not signed by the key"),
        ("another key's statement", forged, list.clone(), "not signed by the key"),
        ("no statement", Vec::new(), list.clone(), "not signed by the key"),
        ("what was true before", old_statement, old_list, "an older list"),
        ("a statement that is too old", stale, list.clone(), "too old"),
        ("a statement of the future", future, list.clone(), "of the future"),
        ("a sum of nothing", strange, list.clone(), "not the one that was signed"),
    ];
    for (name, statement, list, why) in rows {
        let url = impostor(statement, list).await?;
        let Finished { code, err, .. } = world.web.fetch_krl(&url, &signers).await?;
        assert!(code == Some(1) && err.contains(why), "{name}: {code:?} {err}");
        assert_eq!(fs::read(world.web.dir.join("krl"))?, installed, "{name}");
    }
    let silent = world.web.fetch_krl("http://127.0.0.1:9", &signers).await?;
    assert!(silent.code == Some(1) && silent.err.contains("does not answer"), "{silent:?}");
    let url = impostor(statement, list.clone()).await?;
    assert_eq!(world.web.fetch_krl(&url, &signers).await?.code, Some(0), "the true one is taken from anybody");
    assert_eq!(fs::read(world.web.dir.join("krl"))?, list);
    assert_eq!(
        fs::read_dir(&world.web.dir)?
            .filter(|entry| {
                entry.as_ref().is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with(".krl."))
            })
            .count(),
        0,
        "nothing is left lying about"
    );
    Ok(())
}

#[tokio::test]
async fn who_has_the_list_already_is_told_so() -> Result<()> {
    let world = guarded().await?;
    let url = format!("{}/v1/krl", world.server.url);
    let client = reqwest::Client::new();
    let first = client.get(&url).send().await?;
    let tag = first.headers()["etag"].to_str()?.to_owned();
    assert_eq!(first.headers()["content-type"], "application/octet-stream");
    assert_eq!(
        (&first.headers()["cache-control"], &first.headers()["jit-ssh-krl-version"]),
        (&"no-cache".parse()?, &"0".parse()?)
    );
    for known in [tag.clone(), format!("\"x\", {tag}"), format!("W/{tag}"), "*".to_owned()] {
        let again = client.get(&url).header("if-none-match", &known).send().await?;
        assert_eq!((again.status().as_u16(), again.headers()["etag"].to_str()?), (304, tag.as_str()), "{known}");
    }
    let other = client.get(&url).header("if-none-match", "\"x\"").send().await?;
    assert_eq!(other.status().as_u16(), 200);
    Ok(())
}

#[tokio::test]
async fn sshd_reads_a_hundred_thousand() -> Result<()> {
    let world = guarded().await?;
    let alice = world.person("alice").await?;
    let (target, account) = (world.target(), world.accounts.first.clone());
    let serial = said(&alice, &["ensure", &target]).await?["serial"].as_u64().context("no serial")?;
    let ca = ssh_key::PublicKey::from_openssh(&world.server.home.user_ca()?)?;
    let ssh = world.ssh(&alice)?;
    let sparse = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 1 | 1;
    // Around hers, so that lists and ranges have to be right to the serial.
    let clustered = |n: u64| serial.saturating_sub(150_000) + 3 * n;
    for (name, numbers) in
        [("sparse", (0..100_000).map(sparse).collect::<Vec<_>>()), ("clustered", (0..100_000).map(clustered).collect())]
    {
        for revoked in [false, true] {
            let others = numbers.iter().copied().filter(|number| *number != serial && *number > 0);
            let mut all: Vec<u64> = others.chain(revoked.then_some(serial)).collect();
            all.sort_unstable();
            all.dedup();
            let serials = all.into_iter().map(Serial::try_from).collect::<Result<Vec<_>, _>>()?;
            let list = Krl::new(&ca, 1, UnixTime::from_secs(1), &serials)?;
            fs::write(world.web.dir.join("krl.new"), &list.bytes)?;
            fs::rename(world.web.dir.join("krl.new"), world.web.dir.join("krl"))?;
            let attempt = ssh.login(&account, &world.web, "true").await?;
            if revoked { attempt.must_be_out("revoked by file") } else { attempt.must_be_in() }.context(name)?;
        }
    }
    Ok(())
}

/// Killed before and after the commit of a revocation: nothing of it is half there, and to say it again completes it.
#[tokio::test]
async fn a_revocation_that_a_crash_cut_short_is_completed_by_saying_it_again() -> Result<()> {
    let mut world = guarded().await?;
    let lena = Caller::login(&world.server, &world.idp, "lena").await?;
    let body = json!({ "scope": { "user": { "name": "alice@corp.example" } }, "reason": "laptop stolen" }).to_string();
    for point in ["store.before-commit", "store.after-commit"] {
        let home = world.server.stop().await?;
        world.server = home.start_with_fault(point).await?;
        let alice = Caller::login(&world.server, &world.idp, "alice").await?;
        let asked = alice.certificate_body(&world.target())?;
        let issued: CertificateResponse =
            alice.ask(&world.server, "POST", paths::CERTIFICATES, &asked).await?.good()?;
        home.strike()?;
        ensure!(lena.ask(&world.server, "POST", paths::REVOCATIONS, body.as_bytes()).await.is_err(), "{point}");
        let home = world.server.died().await.with_context(|| format!("{point} was never reached"))?;
        home.verify_log(None).await?.success().with_context(|| point)?;
        world.server = home.start().await.with_context(|| format!("after {point}"))?;
        let receipt: Receipt = lena.ask(&world.server, "POST", paths::REVOCATIONS, body.as_bytes()).await?.good()?;
        ensure!(receipt.serials.contains(&issued.serial), "{point}: {receipt:?}");
        let again = alice.ask(&world.server, "POST", paths::CERTIFICATES, &asked).await?;
        assert_eq!(again.code(), Some(api::Code::LoginRequired), "{point}: {again:?}");
        let list = get(&world, "/v1/krl").await?;
        let serial = issued.serial.get().to_be_bytes();
        ensure!(list.windows(8).any(|eight| eight == serial), "{point}: not in the list");
    }
    Ok(())
}

#[tokio::test]
async fn nothing_is_issued_while_it_is_frozen_until_two_people_thaw_it() -> Result<()> {
    let world = guarded().await?;
    let (alice, nora) = (world.person("alice").await?, world.person("nora").await?);
    let (lena, mona) = (world.person("lena").await?, world.person("mona").await?);
    let target = world.target();
    said(&alice, &["ensure", &target]).await?;
    assert_eq!(alice.run(&["freeze", "--everything", "--reason", "x"]).await?.code, Some(3), "not hers to do");
    let frozen = said(&lena, &["freeze", "--user", "alice@corp.example", "--reason", "laptop stolen"]).await?;
    assert_eq!(frozen["live"], 1, "{frozen}");
    let id = frozen["id"].as_str().context("no id")?;
    let refused = alice.run(&["ensure", "--renew", &target]).await?;
    assert!(refused.code == Some(3) && refused.err.contains("frozen"), "{refused:?}");
    let status = alice.run(&["status"]).await?;
    assert!(status.out.contains("alice@corp.example is frozen since"), "{status:?}");
    assert!(!status.out.contains("laptop stolen"), "the reason is not hers to know: {status:?}");
    let ssh = world.ssh(&alice)?;
    ssh.login(&world.accounts.first, &world.web, "true").await?.must_be_in().context("what was issued goes on")?;

    let first = said(&lena, &["thaw", id, "--reason", "found"]).await?;
    assert_eq!((&first["thawed"], &first["thawed_by"]), (&Value::Null, &json!(["lena@corp.example"])), "{first}");
    assert_eq!(said(&lena, &["thaw", id, "--reason", "found"]).await?["thawed"], Value::Null, "she is one person");
    assert_eq!(alice.run(&["ensure", "--renew", &target]).await?.code, Some(3));
    assert_eq!(said(&mona, &["thaw", id, "--reason", "seen"]).await?["thawed"], true);
    said(&alice, &["ensure", "--renew", &target]).await?;

    let all = said(&mona, &["freeze", "--everything", "--reason", "incident"]).await?;
    for person in [&alice, &nora] {
        assert_eq!(person.run(&["ensure", "--renew", &target]).await?.code, Some(3));
    }
    // It outlives the server, and people can still log in: how else would they thaw it?
    let world = world.restart_server().await?;
    let (lena, mona) = (again(&world, "lena").await?, again(&world, "mona").await?);
    let listed = said(&lena, &["freezes"]).await?;
    assert_eq!((&listed["freezes"][0]["id"], &listed["freezes"][0]["reason"]), (&all["id"], &json!("incident")));
    let id = all["id"].as_str().context("no id")?;
    for person in [&lena, &mona] {
        said(person, &["thaw", id, "--reason", "over"]).await?;
    }
    assert_eq!(said(&lena, &["freezes"]).await?["freezes"], json!([]));
    Ok(())
}
