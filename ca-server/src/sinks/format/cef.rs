//! CEF 0. In the header a pipe and a backslash are escaped, in the extension a backslash, an equals sign and line breaks;
//! nothing else that could end a field or a line gets through.

use crate::sinks::letter::{Letter, Weight, is_hostile};
use policy::RequestId;
use std::fmt::Write as _;

/// The most characters of one value; receivers cut or drop what is longer.
const MOST: usize = 1_000;

pub(super) fn render(letter: &Letter) -> String {
    let severity = match letter.weight() {
        Weight::Usual => 3,
        Weight::Warning => 6,
        Weight::Loud => 9,
    };
    let code = if letter.code.is_empty() { "unreadable" } else { &letter.code };
    let (version, code) = (env!("CARGO_PKG_VERSION"), header(code));
    let mut line = format!("CEF:0|jit-ssh|ca-server|{version}|{code}|{code}|{severity}|");
    let _infallible = write!(line, "rt={} externalId={}", letter.time_ms, letter.index);
    let mut put = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            let _infallible = write!(line, " {name}={}", extension(value));
        }
    };
    let source = letter.text("/source");
    let v6 = source.filter(|source| source.contains(':'));
    put("src", source.filter(|_| v6.is_none()));
    put("c6a2Label", v6.map(|_| "Source IPv6 Address"));
    put("c6a2", v6);
    put("suser", letter.who());
    put("suid", letter.text("/actor/subject").or_else(|| letter.text("/subject")));
    put("sntdom", letter.text("/actor/issuer").or_else(|| letter.text("/issuer")));
    // The last `@` separates: directory accounts may contain one.
    if let Some((account, host)) = letter.text("/target").and_then(|target| target.rsplit_once('@')) {
        put("duser", Some(account));
        put("dhost", Some(host));
    }
    put("reason", letter.text("/reason"));
    let access = letter.access();
    let labelled = [
        ("Grant", letter.text("/grant")),
        ("Policy", letter.text("/policy")),
        ("Ticket", letter.text("/ticket")),
        ("Request", access.as_ref().map(RequestId::as_str)),
        ("Cause", letter.text("/request")),
    ];
    for (number, (label, value)) in (1..).zip(labelled) {
        if let Some(value) = value {
            put(&format!("cs{number}Label"), Some(label));
            put(&format!("cs{number}"), Some(value));
        }
    }
    line
}

fn header(value: &str) -> String {
    escaped(value, &['\\', '|'], " ", " ")
}

fn extension(value: &str) -> String {
    escaped(value, &['\\', '='], "\\n", "\\r")
}

fn escaped(value: &str, with_backslash: &[char], newline: &str, carriage_return: &str) -> String {
    let mut text = String::new();
    for letter in value.chars().take(MOST) {
        match letter {
            '\n' => text.push_str(newline),
            '\r' => text.push_str(carriage_return),
            letter if is_hostile(letter) => text.push('\u{fffd}'),
            letter => {
                if with_backslash.contains(&letter) {
                    text.push('\\');
                }
                text.push(letter);
            }
        }
    }
    if value.chars().nth(MOST).is_some() {
        text.push('…');
    }
    text
}
