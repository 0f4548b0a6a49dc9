//! Logins at a certified OpenID Provider that refuses, rotates its keys, dies and comes back; and tokens that were never
//! meant for this login.

use anyhow::{Context as _, Result, ensure};
use api::{Code, LoginResponse, paths, signature::login_nonce};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use e2e::kit::{
    browser::{Browser, Person},
    caller::{Caller, fresh_key, login_with},
    process::Process,
    server::Server,
    token::id_token,
    world::World,
};
use serde_json::{Value, json};

/// Which audit entries of `code` the operator's log would show is for other stories; here: nobody got a session.
async fn refused(server: &Server, token: &str, expected: &[Code]) -> Result<()> {
    refused_for(server, token, &fresh_key()?, expected).await
}

async fn refused_for(server: &Server, token: &str, key: &ed25519_dalek::SigningKey, expected: &[Code]) -> Result<()> {
    let answer = login_with(server, token, key).await?;
    ensure!(answer.code().is_some_and(|code| expected.contains(&code)), "expected {expected:?}: {answer:?}");
    ensure!(token.is_empty() || !answer.body.contains(token), "the token comes back: {answer:?}");
    Ok(())
}

#[tokio::test]
async fn a_refusal_at_the_provider_is_told_and_leaves_nothing_behind() -> Result<()> {
    let world = World::new().await?;
    for person in [Person::RefusesLogin, Person::RefusesConsent("alice")] {
        let alice = world.machine(&format!("{person:?}").replace(['(', ')', '"'], "-")).await?;
        let (login, page) = alice.login(person).await?;
        ensure!(login.code != Some(0), "{login:?}");
        ensure!(login.err.contains("refused") || login.err.contains("denied"), "{login:?}");
        ensure!(!page.text.contains("Logged in"), "the browser is told otherwise: {page:?}");
        let status = alice.run(&["ensure", &world.target()]).await?;
        assert_eq!(status.code, Some(4), "{status:?}");
    }
    Ok(())
}

#[tokio::test]
async fn the_device_grant_logs_in_where_the_server_allows_it() -> Result<()> {
    let world = World::new().await?;
    let alice = world.machine("alice").await?;
    let mut command = alice.command(&["login", "--device"])?;
    command.stdin(std::process::Stdio::null());
    let process = Process::start("jit-ssh login --device", command)?;
    let code =
        process.err.wait_for(0, |line| line.contains("type the code")).await.with_context(|| process.err.text())?;
    let code = code.split_whitespace().last().context("no code")?;
    let page = format!("{}/device?user_code={code}", world.idp.issuer);
    Browser::new()?.enter_code(&page, Person::LogsIn("alice")).await?;
    let login = process.finish().await?;
    ensure!(login.code == Some(0), "{login:?}");
    let ensured = alice.run(&["ensure", &world.target()]).await?;
    assert_eq!(ensured.code, Some(0), "{ensured:?}");
    Ok(())
}

/// The keys change while alice looks at the login page, and again behind the back of a server that knows the old ones.
#[tokio::test]
async fn a_key_rotation_in_mid_flow_does_not_matter() -> Result<()> {
    let world = World::new().await?;
    // The server has seen the first keys.
    Caller::login(&world.server, &world.idp, "alice").await?;
    let alice = world.machine("alice").await?;
    let (process, url) = alice.begin_login(&[]).await?;
    let mut browser = Browser::new()?;
    let page = browser.open(&url).await?;
    assert_eq!(page.prompt(), Some("login"));
    world.idp.rotate().await?;
    browser.visit(&url, Person::LogsIn("alice")).await?;
    let login = process.finish().await?;
    ensure!(login.code == Some(0), "{login:?}");
    Ok(())
}

/// A provider that signs with a type of key it did not use before.
#[tokio::test]
async fn every_allowed_algorithm_is_believed_and_no_other() -> Result<()> {
    let world = World::new().await?;
    for algorithm in ["RS256", "ES256", "EdDSA"] {
        world.idp.algorithm(algorithm).await?;
        Caller::login(&world.server, &world.idp, "alice").await.with_context(|| algorithm)?;
    }
    world.idp.algorithm("PS256").await?;
    let key = fresh_key()?;
    let token = id_token(&world.idp, "jit-ssh", "alice", &login_nonce(&key.verifying_key())).await?;
    refused_for(&world.server, &token, &key, &[Code::TokenRefused]).await
}

/// Who is logged in goes on; who wants to log in is told to wait; when it is back, all is well without a restart.
#[tokio::test]
async fn a_provider_that_dies_stops_nobody_who_is_in_and_nothing_when_it_is_back() -> Result<()> {
    let mut world = World::new().await?;
    let alice = world.person("alice").await?;
    world.idp.kill().await?;
    let ensured = alice.run(&["ensure", &world.target()]).await?;
    assert_eq!(ensured.code, Some(0), "logged in is logged in: {ensured:?}");
    let bob = world.machine("bob").await?;
    let login = bob.run(&["login", "--no-browser"]).await?;
    assert_eq!(login.code, Some(6), "{login:?}");
    let ready = e2e::kit::browser::http()?.get(format!("{}/ready", world.server.url)).send().await?;
    assert_eq!(ready.status(), 200, "an issuer that is down does not make the server unready");
    world.idp.back().await?;
    let (login, _) = bob.login(Person::LogsIn("bob")).await?;
    assert_eq!(login.code, Some(0), "{login:?}");
    world.idp.broken(true).await?;
    let carol = world.machine("carol").await?;
    let login = carol.run(&["login", "--no-browser"]).await?;
    ensure!(login.code != Some(0), "500 is no login: {login:?}");
    world.idp.broken(false).await?;
    let (login, _) = carol.login(Person::LogsIn("carol")).await?;
    assert_eq!(login.code, Some(0), "{login:?}");
    Ok(())
}

#[tokio::test]
async fn a_provider_that_is_down_at_start_never_stops_the_server() -> Result<()> {
    let mut world = World::new().await?;
    let alice = Caller::login(&world.server, &world.idp, "alice").await?;
    let home = world.server.stop().await?;
    world.idp.kill().await?;
    world.server = home.start().await.context("it starts without its issuer")?;
    alice.ask(&world.server, "GET", paths::SESSION, b"").await?.good::<api::SessionEntry>()?;
    world.idp.back().await?;
    // Found again without a restart, at the latest when its background attempts come round.
    let began = std::time::Instant::now();
    while let Err(error) = Caller::login(&world.server, &world.idp, "alice").await {
        ensure!(began.elapsed().as_secs() < 60, "a minute after it was back: {error:#}");
    }
    Ok(())
}

/// CVE-2026-47164 (an address nobody verified), attacks B1: each of these tokens is signed by the right key.
#[tokio::test]
async fn a_token_that_was_not_made_for_this_login_opens_nothing() -> Result<()> {
    let world = World::new().await?;
    let (server, idp) = (&world.server, &world.idp);
    let key = fresh_key()?;
    let nonce = login_nonce(&key.verifying_key());
    let good = id_token(idp, "jit-ssh", "alice", &nonce).await?;

    // Stolen: another session key, whose nonce it does not carry.
    refused(server, &good, &[Code::TokenRefused]).await?;
    // For another application, by somebody who logged in there, nonce and all.
    let other_application = id_token(idp, "another-app", "alice", &nonce).await?;
    refused_for(server, &other_application, &key, &[Code::TokenRefused]).await?;
    // With no nonce of ours.
    let other_nonce = id_token(idp, "jit-ssh", "alice", "n-0S6_WzA2Mj").await?;
    refused_for(server, &other_nonce, &key, &[Code::TokenRefused]).await?;
    // None of that used up the good one; it is worth one login.
    let session = login_with(server, &good, &key).await?.good::<LoginResponse>()?;
    assert_eq!(session.identity.email.context("an e-mail address")?.as_str(), "alice@corp.example");
    refused_for(server, &good, &key, &[Code::TokenUsed]).await?;
    // The server forgets nothing when it restarts.
    let world = world.restart_server().await?;
    refused_for(&world.server, &good, &key, &[Code::TokenUsed]).await
}

#[tokio::test]
async fn cve_2026_47164_an_unverified_address_is_no_address() -> Result<()> {
    let world = World::new().await?;
    for (number, verified) in [json!(false), Value::Null, json!("true"), json!(1)].into_iter().enumerate() {
        let name = format!("eve{number}");
        let mut claims = json!({ "email": "alice@corp.example", "groups": [] });
        if !verified.is_null() {
            claims["email_verified"] = verified.clone();
        }
        world.idp.account(&name, &claims).await?;
        let key = fresh_key()?;
        let token = id_token(&world.idp, "jit-ssh", &name, &login_nonce(&key.verifying_key())).await?;
        let answer = login_with(&world.server, &token, &key).await?;
        // Refused, or let in as somebody without an address: never as alice.
        if answer.status == 200 {
            let identity = answer.good::<LoginResponse>()?.identity;
            assert!(identity.email.is_none() && identity.subject.as_str() == name, "{verified}: {identity:?}");
        } else {
            assert_eq!(answer.code(), Some(Code::TokenRefused), "{verified}: {answer:?}");
        }
    }
    Ok(())
}

/// CVE-2025-4658 and its family: a token in any dress but the one, around claims that a real login carries.
#[tokio::test]
async fn cve_2025_4658_no_other_dress_of_a_token_is_believed() -> Result<()> {
    let world = World::new().await?;
    let key = fresh_key()?;
    let good = id_token(&world.idp, "jit-ssh", "alice", &login_nonce(&key.verifying_key())).await?;
    let parts: Vec<&str> = good.split('.').collect();
    let [header, claims, signature] = parts[..] else { anyhow::bail!("{} parts", parts.len()) };
    let mut root: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims)?)?;
    root["sub"] = "root".into();
    let forged = URL_SAFE_NO_PAD.encode(root.to_string());
    let head = |text: Value| URL_SAFE_NO_PAD.encode(text.to_string());
    let real: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header)?)?;
    let with = |name: &str, value: Value| {
        let mut header = real.clone();
        header[name] = value;
        head(header)
    };
    let hs256 = {
        // The public key as the secret of an HMAC (RS/HS confusion) needs no key at all to be tried.
        head(json!({ "alg": "HS256", "kid": real["kid"] }))
    };
    let tokens = [
        ("other claims", format!("{header}.{forged}.{signature}")),
        ("no signature", format!("{header}.{claims}.")),
        ("alg none", format!("{}.{forged}.", head(json!({ "alg": "none" })))),
        ("alg None, signed", format!("{}.{claims}.{signature}", with("alg", "None".into()))),
        ("HS256", format!("{hs256}.{claims}.{signature}")),
        ("no kid", format!("{}.{claims}.{signature}", head(json!({ "alg": real["alg"] })))),
        ("a kid that is a path", format!("{}.{claims}.{signature}", with("kid", "../../../../dev/null".into()))),
        ("a key of its own", format!("{}.{claims}.{signature}", with("jwk", json!({ "kty": "oct", "k": "AA" })))),
        ("crit", format!("{}.{claims}.{signature}", with("crit", json!(["b64"])))),
        ("an access token's type", format!("{}.{claims}.{signature}", with("typ", "at+jwt".into()))),
        ("four parts", format!("{good}.{signature}")),
        ("a comma", format!("{good},{good}")),
        ("padding", format!("{good}=")),
        ("a space", format!(" {good}")),
        ("JSON", json!({ "payload": claims, "protected": header, "signature": signature }).to_string()),
        (
            "JSON, two signatures",
            json!({ "payload": forged, "signatures": [{ "protected": header, "signature": signature }] }).to_string(),
        ),
        ("nothing", String::new()),
    ];
    for (what, token) in tokens {
        refused_for(&world.server, &token, &key, &[Code::TokenRefused, Code::UnknownIssuer, Code::BadRequest])
            .await
            .with_context(|| what)?;
    }
    login_with(&world.server, &good, &key).await?.good::<LoginResponse>().context("the good one is still good")?;
    Ok(())
}

/// The proof of possession of the session key binds token, key and server.
#[tokio::test]
async fn a_login_needs_the_session_key_itself() -> Result<()> {
    use ed25519_dalek::Signer as _;
    let world = World::new().await?;
    let (key, thief) = (fresh_key()?, fresh_key()?);
    let token = id_token(&world.idp, "jit-ssh", "alice", &login_nonce(&key.verifying_key())).await?;
    let body = |proof: &[u8]| {
        json!({
            "token": token,
            "session_key": URL_SAFE_NO_PAD.encode(key.verifying_key().as_bytes()),
            "proof": URL_SAFE_NO_PAD.encode(proof),
        })
    };
    let text = api::signature::login_proof(e2e::kit::server::AUDIENCE, &token);
    let elsewhere = api::signature::login_proof("http://other.example", &token);
    let weak = json!({ "token": token, "session_key": URL_SAFE_NO_PAD.encode([0u8; 32]), "proof": URL_SAFE_NO_PAD.encode([0u8; 64]) });
    for (what, body) in [
        ("another key's proof", body(&thief.sign(&text).to_bytes())),
        ("a proof for another server", body(&key.sign(&elsewhere).to_bytes())),
        ("no proof", body(&[])),
        ("a small-order key", weak),
    ] {
        let sent =
            e2e::kit::caller::send(&world.server, "POST", paths::LOGIN, None, body.to_string().into_bytes()).await?;
        assert!((400..=403).contains(&sent.status), "{what}: {sent:?}");
    }
    login_with(&world.server, &token, &key).await?.good::<LoginResponse>().map(|_session| ())
}

/// Entra leaves groups out when there are too many and says where to ask instead; access must not depend on half of them.
#[tokio::test]
async fn groups_that_did_not_fit_are_a_clear_error() -> Result<()> {
    let world = World::new().await?;
    let overage = json!({ "email": "max@corp.example", "email_verified": true, "_claim_names": { "groups": "src1" } });
    world.idp.account("max", &overage).await?;
    let key = fresh_key()?;
    let token = id_token(&world.idp, "jit-ssh", "max", &login_nonce(&key.verifying_key())).await?;
    let (_, rest) = token.split_once('.').context("a token")?;
    let claims = URL_SAFE_NO_PAD.decode(rest.split('.').next().unwrap_or_default())?;
    ensure!(String::from_utf8_lossy(&claims).contains("_claim_names"), "the provider does not say so: {claims:?}");
    refused_for(&world.server, &token, &key, &[Code::GroupsOverage]).await
}
