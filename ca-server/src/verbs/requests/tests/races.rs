//! Everything that can happen to a request at once, in pairs and in crowds, on every backend; where several servers may share
//! a store, at two of them.

use super::*;
use crate::{store::Selection, verbs::agenda::attend};
use api::{FreezeScope, Whose};
use tokio::{sync::Barrier, task::JoinSet};

/// Where the request stands as the race begins; one second later that is over.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Start {
    /// Nobody has approved it yet.
    Filed,
    /// Lea has.
    Half,
    /// Lea and Sam have; it waits for its first use.
    Approved,
    /// It is in use, and one of two has approved its extension.
    InUse,
}

const STARTS: [Start; 4] = [Start::Filed, Start::Half, Start::Approved, Start::InUse];

/// Who races, beside two who ask for certificates.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Racer {
    Approve(u8),
    Deny(u8),
    Cancel,
    Revoke,
    Done,
    /// Its time goes by, and the clock's pass with it.
    Expire,
    /// Nothing is issued to its requester any more.
    Freeze,
    /// The approval that its extension lacks.
    Extend,
}

const RACERS: [Racer; 9] = [
    Racer::Approve(SAM),
    Racer::Approve(KIM),
    Racer::Deny(KIM),
    Racer::Cancel,
    Racer::Revoke,
    Racer::Done,
    Racer::Expire,
    Racer::Freeze,
    Racer::Extend,
];

const CROWDS: [&[Racer]; 5] = [
    &[Racer::Approve(SAM), Racer::Approve(SAM), Racer::Deny(KIM)],
    &[Racer::Approve(SAM), Racer::Revoke, Racer::Cancel],
    &[Racer::Approve(SAM), Racer::Deny(SAM), Racer::Deny(LEA), Racer::Cancel],
    &[Racer::Approve(SAM), Racer::Expire, Racer::Deny(KIM), Racer::Cancel, Racer::Revoke],
    &[Racer::Extend, Racer::Expire, Racer::Expire, Racer::Freeze, Racer::Done],
];

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_races_in_memory_one_order_is_kept() {
    race_all(Backend::Memory).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_races_in_a_file_one_order_is_kept() {
    race_all(Backend::Redb).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_races_at_two_servers_one_order_is_kept() {
    race_all(Backend::Postgres).await;
}

async fn race_all(backend: Backend) {
    let home = tempfile::tempdir().unwrap();
    let mut track = Track::new(backend, home.path()).await;
    for start in STARTS {
        for (place, one) in RACERS.into_iter().enumerate() {
            for other in RACERS.into_iter().skip(place) {
                track.race(start, &[one, other]).await;
            }
        }
        for crowd in CROWDS {
            track.race(start, crowd).await;
        }
    }
}

/// The servers at which they race.
struct Track(Arc<Vec<House>>);

/// What they race for.
struct Prize {
    body: RequestBody,
    extension: Option<RequestBody>,
}

impl Track {
    async fn new(backend: Backend, home: &std::path::Path) -> Self {
        // Short spans, so that not even all rounds together outlive a login.
        let root = POLICY.replace("@approvals(\"2\")", "@approvals(\"2\") @claim_within(\"20s\")");
        let policy = format!(
            "{root}@id(\"admins\") permit (principal in Group::\"admins\", action == Action::\"administer\", resource);"
        );
        let mut stores = backend.open(home).await.into_iter();
        let mut houses = vec![House::on(stores.next().unwrap(), &policy).await];
        houses.extend(stores.map(|store| houses[0].beside(store, &policy)).collect::<Vec<_>>());
        Self(Arc::new(houses))
    }

    async fn race(&mut self, start: Start, racers: &[Racer]) {
        if racers.contains(&Racer::Extend) && start != Start::InUse {
            return;
        }
        let what = format!("{start:?}, {racers:?}");
        // Each round is refused often enough to use up what one may be refused in a minute.
        Arc::get_mut(&mut self.0).unwrap().iter_mut().for_each(|house| house.0.app.refusals = Default::default());
        let (house, last) = (&self.0[0], self.0.last().unwrap());
        let first = house.0.app.store.entry_count().await.unwrap();
        let prize = Arc::new(house.prize(start).await);
        self.run(racers, &prize, &what).await;
        let body = &prize.body;
        let entries = last.entries_from(first).await;
        in_order(&entries, body);
        frozen_is_frozen(&entries, &what);

        last.thaw_all().await;
        house.pass(2);
        attend(&last.0.app).await.unwrap();
        let stage = house.stage(body).await;
        if !matches!(stage, Where::Over { .. }) {
            let issued = last.issue_under(ANN, "root@web-1", body).await;
            issued.unwrap_or_else(|error| panic!("{what}: {stage:?} {error:?}"));
            house.end(ANN, body, EndReason::Done).await.unwrap();
        }
        refused(last.issue_under(ANN, "root@web-1", body).await, Code::Denied);
        house.pass(60);
        attend(&last.0.app).await.unwrap();
        let entries = house.entries_from(first).await;
        in_order(&entries, body);
        house.ended_once_and_revoked(&entries, body, &what).await;
    }

    /// All at once, each at one of the servers.
    async fn run(&self, racers: &[Racer], prize: &Arc<Prize>, what: &str) {
        let line = Arc::new(Barrier::new(racers.len() + 2));
        let mut racing = JoinSet::new();
        for (n, racer) in racers.iter().copied().map(Some).chain([None, None]).enumerate() {
            let (houses, prize, line) = (Arc::clone(&self.0), Arc::clone(prize), Arc::clone(&line));
            racing.spawn(async move {
                let house = &houses[n % houses.len()];
                line.wait().await;
                match racer {
                    Some(racer) => house.run(racer, &prize).await,
                    None => house.issue_under(ANN, "root@web-1", &prize.body).await.map(drop),
                }
            });
        }
        while let Some(done) = racing.join_next().await {
            if let Err(refusal) = done.unwrap() {
                let expected = [Code::Conflict, Code::Denied, Code::NeedsApproval, Code::Frozen];
                assert!(expected.contains(&refusal.code), "{what}: {refusal:?}");
            }
        }
    }
}

impl House {
    async fn prize(&self, start: Start) -> Prize {
        let body = self.filed_for(10).await;
        if start != Start::Filed {
            self.approve(LEA, &body).await.unwrap();
        }
        let (left, mut extension) = match start {
            Start::Filed | Start::Half => (10, None),
            Start::Approved | Start::InUse => {
                self.approve(SAM, &body).await.unwrap();
                (20, None)
            }
        };
        let left = if start == Start::InUse {
            self.issue_under(ANN, "root@web-1", &body).await.unwrap();
            let longer = FileRequest { extends: body.id.clone(), duration: Some("1m".parse().unwrap()), ..ask(&[]) };
            let longer = self.file(ANN, longer).await.unwrap();
            self.approve(LEA, &longer).await.unwrap();
            extension = Some(longer);
            60
        } else {
            left
        };
        self.pass(left - 1);
        Prize { body, extension }
    }

    async fn run(&self, racer: Racer, prize: &Prize) -> Result<(), Refusal> {
        let body = &prize.body;
        match racer {
            Racer::Approve(n) => self.approve(n, body).await.map(drop),
            Racer::Deny(n) => self.deny(n, body).await.map(drop),
            Racer::Cancel => self.cancel(ANN, body).await.map(drop),
            Racer::Revoke => self.end(ADA, body, EndReason::Revoked).await.map(drop),
            Racer::Done => self.end(ANN, body, EndReason::Done).await.map(drop),
            Racer::Expire => {
                self.pass(2);
                attend(&self.0.app).await.map(drop)
            }
            Racer::Freeze => {
                let whom = Whose { name: "ann".parse().unwrap(), issuer: None };
                self.freeze(ADA, FreezeScope::User(whom)).await.map(drop)
            }
            Racer::Extend => self.approve(SAM, prize.extension.as_ref().unwrap()).await.map(drop),
        }
    }

    /// A request of Ann's for a minute that waits for so many seconds: what is filed through the verb waits for a day.
    async fn filed_for(&self, seconds: u32) -> RequestBody {
        let now = self.0.clock.now();
        let request = policy::Request {
            id: policy::RequestId::from_random(crate::clock::random().unwrap()),
            requester: self.0.caller(ANN).await.session.identity,
            targets: vec!["root@web-1".parse().unwrap()],
            duration: "1m".parse().unwrap(),
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

    async fn thaw_all(&self) {
        for freeze in self.freezes(ADA).await {
            self.thaw(ADA, &freeze).await.unwrap();
            assert!(self.thaw(BEA, &freeze).await.unwrap().thawed);
        }
    }

    /// One end, whoever made it; and where people made it, hosts are told of every certificate that it cut short.
    async fn ended_once_and_revoked(&self, entries: &[Value], body: &RequestBody, what: &str) {
        let ends: Vec<&Value> = entries
            .iter()
            .filter(|entry| entry["id"] == id(body) && ENDS.iter().any(|code| entry["code"] == *code))
            .collect();
        let [end] = ends.as_slice() else { panic!("{what}: {} ends: {entries:#?}", ends.len()) };
        let listed: Vec<u64> =
            self.0.app.store.revoked(None).await.unwrap().unwrap().serials.iter().map(|serial| serial.get()).collect();
        let by_people = ["request.denied", "request.cancelled", "grant.ended"].iter().any(|code| end["code"] == *code);
        // The moment on which it was decided: by the time that it is written the clock may have gone on.
        let at = end["decided"]["time"].as_u64().unwrap_or(end["time_ms"].as_u64().unwrap() / 1_000);
        let ours = |entry: &&Value| entry["code"] == "certificate.issued" && entry["under"] == id(body);
        for issued in entries.iter().filter(ours) {
            let (serial, expires) = (issued["serial"].as_u64().unwrap(), issued["expires"].as_u64().unwrap());
            let cut_short = at < expires;
            assert!(by_people || !cut_short, "{what}: it outlives its grant: {issued} {end}");
            assert_eq!(listed.contains(&serial), cut_short, "{what}: {issued} {end}");
        }
        let told = entries.iter().filter_map(|entry| entry["serials"].as_array()).flatten();
        assert!(told.into_iter().all(|serial| listed.contains(&serial.as_u64().unwrap())), "{what}: told, not listed");
        let live = self.0.app.store.live(&Selection::Grant(body.grant.clone().unwrap()), now_of(self)).await.unwrap();
        assert!(live.iter().all(|one| one.revoked), "{what}: {live:?}");
    }
}

fn now_of(house: &House) -> policy::UnixTime {
    house.0.clock.now()
}

/// Between a freeze and its end nothing is issued.
fn frozen_is_frozen(entries: &[Value], what: &str) {
    let mut frozen = false;
    for entry in entries {
        match entry["code"].as_str() {
            Some("freeze.set") => assert!(!std::mem::replace(&mut frozen, true), "{what}: frozen twice: {entry}"),
            Some("certificate.issued") => assert!(!frozen, "{what}: issued though frozen: {entries:#?}"),
            _ => {}
        }
    }
}
