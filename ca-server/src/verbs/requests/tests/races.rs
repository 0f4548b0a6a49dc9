//! Everything that can happen to a request at once, on every backend.

use super::*;
use crate::verbs::agenda::attend;
use tokio::task::JoinSet;

/// Who races in a round, beside those who ask for certificates.
const ROUNDS: [&[Racer]; 9] = [
    &[Racer::Approve(SAM), Racer::Approve(KIM)],
    &[Racer::Approve(SAM), Racer::Approve(SAM), Racer::Deny(KIM)],
    &[Racer::Approve(SAM), Racer::Cancel],
    &[Racer::Approve(SAM), Racer::Expire],
    &[Racer::Approve(SAM), Racer::Revoke, Racer::Cancel],
    &[Racer::Approve(SAM), Racer::Deny(SAM), Racer::Deny(LEA), Racer::Cancel],
    &[Racer::Approve(SAM), Racer::Done],
    &[Racer::Approve(SAM), Racer::Expire, Racer::Deny(KIM), Racer::Cancel, Racer::Revoke],
    &[Racer::Expire, Racer::Expire, Racer::Cancel],
];

#[derive(Clone, Copy, Debug)]
enum Racer {
    Approve(u8),
    Deny(u8),
    Cancel,
    Revoke,
    Done,
    /// Its time goes by, and the clock's pass with it.
    Expire,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn approve_deny_cancel_expire_and_issue_race_on_every_backend() {
    let home = tempfile::tempdir().unwrap();
    for (name, store) in stores(home.path()) {
        // What was approved must be used within a minute, so that no round takes hours.
        let root = POLICY.replace("@approvals(\"2\")", "@approvals(\"2\") @claim_within(\"1m\")");
        let policy = format!(
            "{root}@id(\"admins\") permit (principal in Group::\"admins\", action == Action::\"administer\", resource);"
        );
        let mut house = Arc::new(House::on(store, &policy).await);
        for (round, racers) in ROUNDS.iter().cycle().take(ROUNDS.len() * 3).enumerate() {
            // Each round is refused often enough to use up what one may be refused in a minute.
            Arc::get_mut(&mut house).unwrap().0.app.refusals = Default::default();
            race(&house, racers, &format!("{name}, round {round}: {racers:?}")).await;
        }
    }
}

async fn race(house: &Arc<House>, racers: &[Racer], what: &str) {
    let body = Arc::new(house.filed_for(600).await);
    house.approve(LEA, &body).await.unwrap();
    // One second is left.
    house.pass(599);
    let mut racing = JoinSet::new();
    for racer in racers.iter().copied() {
        let (house, body) = (Arc::clone(house), Arc::clone(&body));
        racing.spawn(async move { run(&house, racer, &body).await });
    }
    for _ in 0..3 {
        let (house, body) = (Arc::clone(house), Arc::clone(&body));
        racing.spawn(async move { house.issue_under(ANN, "root@web-1", &body).await.map(drop) });
    }
    while let Some(done) = racing.join_next().await {
        if let Err(refusal) = done.unwrap() {
            let expected = [Code::Conflict, Code::Denied, Code::NeedsApproval];
            assert!(expected.contains(&refusal.code), "{what}: {refusal:?}");
        }
    }
    in_order(&house.entries().await, &body);
    house.pass(2);
    attend(&house.0.app).await.unwrap();
    let stage = house.stage(&body).await;
    if is_open(&stage) {
        house.issue_under(ANN, "root@web-1", &body).await.unwrap_or_else(|error| panic!("{what}: {stage:?} {error:?}"));
        house.end(ANN, &body, EndReason::Done).await.unwrap();
    }
    refused(house.issue_under(ANN, "root@web-1", &body).await, Code::Denied);
    house.pass(60);
    attend(&house.0.app).await.unwrap();
    in_order(&house.entries().await, &body);
    let ended = house
        .entries()
        .await
        .iter()
        .filter(|entry| entry["id"] == id(&body) && ENDS.iter().any(|code| entry["code"] == *code))
        .count();
    assert_eq!(ended, 1, "{what}: one end, whoever made it");
}

fn is_open(stage: &Where) -> bool {
    !matches!(stage, Where::Over { .. })
}

impl House {
    /// A request of Ann's that waits for so many seconds: what is filed through the verb waits for a day.
    async fn filed_for(&self, seconds: u32) -> RequestBody {
        let now = self.0.clock.now();
        let request = policy::Request {
            id: policy::RequestId::from_random(crate::clock::random().unwrap()),
            requester: self.0.caller(ANN).await.session.identity,
            targets: vec!["root@web-1".parse().unwrap()],
            duration: "30m".parse().unwrap(),
            reason: None,
            ticket: None,
            start: None,
            under: None,
            source: [192, 0, 2, 7].into(),
            filed: now,
            expires: now.plus(policy::Seconds::new(seconds)),
            extends: None,
            break_glass: None,
        };
        let id = request.id.clone();
        let entry = crate::audit::Entry::from_bytes(b"{}".to_vec());
        self.0.app.store.file_request(request, None, entry).await.unwrap();
        let shown = requests::show(&self.0.app, &self.0.caller(ANN).await, id.as_str(), None, Duration::ZERO).await;
        shown.unwrap().unwrap().body
    }
}

async fn run(house: &House, racer: Racer, body: &RequestBody) -> Result<(), Refusal> {
    match racer {
        Racer::Approve(n) => house.approve(n, body).await.map(drop),
        Racer::Deny(n) => house.deny(n, body).await.map(drop),
        Racer::Cancel => house.cancel(ANN, body).await.map(drop),
        Racer::Revoke => house.end(ADA, body, EndReason::Revoked).await.map(drop),
        Racer::Done => house.end(ANN, body, EndReason::Done).await.map(drop),
        Racer::Expire => {
            house.pass(2);
            attend(&house.0.app).await.map(drop)
        }
    }
}
