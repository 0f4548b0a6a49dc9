//! `ca-server check`
use crate::cli::Check;
use std::process::ExitCode;
pub(super) fn check(_asked: &Check) -> anyhow::Result<ExitCode> { Ok(ExitCode::SUCCESS) }
