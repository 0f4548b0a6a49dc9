//! A stock sshd on loopback that trusts a CA and nothing else: what an operator gets with three lines of configuration.

use super::{
    postgres::free_port,
    process::{Finished, Lines, Process},
};
use anyhow::{Context as _, Result, anyhow, bail};
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Stdio,
};
use tokio::process::Command;

const SSHD: &str = "/usr/sbin/sshd";

/// A host of the inventory: one sshd with its own host key and its own principals.
pub struct Sshd {
    /// Its name in the inventory.
    pub host: String,
    /// Its port on 127.0.0.1.
    pub port: u16,
    /// Where its configuration, keys and principals are.
    pub dir: PathBuf,
    process: Process,
}

impl Sshd {
    /// Starts a host that trusts the CA `user_ca` (a public key line) for host-bound principals of `accounts`.
    ///
    /// # Errors
    /// If sshd does not listen.
    pub async fn start(under: &Path, host: &str, user_ca: &str, accounts: &[&str]) -> Result<Self> {
        let dir = under.join(format!("sshd-{host}"));
        fs::create_dir_all(dir.join("principals"))?;
        // sshd reads principals with the rights of the account that logs in.
        for readable in [under, &dir, &dir.join("principals")] {
            fs::set_permissions(readable, fs::Permissions::from_mode(0o755))?;
        }
        super::keygen::key(&dir.join("host_key"), "ed25519").await?;
        fs::write(dir.join("user_ca.pub"), format!("{}\n", user_ca.trim()))?;
        fs::write(dir.join("krl"), "")?;
        for account in accounts {
            fs::write(dir.join("principals").join(account), format!("{account}@{host}\n"))?;
        }
        if super::accounts::is_root() {
            fs::create_dir_all("/run/sshd")?;
        }
        for _port_was_taken in 0..20 {
            let port = free_port()?;
            let (process, listens) = launch(&dir, port).await?;
            if listens {
                return Ok(Self { host: host.to_owned(), port, dir, process });
            }
        }
        bail!("no free port for sshd")
    }

    /// Its log.
    pub fn log(&self) -> &Lines {
        &self.process.err
    }

    /// Stops it: nobody listens there any more.
    ///
    /// # Errors
    /// If it does not go.
    pub async fn stop(&mut self) -> Result<()> {
        self.process.kill().await
    }

    /// Puts `serials` of the CA whose public key is `ca` on its revocation list, which sshd reads at each login.
    ///
    /// # Errors
    /// If the list cannot be written.
    pub async fn revoke(&self, serials: &[u64]) -> Result<()> {
        super::keygen::krl(&self.dir.join("krl.new"), &self.dir.join("user_ca.pub"), serials).await?;
        Ok(fs::rename(self.dir.join("krl.new"), self.dir.join("krl"))?)
    }

    /// Fetches the list of revoked certificates from the CA at `url` with the script of docs/REVOCATION.md, as cron would, and
    /// installs it where this sshd looks. `signers` is the line that `ca-server init` printed.
    ///
    /// # Errors
    /// If it cannot be run; how it ended is in the answer.
    pub async fn fetch_krl(&self, url: &str, signers: &str) -> Result<Finished> {
        self.start_krl_fetch(url, signers)?.finish().await
    }

    /// Starts the same.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start_krl_fetch(&self, url: &str, signers: &str) -> Result<Process> {
        let page = include_str!("../../../docs/REVOCATION.md");
        let script = page.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next()).context("no script")?;
        let path = self.dir.join("jit-ssh-krl");
        fs::write(&path, script)?;
        fs::write(self.dir.join("krl_signers"), format!("{signers}\n"))?;
        // Whoever runs the tests in the background of a shell gives them SIGINT ignored, and no shell traps that.
        let mut command = Command::new("env");
        command.args(["--default-signal", "sh"]).arg(&path).arg(url).arg(&self.dir).stdin(Stdio::null());
        Process::start("jit-ssh-krl", command)
    }

    /// The `Host` block by which a stock ssh finds it.
    ///
    /// # Errors
    /// If its host key cannot be read.
    pub fn client_block(&self) -> Result<String> {
        let Self { host, port, dir, .. } = self;
        let key = fs::read_to_string(dir.join("host_key.pub"))?;
        let known_hosts = dir.join("known_hosts");
        fs::write(&known_hosts, format!("{host} {key}"))?;
        Ok(format!(
            "Host {host}\n  HostName 127.0.0.1\n  Port {port}\n  HostKeyAlias {host}\n  UserKnownHostsFile {}\n  \
             StrictHostKeyChecking yes\n  BatchMode yes\n",
            known_hosts.display()
        ))
    }
}

async fn launch(dir: &Path, port: u16) -> Result<(Process, bool)> {
    let config = dir.join("sshd_config");
    fs::write(&config, configuration(dir, port))?;
    let mut command = Command::new(SSHD);
    // Absolute paths: sshd runs itself again for each connection.
    command.args(["-D", "-e", "-f"]).arg(&config);
    let process = Process::start("sshd", command)?;
    let told = process.err.wait_for(0, |line| line.contains("Server listening") || line.contains("Bind to port")).await;
    let line = told.map_err(|error| anyhow!("sshd did not start: {error:#}"))?;
    Ok((process, line.contains("Server listening")))
}

fn configuration(dir: &Path, port: u16) -> String {
    let dir = dir.display();
    // Newer sshd locks out an address after refused logins; here refusals are the subject.
    let penalties = if supports("PerSourcePenalties no") { "PerSourcePenalties no\n" } else { "" };
    format!(
        "ListenAddress 127.0.0.1:{port}\nHostKey {dir}/host_key\nPidFile none\nLogLevel VERBOSE\n\
         TrustedUserCAKeys {dir}/user_ca.pub\nAuthorizedPrincipalsFile {dir}/principals/%u\n\
         RevokedKeys {dir}/krl\nAuthorizedKeysFile none\n\
         PasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\nStrictModes no\n\
         MaxStartups 100:30:200\nSubsystem sftp internal-sftp\n{penalties}"
    )
}

fn supports(option: &str) -> bool {
    let check = std::process::Command::new(SSHD).args(["-G", "-f", "/dev/null", "-o", option]).output();
    check.is_ok_and(|output| output.status.success())
}

/// The version line of the sshd in use.
///
/// # Errors
/// If ssh cannot be run.
pub fn version() -> Result<String> {
    let output = std::process::Command::new("ssh").arg("-V").output().context("ssh -V")?;
    Ok(String::from_utf8_lossy(&output.stderr).trim().to_owned())
}
