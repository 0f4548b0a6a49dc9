//! What every store promises about freezes.

use super::{
    NOW, entry,
    revocations::{host, issued, live},
    session,
};
use crate::store::{Freezes, Issued, Recorded, Stepped, Store};
use policy::{Freeze, FreezeId, Frozen, Seconds, Thaw};
use std::sync::Arc;

/// All of it.
pub(super) async fn run(store: &Arc<dyn Store>) {
    a_freeze_in_between_stops_an_issue(&**store).await;
    freezes_are_set_and_lifted_one_change_at_a_time(&**store).await;
    one_of_many_racing_freezes_wins(store).await;
}

fn freeze(n: u8, what: Frozen) -> Freeze {
    let (by, reason) = (session(1, "ada").identity, "theft".parse().unwrap());
    let at = NOW.plus(Seconds::new(u32::from(n)));
    Freeze { id: FreezeId::from_random([n; 12]), what, by, reason, at, thaws: Vec::new() }
}

fn word(by: &str) -> Thaw {
    Thaw { by: session(1, by).identity, at: NOW, source: [192, 0, 2, 9].into(), reason: Some("found".parse().unwrap()) }
}

async fn a_freeze_in_between_stops_an_issue(store: &dyn Store) {
    let rex = session(150, "rex").id;
    let seen = store.freezes().await.unwrap().version;
    let issued = Issued { freezes: seen, ..issued(3_001, "rex", "r-7") };
    assert_eq!(store.freeze(seen, freeze(1, Frozen::Everything), entry("frozen")).await.unwrap(), Stepped::Yes);
    let before = store.entry_count().await.unwrap();
    let record = async |issued| store.record_issue(&rex, None, None, issued, entry("issued")).await.unwrap();
    assert_eq!(record(issued.clone()).await, Recorded::FreezesChanged);
    assert_eq!(store.entry_count().await.unwrap(), before, "refused means nothing changed");
    assert_eq!(live(store, host("r-7"), NOW).await, [0; 0]);
    assert_eq!(record(Issued { freezes: seen + 1, ..issued }).await, Recorded::Yes, "decided with it in sight");
    let id = FreezeId::from_random([1; 12]);
    assert_eq!(store.thaw(&id, seen + 1, word("ada"), true, entry("thawed")).await.unwrap(), Stepped::Yes);
}

async fn freezes_are_set_and_lifted_one_change_at_a_time(store: &dyn Store) {
    let Freezes { version: v, all } = (*store.freezes().await.unwrap()).clone();
    assert_eq!(all, []);
    let (one, two) = (freeze(4, Frozen::Everything), freeze(3, Frozen::Host { host: "r-1".parse().unwrap() }));
    let before = store.entry_count().await.unwrap();
    let set = async |seen, freeze: &Freeze| store.freeze(seen, freeze.clone(), entry("frozen")).await.unwrap();
    assert_eq!(set(v + 1, &one).await, Stepped::Changed);
    assert_eq!(set(v, &one).await, Stepped::Yes);
    assert_eq!(set(v, &two).await, Stepped::Changed);
    assert_eq!(set(v + 1, &two).await, Stepped::Yes);
    assert_eq!(*store.freezes().await.unwrap(), Freezes { version: v + 2, all: vec![two.clone(), one.clone()] });
    let thaw =
        async |id: &FreezeId, seen, by, lift| store.thaw(id, seen, word(by), lift, entry("thawed")).await.unwrap();
    assert_eq!(thaw(&two.id, v, "ada", false).await, Stepped::Changed);
    assert_eq!(thaw(&FreezeId::from_random([9; 12]), v + 2, "ada", false).await, Stepped::Changed);
    assert_eq!(thaw(&two.id, v + 2, "ada", false).await, Stepped::Yes);
    let half = Freeze { thaws: vec![word("ada")], ..two.clone() };
    assert_eq!(*store.freezes().await.unwrap(), Freezes { version: v + 3, all: vec![half, one.clone()] });
    assert_eq!(thaw(&two.id, v + 3, "bea", true).await, Stepped::Yes);
    assert_eq!(*store.freezes().await.unwrap(), Freezes { version: v + 4, all: vec![one.clone()] });
    assert_eq!(thaw(&one.id, v + 4, "bea", true).await, Stepped::Yes);
    assert_eq!(*store.freezes().await.unwrap(), Freezes { version: v + 5, all: vec![] });
    assert_eq!(store.entry_count().await.unwrap(), before + 5, "one entry a change");
}

async fn one_of_many_racing_freezes_wins(store: &Arc<dyn Store>) {
    let seen = store.freezes().await.unwrap().version;
    let racers: Vec<_> = (10..26)
        .map(|n| {
            let store = Arc::clone(store);
            tokio::spawn(async move { store.freeze(seen, freeze(n, Frozen::Everything), entry("f")).await.unwrap() })
        })
        .collect();
    let mut set = 0;
    for racer in racers {
        set += usize::from(racer.await.unwrap() == Stepped::Yes);
    }
    let freezes = store.freezes().await.unwrap();
    assert_eq!((set, freezes.all.len(), freezes.version), (1, 1, seen + 1));
    store.thaw(&freezes.all[0].id, seen + 1, word("ada"), true, entry("thawed")).await.unwrap();
}
