//! A bundle: one grant from its request to its end in one file, with the proofs, so that whoever has the log's public key can
//! check it with nothing else. docs/AUDIT.md says what the file looks like; `ca-server audit bundle` writes it.

mod certificate;
mod conclusions;
mod decisions;
mod instant;
mod policies;
mod proofs;
mod record;
mod requests;
mod timeline;

use crate::{
    export::Line,
    proof::{checkpoint::Checkpoint, note::Verifier},
};
use policy::{GrantId, RequestId};
use record::Record;
use std::{fmt, io::BufRead};
pub use timeline::Told;

/// What the first line of a bundle says it is.
pub const FORMAT: &str = "jit-ssh audit bundle v1";

/// The longest line, and the most bytes of all lines together, that are read.
const LONGEST: usize = 16 << 20;
const MOST: usize = 1 << 30;
/// The most faults that are told.
const MOST_FAULTS: usize = 50;

/// The first line.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// [`FORMAT`].
    pub bundle: String,
    /// The grant that this is about.
    pub about: GrantId,
}

/// A bundle as it came, not believed yet.
#[derive(Clone, Debug)]
pub struct Bundle {
    about: GrantId,
    lines: Vec<ProvenLine>,
    checkpoint: String,
}

/// An entry as it stands in a bundle.
#[derive(Clone, Debug)]
struct ProvenLine {
    index: u64,
    entry: String,
    leaf: String,
    proof: Vec<String>,
}

/// It is no bundle at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no bundle: {0}")]
pub struct NoBundle(String);

/// Something in a bundle that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// In which entry; none where it is about the bundle as a whole.
    pub index: Option<u64>,
    /// What.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            Some(index) => write!(f, "entry {index}: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

/// A bundle that verifies: what it tells, what is proven by that and what is not.
#[derive(Clone, Debug)]
pub struct Verified {
    /// The grant.
    pub grant: GrantId,
    /// The request, where it came of one.
    pub request: Option<RequestId>,
    /// The checkpoint that all of it is proven against.
    pub checkpoint: Checkpoint,
    /// Witnesses that cosigned the checkpoint: name, and when by their clock, Unix seconds.
    pub witnesses: Vec<(String, u64)>,
    /// The certificates: in which entry, and the bytes that were signed.
    pub certificates: Vec<(u64, Vec<u8>)>,
    /// Everything that happened, in order.
    pub timeline: Vec<Told>,
    /// What is proven, a sentence each.
    pub proven: Vec<String>,
    /// What is not, a sentence each.
    pub not_proven: Vec<String>,
}

impl Bundle {
    /// Reads one, a line at a time.
    ///
    /// # Errors
    /// If it is none, or too large.
    pub fn read(mut input: impl BufRead) -> Result<Self, NoBundle> {
        let no = |why: &str| NoBundle(why.to_owned());
        let mut left = MOST;
        let first = next_line(&mut input, &mut left)?.ok_or_else(|| no("it is empty"))?;
        let header: Header = serde_json::from_str(&first).map_err(|_other| no("its first line is not a bundle's"))?;
        if header.bundle != FORMAT {
            return Err(no("it is of another version than is known here"));
        }
        let mut bundle = Self { about: header.about, lines: Vec::new(), checkpoint: String::new() };
        while let Some(line) = next_line(&mut input, &mut left)? {
            let number = bundle.lines.len() + 2;
            match serde_json::from_str(&line)
                .map_err(|error| NoBundle(format!("line {number} is not one of a bundle: {error}")))?
            {
                Line::Entry { index, entry, leaf, proof } => {
                    bundle.lines.push(ProvenLine { index, entry, leaf, proof });
                }
                Line::Checkpoint { checkpoint } => {
                    bundle.checkpoint = checkpoint;
                    return match next_line(&mut input, &mut left)? {
                        None => Ok(bundle),
                        Some(_) => Err(no("something follows its checkpoint")),
                    };
                }
            }
        }
        Err(no("it does not end with a checkpoint"))
    }

    /// Checks all of it: proofs, signatures, digests, certificates, and every decision made anew.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn verify(&self, key: &Verifier, witnesses: &[Verifier]) -> Result<Verified, Vec<Fault>> {
        let mut faults = Faults::default();
        let Some((checkpoint, witnessed)) = proofs::check(self, key, witnesses, &mut faults) else {
            return Err(faults.0);
        };
        let record = Record::read(&self.lines, &mut faults);
        let sets = policies::rebuild(&record, &mut faults);
        let mut doubts = Vec::new();
        let root = requests::check(&record, &self.about, &mut faults, &mut doubts);
        let certificates = certificate::check(&record, &self.about, &mut faults);
        decisions::check(&record, &sets, &certificates, &mut faults, &mut doubts);
        if root.is_none() && certificates.is_empty() {
            faults.add(None, format!("it holds neither a request nor a certificate of grant {}", self.about));
        }
        if !faults.0.is_empty() {
            return Err(faults.0);
        }
        let (proven, not_proven) = conclusions::of(&record, &checkpoint, &witnessed, &certificates, doubts);
        let timeline = timeline::told(&record, &certificates);
        Ok(Verified {
            grant: self.about.clone(),
            request: root,
            timeline,
            certificates: certificates.into_iter().map(|read| (read.index, read.to_be_signed)).collect(),
            witnesses: witnessed,
            checkpoint,
            proven,
            not_proven,
        })
    }
}

/// What was found wrong so far.
#[derive(Debug, Default)]
struct Faults(Vec<Fault>);

impl Faults {
    fn add(&mut self, index: Option<u64>, what: impl Into<String>) {
        if self.0.len() < MOST_FAULTS {
            self.0.push(Fault { index, what: what.into() });
        }
    }

    fn at(&mut self, index: u64, what: impl Into<String>) {
        self.add(Some(index), what);
    }
}

/// The next line without its end, none after the last.
fn next_line(input: &mut impl BufRead, left: &mut usize) -> Result<Option<String>, NoBundle> {
    let most = LONGEST.min(*left);
    let mut line = Vec::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    let read = std::io::Read::take(&mut *input, limit).read_until(b'\n', &mut line);
    let read = read.map_err(|error| NoBundle(error.to_string()))?;
    if read > most {
        return Err(NoBundle("it is too large".to_owned()));
    }
    *left -= read;
    if read == 0 {
        return Ok(None);
    }
    let line = String::from_utf8(line).map_err(|_bytes| NoBundle("it is not UTF-8".to_owned()))?;
    Ok(Some(line.trim_end_matches('\n').to_owned()))
}
