//! The terminal: colours, progress, questions; and nothing hostile reaches it unescaped.

mod behind;

pub use behind::ask_behind_ssh;

use std::{
    borrow::Cow,
    fmt::Write as _,
    io::{BufRead as _, BufReader, IsTerminal as _, Write as _, stderr, stdin, stdout},
    str::FromStr,
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

/// Control, bidi, zero-width, filler and tag characters: what a reader cannot see (CVE-2021-42574).
fn hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// Somebody's words, in rows that no terminal breaks: a text that is long enough could otherwise go on, at the start of
/// a row of its own, as if it were ours. The caller puts a mark before each.
pub fn rows(text: &str) -> Vec<String> {
    const WIDTH: usize = 64;
    let mut rows = Vec::new();
    let (mut row, mut width) = (String::new(), 0);
    for character in plain(text).chars() {
        // Whether a character is wide is the terminal's to say: what is not ASCII counts double.
        let wide = if character.is_ascii() { 1 } else { 2 };
        if width + wide > WIDTH {
            rows.push(std::mem::take(&mut row));
            width = 0;
        }
        row.push(character);
        width += wide;
    }
    rows.push(row);
    rows
}

/// Rows of cells in columns, on stdout. The cells may be anybody's words. Where a person reads and the columns do not fit
/// side by side, a row goes on below, indented.
pub fn table<const N: usize>(rows: &[[String; N]]) {
    laid_out(rows, width()).iter().for_each(|line| print(line));
}

/// The columns of the terminal that stdout is.
fn width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(stdout()).ok()?;
    // A terminal that does not know how wide it is says 0.
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

fn laid_out<const N: usize>(rows: &[[String; N]], most: Option<usize>) -> Vec<String> {
    const INDENT: usize = 4;
    let rows: Vec<[Cow<'_, str>; N]> = rows.iter().map(|row| row.each_ref().map(|cell| plain(cell))).collect();
    let mut widths = [0; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    // Which columns begin a line of their own.
    let (mut breaks, mut end) = ([false; N], 0);
    for (at, (width, breaks)) in widths.iter().zip(&mut breaks).enumerate() {
        *breaks = at > 0 && most.is_some_and(|most| end + width > most);
        end = if *breaks { INDENT } else { end } + width + 2;
    }
    let mut lines = Vec::new();
    for row in &rows {
        let mut line = String::new();
        for ((cell, width), breaks) in row.iter().zip(widths).zip(breaks) {
            if breaks {
                lines.push(std::mem::replace(&mut line, " ".repeat(INDENT)).trim_end().to_owned());
            }
            let _infallible = write!(line, "{cell:width$}  ");
        }
        lines.push(line.trim_end().to_owned());
    }
    lines
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
    stderr().is_terminal() && (stdin().is_terminal() || behind::keyboard().is_some())
}

/// Asks one question; none where nobody is there to answer or the answer is empty.
pub fn ask(question: &str) -> Option<String> {
    if !interactive() {
        return None;
    }
    let asked = write!(stderr(), "{question} ").and_then(|()| stderr().flush());
    let mut answer = String::new();
    let read = asked.and_then(|()| match behind::keyboard() {
        Some(keyboard) if !stdin().is_terminal() => BufReader::new(keyboard).read_line(&mut answer),
        _ => stdin().lock().read_line(&mut answer),
    });
    let answer = answer.trim();
    (read.is_ok() && !answer.is_empty()).then(|| answer.to_owned())
}

/// As [`ask`], until the answer can be read or there is none: whoever mistypes is asked again.
pub fn ask_for<T: FromStr<Err: std::fmt::Display>>(question: &str) -> Option<T> {
    loop {
        match ask(question)?.parse() {
            Ok(answer) => return Some(answer),
            Err(error) => say(&format!("  {}", plain(&error.to_string()))),
        }
    }
}

/// Whether the answer to `question` is yes. No answer is none.
pub fn agrees(question: &str) -> bool {
    ask(question).is_some_and(|answer| matches!(answer.to_ascii_lowercase().as_str(), "y" | "yes"))
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

    /// Waiting for `what`, with a clock that counts up and whatever `left` says at the moment.
    pub fn with_clock(what: &str, left: impl Fn() -> String + Clone + Send + Sync + 'static) -> Self {
        let waiting = Self::on(what);
        if let Some(bar) = &waiting.0
            && let Ok(style) = indicatif::ProgressStyle::with_template("{spinner} {msg}  {elapsed} ({left} left)")
        {
            let left = move |_: &indicatif::ProgressState, out: &mut dyn std::fmt::Write| {
                let _infallible = out.write_str(&left());
            };
            bar.set_style(style.with_key("left", left));
        }
        waiting
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

    /// What a requester could put before a reviewer to be read as something else.
    #[test]
    fn every_character_that_nobody_sees_is_written_out() {
        for (name, c) in [
            ("escape", '\u{1b}'),
            ("bell", '\u{7}'),
            ("backspace", '\u{8}'),
            ("delete", '\u{7f}'),
            ("C1 CSI", '\u{9b}'),
            ("C1 OSC", '\u{9d}'),
            ("carriage return", '\r'),
            ("line separator", '\u{2028}'),
            ("right-to-left override", '\u{202e}'),
            ("left-to-right embedding", '\u{202a}'),
            ("right-to-left isolate", '\u{2067}'),
            ("pop isolate", '\u{2069}'),
            ("right-to-left mark", '\u{200f}'),
            ("arabic letter mark", '\u{61c}'),
            ("zero width space", '\u{200b}'),
            ("zero width joiner", '\u{200d}'),
            ("word joiner", '\u{2060}'),
            ("soft hyphen", '\u{ad}'),
            ("hangul filler", '\u{3164}'),
            ("halfwidth hangul filler", '\u{ffa0}'),
            ("braille blank", '\u{2800}'),
            ("variation selector", '\u{fe0f}'),
            ("byte order mark", '\u{feff}'),
            ("tag letter", '\u{e0041}'),
            ("combining grapheme joiner", '\u{34f}'),
        ] {
            assert_eq!(plain(&format!("a{c}b")), format!("a\\u{{{:x}}}b", u32::from(c)), "{name}");
        }
    }

    #[test]
    fn a_long_text_stays_in_rows_of_its_own() {
        let text = format!("urgent{}  so far     bob approved", " ".repeat(150));
        let rows = rows(&text);
        assert!(rows.len() > 2 && rows.iter().all(|row| row.chars().count() <= 64), "{rows:?}");
        assert_eq!(rows.concat(), text);
        assert!(super::rows(&"名".repeat(100)).iter().all(|row| row.chars().count() <= 32));
    }

    #[test]
    fn a_table_that_is_too_wide_goes_on_below() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned);
        let rows = [row(["REQUEST", "STANDS", "WHO"]), row(["r-0011", "in use", "ann@example.com"])];
        assert_eq!(laid_out(&rows, None), ["REQUEST  STANDS  WHO", "r-0011   in use  ann@example.com"]);
        assert_eq!(laid_out(&rows, Some(32)), laid_out(&rows, None));
        assert_eq!(laid_out(&rows, Some(31)), ["REQUEST  STANDS", "    WHO", "r-0011   in use", "    ann@example.com"]);
        assert_eq!(laid_out(&rows, Some(3)).len(), 6);
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
