//! The loopback listener. Any program and any web page on this machine can talk to it, so everything that is not
//! exactly the answer we wait for gets an error page and changes nothing.

use super::page::Page;
use crate::error::{Exit, Failure};
use std::time::Duration;
use subtle::ConstantTimeEq as _;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::timeout,
};

/// The path of the redirect address.
pub const PATH: &str = "/callback";

/// No request line and header of a browser's is longer.
const LARGEST: usize = 16 * 1024;
/// A browser sends at once; whoever connects and says nothing is not it.
const PATIENCE: Duration = Duration::from_secs(5);
/// So many may talk at a time.
const MOST: usize = 32;

/// What the right answer carries.
pub struct Expected {
    /// The `state` we sent.
    pub state: String,
    /// The issuer we sent the person to.
    pub issuer: String,
    /// Whether it says that it always names itself (RFC 9207).
    pub issuer_always_sent: bool,
    /// Our port: another `Host` is another site's name for this address (DNS rebinding).
    pub port: u16,
}

/// Waits for the authorization code. Everything else that comes by is answered and forgotten.
///
/// # Errors
/// If the issuer says, with the right `state`, that there will be no code.
pub async fn wait(listener: &TcpListener, expected: &Expected, page: &Page<'_>) -> Result<String, Failure> {
    let mut talking: JoinSet<Option<(TcpStream, String)>> = JoinSet::new();
    loop {
        let heard = tokio::select! {
            accepted = listener.accept(), if talking.len() < MOST => {
                if let Ok((stream, _peer)) = accepted {
                    talking.spawn(hear(stream));
                }
                None
            }
            Some(heard) = talking.join_next() => heard.ok().flatten(),
        };
        let Some((stream, request)) = heard else { continue };
        let verdict = judge(&request, expected);
        let text = match &verdict {
            Verdict::Code(_) => page.done(),
            Verdict::Refused(why) => page.refused(why),
            Verdict::Stray(status) => page.stray(status),
        };
        answer(stream, &text).await;
        match verdict {
            Verdict::Code(code) => return Ok(code),
            Verdict::Refused(why) => {
                return Err(Failure::new(Exit::Failed, format!("{} refuses the login: {why}", page.issuer))
                    .hint("log in again: jit-ssh login"));
            }
            Verdict::Stray(_) => {}
        }
    }
}

/// What a request means.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Code(String),
    Refused(String),
    Stray(&'static str),
}

fn judge(request: &str, expected: &Expected) -> Verdict {
    let mut lines = request.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (method, target) = (words.next(), words.next().unwrap_or_default());
    let hosts: Vec<&str> = lines.filter_map(|line| header(line, "host")).collect();
    if hosts != [format!("127.0.0.1:{}", expected.port)] {
        return Verdict::Stray("421 Misdirected Request");
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if path != PATH {
        return Verdict::Stray("404 Not Found");
    }
    if method != Some("GET") {
        return Verdict::Stray("405 Method Not Allowed");
    }
    let fields: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let all = |name: &str| fields.iter().filter(|(key, _)| key == name).map(|(_, value)| value).collect::<Vec<_>>();
    let (states, codes, errors, issuers) = (all("state"), all("code"), all("error"), all("iss"));
    let right_state = match states.as_slice() {
        [state] => bool::from(state.as_bytes().ct_eq(expected.state.as_bytes())),
        _ => false,
    };
    let right_issuer = match issuers.as_slice() {
        [issuer] => **issuer == expected.issuer,
        [] => !expected.issuer_always_sent,
        _ => false,
    };
    if !right_state || !right_issuer {
        return Verdict::Stray("400 Bad Request");
    }
    match (codes.as_slice(), errors.as_slice()) {
        ([code], []) if (1..=4096).contains(&code.len()) => Verdict::Code((*code).clone()),
        ([], [error]) => {
            let described = all("error_description").first().map(|text| format!(" ({text})")).unwrap_or_default();
            Verdict::Refused(format!("{error}{described}").chars().take(300).collect())
        }
        _ => Verdict::Stray("400 Bad Request"),
    }
}

fn header<'a>(line: &'a str, wanted: &str) -> Option<&'a str> {
    let (name, value) = line.split_once(':')?;
    name.eq_ignore_ascii_case(wanted).then_some(value.trim())
}

/// One request's head; none if it is not a whole one, of a sane size, in time.
async fn hear(mut stream: TcpStream) -> Option<(TcpStream, String)> {
    let head = timeout(PATIENCE, head(&mut stream)).await.ok()??;
    Some((stream, head))
}

async fn head(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 2048];
    while !bytes.windows(4).any(|window| window == b"\r\n\r\n") {
        let read = stream.read(&mut chunk).await.ok().filter(|&read| read > 0)?;
        bytes.extend_from_slice(chunk.get(..read)?);
        if bytes.len() > LARGEST {
            return None;
        }
    }
    String::from_utf8(bytes).ok()
}

async fn answer(mut stream: TcpStream, text: &str) {
    let sent = timeout(PATIENCE, async {
        stream.write_all(text.as_bytes()).await?;
        stream.shutdown().await
    });
    if !matches!(sent.await, Ok(Ok(()))) {
        // The page is a courtesy; the code is what counts.
    }
}

#[cfg(test)]
mod tests;
