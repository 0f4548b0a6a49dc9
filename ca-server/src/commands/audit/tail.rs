//! `ca-server audit tail`.

use super::{super::print, super::run::on_runtime, CHUNK, kept};
use crate::cli::Tail;
use ca_server::{audit::Entry, store::LogReader};
use serde_json::Value;
use std::{fmt::Write as _, process::ExitCode, time::Duration};

/// How often to look for more.
const LOOK: Duration = Duration::from_millis(300);

pub(super) fn tail(asked: &Tail) -> anyhow::Result<ExitCode> {
    let log = kept::open(&asked.kept)?;
    let mut next = log.head()?.1.saturating_sub(asked.lines);
    if !asked.follow {
        show(&log, &mut next, asked.json)?;
        return Ok(ExitCode::SUCCESS);
    }
    on_runtime(async {
        let mut due = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                _ = due.tick() => show(&log, &mut next, asked.json)?,
                ended = tokio::signal::ctrl_c() => return Ok(ended?),
            }
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Prints what there is from `next` on.
fn show(log: &LogReader, next: &mut u64, json: bool) -> anyhow::Result<()> {
    loop {
        let entries = log.entries(*next, usize::try_from(CHUNK)?)?;
        let Some((last, _)) = entries.last() else { return Ok(()) };
        *next = last.saturating_add(1);
        let mut text = String::new();
        for (index, entry) in &entries {
            let line = if json { raw(entry) } else { told(*index, entry) };
            writeln!(text, "{line}")?;
        }
        print(&text)?;
    }
}

/// The entry as JSON, with what a terminal might obey in the other spelling that JSON has for it.
fn raw(entry: &Entry) -> String {
    let text = String::from_utf8_lossy(entry.as_bytes());
    text.chars().fold(String::with_capacity(text.len()), |mut safe, letter| {
        match letter.is_control() || letter.escape_debug().len() > 1 && !matches!(letter, '"' | '\\' | '\'') {
            true => letter.encode_utf16(&mut [0; 2]).iter().for_each(|unit| {
                let _infallible = write!(safe, "\\u{unit:04x}");
            }),
            false => safe.push(letter),
        }
        safe
    })
}

/// One line for a person: number, time, what, who, and everything short that is known of it.
fn told(index: u64, entry: &Entry) -> String {
    let Ok(Value::Object(mut fields)) = serde_json::from_slice(entry.as_bytes()) else {
        return format!("{index} {}", String::from_utf8_lossy(entry.as_bytes()).escape_debug());
    };
    let time = fields.remove("time_ms").and_then(|time| jiff::Timestamp::from_millisecond(time.as_i64()?).ok());
    let time = time.map_or_else(|| "-".to_owned(), |time| format!("{time:.3}"));
    let code = fields.remove("code");
    let mut line = format!("{index} {time} {}", word(code.as_ref().unwrap_or(&Value::Null)));
    if let Some(actor) = fields.remove("actor") {
        let name = actor.get("email").or_else(|| actor.get("subject")).unwrap_or(&Value::Null);
        let _infallible = write!(line, " {}", word(name));
    }
    for (name, value) in
        fields.iter().filter(|(name, _)| !["v", "to_be_signed", "session_key", "token_digest"].contains(&name.as_str()))
    {
        let _infallible = write!(line, " {}={}", name.escape_debug(), word(value));
    }
    line
}

/// A value in a form that no terminal obeys.
fn word(value: &Value) -> String {
    match value {
        Value::String(text) if !text.is_empty() && !text.contains(char::is_whitespace) => {
            text.escape_debug().to_string()
        }
        Value::String(text) => format!("\"{}\"", text.escape_debug()),
        other => other.to_string().escape_debug().to_string().replace("\\\"", "\""),
    }
}

#[cfg(test)]
mod tests {
    use super::{raw, told};
    use ca_server::audit::Entry;

    #[test]
    fn nothing_hostile_reaches_the_terminal() {
        let hostile = "{\"v\":1,\"time_ms\":1767225600123,\"code\":\"decision.refused\",\"actor\":{\"subject\":\"a\u{9b}2Jb\"},\
                       \"reason\":\"x\\u001b[2J\u{202e}y\\nz\",\"decision\":{\"ids\":[\"\u{7f}\"]},\"to_be_signed\":\"AAAA\"}";
        let entry = Entry::from_bytes(hostile.as_bytes().to_vec());
        let line = told(7, &entry);
        assert!(line.starts_with("7 2026-01-01T00:00:00.123Z decision.refused a\\u{9b}2Jb "), "{line}");
        assert!(!line.contains("AAAA"));
        let json = raw(&entry);
        for text in [&line, &json] {
            assert!(text.chars().all(|letter| !letter.is_control() && letter != '\u{202e}'), "{text:?}");
        }
        let (was, is): (serde_json::Value, serde_json::Value) =
            (serde_json::from_str(hostile).unwrap(), serde_json::from_str(&json).unwrap());
        assert_eq!(was, is, "the same JSON, spelt otherwise");
        assert_eq!(told(1, &Entry::from_bytes(b"not \x1b JSON".to_vec())), "1 not \\u{1b} JSON");
    }
}
