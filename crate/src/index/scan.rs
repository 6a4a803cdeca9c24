//! The scan of coarse codes: block by block, list by list.

use std::ops::Range;

use super::compact::Parts;
use super::pq::{Pq, Tables};
use super::reservoir::Reservoir;
use super::{Bitset, Hit};
use crate::kernels::{FAST_SCAN_ROWS, Kernels};

/// Blocks that are scanned at a time: their sums stay in the nearest cache.
const BLOCKS: usize = 32;

/// One query's way through some lists.
struct Scan<'a> {
    codes: &'a Pq,
    tables: Tables,
    hidden: &'a Bitset,
    kernels: &'a Kernels,
    sums: [u16; BLOCKS * FAST_SCAN_ROWS],
    best: Reservoir,
}

impl Parts {
    /// The `count` rows of `lists` that look best by their coarse codes and are not in `hidden`,
    /// ascending.
    pub(super) fn scan_lists(
        &self,
        lists: &[Hit],
        count: usize,
        query: &[f32],
        hidden: &Bitset,
        kernels: &Kernels,
    ) -> Vec<u32> {
        let rows = lists
            .iter()
            .map(|list| (self.lists.rows(list.id), list.score));
        scan(&self.scan, rows, count, query, (hidden, kernels)).into_ids()
    }
}

/// The best `count` rows of some lists, each with its centroid's score, that are not in `hidden`.
pub(super) fn scan(
    codes: &Pq,
    lists: impl Iterator<Item = (Range<usize>, f32)>,
    count: usize,
    query: &[f32],
    (hidden, kernels): (&Bitset, &Kernels),
) -> Reservoir {
    let mut scan = Scan {
        codes,
        tables: codes.tables(query),
        hidden,
        kernels,
        sums: [0; BLOCKS * FAST_SCAN_ROWS],
        best: Reservoir::new(count),
    };
    for (rows, centroid_score) in lists {
        scan.list(rows, centroid_score);
    }
    scan.best
}

impl Scan<'_> {
    fn list(&mut self, rows: Range<usize>, centroid_score: f32) {
        let block_bytes = self.codes.block_bytes();
        let base = centroid_score + self.tables.base;
        let blocks = rows.start / FAST_SCAN_ROWS..rows.end.div_ceil(FAST_SCAN_ROWS);
        for first in blocks.clone().step_by(BLOCKS) {
            let last = blocks.end.min(first + BLOCKS);
            let codes = &self.codes.codes[first * block_bytes..last * block_bytes];
            let sums = &mut self.sums[..(last - first) * FAST_SCAN_ROWS];
            self.kernels.fast_scan(codes, &self.tables.bytes, sums);
            for block in first..last {
                self.offer(block, block - first, &rows, base);
            }
        }
    }

    /// Offers the rows of `block`, whose sums are those at `at`, that belong to the list.
    fn offer(&mut self, block: usize, at: usize, rows: &Range<usize>, base: f32) {
        let sums = &self.sums[at * FAST_SCAN_ROWS..][..FAST_SCAN_ROWS];
        let needed = (self.best.least() - base) / self.tables.step;
        if f32::from(sums.iter().copied().max().unwrap_or(0)) < needed {
            return;
        }
        for (at, &sum) in sums.iter().enumerate() {
            let row = block * FAST_SCAN_ROWS + at;
            if f32::from(sum) >= needed && rows.contains(&row) && !self.hidden.contains(row) {
                self.best.offer(Hit {
                    id: row as u32,
                    score: base + f32::from(sum) * self.tables.step,
                });
            }
        }
    }
}
