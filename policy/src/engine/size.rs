//! A bound on how deep and how long one policy may be. Parser and evaluator follow a condition by recursion, so a
//! condition of a hundred kilobytes would end the process, not the load.

use crate::{Finding, Source};

/// Brackets in brackets.
const DEEPEST: usize = 32;

/// Words and signs in one policy; a comparison has about five.
const LONGEST: usize = 800;

/// Runs `work` where Cedar's recursion has room, which an ordinary thread's stack has not; none where the system has
/// no thread to give. A decision does not need it: there Cedar watches the stack and refuses in time.
pub(crate) fn on_deep_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Option<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("policy".to_owned()).stack_size(64 << 20);
        thread.spawn_scoped(scope, work).ok()?.join().ok()
    })
}

pub(super) fn bounded(source: &Source) -> Result<(), Finding> {
    let (mut depth, mut tokens, mut in_word) = (0usize, 0usize, false);
    let mut characters = source.text.char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        let word = c.is_alphanumeric() || c == '_';
        tokens += usize::from(!(c.is_whitespace() || word && in_word));
        in_word = word;
        match c {
            '"' => {
                while characters.next().is_some_and(|(_, c)| c != '"' && (c != '\\' || characters.next().is_some())) {}
            }
            '/' if characters.peek().is_some_and(|(_, next)| *next == '/') => {
                while characters.next().is_some_and(|(_, c)| !matches!(c, '\n' | '\r')) {}
            }
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            ';' => (depth, tokens) = (0, 0),
            _ => {}
        }
        if depth > DEEPEST {
            return Err(source.finding(
                at,
                format!("more than {DEEPEST} brackets in each other"),
                "take the condition apart",
            ));
        }
        if tokens > LONGEST {
            let hint = "split it into several policies, or put the people or hosts it lists into a group";
            return Err(source.finding(at, format!("a policy of more than {LONGEST} words and signs"), hint));
        }
    }
    Ok(())
}
