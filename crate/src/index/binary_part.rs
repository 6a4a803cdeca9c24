//! Some of a binary collection's rows, flat or in lists.

use std::ops::Range;

use super::binary_lists::BinaryLists;
use super::binary_rows::{BinaryRows, Bits};
use super::part::hidden_rows;
use super::top::Top;
use super::{BinaryMetric, Bitset, Hit, Recall, Vectors};
use crate::kernels::Kernels;

/// What is looked for.
pub(super) struct Ask<'a> {
    pub query: &'a Bits,
    pub metric: BinaryMetric,
    pub k: usize,
    pub recall: Recall,
    pub kernels: &'a Kernels,
}

/// Some of a [`BinaryCollection`]'s rows.
#[derive(Debug, Clone, PartialEq)]
pub struct BinaryPart {
    /// The rows.
    pub rows: BinaryRows,
    /// Which of them belong together, where they are fixed.
    pub lists: Option<BinaryLists>,
    /// The id of each row `[rows]`.
    pub ids: Vec<u32>,
    /// Rows that were removed.
    pub removed: Bitset,
}

impl BinaryPart {
    /// No rows yet.
    pub(super) fn growing(dim: usize) -> Self {
        Self {
            rows: BinaryRows::new(dim),
            lists: None,
            ids: Vec::new(),
            removed: Bitset::default(),
        }
    }

    pub(super) fn push(&mut self, id: u32, vector: &[u8]) {
        self.push_words(id, &Bits::of(vector).words);
    }

    fn push_words(&mut self, id: u32, words: &[u64]) {
        self.rows.push(words);
        self.ids.push(id);
        self.removed.push();
    }

    /// Appends the rows of another part that were not removed.
    pub(super) fn take(&mut self, other: &Self) {
        for row in (0..other.ids.len()).filter(|row| !other.removed.contains(*row)) {
            self.push_words(other.ids[row], other.rows.row(row));
        }
    }

    /// Puts the rows in lists, where there are many.
    pub(super) fn sealed(mut self, metric: BinaryMetric) -> Self {
        if self.ids.len() >= Vectors::COMPACT_ROWS {
            let (lists, order) = BinaryLists::build(metric, &mut self.rows, 1);
            self.ids = order.iter().map(|row| self.ids[*row as usize]).collect();
            self.lists = Some(lists);
        }
        self
    }

    /// Derives what the metric needs to know of the lists.
    pub(super) fn bound(&mut self, metric: BinaryMetric) {
        if let Some(lists) = &mut self.lists {
            lists.bound(metric, &self.rows);
        }
    }

    /// Rows that take no part when only the ids in `allowed` do.
    pub(super) fn hidden(&self, allowed: Option<&Bitset>) -> Bitset {
        hidden_rows(&self.ids, &self.removed, allowed)
    }

    /// Rows that were not removed.
    pub(super) fn len(&self) -> usize {
        self.ids.len() - self.removed.count()
    }

    pub(super) fn is_whole(&self, dim: usize) -> bool {
        let rows = self.ids.len();
        let lists = self.lists.as_ref();
        self.rows.len() == rows
            && self.rows.dim() == dim
            && self.removed.len() == rows
            && lists.is_none_or(|lists| lists.is_whole(&self.rows))
    }

    /// The best hits on ids among the rows that are not hidden; the scores are distances below zero.
    pub(super) fn nearest(&self, ask: &Ask<'_>, hidden: &Bitset) -> Vec<Hit> {
        let mut top = Top::new(ask.k.min(self.rows.len() - hidden.count()));
        self.search(ask, |rows| {
            self.scan(rows, ask, hidden, |hit| top.offer(hit));
            top.worst().map_or(f32::INFINITY, |worst| -worst.score)
        });
        top.into_hits()
    }

    /// As [`BinaryPart::nearest`], all within a distance.
    pub(super) fn range(&self, ask: &Ask<'_>, limit: f32, hidden: &Bitset) -> Vec<Hit> {
        let mut hits = Vec::new();
        self.search(ask, |rows| {
            self.scan(rows, ask, hidden, |hit| {
                if -hit.score <= limit {
                    hits.push(hit);
                }
            });
            f32::INFINITY
        });
        hits
    }

    fn search(&self, ask: &Ask<'_>, mut scan: impl FnMut(Range<usize>) -> f32) {
        match &self.lists {
            None => _ = scan(0..self.rows.len()),
            Some(lists) => lists.search(ask, &self.rows, scan),
        }
    }

    fn scan(&self, rows: Range<usize>, ask: &Ask<'_>, hidden: &Bitset, mut found: impl FnMut(Hit)) {
        let by = (ask.query, ask.metric);
        self.rows
            .scan(rows, by, hidden, ask.kernels, |row, distance| {
                found(Hit {
                    id: self.ids[row],
                    score: -distance,
                });
            });
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        let lists = self.lists.as_ref().map_or(0, BinaryLists::bytes);
        self.rows.bytes() + lists + 4 * self.ids.len() + 8 * self.removed.words().len()
    }
}
