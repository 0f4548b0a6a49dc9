//! Stock `ssh`, and what sshd made of it.

use super::{
    process::{Finished, run},
    sshd::Sshd,
};
use anyhow::{Context as _, Result, ensure};
use std::{
    fs,
    path::{Path, PathBuf},
};
use tokio::process::Command;

/// What a login came to, told by both ends.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// What ssh did.
    pub ssh: Finished,
    /// What sshd logged meanwhile.
    pub sshd: Vec<String>,
}

impl Attempt {
    /// The line by which sshd let it in, if it did.
    pub fn accepted(&self) -> Option<&str> {
        self.sshd.iter().map(String::as_str).find(|line| line.starts_with("Accepted publickey"))
    }

    /// Fails unless sshd let it in and the command ran well.
    ///
    /// # Errors
    /// With what both ends said.
    pub fn must_be_in(&self) -> Result<()> {
        ensure!(self.accepted().is_some() && self.ssh.code == Some(0), "refused, should be in: {self:#?}");
        Ok(())
    }

    /// Fails unless sshd refused it and said `why` in its log.
    ///
    /// # Errors
    /// With what both ends said.
    pub fn must_be_out(&self, why: &str) -> Result<()> {
        ensure!(self.accepted().is_none() && self.ssh.code == Some(255), "in, should be refused: {self:#?}");
        ensure!(self.sshd.iter().any(|line| line.contains(why)), "refused, but not for {why:?}: {self:#?}");
        Ok(())
    }
}

/// How to call ssh.
#[derive(Clone, Debug)]
pub struct Ssh {
    /// Its configuration; the machine's and the caller's own are not read.
    pub config: PathBuf,
    /// Its agent.
    pub agent: Option<PathBuf>,
    /// Further options, `-o`.
    pub options: Vec<String>,
}

impl Ssh {
    /// An ssh that knows `hosts` and writes its configuration to `under`.
    ///
    /// # Errors
    /// If the configuration cannot be written.
    pub fn knowing(under: &Path, hosts: &[&Sshd]) -> Result<Self> {
        let blocks = hosts.iter().map(|host| host.client_block()).collect::<Result<String>>()?;
        let config = under.join("ssh_config");
        fs::write(&config, blocks)?;
        Ok(Self { config, agent: None, options: Vec::new() })
    }

    /// With the keys of the agent at `socket`.
    #[must_use]
    pub fn agent(mut self, socket: &Path) -> Self {
        self.agent = Some(socket.to_owned());
        self
    }

    /// With the private key `key` and its certificate beside it, no other.
    #[must_use]
    pub fn key(mut self, key: &Path) -> Self {
        let certificate = super::keygen::certificate(key);
        self.options.push("IdentitiesOnly=yes".to_owned());
        self.options.push(format!("IdentityFile={}", key.display()));
        self.options.push(format!("CertificateFile={}", certificate.display()));
        self
    }

    /// The command line of ssh up to, not including, the destination.
    pub fn command(&self) -> Command {
        let mut command = Command::new("ssh");
        command.arg("-F").arg(&self.config);
        for option in &self.options {
            command.args(["-o", option]);
        }
        match &self.agent {
            Some(socket) => command.env("SSH_AUTH_SOCK", socket),
            None => command.env_remove("SSH_AUTH_SOCK").args(["-o", "IdentityAgent=none"]),
        };
        command
    }

    /// Runs `remote` as `account` on `host` and waits until both ends are done with it.
    ///
    /// # Errors
    /// If ssh does not end or sshd says nothing.
    pub async fn login(&self, account: &str, host: &Sshd, remote: &str) -> Result<Attempt> {
        let mark = host.log().mark();
        let mut command = self.command();
        command.args(["-l", account, &host.host, remote]);
        let ssh = run("ssh", command).await?;
        let begun = host.log().wait_for(mark, |line| line.starts_with("Connection from ")).await?;
        let port = port(&begun).with_context(|| format!("no port in {begun:?}"))?.to_owned();
        // The end of the connection, also of one that was let in: what it still logs would look like the next one's.
        let done = ["Connection closed by", "Connection reset by", "Disconnected from", "Disconnecting "];
        let over = |line: &str| done.iter().any(|done| line.contains(done)) && self::port(line) == Some(&port);
        host.log().wait_for(mark, over).await?;
        let ours = |line: &String| self::port(line).is_none_or(|named| named == port);
        Ok(Attempt { ssh, sshd: host.log().since(mark).into_iter().filter(ours).collect() })
    }
}

/// The client's port, by which sshd tells its connections apart. It names its own port after it, if at all.
fn port(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once(" port ")?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest.get(..end).filter(|port| !port.is_empty())
}
