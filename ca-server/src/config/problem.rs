//! What is wrong with a configuration file, where, and what was probably meant.

use policy::Finding;
use std::io;

/// A finding at byte `offset` of `text`.
pub(super) fn at(name: &str, text: &str, offset: usize, message: &str, hint: &str) -> Finding {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let column = before.get(line_start..).unwrap_or("").chars().count() + 1;
    Finding {
        file: name.to_owned(),
        line: u32::try_from(before.matches('\n').count() + 1).unwrap_or(u32::MAX),
        column: u32::try_from(column).unwrap_or(u32::MAX),
        message: message.to_owned(),
        hint: (!hint.is_empty()).then(|| hint.to_owned()),
    }
}

/// What the parser found. Its message alone: its long form shows the line, which may hold what should be secret.
pub(super) fn syntax(name: &str, text: &str, error: &toml::de::Error) -> Finding {
    let offset = error.span().map_or(0, |span| span.start);
    let message = error.message();
    let hint = suggestion(message).unwrap_or_default();
    let short = message.split_once(", expected one of").map_or(message, |(short, _)| short);
    at(name, text, offset, short.trim_end(), &hint)
}

/// The file cannot be read at all.
pub(super) fn unreadable(name: &str, error: &io::Error) -> Finding {
    at(name, "", 0, &format!("cannot be read: {error}"), "`ca-server init DIR` makes a directory with a configuration")
}

/// For an unknown key: the nearest one that exists, else all of them.
fn suggestion(message: &str) -> Option<String> {
    let rest = message.strip_prefix("unknown field ").or_else(|| message.strip_prefix("unknown variant "))?;
    let mut quoted = rest.split('`').skip(1).step_by(2);
    let given = quoted.next()?;
    let known: Vec<&str> = quoted.collect();
    let nearest = known.iter().max_by(|a, b| likeness(given, a).total_cmp(&likeness(given, b)))?;
    if likeness(given, nearest) >= 0.75 {
        return Some(format!("did you mean `{nearest}`?"));
    }
    Some(format!("known here: {}", known.join(", ")))
}

fn likeness(given: &str, known: &str) -> f64 {
    strsim::jaro_winkler(given, known)
}
