//! (d) and (e): the same over HTTP, the server a process of its own, then once more with a million records in its store.

use crate::{
    load::{self, Until},
    measure::{Effort, cores},
    report::{Aim, Report},
    stage::{self, AUDIENCE, Person},
};
use anyhow::{Context as _, Result, bail};
use ca_server::{
    custody::{self, CaKey},
    store::redb::RedbStore,
};
use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, atomic::AtomicU64},
};

pub fn climb(effort: &Effort, programs: &Path, place: &Path, report: &mut Report) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(cores()).enable_all().build()?;
    runtime.block_on(async {
        let home = place.join("server");
        let people: Vec<Arc<Person>> = (0..64).map(|n| Arc::new(Person::new(n))).collect();
        install(&home, "")?;
        {
            let store =
                RedbStore::open(&home.join("jit-ssh.redb"), &stage::seal(CaKey::load(&home.join("keys/log"), None)?)?)?;
            for person in &people {
                person.log_in(&store).await?;
            }
        }
        let server = Server::start(programs, &home)?;
        report.mebibytes("   server resident memory, just started", server.resident_mebibytes()?, Aim::None);
        let some = |count| people.get(..count).unwrap_or_default();
        let time = Until::Time(effort.time);
        let (one, _) = load::run(server.address, some(1), &time).await?;
        report.ratio("d  over HTTP, 1 client", one, Aim::None);
        let (eight, _) = load::run(server.address, some(8), &time).await?;
        report.ratio("d  over HTTP, 8 clients", eight, Aim::None);
        let (many, mut latencies) = load::run(server.address, some(64), &time).await?;
        report.ratio("d  over HTTP, 64 clients", many, Aim::AtLeast(0.12));
        report.millis("d  64 clients, median", latencies.percentile(50).as_secs_f64() * 1e3, Aim::None);
        report.millis("d  64 clients, p99", latencies.percentile(99).as_secs_f64() * 1e3, Aim::AtMost(25.0));

        let (before, _) = load::run(server.address, some(64), &time).await?;
        load::run(server.address, some(64), &Until::Count(Arc::new(AtomicU64::new(effort.records)))).await?;
        let (after, mut latencies) = load::run(server.address, some(64), &time).await?;
        report.ratio(&format!("e  with {} records more, 64 clients", effort.records), after, Aim::None);
        report.millis("e  64 clients, p99", latencies.percentile(99).as_secs_f64() * 1e3, Aim::AtMost(25.0));
        report.factor("e  against (d)", after / before.max(many), Aim::AtLeast(0.9));
        let resident = server.resident_mebibytes()?;
        report.mebibytes("   server resident memory after all that", resident, Aim::AtMost(40.0));
        let file = fs::metadata(home.join("jit-ssh.redb"))?.len();
        report.mebibytes("   store on disk after all that", file as f64 / 1_048_576.0, Aim::None);
        Ok(())
    })
}

/// What `ca-server init` would leave, with 100 policies and bounds that do not bind.
/// `store` is the section of the configuration.
pub fn install(home: &Path, store: &str) -> Result<()> {
    let policy = home.join("policy");
    fs::create_dir_all(&policy)?;
    custody::generate(&home.join("keys"), None)?;
    let sources = stage::sources(100)?;
    for source in sources.policies.iter().chain(&sources.hosts).chain(&sources.groups) {
        fs::write(policy.join(&source.name), &source.text)?;
    }
    let config = format!(
        "audience = \"{AUDIENCE}\"\n[listen]\naddress = \"127.0.0.1:0\"\nops = \"127.0.0.1:0\"\n[limits]\n\
         requests_per_second = 1000000\nrequest_burst = 1000000\ncertificates_per_minute = 0\n{store}"
    );
    fs::write(home.join("config.toml"), config)?;
    Ok(())
}

/// A server that runs until it is dropped.
pub struct Server {
    process: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Server {
    pub fn start(programs: &Path, home: &Path) -> Result<Self> {
        let log = File::create(home.join("log"))?;
        let mut process = Command::new(programs.join("ca-server"))
            .args(["run", "--config"])
            .arg(home.join("config.toml"))
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .context("cannot start ca-server: build it with `./x bench`")?;
        let output = process.stdout.take().context("no output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        if line.is_empty() {
            bail!("ca-server did not start:\n{}", fs::read_to_string(home.join("log"))?);
        }
        let ready: serde_json::Value = serde_json::from_str(&line)?;
        let url = ready.get("url").and_then(serde_json::Value::as_str).context("no url")?;
        let address = url.trim_start_matches("http://").parse().with_context(|| url.to_owned())?;
        Ok(Self { process, address })
    }

    fn resident_mebibytes(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kibibytes: f64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kibibytes / 1024.0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _gone = self.process.kill().is_err();
        let _gone = self.process.wait().is_err();
    }
}
