//! Lines in a file. Each delivery is on the disk (`fdatasync`) before the cursor moves. A file that was moved or removed
//! is noticed before each delivery and made anew, so a log rotation needs no signal.

use super::{
    deliver::{Deliver, Failure},
    letter::Letter,
};
use crate::config::sink::{Format, SinkConfig};
use async_trait::async_trait;
use rustix::fs::OFlags;
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, TryLockError},
};

pub(super) struct LogFile {
    path: PathBuf,
    format: Format,
    open: Arc<Mutex<Option<File>>>,
}

impl LogFile {
    pub(super) fn new(config: &SinkConfig) -> Result<Self, String> {
        let path = config.path.clone().ok_or("it has no path")?;
        Ok(Self { path, format: config.format.unwrap_or_default(), open: Arc::default() })
    }
}

#[async_trait]
impl Deliver for LogFile {
    async fn deliver(&mut self, letters: &[Letter]) -> Result<(), Failure> {
        let mut lines = String::new();
        for letter in letters {
            lines.push_str(&self.format.render(letter));
            lines.push('\n');
        }
        let (open, path) = (Arc::clone(&self.open), self.path.clone());
        // A disk that hangs holds this one thread; the lock keeps further tries from joining it.
        let written = tokio::task::spawn_blocking(move || {
            let mut open = match open.try_lock() {
                Ok(open) => open,
                Err(TryLockError::WouldBlock) => return Err(io::Error::other("the last write still hangs")),
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            };
            // Whatever fails, the next try begins with a fresh look at the file.
            let former = open.take();
            let mut file = current(former, &path)?;
            file.write_all(lines.as_bytes())?;
            file.sync_data()?;
            *open = Some(file);
            Ok(())
        });
        match written.await {
            Ok(outcome) => outcome.map_err(|error| Failure::later(format!("the file cannot be written: {error}"))),
            Err(error) => Err(Failure::later(error)),
        }
    }
}

/// The file at `path`: the one that is open, if it still stands there.
fn current(open: Option<File>, path: &Path) -> io::Result<File> {
    if let Some(file) = open {
        let (ours, there) = (file.metadata()?, fs::symlink_metadata(path));
        if there.is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino())) {
            return Ok(file);
        }
    }
    let mut options = OpenOptions::new();
    // Not through a link that somebody put there, and without waiting for the other end of a pipe.
    let flags = i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).map_err(io::Error::other)?;
    let mut file = options.read(true).append(true).create(true).mode(0o600).custom_flags(flags).open(path)?;
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    if found.mode() & 0o037 != 0 {
        return Err(io::Error::other(
            "others may read or write it; chmod it to 0600, or to 0640 for a log shipper's group",
        ));
    }
    if found.len() == 0 {
        // Or its name could be gone after a power cut.
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(parent)?.sync_all()?;
    } else {
        // A line that was torn by a full disk or a crash must not run into the next one. It is written again whole.
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
    }
    Ok(file)
}
