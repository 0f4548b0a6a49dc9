use super::record;
use crate::{
    fixture::{POLICY, Stage, policies, seal, sources},
    policies::Loaded,
    store::{Store as _, memory::MemoryStore},
};
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc};

/// An app with `policy` in force, on a store that others may have used before.
async fn recorded(store: &Arc<MemoryStore>, policy: &str) -> bool {
    let stage = Stage::with(Arc::clone(store) as _, policy);
    record(&stage.app, &stage.app.policies.current(), "start").await.unwrap()
}

async fn entries(store: &MemoryStore) -> Vec<Value> {
    let all = store.entries(0, usize::MAX).await.unwrap();
    all.iter().map(|entry| serde_json::from_slice(entry.as_bytes()).unwrap()).collect()
}

/// What an outsider does: every text by its digest, then the files of each set, then its digest.
fn rebuilt(entries: &[Value]) -> Vec<String> {
    let (mut parts, mut sets) = (BTreeMap::<String, String>::new(), Vec::new());
    for entry in entries {
        let text = |member: &str| entry[member].as_str().unwrap().to_owned();
        if entry["code"] == "policy.source" {
            let all = parts.entry(text("sha256")).or_default();
            if entry["part"] == 0 {
                all.clear();
            }
            all.push_str(&text("text"));
        } else {
            let files: Vec<(String, String)> = entry["files"]
                .as_array()
                .unwrap()
                .iter()
                .map(|file| {
                    let sha256 = file["sha256"].as_str().unwrap();
                    let whole = parts[sha256].clone();
                    assert_eq!(api::digest::hex(&api::digest::of_text(&whole)), sha256);
                    assert_eq!(file["bytes"], whole.len());
                    (file["name"].as_str().unwrap().to_owned(), whole)
                })
                .collect();
            let digest = api::digest::of_policies(files.iter().map(|(name, text)| (name.as_str(), text.as_str())));
            assert_eq!(api::digest::hex(&digest), text("to"));
            sets.push(text("to"));
        }
    }
    sets
}

#[tokio::test]
async fn every_set_can_be_rebuilt_from_the_log_and_nothing_is_told_twice() {
    let store = Arc::new(MemoryStore::new(seal()));
    assert!(recorded(&store, POLICY).await);
    let first = entries(&store).await;
    assert_eq!(first.len(), 4, "three texts and the set: {first:?}");
    assert!(first[3].get("from").is_none() && first[3]["policies"] == 4);
    assert_eq!(first[3]["changes"].as_array().unwrap().len(), 3);

    assert!(!recorded(&store, POLICY).await, "a start with the same set");
    assert_eq!(entries(&store).await.len(), 4);

    let other = POLICY.replace("@max_duration(\"1h\")", "@max_duration(\"2h\")");
    assert!(recorded(&store, &other).await, "it changed while no server ran");
    let all = entries(&store).await;
    assert_eq!(all.len(), 6, "one text and the set");
    assert_eq!(all[5]["from"], all[3]["to"]);
    let changes = all[5]["changes"].as_array().unwrap();
    assert_eq!((changes.len(), &changes[0]["change"]), (1, &"changed".into()));
    let diff = changes[0]["diff"].as_str().unwrap();
    assert!(
        diff.contains("-@id(\"ops\") @max_duration(\"1h\")") && diff.contains("+@id(\"ops\") @max_duration(\"2h\")")
    );
    assert_eq!(rebuilt(&all).len(), 2);
}

/// As many policies as may stand in one set: no entry grows with them, and the set is still there byte for byte.
#[tokio::test]
async fn a_large_set_comes_in_bounded_entries() {
    let store = Arc::new(MemoryStore::new(seal()));
    let many: String = (0..10_000)
        .map(|n| {
            format!(
                "@id(\"p{n}\") permit (principal in Group::\"größe {n}\", action == Action::\"connect\", resource);\n"
            )
        })
        .collect();
    let mut all = sources(POLICY);
    all.policies.push(policy::Source { name: "many.cedar".to_owned(), text: many });
    // Parsed policies are not needed to record texts, and reading ten thousand takes a debug build a while.
    let loaded = Loaded::new(policies(POLICY), all);
    let stage = Stage::new(Arc::clone(&store) as _);
    assert!(record(&stage.app, &loaded, "reload").await.unwrap());
    let all = store.entries(0, usize::MAX).await.unwrap();
    assert!(all.len() > 50 && all.iter().all(|entry| entry.as_bytes().len() < 40_000), "{}", all.len());
    assert_eq!(rebuilt(&entries(&store).await).len(), 1);
    assert!(!record(&stage.app, &loaded, "reload").await.unwrap());
}

#[tokio::test]
async fn servers_that_take_turns_record_each_change() {
    let store = Arc::new(MemoryStore::new(seal()));
    let other = POLICY.replace("1h", "2h");
    for policy in [POLICY, &other, POLICY] {
        assert!(recorded(&store, policy).await);
    }
    let sets = rebuilt(&entries(&store).await);
    assert_eq!((sets.len(), &sets[0]), (3, &sets[2]));
}
