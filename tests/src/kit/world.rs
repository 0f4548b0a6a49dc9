//! Everything at once: provider, server, two hosts, and the people who use them.

use super::{
    accounts::Accounts,
    browser::Person,
    client::Client,
    idp::Idp,
    server::{Home, Server, people},
    ssh::Ssh,
    sshd::Sshd,
};
use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use std::path::Path;
use tempfile::TempDir;

/// A small company on loopback. Fields are dropped in this order; the directory goes last.
pub struct World {
    /// `web-1`, in the group `web`.
    pub web: Sshd,
    /// `db-1`, in the group `db`.
    pub db: Sshd,
    /// The CA.
    pub server: Server,
    /// The provider.
    pub idp: Idp,
    /// Accounts of this machine.
    pub accounts: Accounts,
    dir: TempDir,
}

impl World {
    /// Starts all of it. alice is in `sre`, bob in `brief`, vera in `vendor`, eve in no group.
    ///
    /// # Errors
    /// If a part does not start.
    pub async fn new() -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("jit-ssh-story-").tempdir()?;
        let accounts = Accounts::ready()?;
        let idp = Idp::start(dir.path()).await?;
        employ(&idp).await?;
        let home = Home::init(&dir.path().join("ca"), &policy(&accounts), &people(&idp.issuer)).await?;
        let names: Vec<&str> = std::iter::once(&accounts.first).chain(&accounts.second).map(String::as_str).collect();
        let web = Sshd::start(dir.path(), "web-1", &home.user_ca()?, &names).await?;
        let db = Sshd::start(dir.path(), "db-1", &home.user_ca()?, &names).await?;
        let server = home.start().await?;
        Ok(Self { web, db, server, idp, accounts, dir })
    }

    /// Where its files are.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The first account on web-1, which alice may reach.
    pub fn target(&self) -> String {
        format!("{}@web-1", self.accounts.first)
    }

    /// A person's machine, not logged in.
    ///
    /// # Errors
    /// If its agent does not start.
    pub async fn machine(&self, name: &str) -> Result<Client> {
        Client::new(self.path(), name, &self.server.url).await
    }

    /// A person's machine, logged in.
    ///
    /// # Errors
    /// If the login fails.
    pub async fn person(&self, name: &str) -> Result<Client> {
        let client = self.machine(name).await?;
        let (login, page) = client.login(Person::LogsIn(name)).await?;
        ensure!(login.code == Some(0), "{login:#?} {page:#?}");
        Ok(client)
    }

    /// Stock ssh with the agent of `client`.
    ///
    /// # Errors
    /// If its configuration cannot be written.
    pub fn ssh(&self, client: &Client) -> Result<Ssh> {
        Ok(Ssh::knowing(&client.home, &[&self.web, &self.db])?.agent(&client.agent.socket))
    }

    /// Stops the server and starts it again as `home` now says.
    ///
    /// # Errors
    /// If it does not stop or start.
    pub async fn restart_server(mut self) -> Result<Self> {
        let home = self.server.stop().await?;
        self.server = home.start().await.context("again")?;
        Ok(self)
    }
}

async fn employ(idp: &Idp) -> Result<()> {
    for (name, groups) in [("alice", "sre"), ("bob", "brief"), ("vera", "vendor"), ("lena", "leads")] {
        let email = format!("{name}@corp.example");
        let claims = json!({ "email": email, "email_verified": true, "groups": [groups], "amr": ["pwd", "otp"] });
        idp.account(name, &claims).await?;
    }
    let unverified = json!({ "email": "alice@corp.example", "email_verified": false, "groups": [] });
    idp.account("eve", &unverified).await
}

/// The policy of the stories, for the accounts of this machine.
pub fn policy(accounts: &Accounts) -> Vec<(&'static str, String)> {
    let second = accounts.second.as_deref().unwrap_or("nobody-else");
    let access = include_str!("../../world/access.cedar").replace("FIRST", &accounts.first).replace("SECOND", second);
    let host = |name, group| {
        format!(
            "[[host]]\nname = \"{name}\"\ngroups = [\"{group}\"]\naccounts = [\"{}\", \"{second}\"]\n",
            accounts.first
        )
    };
    vec![
        ("access.cedar", access),
        ("groups.toml", include_str!("../../world/groups.toml").to_owned()),
        ("hosts.toml", host("web-1", "web") + &host("db-1", "db")),
    ]
}
