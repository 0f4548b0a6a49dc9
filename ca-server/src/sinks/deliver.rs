//! One delivery: some entries, one answer.

use super::{file::LogFile, letter::Letter, mail::Mail, slack::Slack, syslog::Syslog, webhook::Webhook};
use crate::{
    clock::Clock,
    config::sink::{SinkConfig, SinkKind},
};
use async_trait::async_trait;
use std::sync::Arc;

/// A way out. A call that is dropped half-way (it took too long) leaves it fit for the next one.
#[async_trait]
pub(super) trait Deliver: Send {
    /// Delivers all of it, or answers why not; then all of it will come again.
    async fn deliver(&mut self, letters: &[Letter]) -> Result<(), Failure>;
}

/// Why a delivery failed: on one line, without secrets, never in the receiver's own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The receiver cannot just now. It is tried until the entries are too old.
    Later(String),
    /// The receiver does not want these entries. Another try will hardly help.
    Refused(String),
}

impl Failure {
    pub(super) fn later(error: impl std::fmt::Display) -> Self {
        Self::Later(error.to_string())
    }
}

/// The way that `config` describes.
pub(super) fn build(config: &SinkConfig, host: &str, clock: &Arc<dyn Clock>) -> Result<Box<dyn Deliver>, String> {
    Ok(match config.kind {
        SinkKind::File => Box::new(LogFile::new(config)?),
        SinkKind::Syslog => Box::new(Syslog::new(config, host)?),
        SinkKind::Webhook => Box::new(Webhook::new(config, Arc::clone(clock))?),
        SinkKind::Slack => Box::new(Slack::new(config)?),
        SinkKind::Smtp => Box::new(Mail::new(config, host)?),
    })
}

/// The most entries of one delivery.
pub(super) fn most(config: &SinkConfig) -> usize {
    let usual = match config.kind {
        SinkKind::File | SinkKind::Syslog => 256,
        SinkKind::Webhook => 100,
        SinkKind::Slack | SinkKind::Smtp => 20,
    };
    config.batch.map_or(usual, |batch| usize::try_from(batch.get()).unwrap_or(usual))
}
