//! An audit entry on its way out.

use crate::audit::Entry;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use policy::{GrantId, RequestId};
use serde_json::{Value, json};

/// What revokes the certificates of one grant or of many.
const REVOKED: &str = "certificates.revoked";

/// An entry, read.
pub(super) struct Letter {
    /// Its index in the log, which is its id.
    pub(super) index: u64,
    /// When it was written, milliseconds.
    pub(super) time_ms: u64,
    /// What happened.
    pub(super) code: String,
    /// The entry as one line of JSON in which nothing moves a terminal.
    pub(super) json: String,
    /// The same, to look into.
    pub(super) fields: Value,
}

impl Letter {
    pub(super) fn new(index: u64, entry: &Entry) -> Self {
        let read = serde_json::from_slice::<Value>(entry.as_bytes()).ok().filter(Value::is_object);
        // What cannot be read is passed on all the same: whoever watches should learn of it.
        let fields = read.unwrap_or_else(|| json!({"unreadable": STANDARD.encode(entry.as_bytes())}));
        let text = std::str::from_utf8(entry.as_bytes()).ok().filter(|_| fields.get("unreadable").is_none());
        let json = inert(text.map_or_else(|| fields.to_string(), str::to_owned));
        let time_ms = fields.get("time_ms").and_then(Value::as_u64).unwrap_or(0);
        let code = fields.get("code").and_then(Value::as_str).unwrap_or_default().to_owned();
        Self { index, time_ms, code, json, fields }
    }

    /// The text at `pointer`, or nothing.
    pub(super) fn text(&self, pointer: &str) -> Option<&str> {
        self.fields.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// Who did it, for people: the e-mail address, else the subject.
    pub(super) fn who(&self) -> Option<&str> {
        self.text("/actor/email").or_else(|| self.text("/actor/subject")).or_else(|| self.text("/subject"))
    }

    /// The request for access that it is about, if it is about one. `request` is another thing: the call that was the cause.
    pub(super) fn access(&self) -> Option<RequestId> {
        // An id of something else, a freeze, does not parse.
        let named = ["/id", "/under", "/overdue"].iter().find_map(|pointer| self.text(pointer)?.parse().ok());
        // A step of a request that revoked certificates names the grant alone.
        let of_grant = || self.text("/grant").filter(|_| self.code == REVOKED)?.parse::<GrantId>().ok();
        named.or_else(|| Some(of_grant()?.request()))
    }

    /// The channels that policy wants told of it.
    pub(super) fn channels(&self) -> impl Iterator<Item = &str> {
        self.fields.get("notify").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    }

    /// How loud it says it is; where it says nothing, its code tells.
    pub(super) fn weight(&self) -> Weight {
        match self.text("/severity") {
            Some("high") => return Weight::Loud,
            Some("warning") => return Weight::Warning,
            Some(_) => return Weight::Usual,
            None => {}
        }
        let says = |words: &[&str]| words.iter().any(|word| self.code.contains(word));
        if says(&["break-glass", "break_glass", "freeze", "frozen"]) {
            Weight::Loud
        } else if says(&["refused", "denied", "failed", "revoked"]) {
            Weight::Warning
        } else {
            Weight::Usual
        }
    }

    /// One line for people.
    pub(super) fn line(&self) -> String {
        self.line_with(|text| text)
    }

    /// The same, with what others than this server wrote passed through `quoted`.
    pub(super) fn line_with(&self, quoted: impl Fn(String) -> String) -> String {
        let mut line = format!("{} {}", time(self.time_ms), visible(&self.code, 60));
        let target = self.text("/target").or_else(|| self.text("/decision/target"));
        let reason = self.text("/reason").or_else(|| self.text("/filed/reason"));
        let told = [("by", self.who()), ("for", target), ("incident", self.text("/incident")), ("reason:", reason)];
        for (word, value) in told {
            if let Some(value) = value {
                line = format!("{line} {word} {}", quoted(visible(value, 200)));
            }
        }
        let access = self.access().map_or_else(String::new, |id| format!("; jit-ssh show {id}"));
        format!("{line} (entry {}{access})", self.index)
    }
}

/// How much attention an entry wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    Usual,
    Warning,
    Loud,
}

/// Milliseconds as RFC 3339, UTC.
pub(super) fn time(ms: u64) -> String {
    let stamp = i64::try_from(ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok()).unwrap_or_default();
    stamp.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// Text on one line, at most `most` characters, in which nothing moves a terminal or turns the direction of reading.
pub(super) fn visible(text: &str, most: usize) -> String {
    let mut shown = String::new();
    for (place, letter) in text.chars().enumerate() {
        if place == most {
            shown.push('…');
            break;
        }
        if is_hostile(letter) { shown.extend(letter.escape_unicode()) } else { shown.push(letter) }
    }
    shown
}

/// JSON on one line, with what may do harm where it is displayed written as `\u…`. In valid JSON such letters stand
/// in strings alone, so it remains the same value.
pub(super) fn inert(json: String) -> String {
    if !json.chars().any(is_hostile) {
        return json;
    }
    let mut text = String::with_capacity(json.len() + 64);
    for letter in json.chars() {
        if is_hostile(letter) {
            let mut units = [0; 2];
            for unit in letter.encode_utf16(&mut units) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            text.push(letter);
        }
    }
    text
}

/// Controls, line and paragraph separators, and what turns or hides text.
pub(super) fn is_hostile(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(letter, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}
