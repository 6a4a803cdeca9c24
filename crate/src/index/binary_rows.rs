//! Rows of bits, and how many bits each shares with a query.

use std::ops::Range;

use super::{BinaryMetric, Bitset};
use crate::kernels::Kernels;

/// Rows that are compared at a time.
const BLOCK: usize = 256;

/// Rows of as many bits.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BinaryRows {
    dim: usize,
    /// `[rows, dim / 64]`, rounded up; bit i of a vector is bit i % 64 of word i / 64.
    words: Vec<u64>,
    /// How many bits of each row are 1 `[rows]`.
    counts: Vec<u32>,
}

/// A vector's bits.
pub(super) struct Bits {
    pub words: Vec<u64>,
    pub count: u32,
}

impl Bits {
    /// Of bytes; those past the end of the last word are zero.
    pub fn of(bytes: &[u8]) -> Self {
        let word = |bytes: &[u8]| {
            let mut whole = [0; 8];
            whole[..bytes.len()].copy_from_slice(bytes);
            u64::from_le_bytes(whole)
        };
        Self::of_words(bytes.chunks(8).map(word).collect())
    }

    pub fn of_words(words: Vec<u64>) -> Self {
        Self {
            count: count(&words),
            words,
        }
    }
}

fn count(words: &[u64]) -> u32 {
    words.iter().map(|word| word.count_ones()).sum()
}

impl BinaryRows {
    /// No rows yet, of `dim` bits.
    pub fn new(dim: usize) -> Self {
        Self {
            dim,
            ..Self::default()
        }
    }

    /// From stored words; `None` when they are no whole rows or a bit past the end is not zero.
    pub fn from_words(dim: usize, words: Vec<u64>) -> Option<Self> {
        let len = dim.div_ceil(64);
        if len == 0 || !words.len().is_multiple_of(len) {
            return None;
        }
        let past = (dim % 64) as u32;
        let clear = |row: &[u64]| past == 0 || row[len - 1] >> past == 0;
        let counts = words.chunks_exact(len).map(count).collect();
        words
            .chunks_exact(len)
            .all(clear)
            .then_some(Self { dim, counts, words })
    }

    /// Bits of a row.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.counts.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// The words, to be stored.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// How many bits of each row are 1.
    pub(super) fn counts(&self) -> &[u32] {
        &self.counts
    }

    pub(super) fn push(&mut self, words: &[u64]) {
        debug_assert_eq!(words.len(), self.dim.div_ceil(64), "a row");
        self.words.extend(words);
        self.counts.push(count(words));
    }

    /// The words of a row.
    pub(super) fn row(&self, row: usize) -> &[u64] {
        let len = self.dim.div_ceil(64);
        &self.words[row * len..][..len]
    }

    /// The vector of a row `[dim / 8]`.
    pub(super) fn vector(&self, row: usize) -> Vec<u8> {
        let bytes = self.row(row).iter().flat_map(|word| word.to_le_bytes());
        bytes.take(self.dim / 8).collect()
    }

    /// The rows in another order: row `i` becomes `order[i]`.
    pub(super) fn ordered(&self, order: &[u32]) -> Self {
        let mut rows = Self::new(self.dim);
        order
            .iter()
            .for_each(|row| rows.push(self.row(*row as usize)));
        rows
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        8 * self.words.len() + 4 * self.counts.len()
    }

    /// Hands each of `rows` that is not hidden and has a distance to `found`.
    pub(super) fn scan(
        &self,
        rows: Range<usize>,
        (query, metric): (&Bits, BinaryMetric),
        hidden: &Bitset,
        kernels: &Kernels,
        mut found: impl FnMut(usize, f32),
    ) {
        let (len, mut shared) = (self.dim.div_ceil(64), [0; BLOCK]);
        for first in rows.clone().step_by(BLOCK) {
            let shared = &mut shared[..BLOCK.min(rows.end - first)];
            let words = &self.words[first * len..][..shared.len() * len];
            kernels.overlaps_u64(words, &query.words, shared);
            for (row, both) in (first..).zip(shared) {
                let distance = metric.distance(query.count, self.counts[row], *both);
                if let Some(distance) = distance.filter(|_| !hidden.contains(row)) {
                    found(row, distance);
                }
            }
        }
    }
}
