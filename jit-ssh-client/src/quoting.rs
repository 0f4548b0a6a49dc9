//! Words for ssh_config and for ssh's command line. Nothing that a shell or ssh could read as more than a word passes.

use crate::error::Failure;
use std::path::Path;

/// `path` as one argument of an ssh_config directive: quoted, with `%` kept literal. Refuses what the file's syntax
/// cannot carry.
///
/// # Errors
/// If the path holds a quote, a backslash, `$` (ssh expands `${…}`) or a control character.
pub fn config_path(path: &Path) -> Result<String, Failure> {
    let text = path.to_str().filter(|text| text.chars().all(|c| !c.is_control() && !"\"'\\$".contains(c)));
    let text = text.ok_or_else(|| {
        Failure::failed("the state directory's path cannot be written into ssh_config")
            .hint("set JIT_SSH_STATE_DIR to a path of plain letters and digits")
    })?;
    Ok(format!("\"{}\"", text.replace('%', "%%")))
}

/// `path` as a word of the shell that ssh runs for `Match exec`; none unless it needs no quoting at all.
pub fn shell_word(path: &Path) -> Option<&str> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/._+-".contains(&b);
    path.to_str().filter(|text| text.starts_with('/') && text.bytes().all(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_ssh_or_a_shell_would_expand_are_refused() {
        assert_eq!(config_path(Path::new("/run/a b/%h")).unwrap(), "\"/run/a b/%%h\"");
        for bad in ["/a\"b", "/a\\b", "/${HOME}", "/a\nb", "/a'b"] {
            assert!(config_path(Path::new(bad)).is_err(), "{bad}");
        }
        assert_eq!(shell_word(Path::new("/usr/bin/jit-ssh")), Some("/usr/bin/jit-ssh"));
        for bad in ["jit-ssh", "/a b", "/a;b", "/a$(b)", "/%h", "/~a"] {
            assert_eq!(shell_word(Path::new(bad)), None, "{bad}");
        }
    }
}
