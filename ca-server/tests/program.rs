//! The program as an operator meets it: init, check, run, reload, stop.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper of a test fails as the test does")]

use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Child, Command, Output, Stdio},
};
use tempfile::TempDir;

/// Breaks something in a server's directory.
type Spoil<'a> = &'a dyn Fn(&Path);

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ca-server"));
    command.args(arguments).env_remove("JIT_SSH_CA_PASSPHRASE").env_remove("NOTIFY_SOCKET");
    command
}

fn ran(arguments: &[&str]) -> Output {
    program(arguments).output().unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A directory as `init` leaves it, with a configuration that takes any free port.
fn home() -> TempDir {
    let home = TempDir::new().unwrap();
    let made = ran(&["init", home.path().to_str().unwrap()]);
    assert!(made.status.success(), "{}", text(&made));
    configure(home.path(), "");
    home
}

fn configure(home: &Path, more: &str) {
    let listen = "[listen]\naddress = \"127.0.0.1:0\"\nops = \"127.0.0.1:0\"\n";
    fs::write(home.join("config.toml"), format!("audience = \"https://ca.example.com\"\n{listen}{more}")).unwrap();
}

/// The starter's ports may be taken on this machine, which is for another test to find.
fn free_ports(home: &Path) {
    let text = fs::read_to_string(config(home)).unwrap();
    fs::write(
        config(home),
        text.replace(":8443\"", ":0\"").replace("#ops = \"127.0.0.1:9464\"", "ops = \"127.0.0.1:0\""),
    )
    .unwrap();
}

fn config(home: &Path) -> String {
    home.join("config.toml").to_str().unwrap().to_owned()
}

/// A server that runs; killed with the test.
struct Running(Child);

impl Running {
    fn start(arguments: &[&str]) -> (Self, serde_json::Value) {
        let mut child = program(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let mut running = Self(child);
        if line.is_empty() {
            let mut said = String::new();
            running.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
            panic!("it did not start: {said}");
        }
        (running, serde_json::from_str(&line).unwrap())
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = self.0.kill().is_err();
        let _reaped = self.0.wait().is_err();
    }
}

#[test]
fn init_makes_what_a_start_needs_and_never_overwrites() {
    let home = home();
    let mode = |name: &str| fs::metadata(home.path().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(
        [mode("keys"), mode("keys/user_ca"), mode("keys/host_ca"), mode("policy")],
        [0o700, 0o600, 0o600, 0o700]
    );
    let key = fs::read(home.path().join("keys/user_ca")).unwrap();
    let again = ran(&["init", home.path().to_str().unwrap()]);
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again).contains("already there; nothing was changed"), "{}", text(&again));
    assert_eq!(fs::read(home.path().join("keys/user_ca")).unwrap(), key);
}

/// An install from before the audit log and the KRL had keys: one command makes them, and nothing else is touched.
#[test]
fn init_missing_makes_the_missing_keys_alone() {
    let home = home();
    let keys = home.path().join("keys");
    let directory = home.path().to_str().unwrap();
    let refused = ran(&["init", directory, "--missing"]);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
    fs::remove_file(keys.join("log")).unwrap();
    fs::remove_file(keys.join("log.pub")).unwrap();
    fs::remove_file(keys.join("krl")).unwrap();
    fs::remove_file(keys.join("krl.pub")).unwrap();
    let before = fs::read(keys.join("user_ca")).unwrap();
    let made = ran(&["init", directory, "--missing"]);
    assert!(made.status.success(), "{}", text(&made));
    assert_eq!(fs::read(keys.join("user_ca")).unwrap(), before);
    let shown = ran(&["audit", "key", "--config", &config(home.path())]);
    let key = String::from_utf8(shown.stdout).unwrap();
    assert!(key.starts_with("ca.example.com+"), "{key}");
    assert!(text(&made).contains(key.trim()), "init and `audit key` say the same: {}", text(&made));
    let krl = fs::read_to_string(keys.join("krl.pub")).unwrap();
    let signer = format!("krl namespaces=\"krl@jit-ssh\" {}", krl.trim());
    assert!(text(&made).contains(&signer), "{signer}: {}", text(&made));
}

#[test]
fn init_writes_a_configuration_that_check_accepts() {
    let home = TempDir::new().unwrap();
    let directory = home.path().join("ca");
    let made = ran(&["init", directory.to_str().unwrap(), "--audience", "https://x.example.com"]);
    let said = text(&made);
    for line in ["TrustedUserCAKeys", "AuthorizedPrincipalsFile", "AuthorizedKeysFile none", "RevokedKeys"] {
        assert!(said.contains(line), "{line}: {said}");
    }
    assert!(
        fs::read_to_string(directory.join("config.toml")).unwrap().contains("audience = \"https://x.example.com\"")
    );
    free_ports(&directory);
    let checked = ran(&["check", "--config", &config(&directory), "--offline", "--json"]);
    let report: serde_json::Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!((checked.status.code(), &report["ok"]), (Some(0), &true.into()), "{report}");
    assert!(!directory.join("jit-ssh.redb").exists(), "check makes nothing");
}

#[test]
fn what_check_finds_stops_the_start() {
    // What is spoilt; what check says of it; whether `run` stops at it too.
    let rows: [(&str, Spoil, &str); 11] = [
        (
            "one key twice",
            &|home| {
                fs::copy(home.join("keys/user_ca"), home.join("keys/host_ca")).unwrap();
            },
            "one key",
        ),
        (
            "open key",
            &|home| fs::set_permissions(home.join("keys/user_ca"), fs::Permissions::from_mode(0o644)).unwrap(),
            "user_ca",
        ),
        (
            "log key twice",
            &|home| {
                fs::copy(home.join("keys/user_ca"), home.join("keys/log")).unwrap();
            },
            "one key",
        ),
        ("no KRL key", &|home| fs::remove_file(home.join("keys/krl")).unwrap(), "ca-server init --missing"),
        ("no log key", &|home| fs::remove_file(home.join("keys/log")).unwrap(), "ca-server init --missing"),
        ("no key", &|home| fs::remove_file(home.join("keys/host_ca")).unwrap(), "host_ca"),
        ("bad policy", &|home| fs::write(home.join("policy/access.cedar"), "permit (").unwrap(), "access.cedar:1"),
        ("failing test", &|home| fs::write(home.join("policy/access.cedar"), "").unwrap(), "tests/access.toml"),
        ("no policy", &|home| fs::remove_dir_all(home.join("policy")).unwrap(), "cannot be read"),
        (
            "empty store",
            &|home| {
                fs::write(home.join("jit-ssh.redb"), "").unwrap();
                fs::set_permissions(home.join("jit-ssh.redb"), fs::Permissions::from_mode(0o600)).unwrap();
            },
            "restore the newest backup",
        ),
        ("unknown key", &|home| configure(home, "[polcy]\n"), "did you mean `policy`?"),
    ];
    for (name, spoil, says) in rows {
        let home = home();
        spoil(home.path());
        let checked = ran(&["check", "--config", &config(home.path()), "--offline"]);
        assert_eq!(checked.status.code(), Some(1), "{name}: {}", text(&checked));
        assert!(text(&checked).contains(says), "{name}: {}", text(&checked));
        let started = ran(&["run", "--config", &config(home.path())]);
        assert_eq!(started.status.code(), Some(1), "{name}: {}", text(&started));
        assert!(started.stdout.is_empty(), "{name}: it never said ready");
        if name == "empty store" {
            assert_eq!(fs::metadata(home.path().join("jit-ssh.redb")).unwrap().len(), 0, "not overwritten");
        }
    }
}

#[test]
fn a_passphrase_opens_the_keys_and_is_never_shown() {
    let home = TempDir::new().unwrap();
    let (directory, secret) = (home.path().join("ca"), home.path().join("secret"));
    fs::write(&secret, "correct horse\nnot this line\n").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let made = ran(&["init", directory.to_str().unwrap(), "--passphrase-file", secret.to_str().unwrap()]);
    assert!(made.status.success(), "{}", text(&made));
    configure(&directory, "");
    let check = |passphrase: Option<&str>| {
        let mut command = program(&["check", "--config", &config(&directory), "--offline"]);
        if let Some(passphrase) = passphrase {
            command.env("JIT_SSH_CA_PASSPHRASE", passphrase);
        }
        command.output().unwrap()
    };
    assert!(text(&check(None)).contains("needs a passphrase"));
    let wrong = check(Some("tr0ub4dor"));
    assert!(!wrong.status.success() && !text(&wrong).contains("tr0ub4dor"), "{}", text(&wrong));
    let right = check(Some("correct horse"));
    assert!(right.status.success() && !text(&right).contains("horse"), "{}", text(&right));
}

#[test]
fn it_serves_reloads_policies_and_ends_well() {
    let home = home();
    let (mut running, ready) = Running::start(&["run", "--config", &config(home.path())]);
    assert_eq!(ready["ready"], true);
    assert!(ready["url"].as_str().unwrap().starts_with("http://127.0.0.1:"), "{ready}");
    let second = ran(&["run", "--config", &config(home.path())]);
    assert_eq!(second.status.code(), Some(1), "one store, one server: {}", text(&second));
    let in_use = ran(&["check", "--config", &config(home.path()), "--offline"]);
    assert!(in_use.status.success() && text(&in_use).contains("in use"), "{}", text(&in_use));

    let log = BufReader::new(running.0.stderr.take().unwrap());
    let mut lines = log.lines().map(Result::unwrap);
    let good = fs::read_to_string(home.path().join("policy/access.cedar")).unwrap();
    fs::write(home.path().join("policy/access.cedar"), "permit (").unwrap();
    running.signal(Signal::HUP);
    let refused = lines.find(|line| line.contains("the new policy set is refused")).unwrap();
    assert!(refused.contains("access.cedar:1"), "{refused}");
    fs::write(home.path().join("policy/access.cedar"), format!("{good}\n// looked at\n")).unwrap();
    running.signal(Signal::HUP);
    assert!(lines.any(|line| line.contains("policy set loaded")));
    running.signal(Signal::TERM);
    assert!(lines.any(|line| line.contains("\"stopped\"")), "the last line is written");
    assert!(running.0.wait().unwrap().success());
}

/// The entries of a run in a file, and the commands that ask how the sinks stand.
#[test]
fn audit_entries_are_delivered_and_an_operator_can_ask() {
    let home = home();
    let file = "[[sink]]\nname = \"log\"\nkind = \"file\"\npath = \"audit.jsonl\"\n";
    let bad =
        "[[sink]]\nname = \"bad\"\nkind = \"webhook\"\nurl = \"https://siem.example.com\"\nsecret_env = \"NOT_SET\"\n";
    configure(home.path(), &format!("{file}{bad}"));
    let checked = ran(&["check", "--config", &config(home.path()), "--offline"]);
    assert!(!checked.status.success() && text(&checked).contains("NOT_SET"), "{}", text(&checked));
    configure(home.path(), file);
    let (running, ready) = Running::start(&["run", "--config", &config(home.path())]);
    let ops = ready["ops"].as_str().unwrap().trim_start_matches("http://").to_owned();
    let mut told = serde_json::Value::Null;
    for _ in 0..200 {
        // Each call takes long enough to be a pause.
        told = serde_json::from_slice(&ran(&["sinks", "status", "--ops", &ops, "--json"]).stdout).unwrap();
        if told["sinks"][0]["lag_entries"] == 0 {
            break;
        }
    }
    // The policy set with its texts, and the start.
    let lines = fs::read_to_string(home.path().join("audit.jsonl")).unwrap();
    assert!(lines.starts_with("{\"index\":0,\"entry\":{") && lines.contains("policy.loaded"), "{lines}");
    assert!(lines.lines().last().unwrap().contains("server.started"), "{lines}");
    let delivered = (&told["sinks"][0]["delivered"], &told["sinks"][0]["lag_entries"]);
    assert_eq!(delivered, (&lines.lines().count().into(), &0.into()), "{told}");
    let people = ran(&["sinks", "status", "--ops", &ops]);
    assert!(people.status.success() && text(&people).starts_with("log (file): delivers; 0 entries behind"));
    assert_eq!(text(&ran(&["sinks", "dead-letters", "log", "--ops", &ops])), "no dead letters\n");
    assert!(text(&ran(&["sinks", "retry", "log", "--ops", &ops])).starts_with("0 dead letters are tried again"));
    let unknown = ran(&["sinks", "retry", "lgo", "--ops", &ops]);
    assert!(unknown.status.code() == Some(1) && text(&unknown).contains("there is no such sink"), "{}", text(&unknown));
    running.signal(Signal::KILL);
    drop(running);
    let gone = ran(&["sinks", "status", "--ops", &ops]);
    assert!(gone.status.code() == Some(1) && text(&gone).contains("no server answers"), "{}", text(&gone));
}

#[test]
fn dev_serves_on_loopback_and_leaves_nothing_behind() {
    let (mut running, ready) = Running::start(&["dev"]);
    let directory = ready["dir"].as_str().unwrap().to_owned();
    assert!(ready["user_ca"].as_str().unwrap().starts_with("ssh-ed25519 "), "{ready}");
    assert!(ready["issuer"].as_str().unwrap().starts_with("http://127.0.0.1:"), "{ready}");
    assert!(Path::new(&directory).is_dir());
    let at = |name: &str| Path::new(&directory).join(name).display().to_string();
    let checked = text(&ran(&["policy", "check", &at("policy")]));
    assert!(checked.contains("tests passed") && !checked.contains("failed"), "{checked}");
    let key = text(&ran(&["audit", "key", "--config", &at("config.toml")]));
    assert!(key.starts_with("127.0.0.1:") && key.contains('+'), "{key}");
    running.signal(Signal::INT);
    assert!(running.0.wait().unwrap().success());
    assert!(!Path::new(&directory).exists());
}

#[test]
fn systemd_is_told() {
    let home = home();
    let socket = home.path().join("notify");
    let systemd = std::os::unix::net::UnixDatagram::bind(&socket).unwrap();
    let mut command = program(&["run", "--config", &config(home.path())]);
    command.env("NOTIFY_SOCKET", &socket).stdout(Stdio::null()).stderr(Stdio::null());
    let running = Running(command.spawn().unwrap());
    let told = || {
        let mut said = [0; 256];
        let length = systemd.recv(&mut said).unwrap();
        String::from_utf8_lossy(&said[..length]).into_owned()
    };
    assert!(told().starts_with("READY=1\n"));
    running.signal(Signal::TERM);
    assert!(told().starts_with("STOPPING=1\n"));
}

#[test]
fn dev_refuses_what_is_not_for_development() {
    let public = ran(&["dev", "--listen", "0.0.0.0:0"]);
    assert!(!public.status.success() && text(&public).contains("loopback only"), "{}", text(&public));
    let home = home();
    let real = ran(&["dev", "--dir", home.path().to_str().unwrap()]);
    assert!(!real.status.success() && text(&real).contains("fresh directory"), "{}", text(&real));
}

#[test]
fn tables_are_made_from_versions_that_there_are() {
    let known = ran(&["store-schema", "--from", "1", "--role", "jit_ssh"]);
    assert!(known.status.success() && !text(&known).contains("CREATE TABLE jit_ssh.audit"), "{known:?}");
    for none in ["-1", "99"] {
        let refused = ran(&["store-schema", &format!("--from={none}")]);
        assert!(!refused.status.success() && refused.stdout.is_empty(), "{refused:?}");
        assert!(String::from_utf8_lossy(&refused.stderr).contains("no such version"), "{refused:?}");
    }
}

#[test]
fn policies_can_be_checked_and_asked_without_a_server() {
    let home = home();
    let policy = home.path().join("policy");
    let policy = policy.to_str().unwrap();
    let checked = ran(&["policy", "check", policy, "--json"]);
    let report: serde_json::Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert!(report["ok"] == true && report["tests_passed"].as_u64().unwrap() > 0, "{report}");
    let ask = ["policy", "explain", policy, "--user", "ada@example.com", "--group", "engineers"];
    let told = text(&ran(&[&ask[..], &["deploy@dev-1", "root@dev-1"]].concat()));
    assert!(told.contains("deploy@dev-1: granted by nonprod/engineers"), "{told}");
    assert!(told.contains("root@dev-1: denied: forbidden by limits/no-root"), "{told}");
    let json = ran(&[&ask[..], &["--json", "deploy@dev-1"]].concat());
    let answer: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(answer["decision"]["outcome"], "granted");
    let hostile = ran(&[&ask[..], &["\u{1b}[31m"]].concat());
    assert!(!hostile.status.success() && !text(&hostile).contains('\u{1b}'), "{}", text(&hostile));
}

#[test]
fn check_tells_a_stranger_at_the_address_from_the_server_itself() {
    let home = home();
    let stranger = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = stranger.local_addr().unwrap().to_string();
    let text_of = fs::read_to_string(config(home.path())).unwrap();
    fs::write(config(home.path()), text_of.replacen("127.0.0.1:0", &taken, 1)).unwrap();
    let checked = ran(&["check", "--config", &config(home.path()), "--offline"]);
    assert_eq!(checked.status.code(), Some(1), "{}", text(&checked));
    assert!(text(&checked).contains("not by a server") && text(&checked).contains("1 error,"), "{}", text(&checked));
}

#[test]
fn the_placeholder_of_the_starter_is_not_taken_for_a_name() {
    let home = TempDir::new().unwrap();
    let directory = home.path().join("ca");
    assert!(ran(&["init", directory.to_str().unwrap()]).status.success());
    free_ports(&directory);
    let checked = ran(&["check", "--config", &config(&directory), "--offline"]);
    assert!(text(&checked).contains("still the example's"), "{}", text(&checked));
}

#[test]
fn a_passphrase_without_a_terminal_names_the_other_way() {
    let home = TempDir::new().unwrap();
    let directory = home.path().join("ca");
    let mut alone = Command::new("setsid");
    alone.args(["--wait", env!("CARGO_BIN_EXE_ca-server"), "init", directory.to_str().unwrap(), "--passphrase"]);
    let refused = alone.stdin(Stdio::null()).output().unwrap();
    assert!(!refused.status.success() && text(&refused).contains("--passphrase-file"), "{}", text(&refused));
    assert!(!directory.exists());
}
