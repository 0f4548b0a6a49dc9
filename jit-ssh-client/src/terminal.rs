//! The terminal: colours, progress, questions; and nothing hostile reaches it unescaped.

use std::{
    borrow::Cow,
    fmt::Write as _,
    io::{BufRead as _, IsTerminal as _, Write as _, stderr, stdin, stdout},
    time::Duration,
};

/// `text` with every character that could move the cursor, recolour or reorder what a person reads written out, and
/// cut where no honest sentence ends.
pub fn plain(text: &str) -> Cow<'_, str> {
    const MOST: usize = 4096;
    if text.len() <= MOST && !text.chars().any(hidden) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len().min(MOST));
    for character in text.chars() {
        if safe.len() >= MOST {
            safe.push('…');
            break;
        }
        if hidden(character) {
            let _infallible = write!(safe, "\\u{{{:x}}}", u32::from(character));
        } else {
            safe.push(character);
        }
    }
    Cow::Owned(safe)
}

fn hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A line for people, on stderr.
pub fn say(line: &str) {
    if writeln!(stderr(), "{line}").is_err() {
        // Nobody reads: nothing to tell anybody.
    }
}

/// A line of the result, on stdout.
pub fn print(line: &str) {
    if writeln!(stdout(), "{line}").is_err() {
        // `jit-ssh hosts | head` is no failure.
    }
}

/// The result for a program, on stdout.
pub fn print_json(value: &serde_json::Value) {
    print(&value.to_string());
}

/// In bold, on a terminal that wants it.
pub fn bold(text: &str) -> String {
    painted("1", text)
}

/// In red.
pub fn red(text: &str) -> String {
    painted("1;31", text)
}

/// In green.
pub fn green(text: &str) -> String {
    painted("32", text)
}

fn painted(code: &str, text: &str) -> String {
    if colours() { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
}

/// <https://no-color.org>: any value but the empty one turns colours off.
fn colours() -> bool {
    stderr().is_terminal()
        && stdout().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Whether the locale can show more than ASCII.
pub fn utf8() -> bool {
    ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
        .is_some_and(|locale| {
            let locale = locale.to_ascii_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        })
}

/// Whether somebody is there to answer.
pub fn interactive() -> bool {
    stdin().is_terminal() && stderr().is_terminal()
}

/// Asks one question; none where nobody is there to answer or the answer is empty.
pub fn ask(question: &str) -> Option<String> {
    if !interactive() {
        return None;
    }
    let asked = write!(stderr(), "{question} ").and_then(|()| stderr().flush());
    let mut answer = String::new();
    let read = asked.and_then(|()| stdin().lock().read_line(&mut answer));
    let answer = answer.trim();
    (read.is_ok() && !answer.is_empty()).then(|| answer.to_owned())
}

/// Shows that something is being waited for, while it lives; silent where nobody watches.
pub struct Waiting(Option<indicatif::ProgressBar>);

impl Waiting {
    /// Waiting for `what`.
    pub fn on(what: &str) -> Self {
        if !stderr().is_terminal() {
            return Self(None);
        }
        let bar = indicatif::ProgressBar::new_spinner();
        bar.set_message(plain(what).into_owned());
        bar.enable_steady_tick(Duration::from_millis(120));
        Self(Some(bar))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escape_sequences_are_written_out() {
        assert_eq!(plain("a\u{1b}[2Jb\r\n"), "a\\u{1b}[2Jb\\u{d}\\u{a}");
        assert_eq!(plain("user\u{202e}txt"), "user\\u{202e}txt");
        assert_eq!(plain("Müller, 名前"), "Müller, 名前");
    }

    proptest! {
        #[test]
        fn nothing_hidden_remains(text in ".{0,6000}") {
            let safe = plain(&text);
            prop_assert!(!safe.chars().any(hidden));
            prop_assert!(safe.len() < 4120);
        }
    }
}
