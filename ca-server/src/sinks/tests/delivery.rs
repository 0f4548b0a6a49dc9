//! The engine: nothing is lost, nothing waits for a sink, what cannot be delivered is visible.

use super::{Answer, NOW_MS, Receiver, Running, SECRET, append, memory, secret};
use crate::{
    audit::Entry,
    fixture::{Stage, certificate_request, user_key},
    store::{Store, memory::MemoryStore, outbox::Outbox, redb::RedbStore},
    verbs::issue::issue,
};
use std::sync::Arc;

fn hook(url: &str, secret: &str, more: &str) -> String {
    format!("[[sink]]\nname = \"hook\"\nkind = \"webhook\"\nurl = \"{url}\"\nsecret_file = \"{secret}\"\n{more}")
}

#[tokio::test]
async fn each_entry_that_fits_arrives_in_order_and_the_cursor_is_kept() {
    let (home, store, receiver) = (tempfile::tempdir().unwrap(), memory(), Receiver::default());
    let secret = secret(home.path(), "s", SECRET);
    let text = hook(&receiver.start().await, &secret, "codes = [\"request.*\", \"login.opened\"]\nbatch = 2\n");
    append(&store, &["request.before"]).await;
    let running = Running::start(&text, &store).await;
    append(&store, &["login.opened", "login.ended", "request.filed", "requests", "request.denied"]).await;
    let status = running.until(|sink| sink.delivered == 3 && sink.lag_entries == 0).await;
    assert_eq!((status.next, status.up, status.failures, status.dead_letters), (6, true, 0, 0));
    let indices: Vec<u64> = receiver.got().iter().flat_map(super::Got::indices).collect();
    assert_eq!(indices, [1, 3, 5], "from its first start on, by code, each once");
    running.crash().await;
    let again = Running::start(&text, &store).await;
    append(&store, &["request.filed"]).await;
    again.until(|sink| sink.delivered == 1).await;
    let last = receiver.got().pop().unwrap().indices();
    assert_eq!(last, [6], "it goes on where it was");
}

#[tokio::test]
async fn a_sink_may_be_for_the_channels_that_policies_name() {
    let (home, store, receiver) = (tempfile::tempdir().unwrap(), memory(), Receiver::default());
    let secret = secret(home.path(), "s", SECRET);
    let text = hook(&receiver.start().await, &secret, "codes = [\"request.*\"]\nnotify = [\"security\", \"dba\"]\n");
    let running = Running::start(&text, &store).await;
    let rows: [(&str, &[&str]); 6] = [
        ("request.filed", &["security"]),
        ("request.filed", &["vendors"]),
        ("request.denied", &["vendors", "dba"]),
        ("request.filed", &[]),
        ("login.opened", &["security"]),
        ("request.filed", &["security2", "Security"]),
    ];
    for (code, notify) in rows {
        let value = serde_json::json!({ "v": 1, "time_ms": NOW_MS, "request": "r-1", "code": code, "notify": notify });
        store.append(Entry::from_bytes(serde_json::to_vec(&value).unwrap())).await.unwrap();
    }
    append(&store, &["request.filed"]).await;
    running.until(|sink| sink.delivered == 2 && sink.lag_entries == 0).await;
    let indices: Vec<u64> = receiver.got().iter().flat_map(super::Got::indices).collect();
    assert_eq!(indices, [0, 2], "by code and by channel");
}

#[tokio::test]
async fn a_sink_may_begin_with_the_first_entry() {
    let (home, store, receiver) = (tempfile::tempdir().unwrap(), memory(), Receiver::default());
    let secret = secret(home.path(), "s", SECRET);
    append(&store, &["login.opened"]).await;
    let running = Running::start(&hook(&receiver.start().await, &secret, "begin = \"first\"\n"), &store).await;
    running.until(|sink| sink.delivered == 1).await;
}

/// The receiver has it, the cursor does not know: it comes again, with the same index.
#[tokio::test]
async fn a_crash_between_delivery_and_cursor_delivers_again_and_loses_nothing() {
    let (home, receiver) = (tempfile::tempdir().unwrap(), Receiver::default());
    let secret = secret(home.path(), "s", SECRET);
    let text = hook(&receiver.start().await, &secret, "");
    let path = home.path().join("store.redb");
    {
        let store: Arc<dyn Outbox> = Arc::new(RedbStore::open(&path, &crate::fixture::seal()).unwrap());
        let running = Running::start(&text, &store).await;
        receiver.answer(&[Answer::Never]);
        append(&store, &["login.opened"]).await;
        running.until(|_| receiver.got().len() == 1).await;
        running.crash().await;
    }
    let store: Arc<dyn Outbox> = Arc::new(RedbStore::open(&path, &crate::fixture::seal()).unwrap());
    assert_eq!(store.sink_cursor("hook").await.unwrap(), Some(0));
    let running = Running::start(&text, &store).await;
    running.until(|sink| sink.delivered == 1).await;
    let got = receiver.got();
    assert_eq!(got.iter().map(super::Got::indices).collect::<Vec<_>>(), [[0], [0]]);
    assert_eq!(got[0].headers["webhook-id"], got[1].headers["webhook-id"], "so a receiver can drop the double");
}

#[tokio::test]
async fn a_receiver_that_fails_recovers_and_is_slow_gets_everything() {
    let (home, store, receiver) = (tempfile::tempdir().unwrap(), memory(), Receiver::default());
    let secret = secret(home.path(), "s", SECRET);
    let text = hook(&receiver.start().await, &secret, "timeout = \"1s\"\n");
    let running = Running::start(&text, &store).await;
    let bad = [500, 503, 429, 408, 302].map(Answer::Status);
    receiver.answer(&bad);
    receiver.answer(&[Answer::Never]);
    append(&store, &["login.opened"]).await;
    let failing = running.until(|sink| sink.failures >= 2 || sink.delivered == 1).await;
    assert!(!failing.up && failing.lag_entries == 1 && failing.error.is_some(), "{failing:?}");
    let status = running.until(|sink| sink.delivered == 1).await;
    assert!(status.up && status.error.is_none(), "{status:?}");
    assert_eq!((status.failures, status.dead_letters), (6, 0), "a redirect is a failure, not another address");
}

#[tokio::test]
async fn one_entry_that_is_refused_becomes_a_dead_letter_and_the_others_pass() {
    let (home, store, receiver) = (tempfile::tempdir().unwrap(), memory(), Receiver::default());
    let secret = secret(home.path(), "s", SECRET);
    let running = Running::start(&hook(&receiver.start().await, &secret, "tries = 2\n"), &store).await;
    *receiver.dislikes.lock().unwrap() = Some("policy.loaded");
    append(&store, &["login.opened", "login.ended", "policy.loaded", "login.opened", "login.ended"]).await;
    let status = running.until(|sink| sink.lag_entries == 0).await;
    assert_eq!((status.delivered, status.dead_letters), (4, 1));
    let dead = running.sinks.dead_letters("hook", 10).await.unwrap().unwrap();
    assert_eq!((dead[0].index, dead[0].code.as_str(), dead[0].reason.as_str()), (2, "policy.loaded", "answered 400"));
    assert!(running.sinks.dead_letters("hoo", 10).await.unwrap().is_none());

    // Tried again while it is still refused, it stays; once it is wanted, it is delivered and forgotten.
    assert_eq!(running.sinks.retry("hook").await.unwrap(), Some(1));
    running.until(|sink| sink.failures > status.failures).await;
    assert_eq!(running.status().await.dead_letters, 1);
    *receiver.dislikes.lock().unwrap() = None;
    running.sinks.retry("hook").await.unwrap();
    let status = running.until(|sink| sink.dead_letters == 0).await;
    assert_eq!(receiver.got().pop().unwrap().indices(), [2]);
    assert!(status.up);
    assert_eq!(running.sinks.retry("nobody").await.unwrap(), None);
}

#[tokio::test]
async fn what_is_older_than_max_age_is_given_up_and_what_is_younger_waits() {
    let (home, store) = (tempfile::tempdir().unwrap(), memory());
    let secret = secret(home.path(), "s", SECRET);
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let running = Running::start(&hook(&format!("http://{gone}/"), &secret, "max_age = \"1h\"\n"), &store).await;
    append(&store, &["login.opened"]).await;
    running.until(|sink| sink.failures > 5).await;
    let status = running.status().await;
    assert_eq!((status.dead_letters, status.lag_entries), (0, 1), "it waits");
    running.clock.set(NOW_MS + 3_600_001);
    let status = running.until(|sink| sink.dead_letters == 1).await;
    assert_eq!(status.lag_entries, 0);
    let dead = running.sinks.dead_letters("hook", 10).await.unwrap().unwrap();
    assert!(dead[0].reason.starts_with("older than max_age"), "{dead:?}");
}

#[tokio::test]
async fn dead_and_hanging_sinks_hold_up_neither_a_certificate_nor_each_other() {
    let (home, hangs, works) = (tempfile::tempdir().unwrap(), Receiver::default(), Receiver::default());
    let secret = secret(home.path(), "s", SECRET);
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let named = |name: &str, url: &str| hook(url, &secret, "").replace("\"hook\"", &format!("\"{name}\""));
    let text = [
        named("dead", &format!("http://{gone}/")),
        named("hangs", &hangs.start().await),
        named("works", &works.start().await),
    ];
    hangs.answer(&[Answer::Never; 10]);
    let store = Arc::new(MemoryStore::new(crate::fixture::seal()));
    let stage = Stage::new(Arc::clone(&store) as Arc<dyn Store>);
    stage.login(1, "ann").await;
    let running = Running::start(&text.concat(), &(Arc::clone(&store) as Arc<dyn Outbox>)).await;
    for _ in 0..50 {
        let request = certificate_request("deploy@web-1", &user_key(3), Some(1));
        let caller = stage.caller(1).await;
        let issued = issue(&stage.app, &caller, request);
        tokio::time::timeout(std::time::Duration::from_secs(2), issued).await.unwrap().unwrap();
    }
    running.until(|dead| dead.failures > 2 && dead.lag_entries == 50).await;
    loop {
        let [dead, hanging, working] = running.sinks.status().await.unwrap().try_into().unwrap();
        if working.delivered == 50 {
            assert_eq!((dead.delivered, hanging.delivered), (0, 0));
            break;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_entry_nobody_can_read_is_passed_on_all_the_same() {
    let (home, store, receiver) = (tempfile::tempdir().unwrap(), memory(), Receiver::default());
    let secret = secret(home.path(), "s", SECRET);
    let running = Running::start(&hook(&receiver.start().await, &secret, ""), &store).await;
    store.append(crate::audit::Entry::from_bytes(b"\xff{not json".to_vec())).await.unwrap();
    running.until(|sink| sink.delivered == 1).await;
    assert_eq!(receiver.got()[0].json()["entries"][0]["entry"]["unreadable"], "/3tub3QganNvbg==");
}
