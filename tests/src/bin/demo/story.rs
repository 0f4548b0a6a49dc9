//! The story, step by step. A step that does not come out as told ends it with an error.

use super::stage::Stage;
use anyhow::{Context as _, Result, ensure};
use e2e::kit::{
    binaries,
    browser::Browser,
    client::Client,
    keygen,
    process::{Finished, run},
    ssh::{Attempt, Ssh},
    sshd,
};
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

/// Tells it.
pub async fn tell(stage: &Stage) -> Result<()> {
    let Stage { web, db, people, .. } = stage;
    let (first, second) = (&people.first, &people.second);
    let target = format!("{first}@web-1");
    println!("jit-ssh on this machine: all of it real, all of it on loopback. {}", sshd::version()?);

    step(1, "A CA server in development mode");
    println!("   CA               {}", stage.url);
    println!("   OpenID Provider  {}   (anybody may be anybody: development only)", stage.issuer);

    step(2, "Two hosts, each a stock sshd that trusts the CA and holds nobody's keys");
    println!("   web-1, port {}, and db-1, port {}; of web-1's sshd_config:", web.port, db.port);
    for line in fs::read_to_string(web.dir.join("sshd_config"))?.lines() {
        let ours = ["TrustedUserCAKeys", "AuthorizedPrincipalsFile", "AuthorizedKeysFile"];
        if ours.iter().any(|name| line.starts_with(name)) {
            println!("     {line}");
        }
    }
    println!("   and its principals file of {first} says: {target}");

    step(3, "alice logs in, in a browser (here it is a script)");
    log_in(&stage.client, "alice").await?;

    step(4, "She gets a certificate of 20 seconds; its private key lives in her ssh-agent and nowhere else");
    jit_ssh(stage, &["ensure", &target], 0).await?;
    show_certificate(stage).await?;
    let kept = stage.client.home.join("kept");
    let files = stage.client.run(&["certificate", "--files", &kept.display().to_string(), &target]).await?;
    ensure!(files.code == Some(0), "{files:?}");

    step(5, "Stock ssh opens the door");
    let inside = ssh(stage, first, web, "echo \"hello, I am $(id -un)\"").await?;
    inside.must_be_in()?;
    println!("   {}", inside.ssh.out.trim());
    println!("   sshd: {}", inside.accepted().unwrap_or_default());

    step(6, "The same certificate opens no other account …");
    refused(&ssh(stage, second, web, "id").await?)?;

    step(7, "… and no other host");
    refused(&ssh(stage, first, db, "id").await?)?;

    step(8, "What the policy forbids, nobody gets; it says which policy, and what to do instead");
    let denied = jit_ssh(stage, &["ensure", "root@web-1"], 3).await?;
    ensure!(denied.err.contains("demo/no-root") && denied.err.contains("use sudo"), "{denied:?}");

    step(9, "The 20 seconds pass, and the door is shut again");
    until_gone(stage).await?;
    let late = ssh(stage, first, web, "id").await?;
    ensure!(late.accepted().is_none() && late.ssh.code == Some(255), "still in: {late:#?}");
    println!("   {}", late.ssh.err.trim());
    println!("   The agent has dropped it. Whoever kept a copy, as files on the disk, gets no further:");
    let copy = Ssh { agent: None, ..stage.ssh.clone() }.key(&private_key(&kept)?);
    let late = copy.login(first, web, "id").await?;
    late.must_be_out("Certificate invalid: expired")?;
    say(&format!("ssh -i kept/key {first}@web-1"));
    println!("   {}", late.ssh.err.trim());
    println!("   sshd: Certificate invalid: expired");
    approved(stage).await
}

/// What takes somebody else's yes, from the request to the file that an auditor checks.
async fn approved(stage: &Stage) -> Result<()> {
    let Stage { db, people, lead, client, .. } = stage;
    let first = &people.first;
    let target = format!("{first}@db-1");

    step(10, "The database takes somebody else's yes: she asks, for ten minutes");
    let why = "vacuum the orders table";
    let asked = jit_ssh(stage, &["request", &target, "--for", "10m", "--reason", why], 0).await?;
    let id = asked.out.split_whitespace().find(|word| word.starts_with("r-")).context("no request")?.to_owned();

    step(11, "bob, a lead, logs in at his machine, sees what waits for him, and approves it");
    log_in(lead, "bob").await?;
    by(lead, &["requests", "--review"], 0).await?;
    by(lead, &["approve", &id, "--yes"], 0).await?;

    step(12, "The door that was shut is open");
    jit_ssh(stage, &["ensure", &target], 0).await?;
    let inside = ssh(stage, first, db, "echo \"hello from the database, I am $(id -un)\"").await?;
    inside.must_be_in()?;
    println!("   {}", inside.ssh.out.trim());

    step(13, "She is done before her time is up, and it is shut");
    jit_ssh(stage, &["done", &id], 0).await?;
    let late = ssh(stage, first, db, "id").await?;
    ensure!(late.accepted().is_none() && late.ssh.code == Some(255), "still in: {late:#?}");
    println!("   {}", late.ssh.err.trim());

    step(14, "All of it is one file, which an auditor checks with nothing but the log's public key");
    let at = |name: &str| stage.dir.path().join(name).display().to_string();
    let (config, bundle) = (at("ca/config.toml"), at("case.bundle"));
    let key = ca_server(&["audit", "key", "--config", &config]).await?;
    say("ca-server audit bundle …");
    ca_server(&["audit", "bundle", &id, "--config", &config, "-o", &bundle]).await?;
    say("jit-ssh verify-bundle case.bundle --key …");
    let checked = client.run(&["verify-bundle", &bundle, "--key", key.trim()]).await?.success()?;
    indent(&checked);
    Ok(())
}

async fn ca_server(args: &[&str]) -> Result<String> {
    let mut command = tokio::process::Command::new(binaries::program("ca-server")?);
    command.args(args);
    run("ca-server", command).await?.success()
}

/// Prints how to go on by hand.
pub fn what_to_type(stage: &Stage) -> Result<()> {
    let Stage { client, people, dir, ssh, .. } = stage;
    let environment = dir.path().join("environment");
    let mut dressed = tokio::process::Command::new("env");
    client.dress(&mut dressed);
    let mut text = String::new();
    for (name, value) in dressed.as_std().get_envs() {
        // HOME stays the caller's own: only what jit-ssh and ssh need is borrowed.
        if let (Some(name), Some(value), false) =
            (name.to_str(), value.and_then(|value| value.to_str()), name == "HOME")
        {
            text.push_str(&format!("export {name}='{value}'\n"));
        }
    }
    fs::write(&environment, text)?;
    let (target, config) = (format!("{}@web-1", people.first), ssh.config.display());
    println!("\nAll of it goes on running until Ctrl-C here. In another terminal:\n");
    println!("   . {}", environment.display());
    println!("   jit-ssh status");
    println!("   jit-ssh hosts");
    println!("   jit-ssh ssh {target} -F {config}");
    println!("   jit-ssh explain {}@db-1", people.first);
    println!("   jit-ssh logout");
    println!("   jit-ssh login --no-browser        be alice, bob or eve; `ca-server dev --help` has more");
    Ok(())
}

async fn log_in(client: &Client, who: &str) -> Result<()> {
    say("jit-ssh login");
    let (process, url) = client.begin_login(&[]).await?;
    let mut browser = Browser::new()?;
    let page = browser.open(&url).await?;
    let request = page.hidden("request").context("the provider shows no form")?.to_owned();
    let action = page.url.join("/authorize")?;
    browser.submit(&action, &[("request", &request), ("person", who)]).await?;
    let told = process.finish().await?;
    ensure!(told.code == Some(0), "{told:?}");
    indent(&told.out);
    let logged_in = told.err.lines().filter(|line| !line.contains("http://127.0.0.1") || line.contains("Logged in"));
    let logged_in = logged_in.filter(|line| !line.contains("Open this address"));
    indent(&logged_in.collect::<Vec<_>>().join("\n"));
    Ok(())
}

async fn show_certificate(stage: &Stage) -> Result<()> {
    let held = stage.client.agent.list().await?;
    let line =
        held.iter().find(|line| line.contains("-cert-v01@openssh.com")).context("the agent holds no certificate")?;
    let path = stage.dir.path().join("shown-cert.pub");
    fs::write(&path, line)?;
    say("ssh-add -L | ssh-keygen -L -f -");
    let shown = keygen::ssh_keygen(["-L".as_ref(), "-f".as_ref(), path.as_path()]).await?;
    indent(shown.split_once('\n').map_or(shown.as_str(), |(_path, rest)| rest));
    Ok(())
}

fn private_key(dir: &Path) -> Result<PathBuf> {
    let files = fs::read_dir(dir)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
    let private = |path: &PathBuf| path.extension().is_none_or(|extension| extension != "pub");
    files.into_iter().find(private).context("no private key among the files")
}

async fn jit_ssh(stage: &Stage, args: &[&str], code: i32) -> Result<Finished> {
    by(&stage.client, args, code).await
}

async fn by(client: &Client, args: &[&str], code: i32) -> Result<Finished> {
    let typed = args.iter().map(|arg| if arg.contains(' ') { format!("'{arg}'") } else { (*arg).to_owned() });
    say(&format!("jit-ssh {}", typed.collect::<Vec<_>>().join(" ")));
    let told = client.run(args).await?;
    indent(&told.out);
    indent(&told.err);
    ensure!(told.code == Some(code), "exit {:?}, expected {code}: {told:?}", told.code);
    if code != 0 {
        println!("   (exit code {code})");
    }
    Ok(told)
}

async fn ssh(stage: &Stage, account: &str, host: &e2e::kit::sshd::Sshd, remote: &str) -> Result<Attempt> {
    say(&format!("ssh {account}@{}", host.host));
    stage.ssh.login(account, host, remote).await
}

fn refused(attempt: &Attempt) -> Result<()> {
    attempt.must_be_out("Connection closed by")?;
    println!("   {}", attempt.ssh.err.trim());
    // Without root the second account is one that every machine has, and sshd may have a reason of its own.
    let why = ["does not contain an authorized principal", "not allowed"];
    let said = attempt.sshd.iter().find(|line| why.iter().any(|why| line.contains(why)));
    println!("   sshd: {}", said.with_context(|| format!("refused, but not for its principals: {attempt:#?}"))?);
    Ok(())
}

/// The agent drops the certificate at its end; until then there is nothing to see.
async fn until_gone(stage: &Stage) -> Result<()> {
    for _second in 0..40 {
        if stage.client.agent.list().await?.is_empty() {
            return Ok(());
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "an agent says nothing when it drops a key: it is looked at each second"
        )]
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    anyhow::bail!("the agent still holds the certificate")
}

fn step(number: u8, title: &str) {
    println!("\n{number}. {title}");
}

fn say(command: &str) {
    println!("   $ {command}");
}

fn indent(text: &str) {
    text.lines().filter(|line| !line.trim().is_empty()).for_each(|line| println!("   {line}"));
}
