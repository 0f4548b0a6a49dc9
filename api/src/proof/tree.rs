//! The Merkle tree over the entries (RFC 6962 section 2, RFC 9162 section 2.1), pure: hashes in, hashes out.
//!
//! A store keeps every complete subtree's hash in one list that only grows: each leaf, followed by the parents that it
//! completes. So an append writes at the end, and the place of any hash follows from its position in the tree.

use sha2::{Digest as _, Sha256};

/// SHA-256.
pub type Hash = [u8; 32];

/// The hash of a leaf: SHA-256(0x00 ‖ entry).
pub fn leaf(entry: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(entry).finalize().into()
}

/// The hash of an interior node: SHA-256(0x01 ‖ left ‖ right).
pub fn node(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// How many hashes a store keeps for a tree of `size` leaves; so also the place of leaf number `size`.
pub const fn places(size: u64) -> u64 {
    // No tree comes near 2^63 leaves; saturating only keeps a hostile number from wrapping.
    size.saturating_mul(2).saturating_sub(size.count_ones() as u64)
}

/// The right edge of a tree: the roots of its complete subtrees, largest first. All that an append needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Hash>,
}

impl Frontier {
    /// The edge of a tree of `size` leaves whose complete subtrees have the roots `peaks`; nothing if there cannot be so many.
    pub fn new(size: u64, peaks: Vec<Hash>) -> Option<Self> {
        (usize::try_from(size.count_ones()) == Ok(peaks.len())).then_some(Self { size, peaks })
    }

    /// Where a store keeps the roots that [`Frontier::new`] wants.
    pub fn kept_at(size: u64) -> Vec<u64> {
        cover(0, size)
    }

    /// How many leaves there are.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The roots of the complete subtrees, largest first, as [`Frontier::new`] takes them.
    pub fn peaks(&self) -> &[Hash] {
        &self.peaks
    }

    /// Appends a leaf. `keep` is given each new hash and its place, in the order of places.
    ///
    /// # Errors
    /// The first of `keep`'s; the frontier is worth nothing then.
    pub fn push<E>(&mut self, leaf: Hash, mut keep: impl FnMut(u64, &Hash) -> Result<(), E>) -> Result<(), E> {
        let (mut place, mut hash) = (places(self.size), leaf);
        keep(place, &hash)?;
        let complete = usize::try_from(self.size.trailing_ones()).unwrap_or(0);
        for left in self.peaks.split_off(self.peaks.len().saturating_sub(complete)).iter().rev() {
            (place, hash) = (place + 1, node(left, &hash));
            keep(place, &hash)?;
        }
        self.peaks.push(hash);
        self.size += 1;
        Ok(())
    }

    /// The root of the tree.
    pub fn root(&self) -> Hash {
        fold(&self.peaks).unwrap_or_else(|| Sha256::digest([]).into())
    }
}

/// What to read from a store for a proof: for each of its hashes the complete subtrees that make it.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan(Vec<Vec<u64>>);

impl Plan {
    /// The proof that leaf number `index` is in the tree of `size` leaves; nothing if it cannot be.
    pub fn inclusion(index: u64, size: u64) -> Option<Self> {
        let (mut start, mut end, mut parts) = (0, size, Vec::new());
        if index >= size {
            return None;
        }
        while end - start > 1 {
            let middle = start + split(end - start);
            if index < middle {
                parts.push(cover(middle, end));
                end = middle;
            } else {
                parts.push(cover(start, middle));
                start = middle;
            }
        }
        parts.reverse();
        Some(Self(parts))
    }

    /// The proof that the tree of `to` leaves begins with that of `from`; nothing if it cannot.
    pub fn consistency(from: u64, to: u64) -> Option<Self> {
        let (mut start, mut end, mut parts) = (0, to, Vec::new());
        if from > to {
            return None;
        }
        if from == 0 {
            return Some(Self(parts));
        }
        while end != from {
            let middle = start + split(end - start);
            if from <= middle {
                parts.push(cover(middle, end));
                end = middle;
            } else {
                parts.push(cover(start, middle));
                start = middle;
            }
        }
        if start != 0 {
            parts.push(cover(start, end));
        }
        parts.reverse();
        Some(Self(parts))
    }

    /// The places to read.
    pub fn places(&self) -> Vec<u64> {
        self.0.concat()
    }

    /// The proof, from the hashes at [`Plan::places`]; nothing if they are too few.
    pub fn proof(&self, mut hashes: &[Hash]) -> Option<Vec<Hash>> {
        let mut proof = Vec::with_capacity(self.0.len());
        for part in &self.0 {
            let (these, rest) = hashes.split_at_checked(part.len())?;
            proof.push(fold(these)?);
            hashes = rest;
        }
        Some(proof)
    }
}

/// Whether `proof` shows `leaf` as number `index` in the tree of `size` leaves with that `root` (RFC 9162 2.1.3.2).
pub fn included(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> bool {
    let Some(mut last) = size.checked_sub(1).filter(|last| index <= *last) else { return false };
    let (mut at, mut hash) = (index, *leaf);
    for other in proof {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            hash = node(other, &hash);
            (at, last) = skip_even(at, last);
        } else {
            hash = node(&hash, other);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    last == 0 && hash == *root
}

/// Whether `proof` shows that the tree of `to` leaves begins with that of `from` (RFC 9162 2.1.4.2). Every tree begins
/// with the empty one.
pub fn consistent(from: u64, from_root: &Hash, to: u64, to_root: &Hash, proof: &[Hash]) -> bool {
    if from == 0 || from >= to {
        let same = from == to && from_root == to_root;
        return proof.is_empty() && (same || from == 0 && to > 0 && *from_root == Frontier::default().root());
    }
    // Where the old tree is one complete subtree, its root is known and the proof leaves it away.
    let mut rest = proof.iter();
    let first = if from.is_power_of_two() { Some(from_root) } else { rest.next() };
    let Some(first) = first else { return false };
    let (mut at, mut last) = (from - 1, to - 1);
    while at & 1 == 1 {
        (at, last) = (at >> 1, last >> 1);
    }
    let (mut old, mut new) = (*first, *first);
    for other in rest {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            (old, new) = (node(other, &old), node(other, &new));
            (at, last) = skip_even(at, last);
        } else {
            new = node(&new, other);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    last == 0 && old == *from_root && new == *to_root
}

/// Goes up past the levels at which a right edge has no sibling.
fn skip_even(mut at: u64, mut last: u64) -> (u64, u64) {
    while at & 1 == 0 && at != 0 {
        (at, last) = (at >> 1, last >> 1);
    }
    (at, last)
}

/// The largest power of two below `width`, which is at least 2.
fn split(width: u64) -> u64 {
    1 << (width - 1).ilog2()
}

/// The places of the complete subtrees that cover the leaves from `start` to before `end`, largest first. `start` is where a
/// subtree of a tree begins, so it is divisible by the width of each.
fn cover(mut start: u64, end: u64) -> Vec<u64> {
    let mut found = Vec::new();
    while start < end {
        let level = (end - start).ilog2();
        start += 1 << level;
        // A subtree's root comes right after its last leaf and the smaller subtrees that this leaf completes.
        found.push(places(start - 1) + u64::from(level));
    }
    found
}

/// The root over complete subtrees, largest first.
fn fold(subtrees: &[Hash]) -> Option<Hash> {
    subtrees.iter().rev().copied().reduce(|right, left| node(&left, &right))
}

#[cfg(test)]
mod tests;
