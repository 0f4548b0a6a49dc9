use super::authenticate;
use crate::{
    fixture::{AUDIENCE, NOW, Stage, origin, seal, session_key},
    refusal::Refusal,
    store::memory::MemoryStore,
};
use api::{Code, REQUEST_WINDOW_MS, signature::Request};
use policy::SessionId;
use std::sync::Arc;

const NOW_MS: u64 = NOW.as_secs() * 1000;
const PATH: &str = "/v1/certificates";
const BODY: &[u8] = b"{\"target\":\"deploy@web-1\"}";

async fn stage() -> Stage {
    let stage = Stage::new(Arc::new(MemoryStore::new(seal())));
    stage.login(1, "ann").await;
    stage.login(2, "bob").await;
    stage
}

const HONEST: Request<'static> = Request { audience: AUDIENCE, method: "POST", path: PATH, body: BODY };

/// The header that session `n` signs over `request` with the key of session `key`.
fn header(stage: &Stage, request: Request<'_>, n: u8, key: u8, time_ms: u64) -> String {
    request.sign(&session_key(key), &SessionId::from_random([n; 12]), time_ms, stage.nonce()).to_string()
}

async fn send(stage: &Stage, header: Option<&str>) -> Result<(), Refusal> {
    authenticate(&stage.app, &origin(), "POST", PATH, header, BODY).await.map(drop)
}

async fn code(stage: &Stage, header: Option<&str>) -> Code {
    send(stage, header).await.unwrap_err().code
}

#[tokio::test]
async fn the_holder_of_the_session_key_is_let_in_once() {
    let stage = stage().await;
    let header = header(&stage, HONEST, 1, 1, NOW_MS);
    let caller = authenticate(&stage.app, &origin(), "POST", PATH, Some(&header), BODY).await.unwrap();
    assert_eq!(caller.session.identity.subject.as_str(), "ann");
    assert_eq!(code(&stage, Some(&header)).await, Code::Replayed);
    stage.clock.set(NOW_MS + REQUEST_WINDOW_MS);
    assert_eq!(code(&stage, Some(&header)).await, Code::Replayed);
    stage.clock.set(NOW_MS + REQUEST_WINDOW_MS + 1);
    assert_eq!(code(&stage, Some(&header)).await, Code::ClockSkew);
}

#[tokio::test]
async fn nothing_signed_for_another_purpose_counts() {
    let stage = stage().await;
    let others = [
        ("another audience", Request { audience: "https://evil.example", ..HONEST }),
        ("another method", Request { method: "DELETE", ..HONEST }),
        ("another path", Request { path: "/v1/session", ..HONEST }),
        ("another query", Request { path: "/v1/certificates?x=1", ..HONEST }),
        ("another body", Request { body: b"{\"target\":\"root@web-1\"}", ..HONEST }),
        ("no body", Request { body: b"", ..HONEST }),
    ];
    for (name, request) in others {
        assert_eq!(code(&stage, Some(&header(&stage, request, 1, 1, NOW_MS))).await, Code::BadSignature, "{name}");
    }
    assert_eq!(code(&stage, Some(&header(&stage, HONEST, 1, 2, NOW_MS))).await, Code::BadSignature, "another's key");
    assert_eq!(code(&stage, Some(&header(&stage, HONEST, 9, 1, NOW_MS))).await, Code::LoginRequired, "no such session");
}

#[tokio::test]
async fn a_signature_that_does_not_hold_uses_up_no_nonce() {
    let stage = stage().await;
    let good = HONEST.sign(&session_key(1), &SessionId::from_random([1; 12]), NOW_MS, stage.nonce());
    let mut bad = good.clone();
    bad.signature = HONEST.sign(&session_key(2), &good.session, NOW_MS, good.nonce).signature;
    assert_eq!(code(&stage, Some(&bad.to_string())).await, Code::BadSignature);
    send(&stage, Some(&good.to_string())).await.unwrap();
}

#[tokio::test]
async fn headers_that_are_not_ours_are_refused() {
    let stage = stage().await;
    assert_eq!(code(&stage, None).await, Code::LoginRequired);
    let good = header(&stage, HONEST, 1, 1, NOW_MS);
    for bad in ["", "Bearer x", "JitSSH1", "JitSSH1 session=x", &good.to_lowercase(), &format!("{good} "), &good[..90]]
    {
        assert_eq!(code(&stage, Some(bad)).await, Code::BadSignature, "{bad:?}");
    }
    send(&stage, Some(&good)).await.unwrap();
}

#[tokio::test]
async fn time_outside_the_window_is_answered_with_ours() {
    let stage = stage().await;
    for time_ms in [0, NOW_MS - REQUEST_WINDOW_MS - 1, NOW_MS + 1_001, NOW_MS + 3_600_000, u64::MAX] {
        let refusal = send(&stage, Some(&header(&stage, HONEST, 1, 1, time_ms))).await.unwrap_err();
        assert_eq!((refusal.code, refusal.server_time_ms), (Code::ClockSkew, Some(NOW_MS)), "{time_ms}");
    }
    send(&stage, Some(&header(&stage, HONEST, 1, 1, NOW_MS - REQUEST_WINDOW_MS))).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_a_little_early_waits_for_its_time() {
    let stage = stage().await;
    let begun = tokio::time::Instant::now();
    send(&stage, Some(&header(&stage, HONEST, 1, 1, NOW_MS + 700))).await.unwrap();
    assert!(begun.elapsed().as_millis() >= 700);
}

#[tokio::test]
async fn a_session_ends_idle_or_at_its_end() {
    let at = |seconds: u64| NOW_MS + seconds * 1000;
    // Each with a server of its own: one that has seen a later time may have forgotten what was sent before it.
    {
        let stage = stage().await;
        for (seconds, alive) in [(7_199, true), (14_000, true), (21_200, false)] {
            stage.clock.set(at(seconds));
            let sent = send(&stage, Some(&header(&stage, HONEST, 1, 1, at(seconds)))).await;
            assert_eq!(sent.is_ok(), alive, "{seconds} s: each use keeps it alive for two hours");
        }
    }
    let stage = stage().await;
    for hour in 1..12 {
        stage.clock.set(at(hour * 3_600));
        send(&stage, Some(&header(&stage, HONEST, 2, 2, at(hour * 3_600)))).await.unwrap();
    }
    stage.clock.set(at(43_200));
    assert_eq!(code(&stage, Some(&header(&stage, HONEST, 2, 2, at(43_200)))).await, Code::LoginRequired);
}
