use super::{HOSTILE, ID, Receiver, Running, SECRET, append, configured, entry, memory, secret};
use crate::{
    clock::{Clock, SystemClock},
    sinks::Sinks,
};
use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::sync::Arc;

/// What a receiver does with any Standard Webhooks library.
fn verify(got: &super::Got, secret: &[u8]) -> bool {
    let header = |name: &str| got.headers[name].to_str().unwrap().to_owned();
    let signed = format!("{}.{}.{}", header("webhook-id"), header("webhook-timestamp"), got.body);
    let tag = STANDARD.decode(header("webhook-signature").strip_prefix("v1,").unwrap()).unwrap();
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes(), &tag).is_ok()
}

#[tokio::test]
async fn a_batch_is_signed_and_a_change_shows() {
    let raw = [7; 32];
    for (given, key) in
        [(SECRET.to_owned(), SECRET.as_bytes()), (format!("whsec_{}\n", STANDARD.encode(raw)), raw.as_slice())]
    {
        let (home, store, receiver) = (tempfile::tempdir().unwrap(), memory(), Receiver::default());
        let secret = secret(home.path(), "s", &given);
        let text = format!(
            "[[sink]]\nname = \"hook\"\nkind = \"webhook\"\nurl = \"{}\"\nsecret_file = \"{secret}\"\n",
            receiver.start().await
        );
        let running = Running::start(&text, &store).await;
        store.append(entry("request.filed", HOSTILE)).await.unwrap();
        running.until(|sink| sink.delivered == 1).await;
        let mut got = receiver.got().remove(0);
        assert!(verify(&got, key));
        assert_eq!(got.headers["webhook-timestamp"], "1800000000");
        assert_eq!(got.json()["entries"][0]["entry"]["reason"], HOSTILE, "the same value");
        assert!(!got.body.contains(['\n', '\u{1b}', '\u{9b}', '\u{202e}']), "and nothing that acts where it is shown");
        got.body.push(' ');
        assert!(!verify(&got, key));
    }
}

#[tokio::test]
async fn chat_gets_text_without_markup_and_the_address_is_never_told() {
    let (home, store, receiver) = (tempfile::tempdir().unwrap(), memory(), Receiver::default());
    let url = receiver.start().await;
    let file = secret(home.path(), "url", &format!("{url}/T0/B0/very-secret\n"));
    let text = format!(
        "[[sink]]\nname = \"chat\"\nkind = \"slack\"\nurl_file = \"{file}\"\nlink = \"https://wiki.example.com/ssh?id=\"\n"
    );
    let running = Running::start(&text, &store).await;
    store.append(entry("request.denied", HOSTILE)).await.unwrap();
    running.until(|sink| sink.delivered == 1).await;
    let body = receiver.got()[0].json();
    let told = body["text"].as_str().unwrap();
    assert!(told.contains("request.denied by ann@example.com for deploy@web-1"), "{told}");
    assert!(told.contains("&lt;!channel&gt; &amp;") && !told.contains("<!"), "{told}");
    assert!(told.ends_with(&format!("<https://wiki.example.com/ssh?id={ID}|{ID}>")), "{told}");
    assert!(!told.contains(['\n', '\u{1b}', '\u{202e}']), "one line for one entry: {told}");
    assert_eq!(
        (&body["mrkdwn"], &body["unfurl_links"], &body["unfurl_media"]),
        (&false.into(), &false.into(), &false.into())
    );
    store.append(entry("request.denied", "see https://evil.example/x @channel")).await.unwrap();
    running.until(|sink| sink.delivered == 2).await;
    let told = receiver.got()[1].json()["text"].as_str().unwrap().to_owned();
    assert!(told.contains("reason: see https[:]//evil[.]example/x [@]channel"), "{told}");
    assert!(
        told.contains("by ann@example.com for deploy@web-1") && told.contains("<https://wiki.example.com/"),
        "{told}"
    );

    let gone = secret(home.path(), "gone", "http://127.0.0.1:1/T0/very-secret");
    let text = format!("[[sink]]\nname = \"chat2\"\nkind = \"slack\"\nurl_file = \"{gone}\"\n");
    let running = Running::start(&text, &store).await;
    append(&store, &["request.filed"]).await;
    let error = running.until(|sink| sink.failures > 0).await.error.unwrap();
    assert!(!error.contains("secret") && !error.contains("127.0.0.1:1/"), "{error}");
}

#[tokio::test]
async fn what_cannot_work_stops_the_start_and_tells_no_secret() {
    let home = tempfile::tempdir().unwrap();
    let good = secret(home.path(), "good", SECRET);
    let rows = [
        ("short secret", secret(home.path(), "short", "hunter2"), "https://siem.example.com", "less than 24 bytes"),
        ("bad base64", secret(home.path(), "bad", "whsec_hunter2!!"), "https://siem.example.com", "not base64"),
        ("empty", secret(home.path(), "empty", "\n"), "https://siem.example.com", "first line is empty"),
        ("missing", "/nowhere/hunter2".to_owned(), "https://siem.example.com", "No such file"),
    ];
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let faults = |text: &str| Sinks::faults(&configured(text).sink, "ca.example.com", &clock);
    for (name, secret, url, says) in rows {
        let text =
            format!("[[sink]]\nname = \"hook\"\nkind = \"webhook\"\nurl = \"{url}\"\nsecret_file = \"{secret}\"\n");
        let found = faults(&text);
        assert!(found.len() == 1 && found[0].contains(says), "{name}: {found:?}");
        assert!(name == "missing" || !found[0].contains("hunter2"), "{name}: {found:?}");
    }
    for url in ["http://siem.example.com/hunter2", "hunter2", "ftp://127.0.0.1/hunter2"] {
        let file = secret(home.path(), "url", url);
        let text =
            format!("[[sink]]\nname = \"hook\"\nkind = \"webhook\"\nurl_file = \"{file}\"\nsecret_file = \"{good}\"\n");
        let found = faults(&text);
        assert!(found.len() == 1 && found[0].contains("url") && !found[0].contains("hunter2"), "{url}: {found:?}");
    }
}
