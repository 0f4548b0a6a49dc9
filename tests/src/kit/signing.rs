//! A way to the API for tools that cannot sign: what comes in goes on to the server as it is, signed by a caller.

use super::{caller::Caller, server::Server};
use anyhow::{Context as _, Result, ensure};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// The longest head of a request that is passed on.
const LONGEST: usize = 1 << 20;

/// It passes on until it is dropped.
pub struct Signing {
    /// Where it listens.
    pub url: String,
    task: JoinHandle<()>,
}

impl Signing {
    /// Passes on to `server` in the name of `caller`.
    ///
    /// # Errors
    /// If it cannot listen.
    pub async fn start(server: &Server, caller: &Caller) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let to = server.url.strip_prefix("http://").context("a server on loopback")?.to_owned();
        let caller = caller.clone();
        let task = tokio::spawn(async move {
            while let Ok((from, _)) = listener.accept().await {
                let (caller, to) = (caller.clone(), to.clone());
                // A tool that hangs up early is no concern of ours.
                tokio::spawn(async move { pass(from, &to, &caller).await.ok() });
            }
        });
        Ok(Self { url, task })
    }
}

impl Drop for Signing {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One request and its answer: the connection is not kept.
async fn pass(mut from: TcpStream, to: &str, caller: &Caller) -> Result<()> {
    let mut read = Vec::new();
    let end = loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        ensure!(read.len() < LONGEST && from.read_buf(&mut read).await? > 0, "no request");
    };
    let mut body = read.split_off(end + 4);
    let head = String::from_utf8_lossy(&read).trim_end().to_owned();
    let (line, headers) = head.split_once("\r\n").unwrap_or((&head, ""));
    let value = |name: &str| {
        let named = |line: &&str| line.split(':').next().is_some_and(|given| given.eq_ignore_ascii_case(name));
        headers.lines().find(named).and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned())
    };
    let length: usize = value("content-length").map_or(Ok(0), |length| length.parse())?;
    while body.len() < length {
        ensure!(from.read_buf(&mut body).await? > 0, "half a body");
    }
    let (method, path) =
        line.split_once(' ').and_then(|(method, rest)| Some((method, rest.split(' ').next()?))).context("no line")?;
    let signed = caller.sign(method, path, &body)?;
    let kept = headers.lines().filter(|line| {
        let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
        !line.is_empty() && name != "authorization" && name != "connection"
    });
    let kept: String = kept.map(|line| format!("{line}\r\n")).collect();
    let head = format!("{line}\r\n{kept}authorization: {}\r\nconnection: close\r\n\r\n", signed.authorization);
    let mut server = TcpStream::connect(to).await?;
    server.write_all(head.as_bytes()).await?;
    server.write_all(&body).await?;
    tokio::io::copy(&mut server, &mut from).await?;
    Ok(from.shutdown().await?)
}
