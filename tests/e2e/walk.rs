//! "Play it through" of README.md, command by command: a whole life of a grant, played by one person with `ca-server dev`.

use anyhow::{Context as _, Result, ensure};
use e2e::kit::{
    accounts, binaries,
    postgres::free_port,
    process::{Process, run},
};
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};
use tokio::process::Command;

/// What stands in the place of a browser and the person before it: whoever `$PERSON` is picks themselves.
const BROWSER: &str = r#"#!/bin/sh
request=$(curl -sS "$1" | sed -n 's/.*name="request" value="\([^"]*\)".*/\1/p')
provider=$(printf %s "$1" | sed 's,^\(http://[^/]*\)/.*,\1,')
exec curl -sSL -o /dev/null --data-urlencode "request=$request" --data-urlencode "person=$PERSON" "$provider/authorize"
"#;

/// The commands of the section, a string for each terminal.
fn terminals() -> Result<[String; 3]> {
    let page = fs::read_to_string(binaries::file("..").join("README.md"))?;
    let section = page.split("\n## Play it through\n").nth(1).and_then(|rest| rest.split("\n## ").next());
    let blocks = section.context("no such section")?.split("```sh\n").skip(1);
    let blocks: Vec<String> = blocks.filter_map(|rest| rest.split("```").next().map(str::to_owned)).collect();
    blocks.try_into().map_err(|other| anyhow::anyhow!("three terminals, not {other:?}"))
}

/// The same shell that a reader has, with the programs of this build and a browser.
fn shell(script: &str, dir: &Path) -> Result<Command> {
    let programs: PathBuf = binaries::program("jit-ssh")?.parent().context("a program is in a directory")?.to_owned();
    let old = std::env::var_os("PATH").unwrap_or_default();
    let path = [dir.join("bin"), programs].into_iter().chain(std::env::split_paths(&old));
    let mut command = Command::new("sh");
    command.arg("-c").arg(script).current_dir(dir).env("PATH", std::env::join_paths(path)?);
    command.env("DISPLAY", ":0").env("NO_COLOR", "1").env("HOME", dir);
    for name in ["SSH_AUTH_SOCK", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "JIT_SSH_SERVER", "JIT_SSH_CA_FILE"] {
        command.env_remove(name);
    }
    Ok(command)
}

#[tokio::test]
async fn the_readme_plays_a_whole_life() -> Result<()> {
    let home = tempfile::Builder::new().prefix("jit-walk-").tempdir()?;
    let dir = home.path().join("dev");
    let browser = home.path().join("bin/xdg-open");
    fs::create_dir(home.path().join("bin"))?;
    fs::write(&browser, BROWSER)?;
    fs::set_permissions(&browser, fs::Permissions::from_mode(0o755))?;
    let (api, sshd) = (format!("127.0.0.1:{}", free_port()?), three_ports()?);
    let here = |text: &str| text.replace("/tmp/jit-dev", &dir.display().to_string()).replace("127.0.0.1:8400", &api);
    let [server, host, person] = terminals()?.map(|text| here(&text));

    let serve = server.lines().find(|line| line.starts_with("ca-server dev")).context("no server")?;
    let serve = serve.split(" #").next().unwrap_or_default();
    let server = Process::start("ca-server dev", shell(&format!("exec {serve} --sshd-port {sshd}"), home.path())?)?;
    server.out.wait_for(0, |line| line.contains("\"ready\":true")).await.with_context(|| server.err.text())?;
    if accounts::is_root() {
        fs::create_dir_all("/run/sshd")?;
    }
    let host = Process::start("sshd", shell(&format!("exec {}", host.trim()), home.path())?)?;
    host.err.wait_for(0, |line| line.contains("Server listening")).await.with_context(|| host.err.text())?;

    // What it was approved for counts on each host alone, also where stock ssh offers whatever the agent holds.
    for (port, name) in (sshd..).zip(["staging", "prod", "appliance"]) {
        let config = dir.join("sshd/sshd_config");
        let asked = format!("exec /usr/sbin/sshd -T -f {} -C addr=127.0.0.1,lport={port}", config.display());
        let counts = run("sshd -T", shell(&asked, home.path())?).await?.success()?;
        ensure!(
            counts.contains(&format!("authorizedprincipalsfile {}/sshd/{name}.principals", dir.display())),
            "{counts}"
        );
        let principals = fs::read_to_string(dir.join(format!("sshd/{name}.principals")))?;
        ensure!(principals.lines().count() == 1 && principals.ends_with(&format!("@{name}\n")), "{principals}");
    }

    let told = run("the reader", shell(&person, home.path())?).await?;
    let said = format!("{}\n{}", told.out, told.err);
    ensure!(told.code == Some(0), "{said}");
    for expected in [
        "Logged in at",
        "on staging, as ",
        "waits for people",
        "in production, as ",
        "given back",
        "everything of alice@example.com revoked",
        "VERIFIED grant g-",
        "bob@example.com approved",
    ] {
        ensure!(said.contains(expected), "{expected:?} is missing:\n{said}");
    }
    ensure!(!said.contains("jit-ssh: "), "something failed:\n{said}");
    Ok(())
}

/// The first of three free ports in a row.
fn three_ports() -> Result<u16> {
    let mut row = [free_port()?, free_port()?, free_port()?];
    while row.windows(2).any(|pair| pair[0] + 1 != pair[1]) {
        row = [row[1], row[2], free_port()?];
    }
    Ok(row[0])
}
