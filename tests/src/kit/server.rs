//! `ca-server`, the program itself, on loopback.

use super::{
    binaries,
    process::{Finished, Process, run},
};
use anyhow::{Context as _, Result};
use ca_server::{
    audit::checkpoint::{self, Seal},
    custody::CaKey,
};
use rustix::process::Signal;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::process::Command;

/// A server that runs.
pub struct Server {
    /// Its address.
    pub url: String,
    /// Its operators' address.
    pub ops: String,
    /// What `init` made and the configuration was written into.
    pub home: Home,
    /// The program.
    pub process: Process,
}

/// A server's directory: keys, policy, configuration, store.
#[derive(Clone, Debug)]
pub struct Home(PathBuf);

/// How the server names itself in signatures; it is not where it listens.
pub const AUDIENCE: &str = "https://ca.stories.example";

impl Home {
    /// Runs `ca-server init` at `dir`, then takes the policy and the `[[issuer]]` sections given here.
    ///
    /// # Errors
    /// If init fails.
    pub async fn init(dir: &Path, policy: &[(&str, String)], issuers: &str) -> Result<Self> {
        let mut command = Command::new(binaries::program("ca-server")?);
        command.arg("init").arg(dir);
        run("ca-server init", command).await?.success().context("ca-server init")?;
        let home = Self(dir.to_owned());
        fs::remove_dir_all(dir.join("policy"))?;
        fs::create_dir(dir.join("policy"))?;
        for (name, text) in policy {
            fs::write(dir.join("policy").join(name), text)?;
        }
        home.configure(issuers, LOOSE)?;
        Ok(home)
    }

    /// The directory that `init` made before.
    pub fn at(dir: &Path) -> Self {
        Self(dir.to_owned())
    }

    /// Writes the configuration: `issuers`, and `limits` as the body of `[limits]`.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn configure(&self, issuers: &str, limits: &str) -> Result<()> {
        let text = format!(
            "audience = \"{AUDIENCE}\"\ntimezone = \"UTC\"\n\
             [listen]\naddress = \"127.0.0.1:0\"\nops = \"127.0.0.1:0\"\n\
             [limits]\n{limits}\n{issuers}"
        );
        Ok(fs::write(self.path("config.toml"), text)?)
    }

    /// What signs this server's audit log.
    ///
    /// # Errors
    /// If its key cannot be read.
    pub fn seal(&self) -> Result<Seal> {
        let key = CaKey::load(&self.path("keys/log"), None)?;
        Ok(Seal::new(checkpoint::origin(AUDIENCE), Arc::new(key))?)
    }

    /// Runs `ca-server audit` with these arguments.
    ///
    /// # Errors
    /// If it cannot be started; how it ended is in the answer.
    pub async fn audit(&self, arguments: &[&str]) -> Result<Finished> {
        let mut command = Command::new(binaries::program("ca-server")?);
        command.arg("audit").args(arguments);
        run("ca-server audit", command).await
    }

    /// The public key that checks the audit log.
    ///
    /// # Errors
    /// If there is none.
    pub async fn log_key(&self) -> Result<String> {
        let config = self.path("config.toml");
        let shown = self.audit(&["key", "--config", &config.to_string_lossy()]).await?;
        Ok(shown.success()?.trim().to_owned())
    }

    /// Runs `ca-server audit verify` on the store, with a remembered checkpoint if one is named.
    ///
    /// # Errors
    /// If it cannot be started; how it ended is in the answer.
    pub async fn verify_log(&self, checkpoint: Option<&Path>) -> Result<Finished> {
        let (store, key) = (self.path("jit-ssh.redb"), self.log_key().await?);
        let (store, checkpoint) = (store.to_string_lossy(), checkpoint.map(Path::to_string_lossy));
        let mut arguments = vec!["verify", "--store", &store, "--key", &key];
        if let Some(checkpoint) = &checkpoint {
            arguments.extend(["--checkpoint", checkpoint]);
        }
        self.audit(&arguments).await
    }

    /// A file in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The user CA's public key line.
    ///
    /// # Errors
    /// If there is none.
    pub fn user_ca(&self) -> Result<String> {
        Ok(fs::read_to_string(self.path("keys/user_ca.pub"))?.trim().to_owned())
    }

    /// From now on the fault strikes.
    ///
    /// # Errors
    /// If it cannot be told.
    pub fn strike(&self) -> Result<()> {
        Ok(fs::write(self.path("strike"), "")?)
    }

    /// Starts the server.
    ///
    /// # Errors
    /// If it does not serve; what it said is in the error.
    pub async fn start(&self) -> Result<Server> {
        self.start_with_fault("").await
    }

    /// Starts the server where no file may grow beyond `bytes`: to it, the disk is full then.
    ///
    /// # Errors
    /// If it does not serve.
    pub async fn start_with_files_up_to(&self, bytes: u64) -> Result<Server> {
        let mut command = Command::new("sh");
        // Ignored, SIGXFSZ becomes an error of the write, as a full disk is. The unit is 512 bytes.
        let script = "trap '' XFSZ; ulimit -f \"$1\"; exec \"$2\" run --config \"$3\"";
        command.args(["-c", script, "sh"]).arg(bytes.div_ceil(512).to_string());
        command.arg(binaries::program("ca-server")?).arg(self.path("config.toml"));
        self.serve(command).await
    }

    /// Starts the server to die at the point `fault`, as `kill -9` would end it there, once [`Self::strike`] said so.
    ///
    /// # Errors
    /// If it does not serve.
    pub async fn start_with_fault(&self, fault: &str) -> Result<Server> {
        let mut command = Command::new(binaries::program("ca-server")?);
        command.arg("run").arg("--config").arg(self.path("config.toml")).env_remove("JIT_SSH_CA_PASSPHRASE");
        if !fault.is_empty() {
            let _absent = fs::remove_file(self.path("strike"));
            command.env("JIT_SSH_FAULT", fault).env("JIT_SSH_FAULT_WHEN", self.path("strike"));
        }
        self.serve(command).await
    }

    /// The server that `command` starts.
    ///
    /// # Errors
    /// If it does not serve.
    pub async fn serve(&self, command: Command) -> Result<Server> {
        let process = Process::start("ca-server", command)?;
        let ready = process.out.wait_for(0, |line| line.contains("\"ready\":true")).await;
        let ready = ready.with_context(|| process.err.text())?;
        let ready: serde_json::Value = serde_json::from_str(&ready)?;
        let field = |name| ready.get(name).and_then(|value| value.as_str()).map(str::to_owned);
        let url = field("url").context("no url in the ready line")?;
        let ops = field("ops").context("no ops in the ready line")?;
        Ok(Server { url, ops, home: self.clone(), process })
    }
}

impl Server {
    /// Stops it as an operator does, and waits until it is gone.
    ///
    /// # Errors
    /// If it does not end well.
    pub async fn stop(mut self) -> Result<Home> {
        self.process.signal(Signal::TERM);
        let status = self.process.wait().await?;
        anyhow::ensure!(status.success(), "ended with {status}\n{}", self.process.err.text());
        Ok(self.home.clone())
    }

    /// Kills it, and waits until it is gone.
    ///
    /// # Errors
    /// If it does not go.
    pub async fn kill(mut self) -> Result<Home> {
        self.process.kill().await?;
        Ok(self.home.clone())
    }

    /// Waits until it died of its own, as it does at a fault point.
    ///
    /// # Errors
    /// If it lives.
    pub async fn died(mut self) -> Result<Home> {
        self.process.wait().await?;
        Ok(self.home.clone())
    }
}

/// Limits that no story runs into by accident: all callers here are one address.
pub const LOOSE: &str = "requests_per_second = 100000\nrequest_burst = 100000\nlogins_per_minute = 100000\n\
                         login_burst = 100000\ncertificates_per_minute = 0\n";

/// An `[[issuer]]` section for people at `url`.
pub fn people(url: &str) -> String {
    format!(
        "[[issuer]]\nurl = \"{url}\"\nname = \"stories\"\nkind = \"people\"\nclient_id = \"jit-ssh\"\n\
         scopes = [\"openid\", \"email\", \"groups\"]\nalgorithms = [\"RS256\", \"ES256\", \"EdDSA\"]\n\
         device_grant = true\n"
    )
}
