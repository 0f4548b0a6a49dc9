//! What the story is played on: a CA in development mode, two hosts, and a person's machine.

use super::people::People;
use anyhow::{Context as _, Result};
use e2e::kit::{binaries, client::Client, process::Process, ssh::Ssh, sshd::Sshd};
use std::{fs, path::Path};
use tempfile::TempDir;
use tokio::process::Command;

/// All of it. Fields are dropped in this order: programs first, then accounts, then the directory.
pub struct Stage {
    /// A person's machine.
    pub client: Client,
    /// Another person's.
    pub lead: Client,
    /// Stock ssh of that person.
    pub ssh: Ssh,
    /// A host that may be reached.
    pub web: Sshd,
    /// One that may not.
    pub db: Sshd,
    /// The CA's address.
    pub url: String,
    /// The provider's address.
    pub issuer: String,
    _server: Process,
    /// Accounts on both hosts.
    pub people: People,
    /// Where it all is.
    pub dir: TempDir,
}

impl Stage {
    /// Starts everything.
    pub async fn set() -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("jit-ssh-demo-").tempdir()?;
        let people = People::hire()?;
        write_policy(&dir.path().join("policy"), &people)?;
        let (server, ready) = start_server(dir.path()).await?;
        let field = |name: &str| {
            let text = ready.get(name).and_then(|value| value.as_str()).map(str::to_owned);
            text.with_context(|| format!("no {name} in the server's ready line"))
        };
        let (url, issuer, user_ca) = (field("url")?, field("issuer")?, field("user_ca")?);
        let accounts = [people.first.as_str(), people.second.as_str()];
        let web = Sshd::start(dir.path(), "web-1", &user_ca, &accounts).await?;
        let db = Sshd::start(dir.path(), "db-1", &user_ca, &accounts).await?;
        let client = Client::new(dir.path(), "alice", &url).await?;
        let lead = Client::new(dir.path(), "bob", &url).await?;
        let ssh = Ssh::knowing(&client.home, &[&web, &db])?.agent(&client.agent.socket);
        Ok(Self { client, lead, ssh, web, db, url, issuer, _server: server, people, dir })
    }
}

fn write_policy(dir: &Path, people: &People) -> Result<()> {
    let host = |name: &str, group: &str| {
        let accounts = format!("[\"{}\", \"{}\", \"root\"]", people.first, people.second);
        format!("[[host]]\nname = \"{name}\"\ngroups = [\"{group}\"]\naccounts = {accounts}\n\n")
    };
    fs::create_dir(dir)?;
    fs::write(dir.join("access.cedar"), include_str!("../../../demo/access.cedar"))?;
    fs::write(dir.join("groups.toml"), include_str!("../../../demo/groups.toml"))?;
    Ok(fs::write(dir.join("hosts.toml"), host("web-1", "web") + &host("db-1", "db"))?)
}

async fn start_server(dir: &Path) -> Result<(Process, serde_json::Value)> {
    let mut command = Command::new(binaries::program("ca-server")?);
    command.arg("dev").arg("--dir").arg(dir.join("ca")).arg("--policy").arg(dir.join("policy"));
    let server = Process::start("ca-server", command)?;
    let ready = server.out.wait_for(0, |line| line.contains("\"ready\":true")).await;
    let ready = ready.with_context(|| server.err.text())?;
    Ok((server, serde_json::from_str(&ready)?))
}
