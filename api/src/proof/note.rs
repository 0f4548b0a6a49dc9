//! Signed notes (c2sp.org/signed-note): text, a blank line, and a line for each signature. And the text form of the keys
//! that check them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest as _, Sha256};
use std::{fmt, str::FromStr};

/// What a signature is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The text (signature type 0x01): a log's.
    Text,
    /// The text under a time (signature type 0x04, c2sp.org/tlog-cosignature): a witness's.
    Cosignature,
}

impl Kind {
    const fn byte(self) -> u8 {
        match self {
            Self::Text => 1,
            Self::Cosignature => 4,
        }
    }
}

/// Why a note or a key is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoteError(String);

impl NoteError {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// There is no note at all.
    pub fn absent() -> Self {
        Self::new("there is none")
    }
}

/// Something that signs with Ed25519.
pub trait Sign: Send + Sync {
    /// The public key.
    fn public(&self) -> [u8; 32];

    /// The signature over `message`.
    fn sign(&self, message: &[u8]) -> [u8; 64];
}

/// A public key with its name. As text, a verifier key: `name+8 hex digits+base64`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verifier {
    name: String,
    kind: Kind,
    id: [u8; 4],
    key: VerifyingKey,
}

impl Verifier {
    /// The key `public` under `name`.
    ///
    /// # Errors
    /// If the name has a space or a plus or is empty, or if that is no key.
    pub fn new(name: &str, kind: Kind, public: &[u8; 32]) -> Result<Self, NoteError> {
        if name.is_empty()
            || name.len() > 255
            || name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+')
        {
            return Err(NoteError::new("a key's name has no space, no plus, and 1 to 255 bytes"));
        }
        let key = VerifyingKey::from_bytes(public).ok().filter(|key| !key.is_weak());
        let key = key.ok_or_else(|| NoteError::new("this is no Ed25519 public key"))?;
        let digest =
            Sha256::new().chain_update(name).chain_update([b'\n', kind.byte()]).chain_update(public).finalize();
        let id = digest.first_chunk().copied().unwrap_or_default();
        Ok(Self { name: name.to_owned(), kind, id, key })
    }

    /// The key's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it signs.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The signature line of `bytes`.
    pub(super) fn line(&self, bytes: &[u8]) -> String {
        format!("\u{2014} {} {}\n", self.name, STANDARD.encode([self.id.as_slice(), bytes].concat()))
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [&[self.kind.byte()], self.key.as_bytes().as_slice()].concat();
        write!(f, "{}+{:08x}+{}", self.name, u32::from_be_bytes(self.id), STANDARD.encode(key))
    }
}

impl FromStr for Verifier {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        let wrong =
            || NoteError::new("this is no verifier key: name+8 hex digits+base64, as `ca-server audit key` prints it");
        let mut parts = text.trim().splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else { return Err(wrong()) };
        let bytes = STANDARD.decode(key).map_err(|_not_base64| wrong())?;
        let (kind, public) = bytes.split_first().ok_or_else(wrong)?;
        let kind = match kind {
            1 => Kind::Text,
            4 => Kind::Cosignature,
            _ => return Err(NoteError::new("this key is of a type that is not known here")),
        };
        let public = public.try_into().map_err(|_length| wrong())?;
        let verifier = Self::new(name, kind, public)?;
        // The id says nothing that the key does not, but a mistyped one should be noticed.
        if verifier.to_string() != text.trim() || format!("{:08x}", u32::from_be_bytes(verifier.id)) != id {
            return Err(NoteError::new(
                "the id in this verifier key is not that of its name and key: was it copied whole?",
            ));
        }
        Ok(verifier)
    }
}

/// A note as it came, not believed yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<Line>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    name: String,
    id: [u8; 4],
    bytes: Vec<u8>,
}

impl Note {
    /// The longest note that is read.
    pub const LONGEST: usize = 64 * 1024;
    const MOST_SIGNATURES: usize = 64;

    /// The note in `text`.
    ///
    /// # Errors
    /// If its form is another.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let wrong = |what: &str| NoteError::new(format!("this is no signed note: {what}"));
        if text.len() > Self::LONGEST {
            return Err(wrong("it is too long"));
        }
        if text.contains(|letter: char| letter < ' ' && letter != '\n') {
            return Err(wrong("it holds control characters"));
        }
        let (body, lines) = text.rsplit_once("\n\n").ok_or_else(|| wrong("no blank line stands before signatures"))?;
        let lines = lines.strip_suffix('\n').ok_or_else(|| wrong("its last line does not end"))?;
        let signatures = lines.split('\n').map(Line::parse).collect::<Option<Vec<_>>>();
        let signatures = signatures.filter(|all| all.len() <= Self::MOST_SIGNATURES);
        let signatures = signatures.ok_or_else(|| wrong("a signature line is not well-formed"))?;
        Ok(Self { text: format!("{body}\n"), signatures })
    }

    /// The text, which is worth nothing before [`Note::verify`].
    pub fn unverified_text(&self) -> &str {
        &self.text
    }

    /// The note with the signatures of `verifier` alone.
    pub(super) fn only(&self, verifier: &Verifier) -> String {
        let ours = self.signatures.iter().filter(|line| line.name == verifier.name && line.id == verifier.id);
        ours.fold(format!("{}\n", self.text), |note, line| note + &verifier.line(&line.bytes))
    }

    /// The text, if `verifier` signed it; with a cosignature also when. Every signature under its name and id must hold.
    ///
    /// # Errors
    /// If none is there or one is wrong.
    pub fn verify(&self, verifier: &Verifier) -> Result<(&str, Option<u64>), NoteError> {
        let mut found = None;
        for line in self.signatures.iter().filter(|line| line.name == verifier.name && line.id == verifier.id) {
            let time = line.verify(verifier, &self.text);
            let wrong = || NoteError::new(format!("the signature by {} is wrong", verifier.name.escape_debug()));
            found = Some(time.ok_or_else(wrong)?);
        }
        match found {
            Some(time) => Ok((&self.text, time)),
            None => Err(NoteError::new(format!("it is not signed by {}", verifier.name.escape_debug()))),
        }
    }
}

impl Line {
    fn parse(line: &str) -> Option<Self> {
        let (name, signature) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
        let bytes = STANDARD.decode(signature).ok()?;
        let (id, bytes) = bytes.split_first_chunk::<4>()?;
        (!name.is_empty() && !bytes.is_empty()).then(|| Self { name: name.to_owned(), id: *id, bytes: bytes.to_vec() })
    }

    fn verify(&self, verifier: &Verifier, text: &str) -> Option<Option<u64>> {
        let (message, signature, time) = match verifier.kind {
            Kind::Text => (text.to_owned(), self.bytes.as_slice(), None),
            Kind::Cosignature => {
                let (time, signature) = self.bytes.split_first_chunk::<8>()?;
                let time = u64::from_be_bytes(*time);
                (cosigned(text, time), signature, Some(time))
            }
        };
        let signature = Signature::from_slice(signature).ok()?;
        verifier.key.verify_strict(message.as_bytes(), &signature).ok().map(|()| time)
    }
}

/// What a witness signs at `time`, Unix seconds.
pub(super) fn cosigned(text: &str, time: u64) -> String {
    format!("cosignature/v1\ntime {time}\n{text}")
}
