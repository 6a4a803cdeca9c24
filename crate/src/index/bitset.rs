//! A set of row ids, one bit a row: bit `id % 64` of word `id / 64`.

/// A set over the ids 0 … len-1. Bits past the end are zero.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bitset {
    words: Vec<u64>,
    len: usize,
}

impl Bitset {
    /// The empty set over `len` ids.
    pub fn new(len: usize) -> Self {
        Self {
            words: vec![0; len.div_ceil(64)],
            len,
        }
    }

    /// From words as [`Bitset::words`] gives them; `None` when their number or a bit past the end
    /// does not fit `len`.
    pub fn from_words(words: Vec<u64>, len: usize) -> Option<Self> {
        let past = len % 64;
        let tail_is_clear = past == 0 || words.last().is_none_or(|last| last >> past == 0);
        (words.len() == len.div_ceil(64) && tail_is_clear).then_some(Self { words, len })
    }

    /// How many ids the set is over.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the set is over no ids at all.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Grows the range of ids by one, which is not in the set.
    pub fn push(&mut self) {
        self.len += 1;
        self.words.resize(self.len.div_ceil(64), 0);
    }

    /// Puts `id` into the set; says whether it was new.
    ///
    /// # Panics
    /// When `id` is out of range.
    pub fn insert(&mut self, id: usize) -> bool {
        assert!(id < self.len, "id {id} of {}", self.len);
        let (word, bit) = (&mut self.words[id / 64], 1 << (id % 64));
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    /// Whether `id` is in the set; an id out of range is not.
    pub fn contains(&self, id: usize) -> bool {
        self.words
            .get(id / 64)
            .is_some_and(|word| word >> (id % 64) & 1 == 1)
    }

    /// Whether the 32 ids from 32·`block` on are all in the set.
    pub(super) fn has_block(&self, block: usize) -> bool {
        self.words
            .get(block / 2)
            .is_some_and(|word| (word >> (block % 2 * 32)) as u32 == u32::MAX)
    }

    /// How many ids are in the set.
    pub fn count(&self) -> usize {
        self.words
            .iter()
            .map(|word| word.count_ones() as usize)
            .sum()
    }

    /// The words, 64 ids each.
    pub fn words(&self) -> &[u64] {
        &self.words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_was_put_in() {
        let mut set = Bitset::new(130);
        for id in [0, 63, 64, 129] {
            assert!(set.insert(id) && !set.insert(id));
        }
        assert_eq!(set.count(), 4);
        assert!(set.contains(129) && !set.contains(128) && !set.contains(1000));
        assert_eq!(Bitset::from_words(set.words().to_vec(), 130), Some(set));
    }

    #[test]
    fn words_that_do_not_fit_are_refused() {
        assert_eq!(Bitset::from_words(vec![0b1000], 3), None);
        assert_eq!(Bitset::from_words(vec![0, 0], 64), None);
        assert!(Bitset::from_words(vec![u64::MAX], 64).is_some());
    }
}
