//! What every store promises about the policy set that was recorded last.

use super::entry;
use crate::store::{PolicyFile, PolicySet, Stepped, Store};
use std::sync::Arc;

/// All of it, on a store that never recorded one.
pub(super) async fn run(store: &Arc<dyn Store>) {
    a_set_takes_the_place_of_the_one_that_was_meant(&**store).await;
    one_of_many_racing_sets_is_recorded(store).await;
}

pub(in crate::store) fn set(digest: &str, texts: &[&str]) -> PolicySet {
    let files = texts.iter().enumerate();
    let files = files.map(|(n, text)| PolicyFile { name: format!("{n}.cedar"), text: (*text).to_owned() });
    PolicySet { digest: digest.to_owned(), files: files.collect() }
}

async fn a_set_takes_the_place_of_the_one_that_was_meant(store: &dyn Store) {
    let before = store.entry_count().await.unwrap();
    assert_eq!(store.recorded_policies().await.unwrap(), None);
    let first = set("one", &["permit größer", "", "\0\n\"\\"]);
    let meant =
        |was, set, entries: &[&str]| store.record_policies(was, set, entries.iter().map(|text| entry(text)).collect());
    assert_eq!(meant(Some("none"), set("x", &[]), &["refused"]).await.unwrap(), Stepped::Changed);
    assert_eq!(store.recorded_policies().await.unwrap(), None);
    assert_eq!(meant(None, first.clone(), &["source", "loaded"]).await.unwrap(), Stepped::Yes);
    assert_eq!(store.recorded_policies().await.unwrap(), Some(first.clone()));
    assert_eq!(store.entries(before, 9).await.unwrap(), [entry("source"), entry("loaded")], "in this order");

    for was in [None, Some("two")] {
        assert_eq!(meant(was, set("y", &[]), &["refused"]).await.unwrap(), Stepped::Changed);
    }
    assert_eq!(store.recorded_policies().await.unwrap(), Some(first));
    assert_eq!(store.entry_count().await.unwrap(), before + 2, "refused means nothing changed");

    let large = set("two", &["x".repeat(1 << 20).as_str(), "y"]);
    assert_eq!(meant(Some("one"), large.clone(), &[]).await.unwrap(), Stepped::Yes);
    assert_eq!(store.recorded_policies().await.unwrap(), Some(large), "nothing is left of the one before");
    assert_eq!(store.entry_count().await.unwrap(), before + 2, "and none of them need entries");
}

async fn one_of_many_racing_sets_is_recorded(store: &Arc<dyn Store>) {
    let before = store.entry_count().await.unwrap();
    let racers: Vec<_> = (0..16)
        .map(|n| {
            let store = Arc::clone(store);
            let set = set(&format!("race {n}"), &["permit"]);
            tokio::spawn(async move { store.record_policies(Some("two"), set, vec![entry("raced")]).await.unwrap() })
        })
        .collect();
    let mut recorded = 0;
    for racer in racers {
        recorded += usize::from(racer.await.unwrap() == Stepped::Yes);
    }
    assert_eq!(recorded, 1);
    assert_eq!(store.entry_count().await.unwrap(), before + 1);
    assert!(store.recorded_policies().await.unwrap().unwrap().digest.starts_with("race "));
}
