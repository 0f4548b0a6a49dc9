//! Chance that can be had again: SplitMix64 from a seed.

/// A source of numbers.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// The one that always says the same for `seed`.
    pub const fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// Another one each time.
    pub fn unseeded() -> Self {
        let mut bytes = [0; 8];
        // Without randomness the run is the same as the last one, no less true.
        let _same_again = getrandom::fill(&mut bytes);
        Self(u64::from_le_bytes(bytes))
    }

    /// The next number.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub const fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// True once in `n` times.
    pub const fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// Text of `least` to `most` letters out of `letters`.
    pub fn text(&mut self, least: u64, most: u64, letters: &[u8]) -> String {
        let length = least + self.below(most - least + 1);
        (0..length).filter_map(|_| self.pick(letters)).map(|letter| char::from(*letter)).collect()
    }

    /// One of `all`; none if there is none.
    pub fn pick<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        let place = self.next().checked_rem(all.len() as u64)?;
        all.get(usize::try_from(place).ok()?)
    }
}
