//! The main road: log in, get a certificate, get a shell; and everything beside the road is closed.

use anyhow::{Context as _, Result, ensure};
use e2e::kit::{browser::Person, client::Client, keygen, world::World};
use serde_json::Value;
use std::time::{Duration, Instant};

#[tokio::test]
async fn from_login_to_shell_and_nowhere_else() -> Result<()> {
    let world = World::new().await?;
    let (first, target) = (&world.accounts.first, world.target());
    let alice = world.person("alice").await?;
    let ensured = alice.run(&["ensure", &target]).await?;
    ensure!(ensured.code == Some(0), "{ensured:?}");

    let ssh = world.ssh(&alice)?;
    let inside = ssh.login(first, &world.web, "id -un").await?;
    inside.must_be_in()?;
    assert_eq!(inside.ssh.out.trim(), first);
    // sshd's own log joins on key id and serial.
    let accepted = inside.accepted().context("no line")?;
    assert!(
        accepted.contains("ID jit1 grant=g-") && accepted.contains(" user=alice@corp.example (serial "),
        "{accepted}"
    );

    ssh.login(first, &world.db, "id -un").await?.must_be_out("does not contain an authorized principal")?;
    if let Some(second) = &world.accounts.second {
        ssh.login(second, &world.web, "id -un").await?.must_be_out("does not contain an authorized principal")?;
    }
    Ok(())
}

/// `jit-ssh ssh` does both steps, passes ssh's options on, and ends as ssh ended.
#[tokio::test]
async fn one_command_gets_the_certificate_and_the_shell() -> Result<()> {
    let world = World::new().await?;
    let alice = world.person("alice").await?;
    let ssh = world.ssh(&alice)?;
    let config = ssh.config.display().to_string();
    let said = alice.run(&["ssh", &world.target(), "-F", &config, "echo $SSH_CONNECTION; exit 7"]).await?;
    assert_eq!(said.code, Some(7), "{said:?}");
    assert!(said.out.starts_with("127.0.0.1 "), "{said:?}");
    Ok(())
}

#[tokio::test]
async fn a_certificate_ends_and_ensure_renews_it() -> Result<()> {
    let world = World::new().await?;
    let (first, target) = (&world.accounts.first, world.target());
    let bob = world.person("bob").await?;
    let ensured = bob.run(&["ensure", &target]).await?;
    ensure!(ensured.code == Some(0), "{ensured:?}");
    let ssh = world.ssh(&bob)?;
    ssh.login(first, &world.web, "true").await?.must_be_in()?;
    let began = Instant::now();
    let refused = loop {
        let attempt = ssh.login(first, &world.web, "true").await?;
        if attempt.accepted().is_none() {
            break attempt;
        }
        ensure!(began.elapsed() < Duration::from_secs(20), "eight seconds are over: {attempt:#?}");
    };
    // Gone from the agent at its end, or refused by sshd: whichever clock was first.
    ensure!(refused.ssh.code == Some(255), "{refused:#?}");
    let renewed = bob.run(&["ensure", &target]).await?;
    ensure!(renewed.code == Some(0), "{renewed:?}");
    ssh.login(first, &world.web, "true").await?.must_be_in()
}

/// Never more than one live entry a target, and nothing of anybody else's touched.
#[tokio::test]
async fn the_agent_holds_one_entry_a_target_and_logout_takes_only_ours() -> Result<()> {
    let world = World::new().await?;
    let alice = world.person("alice").await?;
    let own = alice.home.join("own_key");
    keygen::key(&own, "ed25519").await?;
    alice.agent.ssh_add(&["-q".as_ref(), &own]).await?.success()?;
    let before = alice.agent.list().await?;
    assert_eq!(before.len(), 1);

    for _ in 0..3 {
        let ensured = alice.run(&["ensure", "--renew", &world.target()]).await?;
        ensure!(ensured.code == Some(0), "{ensured:?}");
    }
    let held = alice.agent.list().await?;
    let ours: Vec<_> = held.iter().filter(|line| line.contains("-cert-v01@openssh.com")).collect();
    assert_eq!((held.len(), ours.len()), (2, 1), "one certificate and no bare key of ours: {held:#?}");
    assert!(ours[0].contains("jit-ssh"), "the comment says whose it is: {held:#?}");

    let out = alice.run(&["logout"]).await?;
    ensure!(out.code == Some(0), "{out:?}");
    assert_eq!(alice.agent.list().await?, before, "only ours is gone");
    let after = alice.run(&["ensure", &world.target()]).await?;
    assert_eq!(after.code, Some(4), "logged out means log in again: {after:?}");
    Ok(())
}

#[tokio::test]
async fn every_no_has_its_own_exit_code_and_says_why() -> Result<()> {
    let mut world = World::new().await?;
    let first = world.accounts.first.clone();
    let stranger = world.machine("carol").await?;
    let target = world.target();
    let needs_login = stranger.run(&["ensure", &target]).await?;
    assert_eq!(needs_login.code, Some(4), "{needs_login:?}");
    assert!(needs_login.err.contains("jit-ssh login"), "{needs_login:?}");

    let alice = world.person("alice").await?;
    if let Some(second) = world.accounts.second.clone() {
        let denied = alice.run(&["ensure", &format!("{second}@web-1")]).await?;
        assert_eq!(denied.code, Some(3), "{denied:?}");
        for word in ["limits/second-account", "Ask the owner of the second account."] {
            assert!(denied.err.contains(word), "{word}: {denied:?}");
        }
    }
    let approval = alice.run(&["ensure", &format!("{first}@db-1")]).await?;
    assert_eq!(approval.code, Some(5), "{approval:?}");
    assert!(approval.err.contains("db/approval") && approval.err.contains("leads"), "{approval:?}");

    let unknown = alice.run(&["ensure", &format!("{first}@no-such-host")]).await?;
    assert_eq!(unknown.code, Some(3), "{unknown:?}");
    for hostile in
        ["-oProxyCommand=id", "a b@web-1", "root@web-1;id", "$(id)@web-1", "@", "a@", "a,b@web-1", "a@web-1\u{1b}[2J"]
    {
        let misused = alice.run(&["ensure", "--", hostile]).await?;
        assert_eq!(misused.code, Some(2), "{hostile}: {misused:?}");
        assert!(!misused.err.contains('\u{1b}'), "{misused:?}");
    }

    let nobody = world.machine("nobody").await?;
    let (login, _) = nobody.login(Person::LogsIn("nobody")).await?;
    ensure!(login.code == Some(0), "{login:?}");
    let no_permit = nobody.run(&["ensure", &target]).await?;
    assert_eq!(no_permit.code, Some(3), "{no_permit:?}");

    let home = world.server.stop().await?;
    let unreachable = alice.run(&["ensure", &target]).await?;
    assert_eq!(unreachable.code, Some(6), "{unreachable:?}");
    world.server = home.start().await?;
    Ok(())
}

/// The other verbs, as programs read them.
#[tokio::test]
async fn json_tells_programs_what_people_are_told() -> Result<()> {
    let world = World::new().await?;
    let alice = world.person("alice").await?;
    let target = world.target();
    let json = async |client: &Client, args: &[&str]| -> Result<Value> {
        let mut all = vec!["--json"];
        all.extend(args);
        let said = client.run(&all).await?;
        serde_json::from_str(&said.out).with_context(|| format!("{args:?}: {said:?}"))
    };
    json(&alice, &["ensure", &target]).await?;
    let status = json(&alice, &["status"]).await?.to_string();
    assert!(status.contains("alice@corp.example") && status.contains(&target), "{status}");
    let hosts = json(&alice, &["hosts"]).await?.to_string();
    assert!(hosts.contains("web-1") && hosts.contains("db-1") && hosts.contains("web/sre"), "{hosts}");
    let explained = json(&alice, &["explain", &format!("{}@db-1", world.accounts.first)]).await?.to_string();
    assert!(explained.contains("needs-approval") && explained.contains("db/approval"), "{explained}");
    let denied = json(&alice, &["ensure", &format!("{}@nowhere", world.accounts.first)]).await?.to_string();
    assert!(denied.contains("denied"), "{denied}");
    let certificate = alice.run(&["certificate", &target]).await?;
    assert!(certificate.code == Some(0) && certificate.out.contains("-cert-v01@openssh.com"), "{certificate:?}");
    Ok(())
}

/// `force-command` and `source-address` of the policy reach sshd, and it does what they say.
#[tokio::test]
async fn the_terms_of_the_policy_are_the_terms_of_the_shell() -> Result<()> {
    let world = World::new().await?;
    let vera = world.person("vera").await?;
    let ensured = vera.run(&["ensure", &world.target()]).await?;
    ensure!(ensured.code == Some(0), "{ensured:?}");
    let ssh = world.ssh(&vera)?;
    let attempt = ssh.login(&world.accounts.first, &world.web, "id").await?;
    attempt.must_be_in()?;
    assert_eq!(attempt.ssh.out.trim(), "nothing but this");
    let line = vera.agent.list().await?.into_iter().find(|line| line.contains("-cert-")).context("no certificate")?;
    let path = vera.home.join("shown-cert.pub");
    std::fs::write(&path, line)?;
    let shown = keygen::ssh_keygen(["-L".as_ref(), "-f".as_ref(), path.as_path()]).await?;
    assert!(
        shown.contains("source-address 127.0.0.1/32") && shown.contains("force-command echo nothing but this"),
        "{shown}"
    );
    Ok(())
}

/// `certificate --files` for tools that cannot use an agent.
#[tokio::test]
async fn key_and_certificate_as_files_open_the_door_without_an_agent() -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::new().await?;
    let alice = world.person("alice").await?;
    let dir = alice.home.join("files");
    let made = alice.run(&["certificate", "--files", &dir.display().to_string(), &world.target()]).await?;
    ensure!(made.code == Some(0), "{made:?}");
    let mut private = None;
    for entry in std::fs::read_dir(&dir)? {
        let path = entry?.path();
        if std::fs::read_to_string(&path)?.contains("PRIVATE KEY") {
            assert_eq!(std::fs::metadata(&path)?.permissions().mode() & 0o777, 0o600);
            private = Some(path);
        }
    }
    let private = private.context("no private key")?;
    let ssh = e2e::kit::ssh::Ssh::knowing(&alice.home, &[&world.web])?.key(&private);
    ssh.login(&world.accounts.first, &world.web, "true").await?.must_be_in()
}

/// What ssh_config calls before every connection asks nobody while the certificate is fresh.
#[tokio::test]
async fn ensure_needs_no_network_while_the_certificate_is_fresh() -> Result<()> {
    let mut world = World::new().await?;
    let alice = world.person("alice").await?;
    let ensured = alice.run(&["ensure", &world.target()]).await?;
    ensure!(ensured.code == Some(0), "{ensured:?}");
    let target = world.target();
    let home = world.server.stop().await?;
    let again = alice.run(&["ensure", &target]).await?;
    assert_eq!(again.code, Some(0), "{again:?}");
    let forced = alice.run(&["ensure", "--renew", &target]).await?;
    ensure!(forced.code == Some(0) || forced.code == Some(6), "{forced:?}");
    world.server = home.start().await?;
    Ok(())
}
