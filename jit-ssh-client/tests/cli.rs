//! The program as a script meets it: exit codes, JSON, and what it leaves alone.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use serde_json::Value;
use std::{
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output},
};

struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// What a login at `server` left behind.
    fn logged_in(&self, server: &str, ca_file: Option<&str>) {
        assert_eq!(code(&self.jit_ssh(&["status"])), 4);
        let file = self.path().join("state/session.json");
        let session = serde_json::json!({
            "version": 1, "server": server, "ca_file": ca_file, "audience": "https://a",
            "session": "s-010101010101010101010101", "key": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "expires": u32::MAX, "idle_seconds": 60, "user_ca": [],
            "identity": { "kind": "user", "issuer": "https://i", "subject": "a", "groups": [], "mfa": false },
            "clock_offset_ms": 0,
        });
        std::fs::write(&file, session.to_string()).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn jit_ssh(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_jit-ssh"))
            .args(args)
            .env_clear()
            .env("HOME", self.path())
            .env("PATH", "/usr/bin:/bin")
            .env("JIT_SSH_STATE_DIR", self.path().join("state"))
            .output()
            .unwrap()
    }
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn json(output: &Output) -> Value {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    serde_json::from_str(&text).unwrap()
}

#[test]
fn nobody_logged_in_is_exit_code_4_for_every_verb_that_needs_it() {
    let home = Home::new();
    for args in [
        &["status"][..],
        &["ensure", "deploy@web-1"],
        &["ssh", "deploy@web-1"],
        &["certificate", "deploy@web-1"],
        &["hosts"],
        &["sessions"],
        &["sessions", "end", "s-010101010101010101010101"],
        &["explain", "deploy@web-1"],
        &["setup", "--dry-run"],
        &["request", "deploy@web-1", "--reason", "x"],
        &["requests"],
        &["show", "r-00112233445566778899aabb"],
        &["extend", "r-00112233445566778899aabb", "--by", "20m"],
        &["done"],
        &["cancel", "r-00112233445566778899aabb"],
        &["review"],
        &["approve", "r-00112233445566778899aabb", "--yes"],
        &["break-glass", "deploy@web-1", "--incident", "INC-1", "--reason", "x"],
        &["reviewed", "r-00112233445566778899aabb", "--verdict", "fine", "--reason", "x"],
        &["deny", "r-00112233445566778899aabb", "--reason", "x"],
        &["revoke", "--grant", "g-00112233445566778899aabb", "--reason", "x"],
        &["revoke", "--all-of-issuer", "https://id.example.com", "--reason", "x"],
        &["freeze", "--everything", "--reason", "x"],
        &["freezes"],
        &["thaw", "f-00112233445566778899aabb", "--reason", "x"],
    ] {
        let output = home.jit_ssh(args);
        assert_eq!(code(&output), 4, "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(output.stdout.is_empty(), "{args:?}");
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains("next: log in: jit-ssh login"), "{args:?}: {told}");
        assert!(!told.contains('\u{1b}'), "no colours without a terminal: {told:?}");
    }
}

#[test]
fn errors_are_json_too_when_json_is_asked_for() {
    let home = Home::new();
    let output = home.jit_ssh(&["--json", "status"]);
    assert_eq!(json(&output)["error"]["code"], "needs_login");
    assert_eq!(json(&output)["error"]["exit"], 4);
    let output = home.jit_ssh(&["ensure", "--json", "no target"]);
    assert_eq!((code(&output), &json(&output)["error"]["code"]), (2, &Value::from("usage")));
    let twice = String::from_utf8(home.jit_ssh(&["explain", "bad"]).stderr).unwrap();
    assert_eq!(twice.matches("write it as account@host").count(), 1, "{twice}");
    assert_eq!(code(&home.jit_ssh(&["sessions", "end", "../session"])), 2);
    let output = home.jit_ssh(&["--json", "no-such-verb"]);
    assert_eq!((code(&output), &json(&output)["error"]["code"]), (2, &Value::from("usage")));
    let output = home.jit_ssh(&["login", "--json", "--server", "http://127.0.0.1:1"]);
    assert_eq!((code(&output), &json(&output)["error"]["code"]), (6, &Value::from("unreachable")));
    assert!(json(&output)["error"]["message"].as_str().unwrap().contains("127.0.0.1:1 does"));
}

/// Whatever the verb, and whether it works or not: a program that asked for JSON reads one line of it.
#[test]
fn json_is_everywhere() {
    let home = Home::new();
    let help = String::from_utf8(home.jit_ssh(&["--help"]).stdout).unwrap();
    let verbs = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let verbs: Vec<&str> = verbs.filter_map(|line| line.strip_prefix("  ")?.split(' ').next()).collect();
    assert!(verbs.len() > 20 && verbs.contains(&"ensure"), "{verbs:?}");
    for verb in verbs.into_iter().filter(|verb| !verb.is_empty() && *verb != "help") {
        let told = json(&home.jit_ssh(&["--json", verb]));
        assert!(told.is_object(), "{verb}: {told}");
    }
    assert!(json(&home.jit_ssh(&["completions", "bash", "--json"]))["script"].as_str().unwrap().contains("jit-ssh"));
    let pages = home.path().join("pages");
    let made = json(&home.jit_ssh(&["man", pages.to_str().unwrap(), "--json"]));
    let made = made["files"].as_array().unwrap();
    assert!(made.len() > 20 && made.iter().all(|file| Path::new(file.as_str().unwrap()).is_file()), "{made:?}");
}

/// What a hostile repository, link or inventory could put where a host or an account belongs.
#[test]
fn hostile_targets_are_refused_before_anything_is_touched() {
    let home = Home::new();
    let marker = home.path().join("marker");
    let touch = format!("$(touch {})", marker.display());
    for target in [
        &format!("deploy@{touch}"),
        &format!("{touch}@web-1"),
        "deploy@web-1;id",
        "deploy@-oProxyCommand=id",
        "-oProxyCommand=id@web-1",
        "deploy@web-1\n",
        "deploy@web-1\u{1b}[2J",
        "../../etc/passwd@web-1",
        "deploy@../web-1",
        "deploy@we?b",
        "deploy@",
        "@web-1",
        "%r@%h",
    ] {
        for verb in [&["ensure"][..], &["explain"], &["certificate"], &["request", "--reason", "x", "--"]] {
            let output = home.jit_ssh(&[verb, &[target]].concat());
            assert_eq!(code(&output), 2, "{verb:?} {target:?}");
            assert!(!output.stderr.contains(&0x1b), "{verb:?} {target:?}");
        }
        let output = home.jit_ssh(&["ssh", "--", target]);
        assert_eq!(code(&output), 2, "ssh {target:?}");
    }
    assert!(!marker.exists());
    assert!(!home.path().join("state").exists(), "refused before the state directory was made");
}

#[test]
fn a_state_directory_that_others_can_read_is_not_used() {
    let home = Home::new();
    let state = home.path().join("state");
    std::fs::create_dir(&state).unwrap();
    std::fs::set_permissions(&state, std::fs::Permissions::from_mode(0o755)).unwrap();
    let output = home.jit_ssh(&["status"]);
    assert_eq!(code(&output), 1);
    assert!(String::from_utf8(output.stderr).unwrap().contains("chmod 700"));
}

#[test]
fn a_session_file_that_is_damaged_asks_for_a_login_and_quotes_nothing() {
    let home = Home::new();
    assert_eq!(code(&home.jit_ssh(&["status"])), 4);
    let file = home.path().join("state/session.json");
    std::fs::write(&file, "{\"version\":1,\"key\":\"c2VjcmV0\"").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let output = home.jit_ssh(&["--json", "status"]);
    assert_eq!(code(&output), 4);
    assert!(!String::from_utf8(output.stdout).unwrap().contains("c2VjcmV0"));
    assert_eq!(code(&home.jit_ssh(&["logout"])), 0, "logout clears it away");
    assert!(!file.exists());
}

#[test]
fn roots_that_are_named_win_over_those_of_the_login() {
    let home = Home::new();
    home.logged_in("https://127.0.0.1:1", Some("/nowhere/of-login.pem"));
    let told = |args: &[&str]| String::from_utf8(home.jit_ssh(args).stderr).unwrap();
    assert!(told(&["hosts"]).contains("ca_file /nowhere/of-login.pem"), "{}", told(&["hosts"]));
    let named = told(&["hosts", "--ca-file", "/nowhere/named.pem"]);
    assert!(named.contains("ca_file /nowhere/named.pem") && !named.contains("of-login"), "{named}");
}

#[test]
fn a_quiet_ensure_says_one_line() {
    let output = Home::new().jit_ssh(&["ensure", "--quiet", "deploy@web-1"]);
    assert_eq!(code(&output), 4);
    assert_eq!(String::from_utf8(output.stderr).unwrap().lines().count(), 1);
}

/// An approval, an end or a question about one is never about something else than was typed.
#[test]
fn hostile_ids_and_words_are_refused_before_anything_is_asked() {
    let home = Home::new();
    let id = "r-00112233445566778899aabb";
    for args in [
        &["approve", "../../v1/session", "--yes"][..],
        &["approve", "r-00112233445566778899aabb/approvals", "--yes"],
        &["show", "r-00112233445566778899AABB"],
        &["done", "r-00112233445566778899aab"],
        &["cancel", "r-\u{1b}[2J"],
        &["deny", id, "--reason", "a\u{202e}b"],
        &["request", "deploy@web-1", "--reason", "a\u{1b}[2J"],
        &["request", "deploy@web-1", "--start", "whenever"],
        &["request"],
        &["revoke", "--grant", id],
        &["revoke", "--reason", "x"],
        &["revoke", "--grant", id, "--host", "web-1", "--reason", "x"],
        &["revoke", "--serial", "0", "--reason", "x"],
        &["revoke", "--serial", "9223372036854775808", "--reason", "x"],
        &["revoke", "--host", "-oProxyCommand=x", "--reason", "x"],
        &["revoke", "--host", "web-1", "--at", "https://id.example.com", "--reason", "x"],
        &["freeze", "--reason", "x"],
        &["freeze", "--everything", "--host", "web-1", "--reason", "x"],
        &["freeze", "--everything"],
        &["thaw", "../everything", "--reason", "x"],
        &["requests", "--mine", "--all"],
        &["approve", id],
    ] {
        let output = home.jit_ssh(args);
        assert_eq!(code(&output), 2, "{args:?}");
        assert!(!output.stderr.contains(&0x1b), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    assert!(!home.path().join("state").exists());
}

#[test]
fn an_unknown_setting_is_refused() {
    let home = Home::new();
    std::fs::create_dir_all(home.path().join(".config/jit-ssh")).unwrap();
    std::fs::write(home.path().join(".config/jit-ssh/config.toml"), "sever = \"https://a\"\n").unwrap();
    let output = home.jit_ssh(&["login"]);
    assert_eq!(code(&output), 1);
    assert!(String::from_utf8(output.stderr).unwrap().contains("sever"));
}

#[test]
fn plain_http_to_another_machine_is_refused() {
    let output = Home::new().jit_ssh(&["login", "--server", "http://ca.example.com"]);
    assert_eq!(code(&output), 2);
}

/// Whoever answers at the address that was typed writes its words into the person's terminal: as text.
#[test]
fn a_hostile_ca_writes_nothing_raw_to_the_terminal() {
    let escapes = "\u{1b}[2J\u{1b}]0;owned\u{7}\r\u{9b}31m\u{202e}\njit-ssh: all is well";
    let error = |message: &str, hint: &str, id: &str| {
        let detail = serde_json::json!({ "code": "internal", "message": message, "hint": hint, "request_id": id });
        serde_json::json!({ "error": detail }).to_string()
    };
    let about = serde_json::json!({
        "audience": escapes, "version": escapes, "time_ms": 1, "user_ca": [escapes], "host_ca": [escapes], "issuers": [],
    });
    for (status, body) in [
        ("500 x", error(escapes, "h", "r")),
        ("500 x", error("m", escapes, "r")),
        ("500 x", error("m", "h", escapes)),
        ("200 OK", about.to_string()),
        ("200 OK", format!("{{\"{escapes}\": ")),
        ("418 x", escapes.to_owned()),
    ] {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
        let hostile = std::thread::spawn(move || {
            use std::io::{Read as _, Write as _};
            let (mut client, _) = listener.accept().unwrap();
            assert!(client.read(&mut [0; 4096]).unwrap() > 0);
            client.write_all(answer.as_bytes()).unwrap();
        });
        let home = Home::new();
        let output = home.jit_ssh(&["login", "--server", &server]);
        hostile.join().unwrap();
        assert_ne!(code(&output), 0, "{body:?}");
        let told = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        let raw = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!told.contains(raw) && !told.lines().any(|line| line.starts_with("jit-ssh: all")), "{told:?}");
    }
}

/// A server that answers each of `times` requests so.
fn answering(status: &str, code: &str, times: usize) -> (String, std::thread::JoinHandle<()>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    let body = format!("{{\"error\":{{\"code\":\"{code}\",\"message\":\"the words of the CA\"}}}}");
    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    let answering = std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        for _ in 0..times {
            let (mut client, _) = listener.accept().unwrap();
            assert!(client.read(&mut [0; 4096]).unwrap() > 0);
            client.write_all(answer.as_bytes()).unwrap();
        }
    });
    (server, answering)
}

/// Security took the session, or it was ended from another machine.
#[test]
fn status_says_what_the_ca_says_of_the_login_session() {
    let home = Home::new();
    let (server, ended) = answering("401 x", "login_required", 2);
    home.logged_in(&server, None);
    let output = home.jit_ssh(&["status"]);
    let told = String::from_utf8([output.stdout.clone(), output.stderr.clone()].concat()).unwrap();
    assert_eq!(code(&output), 4, "{told}");
    assert!(told.contains("the words of the CA") && told.contains("jit-ssh login"), "{told}");
    assert!(told.contains("is over") && !told.contains(" left)") && !told.contains("does not answer"), "{told}");
    let output = home.jit_ssh(&["--json", "status"]);
    assert_eq!((code(&output), &json(&output)["error"]["code"]), (4, &Value::from("needs_login")));
    ended.join().unwrap();

    let home = Home::new();
    let (server, busy) = answering("503 x", "store_unavailable", 1);
    home.logged_in(&server, None);
    let output = home.jit_ssh(&["status"]);
    let told = String::from_utf8(output.stderr.clone()).unwrap();
    assert!(code(&output) == 0 && told.contains("the words of the CA"), "it did answer: {told}");
    busy.join().unwrap();
}

#[test]
fn completions_and_man_pages_are_made() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish"] {
        let output = home.jit_ssh(&["completions", shell]);
        assert!(code(&output) == 0 && String::from_utf8(output.stdout).unwrap().contains("jit-ssh"), "{shell}");
    }
    let pages = home.path().join("man");
    assert_eq!(code(&home.jit_ssh(&["man", pages.to_str().unwrap()])), 0);
    for page in ["jit-ssh.1", "jit-ssh-login.1", "jit-ssh-ensure.1", "jit-ssh-approve.1", "jit-ssh-sessions-end.1"] {
        let text = std::fs::read_to_string(pages.join(page)).unwrap();
        let source = concat!("\"jit-ssh ", env!("CARGO_PKG_VERSION"), "\"");
        assert!(text.lines().any(|line| line.starts_with(".TH") && line.contains(source)), "{page}: {text}");
    }
}

#[test]
fn doctor_names_the_first_broken_link_and_stops() {
    let output = Home::new().jit_ssh(&["--json", "doctor"]);
    let told = json(&output);
    let checks = told["checks"].as_array().unwrap();
    assert_eq!((code(&output), told["ok"].as_bool()), (6, Some(false)));
    assert_eq!(checks.last().unwrap()["check"], "agent");
    assert!(checks.last().unwrap()["fix"].as_str().unwrap().contains("ssh-agent"));
    assert!(checks[..checks.len() - 1].iter().all(|check| check["ok"] == true));
}

/// What the help shows can be typed as it stands: nobody is logged in here, and that is all that is wrong with it.
#[test]
fn the_examples_of_the_help_can_be_typed() {
    let home = Home::new();
    for verb in ["request", "requests", "show", "extend", "done", "cancel", "review", "approve", "deny"] {
        let help = String::from_utf8(home.jit_ssh(&[verb, "--help"]).stdout).unwrap();
        let own = help.find("--help").unwrap();
        assert!(help.find("--server").unwrap() > own, "{verb}: what is everywhere comes last: {help}");
        let example = help.split("Example: jit-ssh ").nth(1).unwrap_or_else(|| panic!("{verb}: {help}"));
        let words: Vec<String> =
            example.lines().next().unwrap().split('\'').enumerate().fold(Vec::new(), |mut words, (at, part)| {
                let quoted = at % 2 == 1;
                if quoted {
                    words.push(part.to_owned())
                } else {
                    words.extend(part.split_whitespace().map(str::to_owned))
                }
                words
            });
        assert_eq!(words[0], verb);
        let typed: Vec<&str> = words.iter().map(String::as_str).collect();
        let said = home.jit_ssh(&typed);
        let unattended = String::from_utf8_lossy(&said.stderr).contains("no terminal to ask on");
        assert!(code(&said) == 4 || unattended, "{typed:?}: {said:?}");
    }
}

#[test]
fn a_usage_error_asks_for_nothing_that_the_environment_says() {
    let home = Home::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_jit-ssh"));
    command.arg("approve").env_clear().env("HOME", home.path());
    let told = command.env("JIT_SSH_SERVER", "https://ca.example.com").output().unwrap();
    let told = String::from_utf8(told.stderr).unwrap();
    assert!(told.contains("Usage: jit-ssh approve <ID>") && !told.contains("--server"), "{told}");
    let nothing = home.jit_ssh(&["request", "deploy@db-1", "--for", "0m"]);
    let told = String::from_utf8(nothing.stderr.clone()).unwrap();
    assert!(code(&nothing) == 2 && told.contains("like 30m"), "{told}");
}
