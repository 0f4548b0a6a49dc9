//! Issuers that are down, slow, large, elsewhere, or rotate their keys in mid-flow.

use super::{NOW, Signer, World, issuer_server::Answer};
use crate::oidc::{fetch, keyring::OLDEST_MS};
use api::Code;
use serde_json::json;

#[tokio::test]
async fn an_issuer_down_at_start_is_believed_once_it_is_up() {
    let world = World::new().await;
    let token = world.ec.token(&world.claims());
    world.server.stop().await;
    assert_eq!(world.verify(&token).await.unwrap_err(), Code::IssuerUnavailable);
    assert!(world.issuers.status()[0].error.is_some());
    world.server.come_back().await;
    assert!(world.verify(&token).await.is_ok());
    let status = &world.issuers.status()[0];
    assert!(status.up() && status.keys == 3 && status.fetched.unwrap().as_secs() == NOW);
}

#[tokio::test]
async fn keys_outlive_an_outage_but_not_for_ever() {
    let world = World::new().await;
    let at = |seconds: u64| world.token_but(json!({ "iat": NOW + seconds, "exp": NOW + seconds + 300 }));
    world.issuers.refresh_now().await;
    world.server.stop().await;
    world.issuers.refresh_now().await;
    assert!(!world.issuers.status()[0].up());
    let day = OLDEST_MS / 1000;
    world.clock.set((NOW + day) * 1000);
    assert!(world.verify(&at(day)).await.is_ok(), "down over night");
    world.clock.set((NOW + day + 1) * 1000);
    assert_eq!(world.verify(&at(day + 1)).await.unwrap_err(), Code::IssuerUnavailable);
    world.server.come_back().await;
    assert!(world.verify(&at(day + 1)).await.is_ok());
}

#[tokio::test]
async fn keys_rotated_in_mid_flow() {
    let world = World::new().await;
    assert!(world.verify(&world.ec.token(&world.claims())).await.is_ok());
    let fresh = Signer::p256("ec-2");
    world.server.publish(&[&fresh]);
    assert!(world.verify(&fresh.token(&world.claims())).await.is_ok());
    assert_eq!(world.server.key_fetches(), 2);
    assert_eq!(world.verify(&world.ec.token(&world.claims())).await.unwrap_err(), Code::TokenRefused, "withdrawn");
}

#[tokio::test]
async fn strangers_cannot_make_us_ask_without_end() {
    let world = World::new().await;
    let stranger = Signer::p256("made-up");
    for _ in 0..50 {
        assert_eq!(world.verify(&stranger.token(&world.claims())).await.unwrap_err(), Code::TokenRefused);
    }
    assert_eq!(world.server.key_fetches(), 4);
    world.clock.set((NOW + 15) * 1000);
    for _ in 0..50 {
        assert!(world.verify(&stranger.token(&world.claims())).await.is_err());
    }
    assert_eq!(world.server.key_fetches(), 5);
    assert!(world.verify(&world.ec.token(&world.claims())).await.is_ok());
}

#[tokio::test]
async fn many_who_wait_share_one_answer() {
    let world = World::new().await;
    let token = world.ec.token(&world.claims());
    let key = super::session_key();
    let issuers = std::sync::Arc::new(world.issuers);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let (issuers, token) = (issuers.clone(), token.clone());
        tasks.spawn(async move { issuers.verify(&token, &key).await.is_ok() });
    }
    assert!(tasks.join_all().await.into_iter().all(|believed| believed));
    assert_eq!(world.server.key_fetches(), 1);
}

#[tokio::test]
async fn answers_that_are_refused() {
    let world = World::new().await;
    let token = world.ec.token(&world.claims());
    let set = json!({ "keys": [world.ec.jwk()] });
    let elsewhere = Answer::Redirect(format!("{}/jwks", world.server.url()));
    for answer in [
        Answer::Padded(fetch::MOST_BYTES, set.clone()),
        Answer::Status(500),
        Answer::Status(404),
        Answer::Status(204),
        Answer::Redirect("http://169.254.169.254/latest/meta-data".to_owned()),
        elsewhere,
        Answer::Text("<html>Sign in to the network</html>".to_owned()),
        Answer::Text(String::new()),
        Answer::Json(json!({ "keys": [] })),
    ] {
        world.server.keys(answer);
        world.clock.set(NOW * 1000);
        world.issuers.refresh_now().await;
        let status = &world.issuers.status()[0];
        assert!(status.keys == 0 && status.error.is_some(), "{:?}", status.error);
    }
    assert_eq!(world.verify(&token).await.unwrap_err(), Code::IssuerUnavailable);
    world.server.keys(Answer::Padded(1000, set));
    assert!(world.verify(&token).await.is_ok());
}

#[tokio::test]
async fn a_slow_issuer_is_given_up_and_holds_up_nobody_else() {
    let world = World::new().await;
    world.issuers.refresh_now().await;
    world.server.keys(Answer::Stalls);
    let unknown = Signer::p256("not-listed").token(&world.claims());
    let known = world.ec.token(&world.claims());
    let slow = world.verify(&unknown);
    let quick = async {
        // While the slow answer is awaited, keys at hand still serve.
        world.verify(&known).await.unwrap();
        std::time::Instant::now()
    };
    let (refused, quick_at) = tokio::join!(async { (slow.await, std::time::Instant::now()) }, quick);
    assert_eq!(refused.0.unwrap_err(), Code::IssuerUnavailable);
    assert!(quick_at < refused.1, "the known key waited for the slow answer");
    assert!(world.verify(&known).await.is_ok());
}

#[tokio::test]
async fn discovery_speaks_for_its_own_issuer_only() {
    let world = World::new().await;
    let url = world.server.url();
    let jwks = format!("{url}/jwks");
    for document in [
        json!({ "issuer": format!("{url}/"), "jwks_uri": jwks }),
        json!({ "issuer": "https://stranger.example", "jwks_uri": jwks }),
        json!({ "issuer": [url], "jwks_uri": jwks }),
        json!({ "jwks_uri": jwks }),
        json!({ "issuer": url }),
        json!({ "issuer": url, "jwks_uri": 7 }),
        json!({ "issuer": url, "jwks_uri": "http://169.254.169.254/keys" }),
        json!({ "issuer": url, "jwks_uri": "file:///etc/passwd" }),
        json!({ "issuer": url, "jwks_uri": "/jwks" }),
    ] {
        world.server.discovery(Answer::Json(document.clone()));
        world.issuers.refresh_now().await;
        assert_eq!(world.issuers.status()[0].keys, 0, "{document}");
    }
    assert_eq!(world.server.key_fetches(), 0);
}

#[tokio::test]
async fn what_an_issuer_says_is_not_what_we_log() {
    let world = World::new().await;
    let hostile = format!("{}/\u{1b}[31mjwks?x=secret", world.server.url());
    world.server.discovery(Answer::Json(json!({ "issuer": world.server.url(), "jwks_uri": hostile })));
    world.issuers.refresh_now().await;
    let error = world.issuers.status()[0].error.clone().unwrap();
    assert!(error.is_ascii() && !error.contains('\u{1b}') && !error.contains("secret"), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn the_background_keeps_trying() {
    // A port that nobody listens on: what a try answers needs no time.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let config = crate::config::issuer::IssuerConfig::people(url.parse().unwrap(), "c");
    let clock = std::sync::Arc::new(crate::clock::ManualClock::at(NOW * 1000));
    let issuers = super::Issuers::new(vec![config], clock).unwrap();
    let task = tokio::spawn(issuers.refresh_forever());
    #[expect(clippy::disallowed_methods, reason = "the clock is paused: this moves it")]
    tokio::time::sleep(std::time::Duration::from_secs(600)).await;
    assert!(!task.is_finished());
    assert!(issuers.status()[0].error.is_some());
    let attempts = issuers.all[0].keyring.attempts();
    assert!((10..=20).contains(&attempts), "1 + 2 + 4 + … + 60 + 60 …: {attempts}");
    task.abort();
}
