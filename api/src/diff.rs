//! A unified diff with one hunk: what changes here is always in one place.

const CONTEXT: usize = 3;

/// What changes between two texts; empty if nothing does. A text that is not there is `/dev/null`.
pub fn unified(path: &str, old: Option<&str>, new: Option<&str>) -> String {
    if old == new {
        return String::new();
    }
    let name = |text: Option<&str>| if text.is_some() { path.to_owned() } else { "/dev/null".to_owned() };
    let lines = |text: Option<&str>| text.unwrap_or_default().lines().map(str::to_owned).collect::<Vec<_>>();
    let (before, after) = (lines(old), lines(new));
    let same = before.iter().zip(&after).take_while(|(one, other)| one == other).count();
    let most = before.len().min(after.len()) - same;
    let same_end =
        before.iter().rev().zip(after.iter().rev()).take(most).take_while(|(one, other)| one == other).count();

    let start = same.saturating_sub(CONTEXT);
    let trailing = same_end.min(CONTEXT);
    let (end_before, end_after) = (before.len() - same_end, after.len() - same_end);
    let range = |end: usize| {
        let count = end + trailing - start;
        format!("{},{count}", if count == 0 { start } else { start + 1 })
    };
    let mut text =
        format!("--- {}\n+++ {}\n@@ -{} +{} @@\n", name(old), name(new), range(end_before), range(end_after));
    let mut put = |sign: char, lines: Option<&[String]>| {
        for line in lines.unwrap_or_default() {
            text.push(sign);
            text.push_str(line);
            text.push('\n');
        }
    };
    put(' ', before.get(start..same));
    put('-', before.get(same..end_before));
    put('+', after.get(same..end_after));
    put(' ', before.get(end_before..end_before + trailing));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_at_the_top() {
        let diff = unified("config", Some("a\nb\nc\nd\n"), Some("new\na\nb\nc\nd\n"));
        assert_eq!(diff, "--- config\n+++ config\n@@ -1,3 +1,4 @@\n+new\n a\n b\n c\n");
    }

    #[test]
    fn files_come_and_go() {
        assert_eq!(unified("f", None, Some("a\n")), "--- /dev/null\n+++ f\n@@ -0,0 +1,1 @@\n+a\n");
        assert_eq!(unified("f", Some("a\n"), None), "--- f\n+++ /dev/null\n@@ -1,1 +0,0 @@\n-a\n");
        assert_eq!(unified("f", Some("a\n"), Some("a\n")), "");
    }
}
