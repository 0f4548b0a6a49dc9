//! Clients that do little themselves: one connection each, kept alive, one signed request after the other.

use crate::{
    measure::Latencies,
    stage::{PATH, Person},
};
use anyhow::{Context as _, Result, bail};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Until when they ask.
#[derive(Clone)]
pub enum Until {
    /// For so long.
    Time(Duration),
    /// Until so many are left.
    Count(Arc<AtomicU64>),
}

/// Lets `people` ask at the same time; certificates a second, and how long each took.
pub async fn run(server: SocketAddr, people: &[Arc<Person>], until: &Until) -> Result<(f64, Latencies)> {
    let started = Instant::now();
    let clients = people.iter().map(|person| tokio::spawn(client(server, Arc::clone(person), until.clone())));
    let mut all = Latencies::default();
    for client in clients.collect::<Vec<_>>() {
        all.join(client.await??);
    }
    Ok((all.count() as f64 / started.elapsed().as_secs_f64(), all))
}

async fn client(server: SocketAddr, person: Arc<Person>, until: Until) -> Result<Latencies> {
    let mut connection = TcpStream::connect(server).await?;
    connection.set_nodelay(true)?;
    let (body, mut latencies, mut answer) = (person.body()?, Latencies::default(), vec![0; 16 * 1024]);
    let begun = Instant::now();
    loop {
        let more = match &until {
            Until::Time(time) => begun.elapsed() < *time,
            Until::Count(left) => {
                left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
            }
        };
        if !more {
            return Ok(latencies);
        }
        let started = Instant::now();
        let mut request = format!(
            "POST {PATH} HTTP/1.1\r\nhost: {server}\r\nauthorization: {}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n",
            person.header(&body),
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(&body);
        connection.write_all(&request).await?;
        read_answer(&mut connection, &mut answer).await?;
        latencies.add(started.elapsed());
    }
}

/// Reads one whole answer; anything but 200 is an error.
async fn read_answer(connection: &mut TcpStream, buffer: &mut [u8]) -> Result<()> {
    let mut filled = 0;
    loop {
        let room = buffer.get_mut(filled..).filter(|room| !room.is_empty()).context("the answer is too long")?;
        let read = connection.read(room).await?;
        if read == 0 {
            bail!("the server hung up");
        }
        filled += read;
        let text = std::str::from_utf8(buffer.get(..filled).unwrap_or_default())?;
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        if !head.starts_with("HTTP/1.1 200") {
            bail!("{text}");
        }
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().ok())?
        });
        if body.len() >= length.context("an answer without content-length")? {
            return Ok(());
        }
    }
}
