//! The texts a policy set is made of, and what is wrong with them: always file, line, column and a hint.

use crate::words::is_hidden;
use std::fmt;

/// One file's name, as findings show it, and its text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// The name.
    pub name: String,
    /// The text.
    pub text: String,
}

/// Everything in a policy directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// `*.cedar`.
    pub policies: Vec<Source>,
    /// `hosts.toml`.
    pub hosts: Option<Source>,
    /// `groups.toml`.
    pub groups: Option<Source>,
    /// `tests/*.toml`.
    pub tests: Vec<Source>,
}

/// Something wrong with a source, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The source's name.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Finding {
    /// How many of a kind are told at once: placing each costs a walk through its file, and nobody reads more.
    pub(crate) const MOST: usize = 100;
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", Shown(&self.file), self.line, self.column, Shown(&self.message))?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "\n  hint: {}", Shown(hint)))
    }
}

/// A finding quotes the file it is about, so what it quotes must not reach a terminal as an escape sequence.
struct Shown<'a>(&'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .chars()
            .try_for_each(|c| if is_hidden(c) { write!(f, "{}", c.escape_unicode()) } else { write!(f, "{c}") })
    }
}

impl Source {
    /// The largest file that is read, in bytes.
    pub(crate) const MOST: usize = 8 << 20;

    pub(crate) fn finding(&self, offset: usize, message: impl Into<String>, hint: impl Into<String>) -> Finding {
        let before = self.text.get(..offset).unwrap_or(&self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = before.get(line_start..).unwrap_or("").chars().count() + 1;
        let hint = hint.into();
        Finding {
            file: self.name.clone(),
            line: u32::try_from(before.matches('\n').count() + 1).unwrap_or(u32::MAX),
            column: u32::try_from(column).unwrap_or(u32::MAX),
            message: message.into(),
            hint: (!hint.is_empty()).then_some(hint),
        }
    }

    /// Refuses what nobody can review: a file too large, and characters that a reader does not see (CVE-2021-42574).
    pub(crate) fn readable(&self) -> Result<(), Finding> {
        if self.text.len() > Self::MOST {
            return Err(self.finding(0, "the file is larger than 8 MiB", "split it into several"));
        }
        let hidden = |&(_, c): &(usize, char)| is_hidden(c) && !matches!(c, '\n' | '\r' | '\t');
        self.text.char_indices().find(hidden).map_or(Ok(()), |(offset, c)| {
            let message = format!("the character {} is invisible to a reader", c.escape_unicode());
            Err(self.finding(offset, message, "remove it"))
        })
    }
}

/// `did you mean …?` where one of `known` is near enough to `word` to be a typing error, else the list of them.
pub(crate) fn suggestion<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let near = known.iter().map(|&k| (distance(word, k), k)).min();
    match near {
        Some((edits, best)) if edits <= 1 + word.chars().count() / 4 => format!("did you mean `{best}`?"),
        _ if known.is_empty() => String::new(),
        _ if known.len() <= 24 => format!("known here: {}", known.join(", ")),
        _ => String::new(),
    }
}

/// Levenshtein distance, for words of at most 64 characters; longer ones are never a typing error of a known word.
fn distance(left: &str, right: &str) -> usize {
    if left.len() > 64 || right.len() > 64 {
        return usize::MAX;
    }
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, l) in left.chars().enumerate() {
        let mut next = Vec::with_capacity(row.len());
        next.push(i + 1);
        for ((r, diagonal_above), above) in right.iter().zip(row.windows(2)).zip(row.iter().skip(1)) {
            let diagonal = diagonal_above.first().map_or(0, |d| d + usize::from(*r != l));
            let left_one = next.last().map_or(0, |n| n + 1);
            next.push(diagonal.min(left_one).min(above + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_counts_lines_and_columns_in_characters() {
        let source = Source { name: "a.cedar".into(), text: "one\nzwei ü x".into() };
        let offset = source.text.find('x').unwrap();
        let finding = source.finding(offset, "bad \u{1b}[31m", "mend it");
        assert_eq!((finding.line, finding.column), (2, 8));
        assert_eq!(finding.to_string(), "a.cedar:2:8: bad \\u{1b}[31m\n  hint: mend it");
    }

    #[test]
    fn an_offset_outside_the_text_is_no_panic() {
        let source = Source { name: "a".into(), text: "ü".into() };
        assert_eq!(source.finding(1, "m", "").line, 1);
        assert_eq!(source.finding(99, "m", "").line, 1);
    }

    #[test]
    fn suggests_what_is_near_and_lists_what_is_not() {
        assert_eq!(suggestion("colour", ["approvals", "reason"]), "known here: approvals, reason");
        assert_eq!(suggestion("approval", ["approvals", "reason"]), "did you mean `approvals`?");
        assert_eq!(suggestion("x".repeat(65).as_str(), ["y"]), "known here: y");
    }

    #[test]
    fn invisible_characters_are_refused() {
        for c in ['\u{202e}', '\u{200b}', '\u{0}', '\u{1b}', '\u{feff}'] {
            assert!(Source { name: "a".into(), text: format!("// {c}") }.readable().is_err(), "{c:?}");
        }
        assert!(Source { name: "a".into(), text: "// ü\r\n\t\n".into() }.readable().is_ok());
    }
}
