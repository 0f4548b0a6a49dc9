//! Checkpoints (c2sp.org/tlog-checkpoint): how large the tree was and what its root is, signed by the log's key, and by
//! witnesses (c2sp.org/tlog-cosignature).

use super::{
    note::{Kind, Note, NoteError, Sign, Verifier, cosigned},
    tree::Hash,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;

/// The state of a log at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name.
    pub origin: String,
    /// How many entries there were.
    pub size: u64,
    /// The root of the tree over them.
    pub root: Hash,
}

impl Checkpoint {
    /// The checkpoint in `note`, if `verifier` signed it and it speaks of that very log.
    ///
    /// # Errors
    /// If the signature does not hold or the text is no checkpoint.
    pub fn verify(note: &str, verifier: &Verifier) -> Result<Self, NoteError> {
        let note = Note::parse(note)?;
        let checkpoint = Self::parse(note.verify(verifier)?.0)?;
        if checkpoint.origin != verifier.name() && verifier.kind() == Kind::Text {
            return Err(NoteError::new("the checkpoint is of another log than its signature"));
        }
        Ok(checkpoint)
    }

    /// The checkpoint in `note`, whoever signed it.
    ///
    /// # Errors
    /// If the text is no checkpoint.
    pub fn unverified(note: &str) -> Result<Self, NoteError> {
        Self::parse(Note::parse(note)?.unverified_text())
    }

    /// The text that is signed.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root))
    }

    fn parse(text: &str) -> Result<Self, NoteError> {
        let wrong = || NoteError::new("the signed text is no checkpoint: a name, a size and a root, a line each");
        let mut lines = text.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(wrong());
        };
        let root = STANDARD.decode(root).ok().and_then(|bytes| bytes.try_into().ok()).ok_or_else(wrong)?;
        let parsed = Self { origin: origin.to_owned(), size: size.parse().map_err(|_not_a_number| wrong())?, root };
        // Byte for byte what we would write: no plus sign, no leading zero, no extension line that nobody audits.
        if origin.is_empty() || parsed.text() != text {
            return Err(wrong());
        }
        Ok(parsed)
    }
}

/// The key of a log and the log's name: what makes checkpoints.
#[derive(Clone)]
pub struct Seal {
    key: Arc<dyn Sign>,
    verifier: Verifier,
}

impl Seal {
    /// For the log called `origin`.
    ///
    /// # Errors
    /// If that cannot be a name, or the key is none.
    pub fn new(origin: &str, key: Arc<dyn Sign>) -> Result<Self, NoteError> {
        Ok(Self { verifier: Verifier::new(origin, Kind::Text, &key.public())?, key })
    }

    /// What checks the signatures.
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// The signed checkpoint of a tree. A log signs no two that contradict each other: only the store, about what it
    /// commits, calls this.
    pub fn checkpoint(&self, size: u64, root: Hash) -> String {
        let text = Checkpoint { origin: self.verifier.name().to_owned(), size, root }.text();
        let line = self.verifier.line(&self.key.sign(text.as_bytes()));
        format!("{text}\n{line}")
    }

    /// A secret that only who has the key knows, one for each `label`: a digest of the one signature that this key has over it.
    /// No note is signed by that, for the text of a note ends its lines.
    pub fn secret(&self, label: &str) -> Hash {
        Sha256::digest(self.key.sign(format!("jit-ssh secret v1: {label}").as_bytes())).into()
    }

    /// The same key for the log called `origin`.
    ///
    /// # Errors
    /// If that cannot be a name.
    pub fn of(&self, origin: &str) -> Result<Self, NoteError> {
        Self::new(origin, Arc::clone(&self.key))
    }
}

/// `note` of the log that `log` checks, with a cosignature by `key`, called `name`, at `time` (Unix seconds). Signatures of
/// others are left away: a witness does not pass on what it has not checked.
///
/// # Errors
/// If `log` did not sign the note, or the name cannot be one.
pub fn cosign(note: &str, log: &Verifier, name: &str, key: &dyn Sign, time: u64) -> Result<String, NoteError> {
    let verifier = Verifier::new(name, Kind::Cosignature, &key.public())?;
    let parsed = Note::parse(note)?;
    parsed.verify(log)?;
    let note = parsed.only(log);
    let signature = key.sign(cosigned(parsed.unverified_text(), time).as_bytes());
    let line = verifier.line(&[time.to_be_bytes().as_slice(), &signature].concat());
    Ok(format!("{note}{line}"))
}

/// The name of the log of the server at `audience`: its public URL without the scheme.
pub fn origin(audience: &str) -> &str {
    audience.split_once("://").map_or(audience, |(_, rest)| rest)
}

#[cfg(test)]
mod tests;
