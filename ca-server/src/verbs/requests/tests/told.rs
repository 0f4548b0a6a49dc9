//! What those learn of it who are told by sinks: real entries, at receivers that these tests run.

use super::*;
use crate::{
    sinks::tests::{Receiver, Running, secret},
    store::outbox::Outbox,
    verbs::revoke::revoke,
};
use api::{RevokeRequest, Scope};
use tokio::net::UdpSocket;

/// A house whose store sinks read.
async fn house(further: &str) -> (House, Arc<dyn Outbox>) {
    let store = Arc::new(MemoryStore::new(crate::fixture::seal()));
    (House::on(Arc::clone(&store) as _, &House::policy(further)).await, store)
}

/// A syslog receiver: the priority and the code of everything that `store` has from here on.
struct Syslog(UdpSocket, Running);

impl Syslog {
    async fn start(store: &Arc<dyn Outbox>) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let port = socket.local_addr().unwrap().port();
        let sink = format!(
            "[[sink]]\nname = \"siem\"\nkind = \"syslog\"\ntransport = \"udp\"\naddress = \"127.0.0.1:{port}\"\n"
        );
        Self(socket, Running::start(&sink, store).await)
    }

    /// What came until now, as priority and code; with the last `most` alone.
    async fn last(&self, most: usize) -> Vec<String> {
        let status = self.1.until(|sink| sink.lag_entries == 0).await;
        let mut told = Vec::new();
        for _ in 0..status.delivered {
            let mut message = vec![0; 70_000];
            let length = self.0.recv(&mut message).await.unwrap();
            let text = String::from_utf8_lossy(&message[..length]).into_owned();
            let (priority, code) = (text.split('>').next().unwrap(), text.split(' ').nth(5).unwrap());
            told.push(format!("{priority}> {code}"));
        }
        told.split_off(told.len().saturating_sub(most))
    }
}

/// To give back is what everybody should do: nobody's pager is for it. What is taken from somebody is.
#[tokio::test]
async fn what_is_given_back_is_no_warning_and_what_is_taken_is() {
    type End = (&'static str, u8, EndReason, [&'static str; 2]);
    let rows: [End; 2] = [
        ("given back", ANN, EndReason::Done, ["<110> grant.ended", "<110> certificates.revoked"]),
        ("taken", ADA, EndReason::Revoked, ["<108> grant.ended", "<108> certificates.revoked"]),
    ];
    for (what, n, why, expected) in rows {
        let (house, store) = house("").await;
        let body = house.approved().await;
        house.issue_under(ANN, "root@web-1", &body).await.unwrap();
        let syslog = Syslog::start(&store).await;
        house.end(n, &body, why).await.unwrap();
        assert_eq!(syslog.last(9).await, expected, "{what}");
    }
    let (house, store) = house("").await;
    let standing = house.issue(ANN, "deploy@web-1").await.unwrap();
    let syslog = Syslog::start(&store).await;
    let asked = RevokeRequest { scope: Scope::Serial(standing.serial), reason: "lost".parse().unwrap() };
    revoke(&house.0.app, &house.0.caller(ADA).await, asked).await.unwrap();
    assert_eq!(syslog.last(9).await, ["<108> certificates.revoked"], "by an administrator");
}

/// An extension that is given back takes the certificates with it that only it carried, and is given back all the same.
#[tokio::test]
async fn an_extension_that_is_given_back_is_no_warning() {
    let (house, store) = house("").await;
    let body = house.approved().await;
    house.issue_under(ANN, "root@web-1", &body).await.unwrap();
    let mut longer = ask(&["root@web-1"]);
    (longer.targets, longer.extends, longer.duration) = (Vec::new(), body.id.clone(), Some("20m".parse().unwrap()));
    let extension = house.file(ANN, longer).await.unwrap();
    house.approve(LEA, &extension).await.unwrap();
    house.approve(SAM, &extension).await.unwrap();
    house.pass(1_790);
    house.issue_under(ANN, "root@web-1", &body).await.unwrap();
    let syslog = Syslog::start(&store).await;
    house.cancel(ANN, &extension).await.unwrap();
    assert_eq!(syslog.last(9).await, ["<110> request.cancelled", "<110> certificates.revoked"]);
}

/// A chat webhook and a mailbox are read by people: every line about a request leads to that request, by its own id and not
/// by the id of the call that did something to it.
#[tokio::test]
async fn people_are_led_to_the_request_itself() {
    let (house, store) = house("").await;
    let (home, chat) = (tempfile::tempdir().unwrap(), Receiver::default());
    let url = secret(home.path(), "url", &chat.start().await);
    let sink = format!(
        "[[sink]]\nname = \"chat\"\nkind = \"slack\"\nurl_file = \"{url}\"\nlink = \"https://wiki.example.com/ssh?request=\"\n"
    );
    let running = Running::start(&sink, &store).await;
    let body = house.approved().await;
    house.issue_under(ANN, "root@web-1", &body).await.unwrap();
    refused(house.approve(ANN, &body).await, Code::Denied);
    house.end(ANN, &body, EndReason::Done).await.unwrap();
    house.issue(ANN, "deploy@web-1").await.unwrap();
    refused(house.issue(JOE, "deploy@db-1").await, Code::Denied);
    running.until(|sink| sink.lag_entries == 0).await;

    let told: Vec<String> = chat.got().iter().map(|got| got.json()["text"].as_str().unwrap().to_owned()).collect();
    let lines: Vec<&str> = told.iter().flat_map(|text| text.lines()).collect();
    let (link, command) =
        (format!("<https://wiki.example.com/ssh?request={0}|{0}>", id(&body)), format!("jit-ssh show {}", id(&body)));
    let of = |code: &str| lines.iter().filter(|line| line.contains(code)).copied().collect::<Vec<_>>();
    for (code, times) in [
        ("request.filed", 1),
        ("request.approved", 2),
        ("request.claimed", 1),
        ("request.refused", 1),
        ("grant.ended", 1),
        ("certificates.revoked", 1),
    ] {
        assert_eq!(of(code).len(), times, "{code}: {lines:#?}");
        assert!(of(code).iter().all(|line| line.ends_with(&link) && line.contains(&command)), "{code}: {lines:#?}");
    }
    // The first certificate is under the request; standing access and a no lead to none.
    let issued = of("certificate.issued");
    assert!(issued[0].ends_with(&link) && issued[0].contains(&command), "{lines:#?}");
    for line in [issued[1], of("decision.refused")[0]] {
        assert!(!line.contains("wiki") && !line.contains("jit-ssh show"), "{line}");
    }
}

/// No permit names whom to tell of somebody whom none lets: it is as loud all the same.
#[tokio::test]
async fn a_broken_glass_that_was_refused_is_as_loud_as_one_that_was_not() {
    let glass = r#"
        @id("glass") @reason("required") @record("required") @review_within("40m") @notify("security")
        permit (principal in Group::"emergency", action == Action::"break-glass", resource is Account);
    "#;
    let (house, store) = house(glass).await;
    const EVE: u8 = 40;
    house.0.login_as(EVE, person("eve", "emergency")).await;
    let syslog = Syslog::start(&store).await;
    let emergency =
        || FileRequest { incident: Some("INC-7".parse().unwrap()), duration: None, ..ask(&["deploy@db-1"]) };
    refused(house.file(ANN, emergency()).await, Code::Denied);
    house.file(EVE, emergency()).await.unwrap();
    assert_eq!(syslog.last(9).await, ["<105> break-glass.refused", "<105> break-glass.opened"]);
    let entries = house.entries().await;
    let denied = entries.iter().find(|entry| entry["code"] == "break-glass.refused").unwrap();
    assert!(
        denied["severity"] == "high" && denied.get("notify").is_none() && denied["decided"].is_object(),
        "{denied}"
    );
}
