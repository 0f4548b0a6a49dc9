//! The certified OpenID Provider `oidc-provider`, with levers.

use super::{binaries, process::Process};
use anyhow::{Context as _, Result, ensure};
use std::path::{Path, PathBuf};
use tokio::process::Command;

/// A provider that runs.
pub struct Idp {
    /// Its issuer identifier.
    pub issuer: String,
    state: PathBuf,
    process: Process,
}

impl Idp {
    /// Starts one that keeps its keys and accounts `under`.
    ///
    /// # Errors
    /// If it does not serve.
    pub async fn start(under: &Path) -> Result<Self> {
        let state = under.join("provider.json");
        let (process, issuer) = launch(&state, 0).await?;
        Ok(Self { issuer, state, process })
    }

    /// Kills it; nothing answers at its address until [`Self::back`].
    ///
    /// # Errors
    /// If it does not go.
    pub async fn kill(&mut self) -> Result<()> {
        self.process.kill().await
    }

    /// Starts it again at the same address, with the same keys.
    ///
    /// # Errors
    /// If it does not serve.
    pub async fn back(&mut self) -> Result<()> {
        let port = url::Url::parse(&self.issuer)?.port().context("an issuer with a port")?;
        (self.process, _) = launch(&self.state, port).await?;
        Ok(())
    }

    /// Replaces its signing keys; tokens signed by the old ones are worth nothing to whoever asks for the keys now.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn rotate(&self) -> Result<()> {
        self.lever("rotate", String::new()).await
    }

    /// Sets what it says of `name`.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn account(&self, name: &str, claims: &serde_json::Value) -> Result<()> {
        self.lever(&format!("accounts/{name}"), claims.to_string()).await
    }

    /// Makes it answer 500 to everything, or no longer.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn broken(&self, broken: bool) -> Result<()> {
        self.lever(if broken { "break" } else { "mend" }, String::new()).await
    }

    /// Signs ID tokens with `algorithm` from now on.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn algorithm(&self, algorithm: &str) -> Result<()> {
        self.lever(&format!("algorithm/{algorithm}"), String::new()).await
    }

    async fn lever(&self, path: &str, body: String) -> Result<()> {
        let answer = super::browser::http()?.post(format!("{}/levers/{path}", self.issuer)).body(body).send().await?;
        ensure!(answer.status() == 204, "lever {path}: {}", answer.status());
        Ok(())
    }
}

async fn launch(state: &Path, port: u16) -> Result<(Process, String)> {
    let script = binaries::file("idp/provider.mjs");
    ensure!(
        binaries::file("idp/node_modules/oidc-provider").is_dir(),
        "the OpenID Provider is not installed: run ./x test, or npm ci --prefix tests/idp"
    );
    let mut command = Command::new("node");
    command.arg(script).arg(port.to_string()).arg(state);
    let process = Process::start("oidc-provider", command)?;
    let ready = process.out.wait_for(0, |line| line.contains("\"ready\":true")).await;
    let ready = ready.with_context(|| process.err.text())?;
    let ready: serde_json::Value = serde_json::from_str(&ready)?;
    let issuer = ready.get("issuer").and_then(serde_json::Value::as_str).context("no issuer")?.to_owned();
    Ok((process, issuer))
}
