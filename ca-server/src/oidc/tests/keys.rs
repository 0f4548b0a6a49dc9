//! Key sets: what in them may verify a token.

use super::{Signer, World, issuer_server::Answer};
use crate::oidc::jwks::Keys;
use api::Code;
use serde_json::{Value, json};

#[tokio::test]
async fn a_key_serves_only_what_it_is_for() {
    for (name, value) in [
        ("use", json!("enc")),
        ("use", json!(["sig"])),
        ("key_ops", json!(["sign"])),
        ("key_ops", json!("verify")),
        ("alg", json!("ES384")),
        ("alg", json!("RS256")),
        ("alg", json!("HS256")),
        ("alg", json!("RSA-OAEP")),
        ("alg", json!(7)),
        ("kty", json!("oct")),
        ("kty", json!("RSA")),
        ("crv", json!("P-384")),
        ("crv", json!("secp256k1")),
        ("d", json!("AQAB")),
        ("k", json!("AQAB")),
        ("kid", json!(7)),
        ("kid", json!("another")),
    ] {
        let world = World::new().await;
        let mut jwk = world.ec.jwk();
        jwk[name] = value.clone();
        // Beside a key that is in order, so that the set as such is.
        world.server.keys(Answer::Json(json!({ "keys": [jwk, world.rsa.jwk()] })));
        let refused = world.verify(&world.ec.token(&world.claims())).await.unwrap_err();
        assert_eq!(refused, Code::TokenRefused, "{name} {value}");
        assert!(world.verify(&world.rsa.token(&world.claims())).await.is_ok(), "{name} {value}");
    }
}

#[tokio::test]
async fn a_token_without_key_id_is_believed_only_where_there_is_no_choice() {
    let world = World::new().await;
    let anonymous = |signer: &Signer| {
        let mut header = signer.header();
        header.as_object_mut().unwrap().remove("kid");
        signer.token_with(&header, &world.claims())
    };
    assert!(world.verify(&anonymous(&world.ec)).await.is_ok());
    let second = Signer::p256("ec-2");
    world.server.publish(&[&world.ec, &second]);
    world.issuers.refresh_now().await;
    assert_eq!(world.cause(&anonymous(&world.ec)).await, "it names no key and the issuer has several");
    assert!(world.verify(&world.ec.token(&world.claims())).await.is_ok());
}

#[test]
fn sets_that_are_none() {
    let many = json!({ "keys": vec![Signer::p256("x").jwk(); 65] });
    for set in [
        json!({}),
        json!([]),
        json!({ "keys": {} }),
        json!({ "keys": [] }),
        json!({ "keys": [7, null, "x", {}] }),
        json!({ "keys": [{ "kty": "oct", "k": "AQAB" }] }),
        json!({ "keys": [{ "kty": "RSA", "n": "!", "e": "AQAB" }] }),
        many,
    ] {
        assert!(Keys::parse(set.to_string().as_bytes()).is_err(), "{set}");
    }
    for text in ["", "{", "{\"keys\":[],\"keys\":[]}", "\u{feff}{}", "<html>"] {
        assert!(Keys::parse(text.as_bytes()).is_err(), "{text}");
    }
}

#[tokio::test]
async fn weak_and_broken_keys_verify_nothing() {
    let world = World::new().await;
    let broken: Vec<Value> = vec![
        json!({ "kty": "EC", "crv": "P-256", "kid": "ec-1", "x": "AA", "y": "AA" }),
        json!({ "kty": "EC", "crv": "P-256", "kid": "ec-1", "x": "", "y": "" }),
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": "ed-1", "x": "AAAA" }),
        json!({ "kty": "RSA", "kid": "rsa-1", "n": "AQAB", "e": "AQAB" }),
        json!({ "kty": "RSA", "kid": "rsa-1", "n": "", "e": "" }),
    ];
    world.server.keys(Answer::Json(json!({ "keys": broken })));
    for signer in [&world.rsa, &world.ec, &world.ed] {
        assert_eq!(world.verify(&signer.token(&world.claims())).await.unwrap_err(), Code::TokenRefused);
    }
}
