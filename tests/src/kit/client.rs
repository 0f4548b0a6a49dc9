//! `jit-ssh`, the program itself, with a home and an agent of its own.

use super::{
    binaries,
    browser::{Browser, Page, Person},
    process::{Finished, Process, run},
    ssh_agent::SshAgent,
};
use anyhow::{Context as _, Result};
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};
use tokio::process::Command;

/// A person at a machine.
pub struct Client {
    /// The person's home.
    pub home: PathBuf,
    /// The person's agent.
    pub agent: SshAgent,
    server: String,
}

impl Client {
    /// A fresh home and agent `under`, for the server at `url`.
    ///
    /// # Errors
    /// If the agent does not start.
    pub async fn new(under: &Path, name: &str, url: &str) -> Result<Self> {
        let home = under.join(name);
        for dir in [".ssh", "run", "config", "cache", "data", "state"] {
            fs::create_dir_all(home.join(dir))?;
            fs::set_permissions(home.join(dir), fs::Permissions::from_mode(0o700))?;
        }
        let agent = SshAgent::start(&home.join("run")).await?;
        Ok(Self { home, agent, server: url.to_owned() })
    }

    /// The environment of everything this person starts.
    pub fn dress(&self, command: &mut Command) {
        let xdg = [("RUNTIME_DIR", "run"), ("CONFIG_HOME", "config"), ("CACHE_HOME", "cache")];
        for (name, dir) in xdg.into_iter().chain([("DATA_HOME", "data"), ("STATE_HOME", "state")]) {
            command.env(format!("XDG_{name}"), self.home.join(dir));
        }
        command.env("HOME", &self.home).env("SSH_AUTH_SOCK", &self.agent.socket);
        command.env("JIT_SSH_SERVER", &self.server).env("NO_COLOR", "1").env_remove("DISPLAY");
        // A person's PATH, with jit-ssh on it: stock ssh finds it there.
        let here = binaries::program("jit-ssh").ok().and_then(|path| path.parent().map(Path::to_owned));
        let old = std::env::var_os("PATH").unwrap_or_default();
        let path = here.into_iter().chain(std::env::split_paths(&old));
        if let Ok(path) = std::env::join_paths(path) {
            command.env("PATH", path);
        }
    }

    /// `jit-ssh` with `args`, not started yet.
    ///
    /// # Errors
    /// If it was not built.
    pub fn command(&self, args: &[&str]) -> Result<Command> {
        let mut command = Command::new(binaries::program("jit-ssh")?);
        command.args(args);
        self.dress(&mut command);
        Ok(command)
    }

    /// Runs `jit-ssh` with `args` to its end.
    ///
    /// # Errors
    /// If it does not end.
    pub async fn run(&self, args: &[&str]) -> Result<Finished> {
        run("jit-ssh", self.command(args)?).await
    }

    /// Starts `jit-ssh login --no-browser` and waits for the address to open.
    ///
    /// # Errors
    /// If it prints none.
    pub async fn begin_login(&self, args: &[&str]) -> Result<(Process, String)> {
        let mut all = vec!["login", "--no-browser"];
        all.extend(args);
        let mut command = self.command(&all)?;
        command.stdin(std::process::Stdio::null());
        let process = Process::start("jit-ssh login", command)?;
        let line = process.err.wait_for(0, |line| line.trim().starts_with("http")).await;
        let line = line.with_context(|| process.err.text())?;
        Ok((process, line.trim().to_owned()))
    }

    /// Logs in: the browser does what `person` does.
    ///
    /// # Errors
    /// If jit-ssh does not end; how it ended is in the answer.
    pub async fn login(&self, person: Person<'_>) -> Result<(Finished, Page)> {
        let (process, url) = self.begin_login(&[]).await?;
        let page = Browser::new()?.visit(&url, person).await?;
        Ok((process.finish().await?, page))
    }
}
