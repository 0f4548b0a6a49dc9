//! The provider itself: what the other stories take for granted about it.

use anyhow::{Context as _, Result};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use e2e::kit::{browser, idp::Idp, token::id_token};
use serde_json::{Value, json};

fn parts(token: &str) -> Result<(Value, Value)> {
    let mut parts = token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part));
    let (header, claims) = (parts.next().context("header")??, parts.next().context("claims")??);
    Ok((serde_json::from_slice(&header)?, serde_json::from_slice(&claims)?))
}

#[tokio::test]
async fn it_says_of_a_person_what_it_was_told_and_signs_by_the_key_it_shows() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut idp = Idp::start(dir.path()).await?;
    idp.account(
        "alice",
        &json!({ "email": "alice@corp.example", "email_verified": true, "groups": ["sre"], "amr": ["mfa"] }),
    )
    .await?;
    let (header, claims) = parts(&id_token(&idp, "jit-ssh", "alice", "nonce-1").await?)?;
    assert_eq!(claims["sub"], "alice");
    assert_eq!(claims["nonce"], "nonce-1");
    assert_eq!(claims["email_verified"], true);
    assert_eq!(claims["groups"], json!(["sre"]));
    assert_eq!(claims["amr"], json!(["mfa"]));
    assert!(claims["auth_time"].is_u64(), "{claims}");

    let shown = |jwks: &Value, kid: &Value| {
        jwks["keys"].as_array().is_some_and(|keys| keys.iter().any(|key| key["kid"] == *kid))
    };
    let jwks = async || -> Result<Value> {
        Ok(browser::http()?.get(format!("{}/jwks", idp.issuer)).send().await?.json().await?)
    };
    assert!(shown(&jwks().await?, &header["kid"]));
    idp.rotate().await?;
    assert!(!shown(&jwks().await?, &header["kid"]), "a rotated key is gone");

    let before = jwks().await?;
    idp.kill().await?;
    assert!(browser::http()?.get(&idp.issuer).send().await.is_err(), "killed means silent");
    idp.back().await?;
    let after: Value = browser::http()?.get(format!("{}/jwks", idp.issuer)).send().await?.json().await?;
    assert_eq!(before, after, "it comes back as the same one");
    Ok(())
}
