//! A bundle as whoever wants to forge one handles it.

use anyhow::Result;
use api::{
    bundle::{Bundle, Fault, Verified},
    export::text,
    proof::{
        checkpoint::Seal,
        note::Verifier,
        tree::{self, Frontier, Hash, Plan},
    },
};
use serde_json::{Value, json};
use std::{convert::Infallible, fs, path::Path};

/// Lines of a bundle, by what they hold.
pub(super) struct Lines(pub(super) Vec<Value>);

impl Lines {
    pub(super) fn read(file: &Path) -> Result<Self> {
        Ok(Self(fs::read_to_string(file)?.lines().map(serde_json::from_str).collect::<Result<_, _>>()?))
    }

    /// The place of the first entry with this code.
    pub(super) fn at(&self, code: &str) -> usize {
        let holds =
            |line: &Value| line["entry"].as_str().is_some_and(|entry| entry.contains(&format!("\"code\":\"{code}\"")));
        self.0.iter().position(holds).unwrap_or_else(|| panic!("no {code}"))
    }

    pub(super) fn verify(&self, key: &Verifier) -> Result<Verified, Vec<Fault>> {
        let text: String = self.0.iter().map(|line| format!("{line}\n")).collect();
        let broken = |error: api::bundle::NoBundle| vec![Fault { index: None, what: error.to_string() }];
        Bundle::read(text.as_bytes()).map_err(broken)?.verify(key, &[])
    }

    /// The same entries with their members edited, in a log of their own that the log's own key signed: what whoever took
    /// the server with its keys can make.
    pub(super) fn forged(&self, seal: &Seal, edit: impl Fn(&mut Vec<String>)) -> Self {
        let entries = self.0.iter().filter_map(|line| line["entry"].as_str());
        let mut entries: Vec<String> = entries.map(str::to_owned).collect();
        edit(&mut entries);
        let (mut frontier, mut hashes) = (Frontier::default(), Vec::<Hash>::new());
        for entry in &entries {
            let Ok(()) = frontier.push(tree::leaf(entry.as_bytes()), |_place, hash| {
                hashes.push(*hash);
                Ok::<(), Infallible>(())
            });
        }
        let mut lines = vec![self.0[0].clone()];
        for (index, entry) in (0_u64..).zip(&entries) {
            let plan = Plan::inclusion(index, frontier.size()).unwrap();
            let kept: Vec<Hash> = plan.places().iter().map(|&place| hashes[usize::try_from(place).unwrap()]).collect();
            let proof: Vec<String> = plan.proof(&kept).unwrap().iter().map(text).collect();
            lines.push(
                json!({"index": index, "entry": entry, "leaf": text(&tree::leaf(entry.as_bytes())), "proof": proof}),
            );
        }
        lines.push(json!({"checkpoint": seal.checkpoint(frontier.size(), frontier.root())}));
        Self(lines)
    }
}

/// The first entry with this code.
pub(super) fn entry<'e>(entries: &'e mut [String], code: &str) -> &'e mut String {
    let code = format!("\"code\":\"{code}\"");
    entries.iter_mut().find(|entry| entry.contains(&code)).unwrap_or_else(|| panic!("no {code}"))
}

/// Puts `value`, JSON, in the place of the member `name`; all else stays byte for byte.
pub(super) fn put(entry: &mut String, name: &str, value: &str) {
    let was = api::entry::member(entry, name).unwrap_or_else(|| panic!("no {name}")).to_owned();
    *entry = entry.replacen(&format!("\"{name}\":{was}"), &format!("\"{name}\":{value}"), 1);
}

/// As [`put`], where the same stands inside another member before it.
pub(super) fn put_last(entry: &mut String, name: &str, value: &str) {
    let was = format!("\"{name}\":{}", member(entry, name));
    let at = entry.rfind(&was).unwrap_or_else(|| panic!("no {name}"));
    entry.replace_range(at..at + was.len(), &format!("\"{name}\":{value}"));
}

/// Gives the request in `entry` the digest that is its own by now; answers the former and the new.
pub(super) fn digest_anew(entry: &mut String) -> (String, String) {
    let was = member(entry, "digest");
    let digest = format!("\"{}\"", api::digest::hex(&api::digest::of_request(member(entry, "filed").as_bytes()).0));
    put(entry, "digest", &digest);
    (was, digest)
}

/// Puts `value` in the place of the member `name` of every entry with this code.
pub(super) fn put_all(entries: &mut [String], code: &str, name: &str, value: &str) {
    let code = format!("\"code\":\"{code}\"");
    entries.iter_mut().filter(|entry| entry.contains(&code)).for_each(|entry| put(entry, name, value));
}

pub(super) fn member(entry: &str, name: &str) -> String {
    api::entry::member(entry, name).unwrap_or_else(|| panic!("no {name}")).to_owned()
}
