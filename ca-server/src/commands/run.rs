//! `ca-server run`.

use crate::cli::Configured;
use anyhow::Context as _;
use ca_server::{
    config::Config,
    logging,
    start::{self, Listeners},
};
use std::{future::Future, path::Path, process::ExitCode};

pub(super) fn run(configured: &Configured) -> anyhow::Result<ExitCode> {
    let config = load(&configured.config)?;
    logging::start(config.log.level);
    on_runtime(async {
        let app = start::wire(&config).await?;
        let listeners = Listeners::bind(&config)?;
        start::serve(&config, app, listeners, serde_json::Map::new()).await
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The configuration, or every finding as an error.
pub(super) fn load(file: &Path) -> anyhow::Result<Config> {
    Config::load(file).map_err(|findings| {
        let told = findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        anyhow::anyhow!("the configuration cannot be used:\n{told}")
    })
}

/// Runs `task` to its end.
pub(super) fn on_runtime<T>(task: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    // The HTTP client of the issuers takes the process's default; there is one cryptography library in the tree.
    let _already_set = rustls::crypto::aws_lc_rs::default_provider().install_default().is_err();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.context("the server's threads cannot be started")?.block_on(task)
}
