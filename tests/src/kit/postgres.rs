//! A PostgreSQL server of the tests' own: one for each test process, one database for each test, gone with the process.
//!
//! The tests of ca-server take this very file into theirs, so it names nothing of ours.

use anyhow::{Context as _, Result, bail, ensure};
use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    os::unix::{fs::chown, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};

/// Ends the server, and its directory with it, once standard input closes: when the test process is gone, however it went.
/// Which process that is by then, the directory says: a test may have stopped the first one.
/// Standard error is the server's alone: it closes when the server is gone.
const WATCH: &str = r#"home=$1; shift; "$@" </dev/null & exec 2>/dev/null
read -r _never; server=$(head -n 1 "$home/data/postmaster.pid") && kill -QUIT "$server"; wait
while [ -n "$server" ] && kill -0 "$server" 2>/dev/null; do sleep 0.1; done; rm -rf "$home""#;

/// A server that runs.
pub struct Cluster {
    /// Where its Unix socket, its certificate (`server.crt`) and its data are.
    pub home: PathBuf,
    /// Its port, on 127.0.0.1 and of the socket.
    pub port: u16,
    pub(super) bin: PathBuf,
}

impl Cluster {
    /// The server of this process; the first who asks starts it.
    ///
    /// # Errors
    /// If PostgreSQL is not installed or does not start.
    pub fn shared() -> Result<&'static Self> {
        static SHARED: OnceLock<Result<Cluster, String>> = OnceLock::new();
        let shared =
            SHARED.get_or_init(|| Self::start(&std::env::temp_dir(), false).map_err(|error| format!("{error:#}")));
        shared.as_ref().map_err(|error| anyhow::anyhow!("no PostgreSQL for the tests: {error}"))
    }

    /// Starts a server that keeps its data `under` that directory; one that is not `durable` spares the disk. It logs in
    /// anybody as anybody through its socket and in plain on 127.0.0.1; by TLS it asks for a password.
    ///
    /// # Errors
    /// If PostgreSQL is not installed or does not start.
    pub fn start(under: &Path, durable: bool) -> Result<Self> {
        for _port_was_taken in 0..20 {
            if let Some(cluster) = Self::start_at(free_port()?, under, durable)? {
                return Ok(cluster);
            }
        }
        bail!("no free port for PostgreSQL")
    }

    /// The same at that port; nothing if somebody else has it.
    ///
    /// # Errors
    /// If it does not start for another reason.
    pub fn start_at(port: u16, under: &Path, durable: bool) -> Result<Option<Self>> {
        let bin = programs()?;
        let home = tempfile::Builder::new().prefix("jit-ssh-pg-").tempdir_in(under)?.keep();
        if let Some((user, group)) = account()? {
            chown(&home, Some(user), Some(group))?;
        }
        let data = home.join("data");
        let mut made = program(&bin.join("initdb"))?;
        made.args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "-D"]).arg(&data);
        done(&mut made)?;
        let mut certified = program(Path::new("openssl"))?;
        certified.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]);
        certified.args(["-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]);
        certified.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
        certified.arg("-keyout").arg(home.join("server.key")).arg("-out").arg(home.join("server.crt"));
        done(&mut certified)?;
        fs::write(
            data.join("pg_hba.conf"),
            "local all all trust\nlocal replication all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n",
        )?;
        let durable = if durable { "on" } else { "off" };
        let settings = format!(
            "port = {port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '{here}'\nmax_connections = 300\n\
             fsync = {durable}\nfull_page_writes = {durable}\nlog_min_messages = warning\nssl = on\n\
             ssl_cert_file = '{here}/server.crt'\nssl_key_file = '{here}/server.key'\n",
            here = home.display()
        );
        fs::OpenOptions::new().append(true).open(data.join("postgresql.conf"))?.write_all(settings.as_bytes())?;
        let mut server = program(Path::new("sh"))?;
        server.args(["-c", WATCH, "sh"]).arg(&home).arg(bin.join("postgres")).arg("-D").arg(&data);
        // A process group of its own: Ctrl-C at the tests must not race with the end of the watch.
        let mut child = server.process_group(0).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let held = child.stdin.take();
        let mut lines = BufReader::new(child.stderr.take().context("no standard error")?).lines();
        let mut said = String::new();
        loop {
            let Some(line) = lines.next().transpose()? else {
                ensure!(said.contains("Address already in use"), "PostgreSQL did not start:\n{said}");
                return Ok(None);
            };
            if line.contains("ready to accept connections") {
                break;
            }
            said.push_str(&line);
            said.push('\n');
        }
        // Held open for as long as this process lives.
        std::mem::forget(held);
        thread::spawn(move || {
            lines.map_while(Result::ok).for_each(drop);
            child.wait()
        });
        Ok(Some(Self { home, port, bin }))
    }

    /// A new, empty database; its name.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn database(&self) -> Result<String> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        self.psql("postgres", &format!("CREATE DATABASE {name}"))?;
        Ok(name)
    }

    /// What `psql` prints of the answer to `sql`, as the superuser.
    ///
    /// # Errors
    /// If the database refuses it.
    pub fn psql(&self, database: &str, sql: &str) -> Result<String> {
        let mut psql = Command::new(self.bin.join("psql"));
        psql.args(["-XqAt", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", database, "-p"]);
        psql.arg(self.port.to_string()).arg("-h").arg(&self.home).stdin(Stdio::piped());
        psql.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = psql.spawn().context("psql")?;
        running.stdin.take().context("no standard input")?.write_all(sql.as_bytes())?;
        let ended = running.wait_with_output()?;
        ensure!(ended.status.success(), "{sql}: {}", String::from_utf8_lossy(&ended.stderr));
        Ok(String::from_utf8_lossy(&ended.stdout).trim().to_owned())
    }
}

/// A port of 127.0.0.1 where nobody listens, for a program that cannot choose one itself. It is none of those that the system
/// gives away (RFC 6335, section 6: from 49152; Linux: from 32768), so nobody gets it in the meantime who did not ask here.
///
/// # Errors
/// If there is none.
pub fn free_port() -> Result<u16> {
    const FIRST: u16 = 10_240;
    const COUNT: u32 = 22_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Processes that test at the same time begin at different ones.
    let begin = std::process::id().wrapping_mul(997);
    for _taken in 0..COUNT {
        let step = begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
        let port = FIRST + u16::try_from(step)?;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port")
}

/// A program that runs as the server's account.
pub(super) fn program(name: &Path) -> Result<Command> {
    let mut command = Command::new(name);
    command.env("LC_ALL", "C").current_dir("/").stdin(Stdio::null());
    if let Some((user, group)) = account()? {
        command.uid(user).gid(group);
    }
    Ok(command)
}

/// Where the newest PostgreSQL's programs are: Debian keeps them out of the path.
fn programs() -> Result<PathBuf> {
    let version = |path: &PathBuf| {
        let name = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
        name.parse::<u32>().unwrap_or(0)
    };
    let debian =
        fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|found| found.path().join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut all: Vec<PathBuf> = std::env::split_paths(&path).chain(debian).collect();
    all.retain(|directory| directory.join("initdb").exists() && directory.join("postgres").exists());
    all.sort_by_key(version);
    all.pop().context("install it (`./x test` does)")
}

/// PostgreSQL does not run as root: then it is an account that owns nothing here.
fn account() -> Result<Option<(u32, u32)>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd")?;
    let numbers = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    let found = numbers("postgres").or_else(|| numbers("nobody"));
    found.map(Some).context("there is neither an account postgres nor nobody")
}

/// Runs it to its good end.
pub(super) fn done(command: &mut Command) -> Result<()> {
    let ended = command.output().with_context(|| format!("{command:?}"))?;
    ensure!(ended.status.success(), "{command:?}: {}", String::from_utf8_lossy(&ended.stderr));
    Ok(())
}
