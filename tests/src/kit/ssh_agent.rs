//! A private `ssh-agent`.

use super::process::{Process, run};
use anyhow::Result;
use std::path::{Path, PathBuf};
use tokio::process::Command;

/// An agent of the story's own.
pub struct SshAgent {
    /// Its socket.
    pub socket: PathBuf,
    _process: Process,
}

impl SshAgent {
    /// Starts one whose socket is `under/agent`.
    ///
    /// # Errors
    /// If it does not listen.
    pub async fn start(under: &Path) -> Result<Self> {
        let socket = under.join("agent");
        let mut command = Command::new("ssh-agent");
        command.arg("-D").arg("-a").arg(&socket);
        let process = Process::start("ssh-agent", command)?;
        process.out.wait_for(0, |line| line.contains("SSH_AUTH_SOCK")).await?;
        Ok(Self { socket, _process: process })
    }

    /// The public lines of what it holds, as `ssh-add -L` prints them.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn list(&self) -> Result<Vec<String>> {
        let listed = self.ssh_add(&["-L".as_ref()]).await?;
        Ok(if listed.code == Some(0) { listed.out.lines().map(str::to_owned).collect() } else { Vec::new() })
    }

    /// Runs `ssh-add` against it.
    ///
    /// # Errors
    /// If ssh-add cannot be run.
    pub async fn ssh_add(&self, args: &[&Path]) -> Result<super::process::Finished> {
        let mut command = Command::new("ssh-add");
        command.args(args).env("SSH_AUTH_SOCK", &self.socket);
        run("ssh-add", command).await
    }
}
