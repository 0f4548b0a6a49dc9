//! The script by which hosts fetch the list, where things go slowly, without end, or are cut short.

use crate::revocation::{get, guarded, said, signers};
use anyhow::{Context as _, Result, ensure};
use e2e::kit::{sshd::Sshd, world::World};
use rustix::process::Signal;
use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Notify,
};

/// A CA that gives this statement, and of the list only the beginning until it is told to go on.
struct Slow {
    url: String,
    asked: Arc<Notify>,
    go_on: Arc<Notify>,
}

impl Slow {
    async fn start(statement: Vec<u8>, list: Vec<u8>) -> Result<Self> {
        let (listener, url) = listening().await?;
        let (asked, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (told, waits) = (Arc::clone(&asked), Arc::clone(&go_on));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let of_list = !path(&mut stream).await.ends_with("krl.sig");
                let body = if of_list { &list } else { &statement };
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
                let _sent = stream.write_all(head.as_bytes()).await.is_ok();
                if of_list {
                    told.notify_one();
                    waits.notified().await;
                }
                let _sent = stream.write_all(body).await.is_ok();
                let _closed = stream.shutdown().await.is_ok();
            }
        });
        Ok(Self { url, asked, go_on })
    }
}

/// A CA that gives this statement, or none, and goes on for ever with what it was not given; and how much of it was taken.
async fn endless(statement: Option<Vec<u8>>) -> Result<(String, Arc<AtomicU64>)> {
    let (listener, url) = listening().await?;
    let sent = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&sent);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let asked = path(&mut stream).await;
            let _sent = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").await.is_ok();
            if let Some(statement) = statement.as_ref().filter(|_| asked.ends_with("krl.sig")) {
                let _sent = stream.write_all(statement).await.is_ok();
                continue;
            }
            let chunk = [b'x'; 65_536];
            while let Ok(length) = stream.write(&chunk).await {
                count.fetch_add(length as u64, SeqCst);
            }
        }
    });
    Ok((url, sent))
}

async fn listening() -> Result<(TcpListener, String)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    Ok((listener, url))
}

async fn path(stream: &mut TcpStream) -> String {
    let mut request = vec![0; 4_096];
    let length = stream.read(&mut request).await.unwrap_or(0);
    let text = String::from_utf8_lossy(request.get(..length).unwrap_or_default()).into_owned();
    text.split(' ').nth(1).unwrap_or_default().to_owned()
}

/// A world in which a list is there to be fetched that differs from the one before: statement and list of then.
async fn before_and_after() -> Result<(World, Vec<u8>, Vec<u8>)> {
    let world = guarded().await?;
    let (alice, lena) = (world.person("alice").await?, world.person("lena").await?);
    let before = (get(&world, "/v1/krl.sig").await?, get(&world, "/v1/krl").await?);
    let serial = said(&alice, &["ensure", &world.target()]).await?["serial"].as_u64().context("no serial")?;
    said(&lena, &["revoke", "--serial", &serial.to_string(), "--reason", "x"]).await?;
    Ok((world, before.0, before.1))
}

fn left_behind(host: &Sshd) -> Result<usize> {
    let names = fs::read_dir(&host.dir)?.filter_map(|entry| entry.ok().map(|entry| entry.file_name()));
    Ok(names.filter(|name| name.to_string_lossy().starts_with(".krl.")).count())
}

#[tokio::test]
async fn of_two_runs_at_once_the_older_statement_installs_nothing() -> Result<()> {
    let (world, statement, list) = before_and_after().await?;
    let (host, signers) = (&world.web, signers(&world)?);
    let slow = Slow::start(statement, list).await?;
    let first = host.start_krl_fetch(&slow.url, &signers)?;
    slow.asked.notified().await;
    let second = host.fetch_krl(&world.server.url, &signers).await?;
    assert_eq!(second.code, Some(0), "nobody waits for a CA that hangs: {second:?}");
    let (installed, stated) = (fs::read(host.dir.join("krl"))?, fs::read(host.dir.join("krl.stated"))?);
    slow.go_on.notify_one();
    let first = first.finish().await?;
    assert!(first.code == Some(1) && first.err.contains("an older list"), "{first:?}");
    assert_eq!(fs::read(host.dir.join("krl"))?, installed);
    assert_eq!(fs::read(host.dir.join("krl.stated"))?, stated);
    let mode = |name: &str| fs::metadata(host.dir.join(name)).map(|found| found.mode() & 0o777);
    assert_eq!((mode("krl")?, mode("krl.stated")?), (0o644, 0o644));
    assert_eq!(mode("krl.lock")?, 0o600, "whoever may open it may hold it");
    assert_eq!(left_behind(host)?, 0);
    Ok(())
}

#[tokio::test]
async fn an_answer_without_end_fills_no_disk() -> Result<()> {
    let (world, statement, _list) = before_and_after().await?;
    let (host, signers) = (&world.web, signers(&world)?);
    for statement in [None, Some(statement)] {
        let (url, sent) = endless(statement).await?;
        let fetched = host.fetch_krl(&url, &signers).await?;
        assert!(fetched.code == Some(1) && fetched.err.contains("the installed list stays"), "{fetched:?}");
        // What the sockets hold comes on top of what was read.
        let sent = sent.load(SeqCst);
        ensure!(sent < 32_000_000, "{sent} bytes were taken");
        assert_eq!(left_behind(host)?, 0);
    }
    Ok(())
}

#[tokio::test]
async fn a_run_that_is_ended_leaves_nothing_behind() -> Result<()> {
    let (world, statement, list) = before_and_after().await?;
    let (host, signers) = (&world.web, signers(&world)?);
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let slow = Slow::start(statement.clone(), list.clone()).await?;
        let run = host.start_krl_fetch(&slow.url, &signers)?;
        slow.asked.notified().await;
        assert_eq!(left_behind(host)?, 1);
        run.signal(signal);
        let ended = run.finish().await?;
        let by_signal = ended.code != Some(0) && !ended.err.contains("does not answer");
        assert!(by_signal && left_behind(host)? == 0, "{signal:?}: {ended:?}");
    }
    Ok(())
}

/// A machine that lost power may find the file empty.
#[tokio::test]
async fn a_record_of_the_last_statement_that_was_lost_stops_no_host() -> Result<()> {
    let (world, ..) = before_and_after().await?;
    let (host, signers) = (&world.web, signers(&world)?);
    for lost in ["", "jit-ssh krl v1\n", "generated \nversion x\n"] {
        fs::write(host.dir.join("krl.stated"), lost)?;
        let fetched = host.fetch_krl(&world.server.url, &signers).await?;
        assert_eq!(fetched.code, Some(0), "{lost:?}: {fetched:?}");
    }
    assert_eq!(fs::read(host.dir.join("krl"))?, get(&world, "/v1/krl").await?);
    Ok(())
}
