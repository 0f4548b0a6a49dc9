//! What an operator does to the server, and what happens to it: reload, stop, a full disk, a broken file.

use anyhow::{Context as _, Result, ensure};
use api::{CertificateResponse, Code, paths};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use ca_server::store::{Store as _, redb::RedbStore};
use e2e::kit::{
    accounts::Accounts,
    binaries,
    caller::{Caller, fresh_key, login_with},
    process::{Finished, run},
    server::{Home, people},
    token::id_token,
    world::{World, policy},
};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::{fs, os::unix::fs::PermissionsExt as _};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    process::Command,
};

/// A bad set never replaces a good one; a good one counts from the next certificate on.
#[tokio::test]
async fn a_bad_policy_keeps_the_good_one_and_a_good_one_counts_at_once() -> Result<()> {
    let world = World::new().await?;
    let alice = Caller::login(&world.server, &world.idp, "alice").await?;
    let file = world.server.home.path("policy/access.cedar");
    let good = fs::read_to_string(&file)?;
    let ask =
        async || alice.ask(&world.server, "POST", paths::CERTIFICATES, &alice.certificate_body(&world.target())?).await;

    let log = &world.server.process.err;
    let mark = log.mark();
    fs::write(&file, good.replace("@max_duration(\"10m\")", "@max_duratoin(\"10m\")"))?;
    world.server.process.signal(Signal::HUP);
    let told = log.wait_for(mark, |line| line.contains("max_duratoin")).await?;
    assert!(told.contains("access.cedar:"), "with file and line: {told}");
    ask().await?.good::<CertificateResponse>().context("the good set is still in force")?;

    let mark = log.mark();
    fs::write(&file, good + "@id(\"limits/freeze\") @advice(\"Frozen.\") forbid (principal, action, resource);\n")?;
    world.server.process.signal(Signal::HUP);
    log.wait_for(mark, |line| line.contains("polic") && line.contains("INFO")).await?;
    let denied = ask().await?;
    assert_eq!(denied.code(), Some(Code::Denied), "{denied:?}");
    assert!(denied.body.contains("limits/freeze") && denied.body.contains("Frozen."), "{denied:?}");
    Ok(())
}

/// SIGTERM in the middle of a request: it is answered, nobody new is let in, and the exit is a good one.
#[tokio::test]
async fn a_stop_finishes_what_is_in_flight() -> Result<()> {
    let mut world = World::new().await?;
    let alice = Caller::login(&world.server, &world.idp, "alice").await?;
    let signed = alice.sign("POST", paths::CERTIFICATES, &alice.certificate_body(&world.target())?)?;
    let address = world.server.url.strip_prefix("http://").context("plain HTTP")?.to_owned();
    let mut stream = TcpStream::connect(&address).await?;
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\nauthorization: {}\r\n\
         content-length: {}\r\nexpect: 100-continue\r\n\r\n",
        signed.path,
        signed.authorization,
        signed.body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    // The server asks for the body: so the request is in its hands before it is told to stop.
    let mut first = [0; 25];
    stream.read_exact(&mut first).await?;
    ensure!(first.starts_with(b"HTTP/1.1 100"), "{}", String::from_utf8_lossy(&first));
    let mark = world.server.process.err.mark();
    world.server.process.signal(Signal::TERM);
    world.server.process.err.wait_for(mark, |line| line.contains("stopping")).await?;
    stream.write_all(&signed.body).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("-cert-v01@openssh.com"), "{answer}");
    assert!(world.server.process.wait().await?.success(), "{}", world.server.process.err.text());
    Ok(())
}

/// CVE-2025-44005: an error was ignored and the certificate issued all the same. Here the disk is full.
#[tokio::test]
async fn cve_2025_44005_a_store_that_fails_issues_nothing() -> Result<()> {
    let mut world = World::new().await?;
    let alice = Caller::login(&world.server, &world.idp, "alice").await?;
    let home = world.server.stop().await?;
    // Room for the record of the start, and for some certificates.
    let room = fs::metadata(home.path("jit-ssh.redb"))?.len() + 512 * 1024;
    world.server = home.start_with_files_up_to(room).await?;
    let mut released = Vec::new();
    let failed = loop {
        let body = alice.certificate_body(&format!("{}@web-1", world.accounts.first))?;
        let answer = alice.ask(&world.server, "POST", paths::CERTIFICATES, &body).await?;
        if answer.status != 200 {
            break answer;
        }
        released.push(answer.good::<CertificateResponse>()?.certificate);
        ensure!(released.len() < 20_000, "the disk is never full");
    };
    assert_eq!((failed.status, failed.code()), (503, Some(Code::StoreUnavailable)), "{failed:?}");
    assert!(!failed.body.contains("-cert-v01@"), "{failed:?}");
    // It stays no, and it is no hang.
    let body = alice.certificate_body(&format!("{}@web-1", world.accounts.first))?;
    let again = alice.ask(&world.server, "POST", paths::CERTIFICATES, &body).await?;
    assert_eq!(again.code(), Some(Code::StoreUnavailable), "{again:?}");

    let home = world.server.kill().await?;
    let on_record = {
        let store = RedbStore::open(&home.path("jit-ssh.redb"), &home.seal()?)?;
        let count = usize::try_from(store.entry_count().await?)?;
        let entries = store.entries(0, count).await?;
        let issued = entries.iter().filter_map(|entry| serde_json::from_slice::<Value>(entry.as_bytes()).ok());
        issued.filter_map(|entry| STANDARD.decode(entry["to_be_signed"].as_str()?).ok()).collect::<Vec<_>>()
    };
    for certificate in &released {
        let blob = STANDARD.decode(certificate.split(' ').nth(1).context("a certificate")?)?;
        ensure!(on_record.iter().any(|bytes| blob.starts_with(bytes)), "I1: released and not on record");
    }
    world.server = home.start().await.context("with room again")?;
    let body = alice.certificate_body(&format!("{}@web-1", world.accounts.first))?;
    alice.ask(&world.server, "POST", paths::CERTIFICATES, &body).await?.good::<CertificateResponse>().map(|_issued| ())
}

/// What is broken stops the start, is named with what to do, and stays as it is: an operator may still mend it.
#[tokio::test]
async fn what_is_broken_stops_the_start_and_is_not_overwritten() -> Result<()> {
    type Break = fn(&Home) -> Result<()>;
    let cases: [(&str, &str, Break, &str); 8] = [
        (
            "a store of noise",
            "jit-ssh.redb",
            |home| Ok(fs::write(home.path("jit-ssh.redb"), [7; 8192])?),
            "jit-ssh.redb",
        ),
        (
            "a store cut short",
            "jit-ssh.redb",
            |home| {
                let file = home.path("jit-ssh.redb");
                drop(RedbStore::open(&file, &home.seal()?)?);
                let whole = fs::read(&file)?;
                Ok(fs::write(&file, &whole[..whole.len() / 3])?)
            },
            "jit-ssh.redb",
        ),
        (
            "a key that is none",
            "keys/user_ca",
            |home| Ok(fs::write(home.path("keys/user_ca"), "not a key\n")?),
            "user_ca",
        ),
        (
            "a key others may read",
            "keys/user_ca",
            |home| Ok(fs::set_permissions(home.path("keys/user_ca"), fs::Permissions::from_mode(0o644))?),
            "user_ca",
        ),
        (
            "one key in two roles",
            "keys/host_ca",
            |home| {
                fs::copy(home.path("keys/user_ca"), home.path("keys/host_ca")).map(|_bytes| ())?;
                Ok(())
            },
            "host",
        ),
        (
            "a policy with a typing error",
            "policy/access.cedar",
            |home| {
                let file = home.path("policy/access.cedar");
                Ok(fs::write(&file, fs::read_to_string(&file)?.replace("permit (", "premit ("))?)
            },
            "access.cedar:",
        ),
        (
            "an unknown setting",
            "config.toml",
            |home| {
                let file = home.path("config.toml");
                Ok(fs::write(&file, fs::read_to_string(&file)?.replace("timezone", "timezon"))?)
            },
            "timezone",
        ),
        (
            "plain HTTP for everybody",
            "config.toml",
            |home| {
                let file = home.path("config.toml");
                Ok(fs::write(&file, fs::read_to_string(&file)?.replace("127.0.0.1:0", "0.0.0.0:0"))?)
            },
            "loopback",
        ),
    ];
    let accounts = Accounts::ready()?;
    for (what, touched, damage, named) in cases {
        let dir = tempfile::tempdir()?;
        let home = Home::init(&dir.path().join("ca"), &policy(&accounts), &people("http://127.0.0.1:9")).await?;
        damage(&home).with_context(|| what)?;
        let before = fs::read(home.path(touched))?;
        let ended = server(&home, "run").await.with_context(|| what)?;
        assert!(ended.code.is_some_and(|code| code != 0), "{what}: {ended:?}");
        assert!(ended.err.contains(named), "{what}, naming {named}: {ended:?}");
        assert!(!ended.err.contains("panicked"), "{what}: {ended:?}");
        assert_eq!(fs::read(home.path(touched))?, before, "{what}: it was overwritten");
        let checked = server(&home, "check").await.with_context(|| what)?;
        assert_eq!(checked.code, Some(1), "{what}: check is content: {checked:?}");
    }
    Ok(())
}

/// A page of noise anywhere in a store that was closed well. Both say so, in a sentence, and neither writes.
#[tokio::test]
async fn a_damaged_page_is_found_wherever_it_is() -> Result<()> {
    let mut world = World::new().await?;
    let alice = Caller::login(&world.server, &world.idp, "alice").await?;
    for _certificate in 0..200 {
        let body = alice.certificate_body(&world.target())?;
        alice.ask(&world.server, "POST", paths::CERTIFICATES, &body).await?.good::<CertificateResponse>()?;
    }
    let home = world.server.stop().await?;
    let file = home.path("jit-ssh.redb");
    let whole = fs::read(&file)?;
    let page = 4096;
    let pages = whole.len() / page;
    let mut found = 0;
    for number in (0..pages).step_by((pages / 12).max(1)) {
        let mut damaged = whole.clone();
        damaged[number * page..][..page].fill(0xff);
        fs::write(&file, &damaged)?;
        let checked = server(&home, "check").await?;
        assert!(!checked.err.contains("panicked"), "page {number}: {checked:?}");
        assert_eq!(fs::read(&file)?, damaged, "page {number}: check wrote");
        // A page that nothing refers to holds nothing that could be lost.
        if checked.code == Some(0) {
            continue;
        }
        found += 1;
        assert!(checked.code == Some(1) && checked.out.contains("never delete it"), "page {number}: {checked:?}");
        let ended = server(&home, "run").await?;
        assert_eq!(ended.code, Some(1), "page {number}: {ended:?}");
        assert!(ended.err.contains("jit-ssh.redb") && ended.err.contains("never delete it"), "{number}: {ended:?}");
        assert_eq!(fs::read(&file)?, damaged, "page {number}: run wrote");
    }
    ensure!(found >= 3, "only {found} of {pages} pages were missed");
    for cut in [whole.len() / 3, whole.len() / 2, whole.len() - page] {
        fs::write(&file, &whole[..cut])?;
        let checked = server(&home, "check").await?;
        assert!(checked.code == Some(1) && checked.out.contains("never delete it"), "cut at {cut}: {checked:?}");
        assert_eq!(server(&home, "run").await?.code, Some(1), "cut at {cut}");
        assert_eq!(fs::read(&file)?, whole[..cut], "cut at {cut}: it was written");
    }
    fs::write(&file, &whole)?;
    world.server = home.start().await.context("whole again")?;
    Ok(())
}

async fn server(home: &Home, verb: &str) -> Result<Finished> {
    let mut command = Command::new(binaries::program("ca-server")?);
    command.arg(verb).arg("--config").arg(home.path("config.toml")).env_remove("JIT_SSH_CA_PASSPHRASE");
    run(&format!("ca-server {verb}"), command).await
}

/// I11, and E3 of the attacks: a log is for people who may know less than the server, and for machines that read lines.
#[tokio::test]
async fn the_log_holds_no_secret_and_nothing_a_stranger_wrote_raw() -> Result<()> {
    let world = World::new().await?;
    let hostile = "x\u{1b}[2J\n{\"level\":\"ERROR\",\"forged\":true}\r\u{202e}";
    let claims =
        json!({ "email": format!("{hostile}@corp.example"), "email_verified": true, "groups": [hostile, "sre"] });
    world.idp.account("mallory", &claims).await?;
    let key = fresh_key()?;
    let nonce = api::signature::login_nonce(&key.verifying_key());
    let token = id_token(&world.idp, "jit-ssh", "mallory", &nonce).await?;
    let _whatever_comes_of_it = login_with(&world.server, &token, &key).await?;
    let alice = Caller::login(&world.server, &world.idp, "alice").await?;
    alice.ask(&world.server, "POST", paths::CERTIFICATES, &alice.certificate_body(&world.target())?).await?;
    let path = "/v1/%1b%5b2J%0a{\"forged\":true}";
    let _not_found = e2e::kit::browser::http()?.get(format!("{}{path}", world.server.url)).send().await?;
    let _garbage = login_with(&world.server, hostile, &key).await?;
    let home = world.server.home.clone();
    let log = world.server.process.err.clone();
    world.server.stop().await?;

    let text = log.text();
    assert!(text.lines().count() > 3, "{text}");
    for line in text.lines() {
        let entry: Value = serde_json::from_str(line).with_context(|| format!("not a line of JSON: {line:?}"))?;
        assert!(entry.get("forged").is_none(), "{line}");
        assert!(!line.chars().any(|c| c.is_control() || c == '\u{202e}'), "{line:?}");
    }
    let private = fs::read_to_string(home.path("keys/user_ca"))?;
    let inner = private.lines().nth(2).context("a private key")?;
    for (what, secret) in [
        ("a token", token.as_str()),
        ("its signature", token.rsplit('.').next().unwrap_or_default()),
        ("a CA key", inner),
    ] {
        assert!(!text.contains(secret), "{what} is in the log");
    }
    Ok(())
}
