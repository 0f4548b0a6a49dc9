//! What stock sshd makes of a certificate, row by row. The certificates here are made by stock `ssh-keygen`, so each row
//! is about sshd and our three lines of its configuration, and says what a certificate of ours may rely on.

use anyhow::{Context as _, Result};
use e2e::kit::{
    accounts::{self, Accounts},
    keygen::{self, ssh_keygen},
    ssh::Ssh,
    sshd::Sshd,
};
use ssh_key::{
    PrivateKey, PublicKey,
    certificate::{Builder, CertType},
};
use std::path::{Path, PathBuf};

#[derive(Clone, Copy)]
enum Expect {
    /// sshd lets it in, and the command's output is this.
    Prints(&'static str),
    /// sshd refuses it and its log says this.
    Refused(&'static str),
}
use Expect::{Prints, Refused};

#[derive(Clone, Copy, PartialEq)]
enum Signer {
    UserCa,
    UnknownCa,
    /// The user key of another valid certificate: a certified key is no CA (CVE-2025-49825).
    CertifiedKey,
}

#[derive(Clone, Copy)]
struct Row {
    name: &'static str,
    key: &'static str,
    /// `-n`: `a` and `b` stand for the two accounts in front of an `@` or alone.
    principals: &'static [&'static str],
    /// `-O`, after `-O clear`.
    options: &'static [&'static str],
    validity: &'static str,
    serial: u64,
    signer: Signer,
    host_certificate: bool,
    /// `a@web-1` and the like.
    login: &'static str,
    expect: Expect,
}

const ROW: Row = Row {
    name: "",
    key: "ed25519",
    principals: &["a@web-1"],
    options: &[],
    validity: "-60s:+120s",
    serial: 7,
    signer: Signer::UserCa,
    host_certificate: false,
    login: "a@web-1",
    expect: Prints("hello"),
};

const NO_PRINCIPAL: &str = "does not contain an authorized principal";
const REVOKED: u64 = 4711;

#[rustfmt::skip]
const ROWS: &[Row] = &[
    // Keys: types and sizes.
    Row { name: "ed25519", ..ROW },
    Row { name: "ecdsa p-256", key: "ecdsa:256", ..ROW },
    Row { name: "ecdsa p-384", key: "ecdsa:384", ..ROW },
    Row { name: "ecdsa p-521", key: "ecdsa:521", ..ROW },
    Row { name: "rsa 3072", key: "rsa:3072", ..ROW },
    Row { name: "rsa 4096", key: "rsa:4096", ..ROW },
    Row { name: "rsa 2048, which only the CA refuses", key: "rsa:2048", ..ROW },

    // Principals: bound to account and host, both ways.
    Row { name: "another host", login: "a@db-1", expect: Refused(NO_PRINCIPAL), ..ROW },
    Row { name: "another account", login: "b@web-1", expect: Refused(NO_PRINCIPAL), ..ROW },
    Row { name: "both another account and another host", login: "b@db-1", expect: Refused(NO_PRINCIPAL), ..ROW },
    Row { name: "two hosts, the first", principals: &["a@db-1", "a@web-1"], ..ROW },
    Row { name: "two hosts, the second", principals: &["a@db-1", "a@web-1"], login: "a@db-1", ..ROW },
    Row { name: "account of one and host of the other", principals: &["a@db-1", "b@web-1"], expect: Refused(NO_PRINCIPAL), ..ROW },
    Row { name: "the bare account", principals: &["a"], expect: Refused(NO_PRINCIPAL), ..ROW },
    Row { name: "the bare account, on a host that is bound by the account", principals: &["a"], login: "a@db-1", ..ROW },
    Row { name: "the bare host", principals: &["web-1"], expect: Refused(NO_PRINCIPAL), ..ROW },
    Row { name: "a group the host carries", principals: &["a@group:web"], ..ROW },
    Row { name: "a group the host does not carry", principals: &["a@group:web"], login: "a@db-1", expect: Refused(NO_PRINCIPAL), ..ROW },
    Row { name: "64 principals, ours the last", principals: &SIXTY_FOUR, ..ROW },
    Row { name: "CVE-2024-7594 empty principals", principals: &[], expect: Refused(NO_PRINCIPAL), ..ROW },
    Row { name: "CVE-2026-35414 star", principals: &["*"], expect: Refused(NO_PRINCIPAL), ..ROW },
    Row { name: "CVE-2026-35414 star at a host", principals: &["*@web-1"], expect: Refused(NO_PRINCIPAL), ..ROW },
    Row { name: "CVE-2026-35414 question marks", principals: &["?@web-?"], expect: Refused(NO_PRINCIPAL), ..ROW },
    Row { name: "negated", principals: &["!a@web-1"], expect: Refused(NO_PRINCIPAL), ..ROW },
    Row { name: "a longer host name", principals: &["a@web-1.example.com"], expect: Refused(NO_PRINCIPAL), ..ROW },
    Row { name: "a shorter host name", principals: &["a@web"], expect: Refused(NO_PRINCIPAL), ..ROW },
    Row { name: "upper case host", principals: &["a@WEB-1"], expect: Refused(NO_PRINCIPAL), ..ROW },
    Row { name: "a space behind", principals: &["a@web-1 "], expect: Refused(NO_PRINCIPAL), ..ROW },
    Row { name: "an escape sequence", principals: &["a@web-1\u{1b}[0m"], expect: Refused(NO_PRINCIPAL), ..ROW },
    Row { name: "a token of sshd_config", principals: &["%u@web-1"], expect: Refused(NO_PRINCIPAL), ..ROW },

    // Validity.
    Row { name: "expired", validity: "-120s:-1s", expect: Refused("Certificate invalid: expired"), ..ROW },
    Row { name: "not yet valid", validity: "+60s:+120s", expect: Refused("Certificate invalid: not yet valid"), ..ROW },
    Row { name: "from the epoch on", validity: "0x0:+120s", ..ROW },
    Row { name: "forever, which only a policy can prevent", validity: "always:forever", ..ROW },

    // Options.
    Row { name: "forced command", options: &["force-command=echo forced"], expect: Prints("forced"), ..ROW },
    Row { name: "from here", options: &["source-address=127.0.0.1/32"], ..ROW },
    Row { name: "from here among others", options: &["source-address=198.51.100.0/24,127.0.0.0/8,2001:db8::/32"], ..ROW },
    Row { name: "from elsewhere", options: &["source-address=198.51.100.0/24"], expect: Refused("not from a permitted source address"), ..ROW },
    Row { name: "unknown critical option", options: &["critical:grant@jit-ssh=g-1"], expect: Refused("is not supported"), ..ROW },
    Row { name: "unknown extension rides along", options: &["extension:grant@jit-ssh=g-1"], ..ROW },
    Row { name: "every known extension", options: &["permit-X11-forwarding", "permit-agent-forwarding", "permit-port-forwarding", "permit-pty", "permit-user-rc"], ..ROW },
    Row { name: "verify-required means nothing to a key without hardware", options: &["verify-required"], ..ROW },

    // Serials and signers.
    Row { name: "revoked serial", serial: REVOKED, expect: Refused("revoked by file"), ..ROW },
    Row { name: "revoked serial, another key type", key: "ecdsa:256", serial: REVOKED, expect: Refused("revoked by file"), ..ROW },
    Row { name: "the serial before a revoked one", serial: REVOKED - 1, ..ROW },
    Row { name: "the largest serial of ours", serial: u64::MAX >> 1, ..ROW },
    Row { name: "unknown CA", signer: Signer::UnknownCa, expect: Refused("ssh2: ED25519-CERT"), ..ROW },
    Row { name: "CVE-2025-49825 a certified key as CA", signer: Signer::CertifiedKey, expect: Refused("ssh2: ED25519-CERT"), ..ROW },
    Row { name: "a host certificate, which ssh does not even offer", host_certificate: true, expect: Refused("Failed publickey"), ..ROW },
];

const SIXTY_FOUR: [&str; 64] = {
    let mut all = ["a@another-host"; 64];
    all[63] = "a@web-1";
    all
};

struct Bench {
    dir: tempfile::TempDir,
    accounts: Accounts,
    web: Sshd,
    db: Sshd,
}

impl Bench {
    async fn new() -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("jit-ssh-matrix-").tempdir()?;
        let accounts = Accounts::ready()?;
        let ca = keygen::key(&dir.path().join("user_ca"), "ed25519").await?;
        keygen::key(&dir.path().join("unknown_ca"), "ed25519").await?;
        let names: Vec<&str> = std::iter::once(&accounts.first).chain(&accounts.second).map(String::as_str).collect();
        let web = Sshd::start(dir.path(), "web-1", &ca, &names).await?;
        let db = Sshd::start(dir.path(), "db-1", &ca, &names).await?;
        let lines = web.dir.join("principals").join(&accounts.first);
        std::fs::write(lines, format!("{0}@web-1\n{0}@group:web\n", accounts.first))?;
        let lines = db.dir.join("principals").join(&accounts.first);
        std::fs::write(lines, format!("{0}@db-1\n{0}\n", accounts.first))?;
        web.revoke(&[REVOKED]).await?;
        Ok(Self { dir, accounts, web, db })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `a@web-1` with the real name of the account; none if there is no second account here.
    fn real(&self, text: &str) -> Option<String> {
        let (account, rest) = text.split_at(text.find('@').unwrap_or(text.len()));
        let account = match account {
            "a" => &self.accounts.first,
            "!a" => &format!("!{}", self.accounts.first),
            "b" => self.accounts.second.as_ref()?,
            other => other,
        };
        Some(format!("{account}{rest}"))
    }

    async fn certify(&self, row: &Row, key: &Path) -> Result<()> {
        keygen::key(key, row.key).await?;
        let signer = match row.signer {
            Signer::UserCa => self.path("user_ca"),
            Signer::UnknownCa => self.path("unknown_ca"),
            Signer::CertifiedKey => {
                let certified = self.path("certified");
                if !certified.exists() {
                    Box::pin(self.certify(&ROW, &certified)).await?;
                }
                certified
            }
        };
        let principals = row.principals.iter().filter_map(|name| self.real(name)).collect::<Vec<_>>().join(",");
        let mut args = vec!["-q".to_owned(), "-s".to_owned(), signer.display().to_string()];
        args.extend(["-I", "jit1 grant=g-000000000000000000000000 user=alice", "-V", row.validity].map(str::to_owned));
        args.extend(["-z".to_owned(), row.serial.to_string()]);
        if !principals.is_empty() {
            args.extend(["-n".to_owned(), principals]);
        }
        if row.host_certificate {
            args.push("-h".to_owned());
        } else {
            args.extend(
                std::iter::once("clear").chain(row.options.iter().copied()).flat_map(|o| ["-O".into(), o.into()]),
            );
        }
        args.push(keygen::public(key).display().to_string());
        ssh_keygen(args).await.map(|_said| ())
    }
}

#[tokio::test]
async fn every_row_is_answered_by_sshd_as_the_table_says() -> Result<()> {
    let bench = Bench::new().await?;
    let ssh = Ssh::knowing(bench.dir.path(), &[&bench.web, &bench.db])?;
    let mut wrong = Vec::new();
    for (number, row) in ROWS.iter().enumerate() {
        let Some(login) = bench.real(row.login) else { continue };
        let (account, host) = login.rsplit_once('@').context("account@host")?;
        let host = if host == "web-1" { &bench.web } else { &bench.db };
        let key = bench.path(&format!("key-{number}"));
        bench.certify(row, &key).await.with_context(|| row.name)?;
        let attempt = ssh.clone().key(&key).login(account, host, "echo hello").await.with_context(|| row.name)?;
        let answer = match row.expect {
            Prints(text) if attempt.ssh.out.trim() != text => Err(anyhow::anyhow!("{attempt:#?}")),
            Prints(_) => attempt.must_be_in(),
            Refused(why) => attempt.must_be_out(why),
        };
        wrong.extend(answer.err().map(|error| format!("{}: {error:#}", row.name)));
    }
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), ROWS.len(), wrong.join("\n"));
    Ok(())
}

/// A CA that lets a comma into a principal makes one name into several wherever sshd takes a list. Ours has no such
/// name, and sshd as we set it up reads none as a list. `ssh-keygen` splits at commas, so these bytes are made here.
#[tokio::test]
async fn cve_2026_35414_a_comma_in_a_principal_names_nobody() -> Result<()> {
    let bench = Bench::new().await?;
    let ssh = Ssh::knowing(bench.dir.path(), &[&bench.web, &bench.db])?;
    let first = &bench.accounts.first;
    let ca = PrivateKey::from_openssh(std::fs::read_to_string(bench.path("user_ca"))?)?;
    let key = bench.path("comma");
    let public: PublicKey = keygen::key(&key, "ed25519").await?.parse()?;
    let now = ca_server::clock::Clock::now(&ca_server::clock::SystemClock).as_secs();
    let rows = [
        (format!("{first}@web-1"), true),
        (format!("{first}@web-1,"), false),
        (format!(",{first}@web-1"), false),
        (format!("nobody,{first}@web-1"), false),
        (format!("{first}@web-1,{first}@db-1"), false),
        (format!("*,{first}@web-1"), false),
    ];
    for (principal, lets_in) in rows {
        let mut builder = Builder::new([7; 16], public.key_data().clone(), now - 60, now + 120)?;
        builder.serial(7)?;
        builder.cert_type(CertType::User)?;
        builder.key_id("jit1 grant=g-000000000000000000000000 user=alice")?;
        builder.valid_principal(principal.as_str())?;
        std::fs::write(keygen::certificate(&key), builder.sign(&ca)?.to_openssh()?)?;
        let attempt = ssh.clone().key(&key).login(first, &bench.web, "true").await?;
        let answer = if lets_in { attempt.must_be_in() } else { attempt.must_be_out(NO_PRINCIPAL) };
        answer.with_context(|| format!("{principal:?}"))?;
        assert_eq!(principal.parse::<policy::Principal>().is_ok(), lets_in, "{principal:?}: our own type");
    }
    Ok(())
}

/// The same certificate, before and after its last second: the host's clock alone decides.
#[tokio::test]
async fn a_certificate_opens_the_door_until_it_expires_and_never_after() -> Result<()> {
    let bench = Bench::new().await?;
    let ssh = Ssh::knowing(bench.dir.path(), &[&bench.web])?;
    let key = bench.path("short");
    bench.certify(&Row { validity: "-60s:+6s", ..ROW }, &key).await?;
    let ssh = ssh.key(&key);
    ssh.login(&bench.accounts.first, &bench.web, "echo hello").await?.must_be_in()?;
    let started = std::time::Instant::now();
    let refused = loop {
        let attempt = ssh.login(&bench.accounts.first, &bench.web, "echo hello").await?;
        if attempt.accepted().is_none() {
            break attempt;
        }
        assert!(started.elapsed() < std::time::Duration::from_secs(20), "still in: {attempt:#?}");
    };
    refused.must_be_out("Certificate invalid: expired")
}

/// What an extension does not allow, sshd does not do: a terminal and forwards need theirs.
#[tokio::test]
async fn without_their_extensions_there_is_no_terminal_and_no_forward() -> Result<()> {
    let bench = Bench::new().await?;
    let ssh = Ssh::knowing(bench.dir.path(), &[&bench.web])?;
    let destination = [bench.accounts.first.as_str(), "web-1"].join("@");
    for (options, allowed) in [(&["permit-pty", "permit-port-forwarding"][..], true), (&[][..], false)] {
        let key = bench.path(if allowed { "open" } else { "closed" });
        bench.certify(&Row { options, ..ROW }, &key).await?;
        let ssh = ssh.clone().key(&key);

        // Only root's sshd can give away a terminal.
        if accounts::is_root() {
            let mut terminal = ssh.command();
            terminal.args(["-tt", &destination, "tty || echo no terminal"]);
            let said = e2e::kit::process::run("ssh -tt", terminal).await?;
            assert_eq!(said.out.contains("/dev/pts/"), allowed, "{said:?}");
        }

        let mut forward = ssh.command();
        forward.args(["-W", &format!("127.0.0.1:{}", bench.db.port), &destination]);
        let said = e2e::kit::process::run("ssh -W", forward).await?;
        assert_eq!(said.out.starts_with("SSH-2.0-"), allowed, "{said:?}");
    }
    Ok(())
}

/// Without a certificate the key alone is nothing, and a list that cannot be read lets nobody in.
#[tokio::test]
async fn a_plain_key_and_an_unreadable_revocation_list_are_refused() -> Result<()> {
    let bench = Bench::new().await?;
    let ssh = Ssh::knowing(bench.dir.path(), &[&bench.web])?;
    let key = bench.path("plain");
    keygen::key(&key, "ed25519").await?;
    let plain = ssh.clone().key(&key).login(&bench.accounts.first, &bench.web, "echo hello").await?;
    plain.must_be_out("Connection closed by authenticating user")?;

    let key = bench.path("good");
    bench.certify(&ROW, &key).await?;
    std::fs::remove_file(bench.web.dir.join("krl"))?;
    let unreadable = ssh.key(&key).login(&bench.accounts.first, &bench.web, "echo hello").await?;
    unreadable.must_be_out("revoked keys file")
}
