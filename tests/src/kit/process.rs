//! Programs of a story: their output is kept line by line, and they die with the value that holds them.

use anyhow::{Context as _, Result, anyhow};
use rustix::process::{Pid, Signal, kill_process_group};
use std::{
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader},
    process::{Child, ChildStdin, Command},
    sync::watch,
    time::timeout,
};

/// Longer than anything here takes on a busy machine; reaching it is a failure.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A running program. It leads a process group of its own, and dropping it kills the whole group.
pub struct Process {
    name: String,
    child: Child,
    group: Option<Pid>,
    /// Its standard output.
    pub out: Lines,
    /// Its standard error.
    pub err: Lines,
}

impl Process {
    /// Starts it.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(name: &str, mut command: Command) -> Result<Self> {
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("cannot start {name}: {command:?}"))?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let out = Lines::of(child.stdout.take().context("no standard output")?);
        let err = Lines::of(child.stderr.take().context("no standard error")?);
        Ok(Self { name: name.to_owned(), child, group, out, err })
    }

    /// Its standard input, if it was piped and not yet taken.
    pub fn stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// Sends `signal` to it and all it started.
    pub fn signal(&self, signal: Signal) {
        // It may be gone already, which is what most signals are for.
        let _gone = self.group.map(|group| kill_process_group(group, signal));
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// If it does not end within [`PATIENCE`].
    pub async fn wait(&mut self) -> Result<ExitStatus> {
        let ended = timeout(PATIENCE, self.child.wait()).await;
        let late = |_late| anyhow!("{} did not end: {:?} is left\n{}", self.name, self.left(), self.err.text());
        ended.map_err(late)?.context("wait failed")
    }

    /// What is left of its process group, for whoever reads that it did not end: each with its state and where it waits.
    fn left(&self) -> Vec<String> {
        let group = self.group.map(|group| group.as_raw_nonzero().to_string());
        let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.path());
        let told = |path: std::path::PathBuf| {
            let stat = std::fs::read_to_string(path.join("stat")).ok()?;
            // proc_pid_stat(5): the name is in parentheses and may hold any others; then state, parent, group.
            let ours = stat.rsplit(") ").next()?.split(' ').nth(2) == group.as_deref();
            let waits = || std::fs::read_to_string(path.join("wchan")).unwrap_or_default();
            ours.then(|| format!("{} {}", stat.split(' ').take(4).collect::<Vec<_>>().join(" "), waits()))
        };
        processes.filter_map(told).collect()
    }

    /// Waits for its end and takes all it wrote.
    ///
    /// # Errors
    /// If it does not end within [`PATIENCE`].
    pub async fn finish(mut self) -> Result<Finished> {
        let status = self.wait().await?;
        self.out.closed().await?;
        self.err.closed().await?;
        Ok(Finished { code: status.code(), out: self.out.text(), err: self.err.text() })
    }

    /// Kills it with all it started, as `kill -9` does, and waits until it is gone.
    ///
    /// # Errors
    /// If it does not go.
    pub async fn kill(&mut self) -> Result<()> {
        self.signal(Signal::KILL);
        self.wait().await.map(|_status| ())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// What a program that ended left.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

impl Finished {
    /// Its standard output, if it ended well.
    ///
    /// # Errors
    /// With all it wrote, if it did not.
    pub fn success(self) -> Result<String> {
        if self.code == Some(0) { Ok(self.out) } else { Err(anyhow!("exit {:?}\n{}{}", self.code, self.out, self.err)) }
    }
}

/// Runs a command to its end.
///
/// # Errors
/// If it cannot be started or does not end; how it ended is in the answer.
pub async fn run(name: &str, mut command: Command) -> Result<Finished> {
    command.stdin(Stdio::null());
    Process::start(name, command)?.finish().await
}

/// Lines as they arrive.
#[derive(Clone)]
pub struct Lines {
    lines: Arc<Mutex<Vec<String>>>,
    seen: watch::Receiver<usize>,
}

impl Lines {
    fn of(stream: impl AsyncRead + Unpin + Send + 'static) -> Self {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (sender, seen) = watch::channel(0);
        let kept = Arc::clone(&lines);
        tokio::spawn(async move {
            let mut reader = BufReader::new(stream);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).await.is_ok_and(|read| read > 0) {
                let text = String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']).to_owned();
                let count = {
                    let mut lines = kept.lock().unwrap_or_else(PoisonError::into_inner);
                    lines.push(text);
                    lines.len()
                };
                sender.send_replace(count);
                line.clear();
            }
        });
        Self { lines, seen }
    }

    /// How many there are: a mark for [`Self::since`].
    pub fn mark(&self) -> usize {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Those that came after `mark`.
    pub fn since(&self, mark: usize) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).iter().skip(mark).cloned().collect()
    }

    /// All of them.
    pub fn text(&self) -> String {
        self.since(0).iter().map(|line| format!("{line}\n")).collect()
    }

    /// Waits for a line after `mark` that `wanted` holds for.
    ///
    /// # Errors
    /// If the program closes its output or [`PATIENCE`] ends first.
    pub async fn wait_for(&self, mark: usize, wanted: impl Fn(&str) -> bool) -> Result<String> {
        let mut seen = self.seen.clone();
        let arrives = async {
            loop {
                seen.borrow_and_update();
                if let Some(line) = self.since(mark).into_iter().find(|line| wanted(line)) {
                    return Ok(line);
                }
                seen.changed().await.map_err(|_closed| anyhow!("the output ended without it"))?;
            }
        };
        let answer = timeout(PATIENCE, arrives).await.unwrap_or_else(|_late| Err(anyhow!("it did not come in time")));
        answer.with_context(|| format!("waiting for a line after:\n{}", self.since(mark).join("\n")))
    }

    async fn closed(&mut self) -> Result<()> {
        let closes = async { while self.seen.changed().await.is_ok() {} };
        timeout(PATIENCE, closes).await.context("somebody keeps the output open")
    }
}
