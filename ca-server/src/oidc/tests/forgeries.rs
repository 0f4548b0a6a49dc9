//! Tokens that nobody may be believed for.

use super::{CLIENT, NOW, Signer, World, session_key};
use api::Code;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::SigningKey;
use serde_json::{Value, json};

#[tokio::test]
async fn honest_tokens_of_every_key_type_are_believed() {
    let world = World::new().await;
    for signer in [&world.rsa, &world.ec, &world.ed] {
        let verified = world.verify(&signer.token(&world.claims())).await.unwrap();
        assert_eq!(verified.identity.subject.as_str(), "u-1");
        assert_eq!(verified.binding, "nonce");
        assert_eq!(verified.token.forget.as_secs(), NOW + 300 + 60);
    }
}

#[tokio::test]
async fn alg_none_in_every_spelling() {
    let world = World::new().await;
    for none in ["none", "None", "NONE", "nOnE", ""] {
        let header = json!({ "alg": none, "typ": "JWT", "kid": "ec-1" });
        let signed_part = parts(&header, &world.claims());
        for token in
            [format!("{signed_part}."), format!("{signed_part}.AA"), world.ec.token_with(&header, &world.claims())]
        {
            assert_eq!(world.verify(&token).await.unwrap_err(), Code::TokenRefused, "{none}");
        }
    }
}

#[tokio::test]
async fn hs256_with_the_public_key_as_secret() {
    let world = World::new().await;
    for (signer, algorithm) in
        [(&world.rsa, "HS256"), (&world.ec, "HS256"), (&world.ed, "HS512"), (&world.rsa, "HS384")]
    {
        let header = json!({ "alg": algorithm, "typ": "JWT", "kid": signer.header()["kid"] });
        let secret = jsonwebtoken::EncodingKey::from_secret(&signer.public_bytes());
        let signed_part = parts(&header, &world.claims());
        let signature =
            jsonwebtoken::crypto::sign(signed_part.as_bytes(), &secret, algorithm.parse().unwrap()).unwrap();
        assert_eq!(world.verify(&format!("{signed_part}.{signature}")).await.unwrap_err(), Code::TokenRefused);
    }
    for never in ["HS256", "HS384", "HS512", "none", "ES256K", "RSA-OAEP", "rs256"] {
        let text = format!("url = \"https://i.example\"\nclient_id = \"c\"\nalgorithms = [\"{never}\"]");
        assert!(toml::from_str::<crate::config::issuer::IssuerConfig>(&text).is_err(), "{never} could be configured");
    }
}

#[tokio::test]
async fn an_algorithm_that_is_not_allowed_or_not_the_keys() {
    let world = World::with(|config| config.algorithms.retain(|algorithm| algorithm.name() != "RS256")).await;
    assert_eq!(world.verify(&world.rsa.token(&world.claims())).await.unwrap_err(), Code::TokenRefused);
    for (signer, claimed) in
        [(&world.ec, "RS256"), (&world.ec, "EdDSA"), (&world.ed, "ES256"), (&world.rsa, "PS256"), (&world.ec, "ES384")]
    {
        let mut header = signer.header();
        header["alg"] = claimed.into();
        let token = signer.token_with(&header, &world.claims());
        assert_eq!(world.verify(&token).await.unwrap_err(), Code::TokenRefused, "{claimed}");
    }
}

#[tokio::test]
async fn key_ids_are_compared_and_nothing_else() {
    let world = World::new().await;
    for kid in [
        "../../../../dev/null",
        "/dev/null",
        "x' UNION SELECT 'key",
        "ec-1\u{0}",
        " ec-1",
        "EC-1",
        "rsa-1",
        "",
        "http://127.0.0.1:1/key",
        "$(id)",
    ] {
        let mut header = world.ec.header();
        header["kid"] = kid.into();
        let token = world.ec.token_with(&header, &world.claims());
        assert_eq!(world.verify(&token).await.unwrap_err(), Code::TokenRefused, "{kid:?}");
    }
    for kid in [json!(1), json!(["ec-1"]), json!({ "kid": "ec-1" }), json!("k".repeat(300)), json!(null)] {
        let mut header = world.ec.header();
        header["kid"] = kid;
        assert_eq!(world.verify(&world.ec.token_with(&header, &world.claims())).await.unwrap_err(), Code::TokenRefused);
    }
}

#[tokio::test]
async fn a_key_of_the_tokens_own_is_never_used() {
    let (world, stranger) = (World::new().await, Signer::p256("ec-1"));
    assert_eq!(world.cause(&stranger.token(&world.claims())).await, "its signature does not verify");
    let own_address = format!("{}/jwks", world.server.url());
    for (name, value) in [
        ("jwk", stranger.jwk()),
        ("jku", json!("https://stranger.example/jwks")),
        ("jku", json!(own_address)),
        ("x5u", json!("https://stranger.example/x5u")),
        ("x5c", json!(["MIIB"])),
    ] {
        for kid in ["ec-1", "stranger"] {
            let mut header = json!({ "alg": "ES256", "typ": "JWT", "kid": kid });
            header[name] = value.clone();
            let token = stranger.token_with(&header, &world.claims());
            assert_eq!(world.verify(&token).await.unwrap_err(), Code::TokenRefused, "{name} {kid}");
        }
    }
    let mut header = world.ec.header();
    header["jwk"] = world.ec.jwk();
    assert_eq!(world.cause(&world.ec.token_with(&header, &world.claims())).await, "its header brings a key of its own");
}

#[tokio::test]
async fn headers_that_ask_for_something_else() {
    let world = World::new().await;
    for (name, value) in [
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("b64", json!(false)),
        ("b64", json!(true)),
        ("zip", json!("DEF")),
        ("enc", json!("A128GCM")),
        ("typ", json!("at+jwt")),
        ("typ", json!("application/at+jwt")),
        ("typ", json!("logout+jwt")),
        ("typ", json!("dpop+jwt")),
        ("typ", json!(7)),
        ("cty", json!("secevent+jwt")),
        ("alg", json!(["ES256"])),
        ("alg", json!({ "alg": "ES256" })),
    ] {
        let mut header = world.ec.header();
        header[name] = value.clone();
        let token = world.ec.token_with(&header, &world.claims());
        assert_eq!(world.verify(&token).await.unwrap_err(), Code::TokenRefused, "{name} {value}");
    }
}

/// openpubkey before 0.10 could be led to check one signature and read another payload.
#[tokio::test]
async fn cve_2025_4658_one_token_has_one_reading() {
    let world = World::new().await;
    let good = world.ec.token(&world.claims());
    let forged = parts(&world.ec.header(), &world.claims_but(json!({ "sub": "root" })));
    let [header, payload, signature]: [&str; 3] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
    let forged_payload = forged.split('.').nth(1).unwrap();
    let general = json!({ "payload": payload, "signatures": [{ "protected": header, "signature": signature }] });
    let flattened = json!({ "payload": payload, "protected": header, "signature": signature });
    let tokens = [
        general.to_string(),
        flattened.to_string(),
        json!([good]).to_string(),
        format!("{header}.{forged_payload}.{signature}"),
        format!("{forged}.{signature}"),
        format!("{good}.{forged}.{signature}"),
        format!("{forged}.{good}"),
        format!("{good}.{good}"),
        format!("{header}.{payload}.{forged_payload}.{signature}"),
        format!("{header}..{payload}.{signature}"),
        format!("{header}.{payload}..{signature}"),
        format!(".{good}"),
        format!("{good}."),
        format!("{good}.."),
        format!("{header}.{payload}"),
        format!("{header}.{payload}."),
        format!("..{signature}"),
        format!("{header}..{signature}"),
        format!("{good}:{good}"),
        format!(" {good}"),
        format!("{good}\n"),
        format!("{header}.{payload}.{signature}="),
        format!("{header}=.{payload}=.{signature}"),
        format!("{header}.{payload}\n.{signature}"),
        format!("{header}.{payload}.{signature}{signature}"),
        good.replace('.', ".."),
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        "...".to_owned(),
    ];
    for token in &tokens {
        assert_eq!(world.verify(token).await.unwrap_err(), Code::TokenRefused, "{token}");
    }
    let nested = world.ec.token_of(&world.ec.header().to_string(), &good);
    assert_eq!(world.verify(&nested).await.unwrap_err(), Code::TokenRefused);
    assert!(world.verify(&good).await.is_ok());
}

#[tokio::test]
async fn cve_2025_4658_a_name_that_stands_twice() {
    let world = World::new().await;
    let (header, claims) = (world.ec.header().to_string(), world.claims().to_string());
    let twice = |json: &str, more: &str| format!("{{{more},{}", json.strip_prefix('{').unwrap());
    for (header, claims) in [
        (twice(&header, r#""alg":"none""#), claims.clone()),
        (twice(&header, r#""alg":"ES256""#), claims.clone()),
        (twice(&header, r#""kid":"rsa-1""#), claims.clone()),
        (header.clone(), twice(&claims, r#""sub":"root""#)),
        (header.clone(), twice(&claims, r#""\u0073ub":"root""#)),
        (header.clone(), twice(&claims, r#""nonce":"x""#)),
        (header.clone(), twice(&claims, r#""a":{"b":1,"b":2}"#)),
        (header.clone(), format!("{claims}{{}}")),
        (header.clone(), format!("[{claims}]")),
        (header.clone(), format!("\u{feff}{claims}")),
        (format!("{header} x"), claims.clone()),
    ] {
        let token = world.ec.token_of(&header, &claims);
        assert_eq!(world.verify(&token).await.unwrap_err(), Code::TokenRefused, "{header} {claims}");
    }
    assert!(world.verify(&world.ec.token_of(&header, &claims)).await.is_ok());
}

#[tokio::test]
async fn one_bit_anywhere() {
    let world = World::new().await;
    let good = world.ed.token(&world.claims());
    for index in (0..good.len()).step_by(7) {
        let mut bytes = good.clone().into_bytes();
        bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
        let token = String::from_utf8(bytes).unwrap();
        assert!(world.verify(&token).await.is_err(), "changed at {index}");
    }
}

#[tokio::test]
async fn a_token_too_long_is_not_even_read() {
    let world = World::new().await;
    let token = world.token_but(json!({ "padding": "x".repeat(13_000) }));
    assert_eq!(world.cause(&token).await, "it is longer than 16 KiB");
    assert!(world.verify(&world.token_but(json!({ "padding": "x".repeat(9_000) }))).await.is_ok());
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(5_000), "]".repeat(5_000));
    assert!(world.verify(&world.ec.token_of(&world.ec.header().to_string(), &deep)).await.is_err());
}

#[tokio::test]
async fn a_token_of_another_issuer_or_for_another_key() {
    let world = World::new().await;
    for issuer in [
        format!("{}/", world.server.url()),
        world.server.url().replace("http", "HTTP"),
        format!("{}/.", world.server.url()),
        "https://stranger.example".to_owned(),
    ] {
        let refused = world.verify(&world.token_but(json!({ "iss": issuer }))).await.unwrap_err();
        assert!(matches!(refused, Code::UnknownIssuer | Code::TokenRefused), "{issuer}");
    }
    for issuer in [json!(null), json!(1), json!([world.server.url()]), json!("")] {
        let mut claims = world.claims();
        claims["iss"] = issuer;
        assert_eq!(world.verify(&world.ec.token(&claims)).await.unwrap_err(), Code::TokenRefused);
    }
    let other_key = SigningKey::from_bytes(&[8; 32]).verifying_key();
    let rejected = world.issuers.verify(&world.ec.token(&world.claims()), &other_key).await.unwrap_err();
    assert_eq!(rejected.refusal.cause.unwrap(), "its nonce belongs to another session key");
    assert_eq!(rejected.proven.unwrap().subject.unwrap().as_str(), "u-1");
}

/// Two issuers that use one client id: a token counts at the one that it names, by that one's keys only.
#[tokio::test]
async fn mix_up_of_two_issuers() {
    let (one, two) = (World::new().await, World::new().await);
    let mut configs = [&one, &two]
        .map(|world| crate::config::issuer::IssuerConfig::people(world.server.url().parse().unwrap(), CLIENT));
    configs[0].group_prefix = "one:".to_owned();
    configs[1].group_prefix = "two:".to_owned();
    let issuers = super::Issuers::new(configs.to_vec(), one.clock.clone()).unwrap();
    let verify = async |token: String| issuers.verify(&token, &session_key()).await;
    let claims = |world: &World| world.claims_but(json!({ "email": "ann@example.com", "email_verified": true }));
    for world in [&one, &two] {
        let believed = verify(world.ec.token(&claims(world))).await.unwrap();
        assert_eq!(believed.identity.issuer.as_str(), world.server.url());
    }
    assert!(verify(two.ec.token(&claims(&one))).await.is_err());
    assert!(verify(one.ec.token(&claims(&two))).await.is_err());
}

#[tokio::test]
async fn only_what_concerns_us_may_reach_the_audit_log() {
    let world = World::new().await;
    let proven = async |token: String| world.issuers.verify(&token, &session_key()).await.unwrap_err().proven;
    assert!(proven(world.token_but(json!({ "exp": NOW - 61 }))).await.is_some());
    assert!(proven(world.token_but(json!({ "aud": "another" }))).await.is_none());
    assert!(proven(Signer::p256("ec-1").token(&world.claims())).await.is_none());
    assert!(proven("rubbish".to_owned()).await.is_none());
}

fn parts(header: &Value, claims: &Value) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()))
}
