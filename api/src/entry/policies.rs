//! Policy sets and the texts they are made of.

use serde::Deserialize;

/// A policy set by its files.
#[derive(Clone, Debug, Deserialize)]
pub struct Set {
    /// Its digest, hex.
    pub to: String,
    /// Its files; none in entries from before they were recorded.
    #[serde(default)]
    pub files: Option<Vec<File>>,
}

/// A file of a policy set.
#[derive(Clone, Debug, Deserialize)]
pub struct File {
    /// Its name.
    pub name: String,
    /// SHA-256 of its text, hex.
    pub sha256: String,
}

/// A part of a file's text.
#[derive(Clone, Debug, Deserialize)]
pub struct Part {
    /// SHA-256 of the whole text, hex.
    pub sha256: String,
    /// Which part, from 0.
    pub part: usize,
    /// Of how many.
    pub parts: usize,
    /// The part.
    pub text: String,
}
