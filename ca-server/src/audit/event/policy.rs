//! What the log says of policy sets: which files one is of, their texts, and what changed, so that an outsider has every
//! set that ever decided, byte for byte.

use super::Fact;
use serde::Serialize;

/// The most bytes of a text in one entry; what is longer goes on in the next.
pub const PART: usize = 16 * 1024;

/// What happened to the policy set.
#[derive(Debug, Serialize)]
#[serde(tag = "code")]
pub enum PolicyEvent<'a> {
    /// A policy set took the place of another; before any decision rests on it.
    #[serde(rename = "policy.loaded")]
    Loaded(Loaded<'a>),
    /// The text of a file of the set whose entry follows.
    #[serde(rename = "policy.source")]
    Source(Source<'a>),
}

impl Fact for PolicyEvent<'_> {}

/// A policy set took the place of another.
#[derive(Debug, Serialize)]
pub struct Loaded<'a> {
    /// SHA-256 of the set that was recorded before it, hex; none for the first one of a log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<&'a str>,
    /// SHA-256 of this one, hex.
    pub to: &'a str,
    /// How many policies it holds.
    pub policies: usize,
    /// Its files, sorted by name.
    pub files: Vec<File<'a>>,
    /// What became of each file that is not as it was.
    pub changes: Vec<Change<'a>>,
}

/// A file of a policy set.
#[derive(Debug, Serialize)]
pub struct File<'a> {
    /// Its name in the policy directory.
    pub name: &'a str,
    /// SHA-256 of its text, hex.
    pub sha256: String,
    /// The length of its text.
    pub bytes: usize,
}

/// A file that came, went or is another.
#[derive(Debug, Serialize)]
pub struct Change<'a> {
    /// Its name.
    pub name: &'a str,
    /// `added`, `changed` or `removed`.
    pub change: &'static str,
    /// SHA-256 of its former text, hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub was: Option<String>,
    /// What changed, for people: a unified diff. Absent where it would be long; the texts are on record all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diff: Option<String>,
}

/// A file's text, or a part of it.
#[derive(Debug, Serialize)]
pub struct Source<'a> {
    /// The file's name.
    pub name: &'a str,
    /// SHA-256 of the whole text, hex.
    pub sha256: &'a str,
    /// Which part this is, from 0.
    pub part: usize,
    /// Of how many.
    pub parts: usize,
    /// The part.
    pub text: &'a str,
}

/// `text` in parts of at most [`PART`] bytes, at least one.
pub fn parts(text: &str) -> Vec<&str> {
    let (mut parts, mut rest) = (Vec::new(), text);
    while rest.len() > PART {
        let cut = (0..=PART).rev().find(|&at| rest.is_char_boundary(at)).unwrap_or(PART);
        let (part, after) = rest.split_at(cut);
        parts.push(part);
        rest = after;
    }
    parts.push(rest);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_the_text_and_cut_no_character() {
        for text in ["", "short", &"x".repeat(PART), &"x".repeat(PART + 1), &"ü".repeat(PART), &"x名".repeat(9_000)] {
            let parts = parts(text);
            assert_eq!(parts.concat(), *text);
            assert!(parts.iter().all(|part| part.len() <= PART));
            assert!(parts.len() == 1 || parts.iter().all(|part| !part.is_empty()));
        }
    }
}
