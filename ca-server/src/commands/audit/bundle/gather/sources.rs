//! Where the texts of policy files stand in the log.

use std::collections::BTreeMap;

/// Where the text of each policy file stands: the first time that it does, whole.
#[derive(Default)]
pub(super) struct Sources {
    whole: BTreeMap<String, std::ops::RangeInclusive<u64>>,
    open: Option<(String, u64)>,
}

impl Sources {
    pub(super) fn add(&mut self, index: u64, sha256: String, part: usize, parts: usize) {
        if part == 0 {
            self.open = Some((sha256, index));
        }
        if part + 1 == parts
            && let Some((sha256, first)) = self.open.take()
        {
            self.whole.entry(sha256).or_insert(first..=index);
        }
    }

    pub(super) fn of(&self, sha256: &str) -> impl Iterator<Item = u64> + use<> {
        self.whole.get(sha256).cloned().into_iter().flatten()
    }
}
