//! The terminal behind ssh, whose `Match exec` leaves a program its standard error and nothing to read from.

use std::{
    fs::{self, File},
    sync::atomic::{AtomicBool, Ordering},
};

static ALLOWED: AtomicBool = AtomicBool::new(false);

/// From here on questions may be asked on the controlling terminal where there is no other input. Whoever keeps our words in
/// a pipe is still not asked: nobody would see the question.
pub fn ask_behind_ssh() {
    ALLOWED.store(true, Ordering::Relaxed);
}

/// The keyboard of the terminal we run on in the foreground. One that runs in the background would be stopped for reading.
pub(super) fn keyboard() -> Option<File> {
    let ours = ALLOWED.load(Ordering::Relaxed) && in_front(&fs::read_to_string("/proc/self/stat").ok()?);
    ours.then(|| File::open("/dev/tty").ok()).flatten()
}

/// proc_pid_stat(5): after the name come state, parent, process group, session, terminal and its foreground group.
fn in_front(stat: &str) -> bool {
    let fields: Vec<&str> = stat.rsplit_once(") ").map(|(_, rest)| rest.split(' ').collect()).unwrap_or_default();
    fields.get(2).is_some_and(|group| fields.get(5) == Some(group))
}

#[cfg(test)]
mod tests {
    use super::{in_front, keyboard};

    #[test]
    fn only_what_runs_in_the_foreground_reads_from_the_terminal() {
        assert!(in_front("42 (jit-ssh) R 1 42 40 34816 42 4194304 1"));
        assert!(in_front("42 (a ) b) S 1 41 40 34816 41 4194304 1"), "a name may hold anything");
        assert!(!in_front("42 (jit-ssh) R 1 42 40 34816 7 4194304 1"));
        assert!(!in_front("42 (jit-ssh) R 1 42 40 0 -1 4194304 1"), "no terminal");
        assert!(!in_front(""));
        assert!(keyboard().is_none(), "nobody allowed it");
    }
}
