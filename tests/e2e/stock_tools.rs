//! After `jit-ssh setup` nobody needs to know that it is there: stock ssh, scp, rsync and git get their certificates by
//! themselves.

use anyhow::{Context as _, Result, ensure};
use e2e::kit::{
    browser::Person,
    client::Client,
    process::{Finished, run},
    world::World,
};
use std::{fs, path::PathBuf};
use tokio::process::Command;

struct Desk {
    world: World,
    alice: Client,
    config: PathBuf,
}

/// alice's machine after setup. OpenSSH finds the home of a user in the password file, not in `$HOME`, so the tools here
/// are told the configuration by `-F`; it is the one that setup wrote.
async fn desk() -> Result<Desk> {
    let world = World::new().await?;
    let alice = world.person("alice").await?;
    let config = alice.home.join(".ssh/config");
    let hosts = world.web.client_block()? + &world.db.client_block()?;
    fs::write(&config, format!("{hosts}\nHost *\n  User {}\n", world.accounts.first))?;
    let set_up = alice.run(&["setup", "--yes"]).await?;
    ensure!(set_up.code == Some(0), "{set_up:?}");
    Ok(Desk { world, alice, config })
}

impl Desk {
    async fn tool(&self, name: &str, args: &[&str]) -> Result<Finished> {
        let mut command = Command::new(name);
        command.args(args);
        self.alice.dress(&mut command);
        command.env("GIT_SSH_COMMAND", format!("ssh -F {}", self.config.display()));
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_TERMINAL_PROMPT", "0");
        run(name, command).await
    }
}

#[tokio::test]
async fn stock_ssh_scp_rsync_and_git_just_work() -> Result<()> {
    let desk = desk().await?;
    let (first, config) = (&desk.world.accounts.first, desk.config.display().to_string());
    let config = config.as_str();
    assert!(desk.alice.agent.list().await?.is_empty(), "nothing is fetched before it is needed");

    let said = desk.tool("ssh", &["-F", config, &format!("{first}@web-1"), "echo in"]).await?;
    assert_eq!((said.code, said.out.trim()), (Some(0), "in"), "{said:?}");

    let here = desk.alice.home.join("letter");
    fs::write(&here, "dear host\n")?;
    let there = format!("/tmp/jit-e2e-{}", desk.world.web.port);
    let to = format!("{first}@web-1:{there}");
    let here = here.display().to_string();
    let copied = desk.tool("scp", &["-F", config, &here, &to]).await?;
    ensure!(copied.code == Some(0), "{copied:?}");
    let shell = format!("ssh -F {config}");
    let back = desk.alice.home.join("back").display().to_string();
    let synced = desk.tool("rsync", &["-e", &shell, &to, &back]).await?;
    ensure!(synced.code == Some(0), "{synced:?}");
    assert_eq!(fs::read_to_string(&back)?, "dear host\n");

    let bare = format!("{there}.git");
    let made =
        desk.tool("ssh", &["-F", config, &format!("{first}@web-1"), &format!("git init -q --bare {bare}")]).await?;
    ensure!(made.code == Some(0), "{made:?}");
    let remote = format!("{first}@web-1:{bare}");
    let listed = desk.tool("git", &["ls-remote", &remote]).await?;
    ensure!(listed.code == Some(0), "{listed:?}");
    let cleaned =
        desk.tool("ssh", &["-F", config, &format!("{first}@web-1"), &format!("rm -rf {there} {bare}")]).await?;
    ensure!(cleaned.code == Some(0), "{cleaned:?}");

    let held = desk.alice.agent.list().await?;
    assert_eq!(held.len(), 1, "one certificate served them all: {held:#?}");
    Ok(())
}

/// What people have in their configuration besides: files they include, a bastion, connections that are shared.
#[tokio::test]
async fn bastions_sftp_and_shared_connections_work() -> Result<()> {
    let world = World::new().await?;
    // db-1 takes certificates of its own, and is reached by way of web-1 alone.
    let first = world.accounts.first.clone();
    let hosts = world.server.home.path("policy/hosts.toml");
    let open = fs::read_to_string(&hosts)?.replace("\"db\"", "\"web\"");
    fs::write(&hosts, open)?;
    let policy = world.server.home.path("policy/access.cedar");
    let forwarding = fs::read_to_string(&policy)?.replacen(
        "@id(\"web/sre\")",
        "@id(\"web/sre\")\n@extensions(\"permit-pty,permit-port-forwarding\")",
        1,
    );
    fs::write(&policy, forwarding)?;
    let world = world.restart_server().await?;
    let alice = world.person("alice").await?;
    let config = alice.home.join(".ssh/config");
    let own = alice.home.join(".ssh/team.conf");
    fs::write(&own, world.web.client_block()? + &world.db.client_block()?)?;
    let sockets = alice.home.join("run/cm-%C");
    let mine = format!(
        "Include {}\nHost db-1\n  ProxyJump {first}@web-1\nHost *\n  User {first}\n  ControlMaster auto\n  \
         ControlPath {}\n  ControlPersist no\n",
        own.display(),
        sockets.display()
    );
    fs::write(&config, mine)?;
    let set_up = alice.run(&["setup", "--yes"]).await?;
    ensure!(set_up.code == Some(0), "{set_up:?}");
    let desk = Desk { world, alice, config };
    let config = desk.config.display().to_string();
    let (web, db) = (format!("{first}@web-1"), format!("{first}@db-1"));

    let mark = desk.world.web.log().mark();
    let jumped = desk.tool("ssh", &["-F", &config, &db, "echo behind"]).await?;
    assert_eq!((jumped.code, jumped.out.trim()), (Some(0), "behind"), "{jumped:?}");
    desk.world.web.log().wait_for(mark, |line| line.starts_with("Accepted publickey")).await?;
    assert_eq!(desk.alice.agent.list().await?.len(), 2, "a certificate for each hop");
    // The hop on the command line; what the configuration says of the way is off.
    let jumped = desk.tool("ssh", &["-F", &config, "-o", "ControlPath=none", "-J", &web, &db, "echo again"]).await?;
    assert_eq!((jumped.code, jumped.out.trim()), (Some(0), "again"), "{jumped:?}");

    let here = desk.alice.home.join("letter");
    fs::write(&here, "dear host\n")?;
    let there = format!("/tmp/jit-e2e-{}-sftp", desk.world.web.port);
    let batch = desk.alice.home.join("batch");
    let back = desk.alice.home.join("back");
    let steps = format!("put {} {there}\nget {there} {}\nrm {there}\n", here.display(), back.display());
    fs::write(&batch, steps)?;
    let moved = desk.tool("sftp", &["-F", &config, "-b", &batch.display().to_string(), &web]).await?;
    ensure!(moved.code == Some(0), "{moved:?}");
    assert_eq!(fs::read_to_string(&back)?, "dear host\n");

    // A second session in a connection that is there logs in no second time.
    let shared = desk.alice.command(&["ssh", &web, "-F", &config, "-N", "-f", "-o", "ControlPersist=60"])?;
    let shared = run("jit-ssh ssh -N -f", shared).await?;
    ensure!(shared.code == Some(0), "{shared:?}");
    let mark = desk.world.web.log().mark();
    let second = desk.tool("ssh", &["-F", &config, &web, "echo shared"]).await?;
    assert_eq!((second.code, second.out.trim()), (Some(0), "shared"), "{second:?}");
    assert!(!desk.world.web.log().since(mark).iter().any(|line| line.starts_with("Accepted")), "a new connection");
    let left = desk.tool("ssh", &["-F", &config, "-O", "exit", &web]).await?;
    ensure!(left.code == Some(0), "{left:?}");
    Ok(())
}

/// The inventory says address and port; ssh is told of neither by anybody else.
#[tokio::test]
async fn a_host_is_found_where_the_inventory_says() -> Result<()> {
    let world = World::new().await?;
    let hosts = world.path().join("ca/policy/hosts.toml");
    let (first, port) = (&world.accounts.first, world.web.port);
    let web = "name = \"web-1\"\n";
    let moved = fs::read_to_string(&hosts)?.replace(web, &format!("{web}address = \"127.0.0.1\"\nport = {port}\n"));
    ensure!(moved.contains("address"), "{moved}");
    fs::write(&hosts, moved)?;
    let (target, block) = (format!("{first}@web-1"), world.web.client_block()?);
    let known = block.lines().filter(|line| line.contains("KnownHosts") || line.contains("Checking"));
    let config = known.collect::<Vec<_>>().join("\n") + "\n";
    let world = world.restart_server().await?;
    let alice = world.person("alice").await?;
    let file = alice.home.join(".ssh/config");
    fs::write(&file, &config)?;
    let plain = alice.home.join("plain_config").display().to_string();
    fs::write(&plain, &config)?;

    for _first_and_kept in 0..2 {
        let said = alice.run(&["ssh", &target, "-F", &plain, "echo", "in"]).await?;
        assert_eq!((said.code, said.out.trim()), (Some(0), "in"), "{said:?}");
    }
    let db = world.db.port.to_string();
    let mark = world.db.log().mark();
    let elsewhere = alice.run(&["ssh", &target, "-F", &plain, "-p", &db, "true"]).await?;
    assert_eq!(elsewhere.code, Some(255), "the port that was typed counts, and db-1 is there: {elsewhere:?}");
    world.db.log().wait_for(mark, |line| line.starts_with("Connection from")).await?;
    let set_up = alice.run(&["setup", "--yes"]).await?;
    ensure!(set_up.code == Some(0), "{set_up:?}");
    let desk = Desk { world, alice, config: file };
    let said = desk.tool("ssh", &["-F", &desk.config.display().to_string(), &target, "echo in"]).await?;
    assert_eq!((said.code, said.out.trim()), (Some(0), "in"), "{said:?}");
    Ok(())
}

/// `%h` and `%r` come from whoever typed or generated the host name; they reach a shell in `Match exec`.
#[tokio::test]
async fn hostile_names_run_nothing() -> Result<()> {
    let desk = desk().await?;
    let config = desk.config.display().to_string();
    let mark = desk.alice.home.join("ran");
    let touch = format!("touch${{IFS}}{}", mark.display());
    for hostile in
        [format!("$({touch})"), format!("`{touch}`"), format!("x;{touch}"), format!("x'&{touch}&'"), "web-1|id".into()]
    {
        for args in [vec!["-F", &config, "-l", &hostile, "web-1", "true"], vec!["-F", &config, "--", &hostile, "true"]]
        {
            let said = desk.tool("ssh", &args).await?;
            assert_ne!(said.code, Some(0), "{args:?}: {said:?}");
            assert!(!mark.exists(), "{args:?} ran: {said:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn setup_is_undone_to_the_byte() -> Result<()> {
    let world = World::new().await?;
    let alice = world.person("alice").await?;
    let config = alice.home.join(".ssh/config");
    let before = "# mine\nHost elsewhere\n  Port 2222\n";
    fs::write(&config, before)?;
    let shown = alice.run(&["setup", "--dry-run"]).await?;
    ensure!(shown.code == Some(0), "{shown:?}");
    assert_eq!(fs::read_to_string(&config)?, before, "a dry run changes nothing");
    let done = alice.run(&["setup", "--yes"]).await?;
    ensure!(done.code == Some(0), "{done:?}");
    let after = fs::read_to_string(&config)?;
    assert!(after.contains("Include") && after.ends_with(before), "{after}");
    let again = alice.run(&["setup", "--yes"]).await?;
    ensure!(again.code == Some(0), "{again:?}");
    assert_eq!(fs::read_to_string(&config)?, after, "twice is once");
    let undone = alice.run(&["setup", "--undo", "--yes"]).await.context("undo")?;
    ensure!(undone.code == Some(0), "{undone:?}");
    assert_eq!(fs::read_to_string(&config)?, before);
    let left: Vec<_> = fs::read_dir(alice.home.join(".ssh"))?.collect::<Result<Vec<_>, _>>()?;
    assert_eq!(left.len(), 1, "{left:?}");
    Ok(())
}

/// Where stock ssh would go, by alice's own configuration.
async fn goes_to(alice: &Client, name: &str) -> Result<String> {
    let mut command = Command::new("ssh");
    command.arg("-G").arg("-F").arg(alice.home.join(".ssh/config")).arg(name);
    alice.dress(&mut command);
    let told = run("ssh -G", command).await?.success()?;
    let line = told.lines().find_map(|line| line.strip_prefix("hostname "));
    Ok(line.context("no hostname")?.to_owned())
}

/// Whoever edits the inventory could otherwise take any name from under ssh and git, and nobody would see it.
#[tokio::test]
async fn a_login_adds_hosts_and_takes_no_name_of_others_before_its_user_agrees() -> Result<()> {
    let world = World::new().await?;
    let alice = world.person("alice").await?;
    fs::write(alice.home.join(".ssh/config"), "Host bastion\n  HostName 192.0.2.7\n")?;
    let set_up = alice.run(&["setup", "--yes"]).await?;
    ensure!(set_up.code == Some(0), "{set_up:?}");
    let hosts = world.server.home.path("policy/hosts.toml");
    let host = |name: &str, aliases: &str| {
        format!(
            "\n[[host]]\nname = \"{name}\"\naliases = [{aliases}]\naddress = \"203.0.113.66\"\ngroups = [\"web\"]\n\
             accounts = [\"{}\"]\n",
            world.accounts.first
        )
    };
    let more = host("web-2", "\"shop\"") + &host("evil", "\"github.com\", \"bastion\"");
    fs::write(&hosts, fs::read_to_string(&hosts)? + &more)?;
    let mark = world.server.process.err.mark();
    world.server.process.signal(rustix::process::Signal::HUP);
    world.server.process.err.wait_for(mark, |line| line.contains("polic") && line.contains("INFO")).await?;

    let (login, page) = alice.login(Person::LogsIn("alice")).await?;
    ensure!(login.code == Some(0), "{login:#?} {page:#?}");
    for name in ["web-2", "shop"] {
        assert_eq!(goes_to(&alice, name).await?, "203.0.113.66", "a host that came: {}", login.err);
    }
    assert_eq!(goes_to(&alice, "git@github.com").await?, "github.com");
    assert_eq!(goes_to(&alice, "bastion").await?, "192.0.2.7");
    let said = "2 new host names are not in ~/.ssh/jit-ssh.conf (bastion, github.com): `jit-ssh setup` shows";
    assert!(login.err.contains(said), "{login:?}");
    let shown = alice.run(&["setup", "--dry-run"]).await?;
    assert!(shown.err.contains("github.com goes to 203.0.113.66"), "{shown:?}");
    assert!(shown.err.contains("your own configuration says 192.0.2.7"), "{shown:?}");

    let agreed = alice.run(&["setup", "--yes"]).await?;
    ensure!(agreed.code == Some(0), "{agreed:?}");
    let (login, page) = alice.login(Person::LogsIn("alice")).await?;
    ensure!(login.code == Some(0) && !login.err.contains("new host name"), "{login:#?} {page:#?}");
    assert_eq!(goes_to(&alice, "git@github.com").await?, "203.0.113.66", "who agreed has it");
    Ok(())
}
