//! Clients that are slow, large or many. Each is cut off; the server goes on serving others meanwhile.

use super::approval::json;
use anyhow::{Context as _, Result, ensure};
use e2e::kit::{
    browser::http,
    process::{PATIENCE, Process},
    server::{LOOSE, Server, people},
    world::World,
};
use std::{fmt::Write as _, process::Stdio, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    process::Command,
    time::timeout,
};

const SHORT: &str = "header_timeout = \"1s\"\nrequest_timeout = \"2s\"\nidle_timeout = \"1s\"\n\
                     connections_per_client = 50\nconnections = 100\n";

async fn impatient() -> Result<World> {
    let mut world = World::new().await?;
    let home = world.server.stop().await?;
    home.configure(&people(&world.idp.issuer), &format!("{LOOSE}{SHORT}"))?;
    world.server = home.start().await?;
    Ok(world)
}

async fn connect(server: &Server) -> Result<TcpStream> {
    Ok(TcpStream::connect(server.url.strip_prefix("http://").context("plain HTTP")?).await?)
}

/// Sends `bytes`, then nothing more, and reads until the server has had enough.
async fn send_and_wait(server: &Server, bytes: &[u8]) -> Result<String> {
    let mut stream = connect(server).await?;
    // The server may close before it has read all of it: what it answered is what counts.
    let _cut_off = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.context("the server waits for ever")?;
    let _reset = read;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

async fn lives(server: &Server) -> Result<()> {
    let answer = timeout(Duration::from_secs(5), http()?.get(format!("{}/health", server.url)).send()).await??;
    ensure!(answer.status() == 200, "{}", answer.status());
    Ok(())
}

/// The server closes a connection on which nobody asks anything; whoever reads what they approve asks nothing for a while.
#[tokio::test]
async fn whoever_reads_for_longer_than_a_connection_stays_open_can_still_decide() -> Result<()> {
    let world = impatient().await?;
    let (alice, lena) = (world.person("alice").await?, world.person("lena").await?);
    let target = format!("{}@db-1", world.accounts.first);
    let filed = json(&alice, &["request", &target, "--for", "2m", "--reason", "reindex"]).await?;
    let id = filed["id"].as_str().context("no id")?;
    let mut command = Command::new("script");
    command.args(["-qfec", &format!("exec jit-ssh approve {id}"), "/dev/null"]).stdin(Stdio::piped());
    lena.dress(&mut command);
    let mut reading = Process::start("approve", command)?;
    reading.out.wait_for(0, |line| line.contains("digest")).await?;
    // Asked after the reader's last question, so when this connection is closed theirs is too.
    send_and_wait(&world.server, b"GET /health HTTP/1.1\r\nhost: ca\r\n\r\n").await?;
    reading.stdin().context("no input")?.write_all(b"y\n").await?;
    assert!(reading.wait().await?.success(), "{}", reading.out.text());
    assert_eq!(json(&alice, &["show", id]).await?["stage"]["stage"], "claimable");
    Ok(())
}

#[tokio::test]
async fn slow_clients_are_cut_off() -> Result<()> {
    let world = impatient().await?;
    let post = "POST /v1/login HTTP/1.1\r\nhost: ca\r\ncontent-type: application/json\r\n";
    let cases = [
        ("nothing at all", String::new(), ""),
        ("half a request line", "GET /v1/ab".to_owned(), ""),
        ("half a header", "GET /v1/about HTTP/1.1\r\nhost: ca\r\nx-slow: ".to_owned(), ""),
        ("half a body", format!("{post}content-length: 100\r\n\r\n{{\"token\":"), "408"),
        ("a chunk that never ends", format!("{post}transfer-encoding: chunked\r\n\r\nff\r\n{{"), "408"),
        ("an idle connection", "GET /health HTTP/1.1\r\nhost: ca\r\n\r\n".to_owned(), "200"),
    ];
    for (what, sent, expected) in cases {
        let answer = send_and_wait(&world.server, sent.as_bytes()).await.with_context(|| what)?;
        assert!(answer.contains(expected), "{what}: {answer}");
        lives(&world.server).await.with_context(|| what)?;
    }
    Ok(())
}

#[tokio::test]
async fn large_requests_are_refused_before_they_are_read() -> Result<()> {
    let world = impatient().await?;
    let json = "host: ca\r\ncontent-type: application/json\r\n";
    let large = "x".repeat(200_000);
    let mut many_headers = "GET /v1/about HTTP/1.1\r\nhost: ca\r\n".to_owned();
    for number in 0..2_000 {
        write!(many_headers, "x-{number}: y\r\n")?;
    }
    let deep = format!("{{\"token\":{}", "[".repeat(60_000));
    let cases = [
        (
            "a body announced as 10 GB",
            format!("POST /v1/login HTTP/1.1\r\n{json}content-length: 10000000000\r\n\r\n"),
            "413",
        ),
        (
            "a body that is too large",
            format!("POST /v1/login HTTP/1.1\r\n{json}content-length: 200000\r\n\r\n{large}"),
            "413",
        ),
        (
            "a chunked one",
            format!("POST /v1/login HTTP/1.1\r\n{json}transfer-encoding: chunked\r\n\r\n30d40\r\n{large}\r\n"),
            "413",
        ),
        ("a long path", format!("GET /{large} HTTP/1.1\r\nhost: ca\r\n\r\n"), "4"),
        ("many headers", format!("{many_headers}\r\n"), "431"),
        ("deep JSON", format!("POST /v1/login HTTP/1.1\r\n{json}content-length: {}\r\n\r\n{deep}", deep.len()), "400"),
        (
            "a packed body",
            format!("POST /v1/login HTTP/1.1\r\n{json}content-encoding: gzip\r\ncontent-length: 2\r\n\r\n\x1f\x0b"),
            "400",
        ),
        (
            "two lengths",
            format!("POST /v1/login HTTP/1.1\r\n{json}content-length: 2\r\ncontent-length: 3\r\n\r\n{{}}"),
            "400",
        ),
        ("a length below zero", format!("POST /v1/login HTTP/1.1\r\n{json}content-length: -1\r\n\r\n"), "400"),
        ("no HTTP", "\x16\x03\x01\x02\x00\x01\x00\x01".to_owned(), ""),
    ];
    for (what, sent, expected) in cases {
        let answer = send_and_wait(&world.server, sent.as_bytes()).await.with_context(|| what)?;
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert!(status.starts_with(expected), "{what}: {answer}");
        assert!(!answer.contains("xxxxxxxx"), "{what}: what was sent comes back: {answer}");
        lives(&world.server).await.with_context(|| what)?;
    }
    Ok(())
}

#[tokio::test]
async fn one_client_cannot_take_every_connection() -> Result<()> {
    let world = impatient().await?;
    let mut held = Vec::new();
    for _ in 0..80 {
        held.extend(connect(&world.server).await);
    }
    // Those over the limit are closed without an answer; the rest go when their time is up. Then there is room again.
    for mut stream in held {
        let mut rest = Vec::new();
        let closed = timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
        assert!(closed.is_ok(), "a silent connection stays open");
    }
    lives(&world.server).await
}
