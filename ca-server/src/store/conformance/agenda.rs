//! What every store promises about what the clock does to requests.

use super::{
    NOW, claims, entry, open,
    requests::{approved, file, id, listed, request, step},
    revocations::issued,
    session,
};
use crate::store::{Due, Look, Recorded, Stepped, Store, Which};
use policy::{EndReason, Request, Seconds, Step, UnixTime, What};
use std::sync::Arc;

/// When the requests here are filed, seconds after [`NOW`]: after all others.
const FILED: u64 = 5_000_000;

/// All of it.
pub(super) async fn run(store: &Arc<dyn Store>) {
    away_with_what_others_left(&**store).await;
    what_is_open_is_listed_until_it_is_put_away(&**store).await;
    away_with_what_others_left(&**store).await;
    a_look_is_due_when_its_time_has_come(&**store).await;
    each_step_arranges_a_look_and_an_end_none(&**store).await;
    what_is_attended_to_is_as_it_was_found(&**store).await;
    of_many_who_find_it_due_one_records_it(store).await;
    a_step_and_a_look_never_both_count(store).await;
    what_prolongs_a_request_goes_with_it(&**store).await;
}

fn after(seconds: u64) -> UnixTime {
    UnixTime::from_secs(NOW.as_secs() + seconds)
}

/// Requests wait for 600 seconds here.
async fn filed(store: &dyn Store, n: u8, seconds: u64) {
    file(store, request(n, "agnes", FILED + seconds)).await;
}

async fn due(store: &dyn Store, seconds: u64) -> Vec<Due> {
    store.due(after(FILED + seconds), 99).await.unwrap()
}

fn look(seconds: u64, reminded: bool) -> Look {
    Look { at: after(FILED + seconds), reminded }
}

/// Of one request.
async fn arranged(store: &dyn Store, n: u8) -> Option<Look> {
    let all = store.due(UnixTime::from_secs(u64::MAX), 999).await.unwrap();
    all.into_iter().find(|due| due.kept.request.id == id(n)).map(|due| due.look)
}

async fn away_with_what_others_left(store: &dyn Store) {
    loop {
        let left = store.due(UnixTime::from_secs(u64::MAX), 7).await.unwrap();
        assert!(left.len() <= 7);
        if left.is_empty() {
            break;
        }
        for due in left {
            assert!(store.attend(&due, None, None).await.unwrap());
        }
    }
    assert_eq!(listed(store, &Which::Waiting(NOW), None, 9).await, [], "put away is waiting for nobody");
    assert_eq!(listed(store, &Which::Open, None, 9).await, [], "and open no more");
    assert!(!listed(store, &Which::All, None, 9).await.is_empty(), "and that is all");
}

async fn what_is_open_is_listed_until_it_is_put_away(store: &dyn Store) {
    for (n, seconds) in [(150, 0), (151, 1), (152, 1), (153, 2)] {
        filed(store, n, seconds).await;
    }
    let open = async |after: Option<u8>, most| listed(store, &Which::Open, after, most).await;
    assert_eq!(open(None, 9).await, [153, 152, 151, 150].map(id), "newest first");
    assert_eq!(open(None, 2).await, [153, 152].map(id));
    assert_eq!(open(Some(152), 1).await, [id(151)]);
    assert_eq!(
        listed(store, &Which::Waiting(after(FILED + 700)), None, 9).await,
        [],
        "expired, which no one has recorded"
    );
    assert_eq!(open(None, 9).await.len(), 4);

    let end = step(What::Ended { why: EndReason::Revoked, reason: None });
    assert_eq!(store.add_step(&id(151), 0, approved(), entry("step")).await.unwrap(), Stepped::Yes);
    assert_eq!(open(None, 9).await.len(), 4, "approved is open still");
    assert_eq!(store.add_step(&id(152), 0, end, entry("end")).await.unwrap(), Stepped::Yes);
    assert_eq!(open(None, 9).await, [153, 151, 150].map(id));
    assert_eq!(open(Some(152), 9).await, [151, 150].map(id), "goes on after one that left the list");
    let look = arranged(store, 150).await.unwrap();
    let kept = store.request(&id(150)).await.unwrap().unwrap();
    assert!(store.attend(&Due { kept, look }, None, None).await.unwrap());
    assert_eq!(open(None, 9).await, [153, 151].map(id));
}

async fn a_look_is_due_when_its_time_has_come(store: &dyn Store) {
    filed(store, 201, 10).await;
    filed(store, 200, 0).await;
    assert_eq!(due(store, 449).await, []);
    let ids = async |seconds| due(store, seconds).await.into_iter().map(|due| due.kept.request.id).collect::<Vec<_>>();
    assert_eq!(ids(450).await, [id(200)], "after three quarters of its time");
    assert_eq!(ids(460).await, [id(200), id(201)], "the longest due first");
    assert_eq!(store.due(after(FILED + 460), 1).await.unwrap().len(), 1);
    assert_eq!(arranged(store, 200).await, Some(look(450, false)));
}

async fn each_step_arranges_a_look_and_an_end_none(store: &dyn Store) {
    let at = |seconds, step: Step| Step { at: after(FILED + seconds), ..step };
    let before = store.entry_count().await.unwrap();
    store.add_step(&id(200), 0, at(20, approved()), entry("step")).await.unwrap();
    assert_eq!(arranged(store, 200).await, Some(look(20, false)));
    open(store, session(200, "agnes"), 200).await;
    let mut claim = claims::claim(200, 1);
    claim.step = claim.step.map(|(step, entry)| (at(30, step), entry));
    let outcome = store
        .record_issue(&session(200, "agnes").id, None, Some(claim), issued(900, "x", "x"), entry("issued"))
        .await
        .unwrap();
    assert_eq!(outcome, Recorded::Yes);
    assert_eq!(arranged(store, 200).await, Some(look(30, false)), "so does the first use");
    let done = step(What::Ended { why: EndReason::Done, reason: None });
    store.add_step(&id(200), 2, at(40, done), entry("step")).await.unwrap();
    assert_eq!(arranged(store, 200).await, None);
    assert_eq!(store.entry_count().await.unwrap(), before + 5, "and none of it is a fact of its own");
    filed(store, 202, 20).await;
    let found = due(store, 470).await.pop().unwrap();
    assert!(store.attend(&found, None, None).await.unwrap());
    assert!(!listed(store, &Which::Waiting(after(FILED)), None, 99).await.contains(&id(202)));
    let before = store.entry_count().await.unwrap();
    let ended = step(What::Ended { why: EndReason::Revoked, reason: None });
    for late in [approved(), step(What::Claimed), step(What::Cancelled), ended] {
        assert_eq!(store.add_step(&id(202), 0, late, entry("late")).await.unwrap(), Stepped::Over);
    }
    assert_eq!(store.add_step(&id(202), 1, approved(), entry("late")).await.unwrap(), Stepped::Changed);
    let agnes = session(200, "agnes").id;
    let mut renewed = claims::claim(202, 0);
    renewed.step = None;
    for claim in [claims::claim(202, 0), renewed] {
        let outcome =
            store.record_issue(&agnes, None, Some(claim), issued(901, "x", "x"), entry("late")).await.unwrap();
        assert_eq!(outcome, Recorded::RequestChanged, "nothing is issued after an end");
    }
    assert_eq!((store.entry_count().await.unwrap(), arranged(store, 202).await), (before, None));
}

async fn what_is_attended_to_is_as_it_was_found(store: &dyn Store) {
    let found = due(store, 460).await.into_iter().find(|due| due.kept.request.id == id(201)).unwrap();
    let before = store.entry_count().await.unwrap();
    let others = [
        Due { look: look(461, false), ..found.clone() },
        Due { look: Look { reminded: true, ..found.look }, ..found.clone() },
    ];
    for other in others {
        assert!(!store.attend(&other, None, Some(entry("no"))).await.unwrap());
    }
    let mut other = found.clone();
    other.kept.steps.push(approved());
    assert!(!store.attend(&other, None, Some(entry("no"))).await.unwrap());
    other.kept.request.id = id(99);
    assert!(!store.attend(&other, None, Some(entry("no"))).await.unwrap(), "there is no such request");
    assert_eq!((store.entry_count().await.unwrap(), arranged(store, 201).await), (before, Some(found.look)));
    assert!(store.attend(&found, Some(look(610, true)), Some(entry("reminded"))).await.unwrap());
    assert_eq!(store.entries(before, 9).await.unwrap(), [entry("reminded")]);
    assert_eq!(arranged(store, 201).await, Some(look(610, true)));
    assert!(!store.attend(&found, Some(look(610, true)), Some(entry("again"))).await.unwrap());
    let found = due(store, 610).await.into_iter().find(|due| due.kept.request.id == id(201)).unwrap();
    assert!(store.attend(&found, Some(look(700, true)), None).await.unwrap());
    assert_eq!(store.entry_count().await.unwrap(), before + 1, "arranging alone is no fact");
    assert!(store.request(&id(201)).await.unwrap().unwrap().steps.is_empty(), "and no step");
}

async fn of_many_who_find_it_due_one_records_it(store: &Arc<dyn Store>) {
    filed(&**store, 210, 100).await;
    let before = store.entry_count().await.unwrap();
    let found = due(&**store, 550).await.into_iter().find(|due| due.kept.request.id == id(210)).unwrap();
    let racers: Vec<_> = (0..32)
        .map(|_| {
            let (store, found) = (Arc::clone(store), found.clone());
            tokio::spawn(
                async move { store.attend(&found, Some(look(700, true)), Some(entry("reminded"))).await.unwrap() },
            )
        })
        .collect();
    let mut recorded = 0;
    for racer in racers {
        recorded += u64::from(racer.await.unwrap());
    }
    assert_eq!((recorded, store.entry_count().await.unwrap()), (1, before + 1));
}

async fn a_step_and_a_look_never_both_count(store: &Arc<dyn Store>) {
    for n in 211..227 {
        filed(&**store, n, 200).await;
        let found = due(&**store, 650).await.into_iter().find(|due| due.kept.request.id == id(n)).unwrap();
        // A step of the very second that was arranged leaves the arrangement as it was: the number of steps tells.
        let same_second = Step { at: found.look.at, ..approved() };
        let (looking, stepping) = (Arc::clone(store), Arc::clone(store));
        let looked = tokio::spawn(async move {
            let next = Look { at: found.look.at.plus(Seconds::new(9)), reminded: true };
            looking.attend(&found, Some(next), Some(entry("looked"))).await.unwrap()
        });
        let stepped =
            tokio::spawn(async move { stepping.add_step(&id(n), 0, same_second, entry("step")).await.unwrap() });
        let (looked, _) = (looked.await.unwrap(), stepped.await.unwrap());
        let then = arranged(&**store, n).await.unwrap();
        assert_eq!((then.at, then.reminded), (after(FILED + 650), looked), "the step came last, or alone");
    }
}

/// Who approves what prolongs a request and who puts that away for what they saw: one of them finds out.
async fn what_prolongs_a_request_goes_with_it(store: &dyn Store) {
    away_with_what_others_left(store).await;
    filed(store, 251, 0).await;
    let longer = |n| Request { extends: Some(id(251)), ..request(n, "agnes", FILED) };
    file(store, longer(252)).await;
    file(store, longer(253)).await;
    let found = due(store, 600).await.into_iter().find(|due| due.kept.request.id == id(251)).unwrap();
    let yes = |at| Step { at, ..approved() };
    assert_eq!(store.add_step(&id(252), 0, yes(found.look.at), entry("yes")).await.unwrap(), Stepped::Yes);
    assert!(!store.attend(&found, None, Some(entry("over"))).await.unwrap(), "it has more time than was seen");
    let look = arranged(store, 251).await.unwrap();
    assert!(look.at > found.look.at, "{look:?}");
    let seen = Due { look, ..found };
    assert!(store.attend(&seen, None, Some(entry("over"))).await.unwrap());
    let late = store.add_step(&id(253), 0, yes(look.at), entry("late")).await.unwrap();
    assert_eq!(late, Stepped::Over, "what it would prolong is over");
    let no = store.add_step(&id(253), 0, step(What::Cancelled), entry("withdrawn")).await.unwrap();
    assert_eq!(no, Stepped::Yes, "it can still be ended itself");
    away_with_what_others_left(store).await;
}
