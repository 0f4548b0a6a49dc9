//! Where a log is kept.

use super::super::run::load;
use crate::cli::Kept;
use anyhow::bail;
use ca_server::store::LogReader;
use std::path::Path;

/// The log that was named.
pub(super) fn open(kept: &Kept) -> anyhow::Result<LogReader> {
    match (&kept.store, &kept.config) {
        (Some(file), _) => Ok(LogReader::open(file)?),
        (None, Some(config)) => configured(config),
        (None, None) => bail!("name --store or --config"),
    }
}

/// The log of a server with this configuration.
pub(super) fn configured(config: &Path) -> anyhow::Result<LogReader> {
    Ok(LogReader::of(&load(config)?.store)?)
}
