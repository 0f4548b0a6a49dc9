//! Somebody to whom audit entries are delivered: a webhook, or a syslog server on TCP. It takes all and keeps their indices.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::{
    future::pending,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::timeout,
};

/// It receives until it is dropped.
pub struct Receiver {
    /// Its address.
    pub address: String,
    seen: Arc<Mutex<Vec<u64>>>,
    task: JoinHandle<()>,
}

#[derive(Clone, Copy)]
enum Kind {
    Webhook,
    Syslog,
}

impl Receiver {
    /// One that speaks HTTP and answers that it took them.
    ///
    /// # Errors
    /// If it cannot listen.
    pub async fn webhook() -> Result<Self> {
        Self::start(Kind::Webhook, Duration::ZERO).await
    }

    /// The same, but it lets the first who comes wait for so long.
    ///
    /// # Errors
    /// If it cannot listen.
    pub async fn slow_webhook(first: Duration) -> Result<Self> {
        Self::start(Kind::Webhook, first).await
    }

    /// One that speaks RFC 6587, octets counted.
    ///
    /// # Errors
    /// If it cannot listen.
    pub async fn syslog() -> Result<Self> {
        Self::start(Kind::Syslog, Duration::ZERO).await
    }

    /// The indices of what came, in the order in which it came.
    pub fn seen(&self) -> Vec<u64> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn start(kind: Kind, mut wait: Duration) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let seen = Arc::<Mutex<Vec<u64>>>::default();
        let kept = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            while let Ok((from, _)) = listener.accept().await {
                let (kept, wait) = (Arc::clone(&kept), std::mem::take(&mut wait));
                // A connection ends when the sender does.
                tokio::spawn(async move { receive(kind, BufReader::new(from), &kept, wait).await.ok() });
            }
        });
        Ok(Self { address, seen, task })
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn receive(kind: Kind, mut from: BufReader<TcpStream>, kept: &Mutex<Vec<u64>>, mut wait: Duration) -> Result<()> {
    loop {
        let entries = match kind {
            Kind::Webhook => posted(&mut from).await?,
            Kind::Syslog => vec![framed(&mut from).await?],
        };
        let indices = entries.iter().map(|entry| entry.get("index").and_then(Value::as_u64).context("no index"));
        let indices = indices.collect::<Result<Vec<u64>>>()?;
        kept.lock().unwrap_or_else(PoisonError::into_inner).extend(indices);
        let _over = timeout(std::mem::take(&mut wait), pending::<()>()).await;
        if matches!(kind, Kind::Webhook) {
            from.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await?;
        }
    }
}

/// The entries of one POST.
async fn posted(from: &mut (impl AsyncBufRead + Unpin)) -> Result<Vec<Value>> {
    let (mut length, mut line) = (0, String::new());
    loop {
        line.clear();
        ensure!(from.read_line(&mut line).await? > 0, "no more");
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse()?;
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body).await?;
    let body: Value = serde_json::from_slice(&body)?;
    body.get("entries").and_then(Value::as_array).cloned().context("no entries")
}

/// The entry of one frame.
async fn framed(from: &mut (impl AsyncBufRead + Unpin)) -> Result<Value> {
    let mut length = Vec::new();
    from.read_until(b' ', &mut length).await?;
    let length = String::from_utf8(length)?.trim().parse()?;
    let mut frame = vec![0; length];
    from.read_exact(&mut frame).await?;
    let frame = String::from_utf8(frame)?;
    let entry = frame.find('{').and_then(|at| frame.get(at..)).context("no entry")?;
    Ok(serde_json::from_str(entry)?)
}
