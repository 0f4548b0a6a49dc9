//! A file that is read and never written: what redb writes while it looks at it stays in memory.

use ::redb::{BackendError, DatabaseError, StorageBackend, StorageError, backends::FileBackend};
use std::{
    collections::BTreeMap,
    fs::File,
    io,
    ops::Bound,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// How much of the file one written piece covers.
const BLOCK: u64 = 4096;

/// A file below, and what was written above it.
#[derive(Debug)]
pub(super) struct Overlay {
    file: FileBackend,
    above: Mutex<Above>,
}

#[derive(Debug)]
struct Above {
    len: u64,
    /// The file below is read up to here; what was cut off and grown again is zeros.
    below: u64,
    blocks: BTreeMap<u64, Vec<u8>>,
}

impl Overlay {
    pub(super) fn over(path: &Path) -> io::Result<Self> {
        // Open for writing only because an exclusive lock wants that; nothing here writes.
        let file = FileBackend::new(File::options().read(true).write(true).open(path)?).map_err(as_io)?;
        let len = file.len()?;
        Ok(Self { file, above: Mutex::new(Above { len, below: len, blocks: BTreeMap::new() }) })
    }

    fn above(&self) -> MutexGuard<'_, Above> {
        self.above.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The block as it would be read, whole also where the file ends within it.
    fn block(&self, above: &Above, number: u64) -> io::Result<Vec<u8>> {
        if let Some(block) = above.blocks.get(&number) {
            return Ok(block.clone());
        }
        let start = number.saturating_mul(BLOCK);
        let mut block = vec![0; usize::try_from(BLOCK).unwrap_or_default()];
        let there = usize::try_from(above.below.saturating_sub(start).min(BLOCK)).unwrap_or_default();
        if let Some(there) = block.get_mut(..there) {
            self.file.read(start, there)?;
        }
        Ok(block)
    }
}

/// A block's number, a part of it, and the part of the bytes that stands there.
type Piece = (u64, std::ops::Range<usize>, std::ops::Range<usize>);

/// The blocks that `len` bytes from `offset` touch, each with the part of it and the part of the bytes.
fn pieces(offset: u64, len: usize) -> io::Result<Vec<Piece>> {
    let odd = |_too_large| io::Error::from(io::ErrorKind::InvalidInput);
    let (mut at, mut done, mut pieces) = (offset, 0, Vec::new());
    while done < len {
        let within = usize::try_from(at % BLOCK).map_err(odd)?;
        let most = usize::try_from(BLOCK).map_err(odd)?.saturating_sub(within).min(len.saturating_sub(done));
        pieces.push((at / BLOCK, within..within.saturating_add(most), done..done.saturating_add(most)));
        done = done.saturating_add(most);
        at = at.checked_add(u64::try_from(most).map_err(odd)?).ok_or(io::ErrorKind::InvalidInput)?;
    }
    Ok(pieces)
}

fn outside() -> io::Error {
    io::Error::from(io::ErrorKind::UnexpectedEof)
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.above().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let above = self.above();
        let end = u64::try_from(out.len()).ok().and_then(|len| offset.checked_add(len));
        if end.is_none_or(|end| end > above.len) {
            return Err(outside());
        }
        if above.blocks.is_empty() && end.is_some_and(|end| end <= above.below) {
            return self.file.read(offset, out);
        }
        for (number, within, part) in pieces(offset, out.len())? {
            let block = self.block(&above, number)?;
            let (from, to) = (block.get(within).ok_or_else(outside)?, out.get_mut(part).ok_or_else(outside)?);
            to.copy_from_slice(from);
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut above = self.above();
        if len < above.len {
            // Whole blocks are forgotten, and the rest of the last one is zeros if the file grows again.
            let (last, kept) = (len / BLOCK, usize::try_from(len % BLOCK).unwrap_or_default());
            let mut block = self.block(&above, last)?;
            block.iter_mut().skip(kept).for_each(|byte| *byte = 0);
            drop(above.blocks.split_off(&last));
            above.blocks.insert(last, block);
            above.below = above.below.min(len);
        }
        above.len = len;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut above = self.above();
        for (number, within, part) in pieces(offset, data.len())? {
            let mut block = self.block(&above, number)?;
            let (to, from) = (block.get_mut(within).ok_or_else(outside)?, data.get(part).ok_or_else(outside)?);
            to.copy_from_slice(from);
            above.blocks.insert(number, block);
        }
        let end = u64::try_from(data.len()).ok().and_then(|len| offset.checked_add(len)).ok_or_else(outside)?;
        above.len = above.len.max(end);
        Ok(())
    }

    // Locks are those of the file below: who has it open for writing keeps us out, and we keep them out while we look.
    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }
}

fn as_io(error: DatabaseError) -> io::Error {
    match error {
        DatabaseError::Storage(StorageError::Io(error)) => error,
        other => io::Error::other(other),
    }
}

#[cfg(test)]
mod tests {
    use super::Overlay;
    use ::redb::StorageBackend as _;
    use proptest::prelude::*;
    use std::fs;

    #[derive(Clone, Debug)]
    enum Step {
        Write(usize, Vec<u8>),
        Len(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..20_000usize, proptest::collection::vec(any::<u8>(), 1..9_000))
                .prop_map(|(at, data)| Step::Write(at, data)),
            (0..20_000usize).prop_map(Step::Len),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// It reads as a file would after the same writes, and the file below stays.
        #[test]
        fn it_is_a_file_to_whoever_writes(len in 0..12_000usize, steps in proptest::collection::vec(step(), 0..12)) {
            let home = tempfile::tempdir().unwrap();
            let path = home.path().join("below");
            let below: Vec<u8> = (0..len).map(|at| u8::try_from(at % 251).unwrap()).collect();
            fs::write(&path, &below).unwrap();
            let overlay = Overlay::over(&path).unwrap();
            let mut wanted = below.clone();
            for step in steps {
                match step {
                    Step::Write(at, data) => {
                        overlay.write(u64::try_from(at).unwrap(), &data).unwrap();
                        wanted.resize(wanted.len().max(at + data.len()), 0);
                        wanted[at..at + data.len()].copy_from_slice(&data);
                    }
                    Step::Len(len) => {
                        overlay.set_len(u64::try_from(len).unwrap()).unwrap();
                        wanted.resize(len, 0);
                    }
                }
                prop_assert_eq!(overlay.len().unwrap(), u64::try_from(wanted.len()).unwrap());
                let mut read = vec![0; wanted.len()];
                overlay.read(0, &mut read).unwrap();
                prop_assert!(read == wanted);
            }
            prop_assert!(overlay.read(u64::try_from(wanted.len()).unwrap(), &mut [0]).is_err());
            prop_assert_eq!(fs::read(&path).unwrap(), below);
        }
    }
}
