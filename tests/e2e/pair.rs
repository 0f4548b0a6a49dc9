//! Two servers on one PostgreSQL database, as two machines with the same keys and policies.

use anyhow::{Context as _, Result};
use api::{CertificateResponse, paths};
use e2e::kit::{
    accounts::Accounts,
    caller::Caller,
    idp::Idp,
    postgres::Cluster,
    process::run,
    server::{Home, LOOSE, Server, people},
    world,
};
use serde_json::json;
use tempfile::TempDir;
use tokio::process::Command;

/// What two people must approve, beside the policy of the other stories.
const TWO: &str = r#"
@id("db/two")
@max_duration("10m")
@cert_ttl("1m")
@approvals("2")
permit (principal in Group::"pairs", action == Action::"connect", resource in HostGroup::"db");
"#;

/// The servers, and all they stand on.
pub(crate) struct Pair {
    pub(crate) a: Server,
    pub(crate) b: Server,
    pub(crate) idp: Idp,
    pub(crate) account: String,
    pub(crate) database: Database,
    _dir: TempDir,
}

/// Where the facts are.
pub(crate) struct Database {
    pub(crate) cluster: &'static Cluster,
    pub(crate) name: String,
}

impl Pair {
    pub(crate) async fn new() -> Result<Self> {
        Self::new_on(Cluster::shared()?).await
    }

    pub(crate) async fn new_on(cluster: &'static Cluster) -> Result<Self> {
        Self::with(Database::new(cluster)?, "").await
    }

    /// On this database, with `more` in the configuration; where that says nothing of `[store]`, its socket leads there.
    pub(crate) async fn with(database: Database, more: &str) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("jit-ssh-story-").tempdir()?;
        let (idp, accounts) = (Idp::start(dir.path()).await?, Accounts::ready()?);
        for (name, group) in [("alice", "sre"), ("carl", "pairs"), ("lena", "leads"), ("nina", "leads")] {
            let email = format!("{name}@corp.example");
            let claims = json!({ "email": email, "email_verified": true, "groups": [group], "amr": ["pwd", "otp"] });
            idp.account(name, &claims).await?;
        }
        let mut policy = world::policy(&accounts);
        policy.push(("two.cedar", TWO.to_owned()));
        let home = Home::init(&dir.path().join("a"), &policy, "").await?;
        let store = if more.contains("[store]") { String::new() } else { database.section() };
        home.configure(&(people(&idp.issuer) + &store + more), LOOSE)?;
        let mut copy = Command::new("cp");
        copy.arg("-a").arg(dir.path().join("a")).arg(dir.path().join("b"));
        run("cp", copy).await?.success()?;
        let other = Home::at(&dir.path().join("b"));
        let (a, b) = tokio::try_join!(home.start(), other.start())?;
        Ok(Self { a, b, idp, account: accounts.first, database, _dir: dir })
    }

    pub(crate) fn target(&self, host: &str) -> String {
        format!("{}@{host}", self.account)
    }
}

impl Database {
    /// An empty one.
    pub(crate) fn new(cluster: &'static Cluster) -> Result<Self> {
        Ok(Self { cluster, name: cluster.database()? })
    }

    /// The `[store]` that leads there.
    pub(crate) fn section(&self) -> String {
        self.section_at(&format!("\"{}\"", self.cluster.home.display()))
    }

    /// The same at `host`, in TOML.
    pub(crate) fn section_at(&self, host: &str) -> String {
        let (port, name) = (self.cluster.port, &self.name);
        format!(
            "[store]\nkind = \"postgres\"\nhost = {host}\nport = {port}\nuser = \"postgres\"\ndatabase = \"{name}\"\n"
        )
    }

    /// Every entry of the log.
    pub(crate) fn entries(&self) -> Result<Vec<Vec<u8>>> {
        self.entries_at(self.cluster)
    }

    /// The same as another server has it.
    pub(crate) fn entries_at(&self, cluster: &Cluster) -> Result<Vec<Vec<u8>>> {
        let sql = "SELECT convert_from(entry, 'UTF8') FROM jit_ssh.audit ORDER BY idx";
        let all = cluster.psql(&self.name, sql)?;
        Ok(all.lines().map(|line| line.as_bytes().to_vec()).collect())
    }
}

/// The log as a verifier finds it: one chain, signed.
pub(crate) async fn verify(home: &Home) -> Result<()> {
    let (config, key) = (home.path("config.toml"), home.log_key().await?);
    let arguments = ["verify", "--config", &config.to_string_lossy(), "--key", &key];
    home.audit(&arguments).await?.success().map(drop)
}

/// A certificate, if the server lived to answer.
pub(crate) async fn certificate(server: &Server, caller: &Caller, target: &str) -> Option<String> {
    let body = caller.certificate_body(target).ok()?;
    let answer = caller.ask(server, "POST", paths::CERTIFICATES, &body).await.ok()?;
    Some(answer.good::<CertificateResponse>().ok()?.certificate)
}

/// Asks again and again, for as long as anything may take.
pub(crate) async fn until(what: &str, mut there: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    let asking = async {
        let mut due = tokio::time::interval(std::time::Duration::from_millis(20));
        loop {
            due.tick().await;
            if there().await? {
                return Ok(());
            }
        }
    };
    tokio::time::timeout(e2e::kit::process::PATIENCE, asking).await.with_context(|| format!("never: {what}"))?
}
