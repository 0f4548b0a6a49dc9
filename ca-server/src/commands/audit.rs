//! `ca-server audit`: read, check and watch the audit log.

mod bundle;
mod export;
mod kept;
mod key;
mod line;
pub(super) mod log;
mod tail;
mod verify;
mod witness;

use crate::cli::Audit;
use std::process::ExitCode;

/// The log is not the one that was signed, or seen before.
const BREACH: u8 = 3;
/// Entries that are read in one go.
const CHUNK: u64 = 1_000;

pub(super) fn audit(asked: &Audit) -> anyhow::Result<ExitCode> {
    match asked {
        Audit::Verify(asked) => verify::verify(asked),
        Audit::Export(asked) => export::export(asked),
        Audit::Bundle(asked) => bundle::bundle(asked),
        Audit::Tail(asked) => tail::tail(asked),
        Audit::Witness(asked) => witness::witness(asked),
        Audit::Key(asked) => key::key(asked),
    }
}

#[cfg(test)]
mod tests;
