//! The client: how fast it starts, and how fast `ensure` finds a certificate that is still good, with the server gone.

use crate::{
    measure::{Effort, Latencies},
    report::{Aim, Report},
};
use anyhow::{Context as _, Result, ensure};
use e2e::kit::{binaries, browser::Browser, client::Client, process::Process};
use std::{fs, path::Path, process::Stdio, time::Instant};
use tokio::process::Command;

const TARGET: &str = "deploy@web-1";

pub fn climb(effort: &Effort, report: &mut Report) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        // A socket's path is short, so this is not where the stores are.
        let dir = tempfile::Builder::new().prefix("jit-ssh-ladder-").tempdir()?;
        let (server, url) = start_server(dir.path()).await?;
        let client = Client::new(dir.path(), "alice", &url).await?;
        log_in(&client).await?;
        let first = client.run(&["ensure", TARGET]).await?;
        ensure!(first.code == Some(0), "{first:?}");
        drop(server);

        let mut starts = time(effort.starts, &client, &["--version"]).await?;
        report.millis("   client start, median", millis(&mut starts, 50), Aim::AtMost(10.0));
        let mut checks = time(effort.starts, &client, &["ensure", TARGET]).await?;
        report.millis(
            "   ensure with a good certificate, no server, median",
            millis(&mut checks, 50),
            Aim::AtMost(30.0),
        );
        report.millis("   ensure, p95", millis(&mut checks, 95), Aim::None);
        Ok(())
    })
}

fn millis(latencies: &mut Latencies, part: usize) -> f64 {
    latencies.percentile(part).as_secs_f64() * 1e3
}

async fn time(rounds: u32, client: &Client, args: &[&str]) -> Result<Latencies> {
    let mut latencies = Latencies::default();
    for _ in 0..rounds {
        let mut command = client.command(args)?;
        command.stdout(Stdio::null()).stdin(Stdio::null());
        let started = Instant::now();
        let status = command.status().await?;
        latencies.add(started.elapsed());
        ensure!(status.success(), "jit-ssh {args:?} failed");
    }
    Ok(latencies)
}

async fn start_server(dir: &Path) -> Result<(Process, String)> {
    let policy = dir.join("policy");
    fs::create_dir(&policy)?;
    let all = "@id(\"all\") @max_duration(\"8h\") @cert_ttl(\"1h\") \
               permit (principal, action == Action::\"connect\", resource);\n";
    fs::write(policy.join("all.cedar"), all)?;
    fs::write(policy.join("groups.toml"), "[[group]]\nname = \"web\"\n")?;
    fs::write(policy.join("hosts.toml"), "[[host]]\nname = \"web-1\"\ngroups = [\"web\"]\naccounts = [\"deploy\"]\n")?;
    let mut command = Command::new(binaries::program("ca-server")?);
    command.arg("dev").arg("--dir").arg(dir.join("ca")).arg("--policy").arg(&policy);
    let server = Process::start("ca-server", command)?;
    let ready = server.out.wait_for(0, |line| line.contains("\"ready\":true")).await;
    let ready: serde_json::Value = serde_json::from_str(&ready.with_context(|| server.err.text())?)?;
    let url = ready.get("url").and_then(serde_json::Value::as_str).context("no url in the server's ready line")?;
    Ok((server, url.to_owned()))
}

async fn log_in(client: &Client) -> Result<()> {
    let (process, url) = client.begin_login(&[]).await?;
    let mut browser = Browser::new()?;
    let page = browser.open(&url).await?;
    let request = page.hidden("request").context("the provider shows no form")?.to_owned();
    let action = page.url.join("/authorize")?;
    browser.submit(&action, &[("request", &request), ("person", "alice")]).await?;
    let told = process.finish().await?;
    ensure!(told.code == Some(0), "{told:?}");
    Ok(())
}
