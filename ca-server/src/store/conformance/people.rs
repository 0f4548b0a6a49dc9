//! What every store promises about who people are, as their logins said.

use super::{NOW, entry, open, session};
use crate::store::{Known, Store};
use policy::Seconds;
use std::sync::Arc;

/// All of it.
pub(super) async fn run(store: &Arc<dyn Store>) {
    the_latest_login_says_who_somebody_is(&**store).await;
    a_group_is_known_since_the_first_login_that_had_it(&**store).await;
    people_are_found_by_subject_and_address(&**store).await;
}

async fn the_latest_login_says_who_somebody_is(store: &dyn Store) {
    let mut rita = session(80, "rita");
    let latest = async || store.latest_identity(&rita.identity.issuer, &"rita".parse().unwrap()).await.unwrap();
    assert_eq!(latest().await, None);
    open(store, rita.clone(), 80).await;
    assert_eq!(latest().await.as_ref(), Some(&rita.identity));
    let mut later = session(81, "rita");
    later.identity.groups.clear();
    open(store, later.clone(), 81).await;
    assert_eq!(latest().await, Some(later.identity.clone()), "a group that was lost is lost");
    rita.id = session(82, "rita").id;
    open(store, rita.clone(), 81).await;
    assert_eq!(latest().await, Some(later.identity.clone()), "a login that was refused taught nothing");
    store.end_session(&later.id, entry("ended")).await.unwrap();
    assert_eq!(latest().await, Some(later.identity), "and it outlives the session");
}

async fn a_group_is_known_since_the_first_login_that_had_it(store: &dyn Store) {
    let who = session(1, "gina").identity;
    let login = async |n: u8, groups: &[&str], after: u32| {
        let mut session = session(n, "gina");
        session.identity.groups = groups.iter().map(|group| group.parse().unwrap()).collect();
        session.started = NOW.plus(Seconds::new(after));
        open(store, session, n).await
    };
    let known = async || {
        let known = store.groups_since(&who.issuer, &who.subject).await.unwrap();
        known.into_iter().map(|(group, since)| (group.to_string(), since.since(NOW))).collect::<Vec<_>>()
    };
    let row = |group: &str, since| (group.to_owned(), since);
    assert_eq!(known().await, []);
    login(83, &["ops"], 1).await;
    login(84, &["leads", "ops"], 10).await;
    assert_eq!(known().await, [row("leads", 10), row("ops", 1)]);
    login(85, &["leads", "ops"], 20).await;
    assert_eq!(known().await, [row("leads", 10), row("ops", 1)], "another login changes nothing");
    login(86, &["ops"], 30).await;
    login(87, &["ops", "leads"], 40).await;
    assert_eq!(known().await, [row("ops", 1), row("leads", 40)], "who left and came back is new");
    assert_eq!(open(store, session(88, "gina"), 87).await, crate::store::Opened::TokenUsed);
    assert_eq!(known().await, [row("ops", 1), row("leads", 40)], "a login that was refused taught nothing");
}

async fn people_are_found_by_subject_and_address(store: &dyn Store) {
    let mut una = session(151, "una");
    una.identity.email = Some("Una@Example.net".parse().unwrap());
    let mut elsewhere = session(152, "una-2");
    elsewhere.identity.issuer = "https://id.example.org".parse().unwrap();
    elsewhere.identity.email = Some("una@example.net".parse().unwrap());
    open(store, elsewhere.clone(), 152).await;
    open(store, una.clone(), 151).await;
    let known = async |name: &str| store.known(&Known::Named(name.to_owned())).await.unwrap();
    assert_eq!(known("una@example.NET").await, [una.identity.clone(), elsewhere.identity]);
    assert_eq!(known("una").await, [una.identity]);
    assert_eq!(known("UNA").await, []);
    assert_eq!(known("").await, []);
    let of = async |issuer: &str| store.known(&Known::Of(issuer.parse().unwrap())).await.unwrap();
    assert_eq!(
        of("https://id.example.org").await.iter().map(|who| who.subject.as_str()).collect::<Vec<_>>(),
        ["una-2"]
    );
    assert_eq!(of("https://id.example.net").await, []);
}
