//! All rows that score enough, and many queries at once.
//!
//! ```text
//! query ─▶ every list ─ 4-bit codes, 7-bit tables ─▶ sum ± slack ┐
//!                     └ 8-bit codes ─▶ fine                      ┴▶ enough? ─ tables in f32 ─▶ score
//! ```
//! A score is the one that a search gives: by all of a row's codes, to the bit. The sum from the scan's
//! tables is off by no more than half a step a subspace, so that nothing is missed by passing over what
//! falls short by more.

use super::compact::Compact;
use super::decide::{Base, Prepared};
use super::lvq::{Dots, QUERY_MOST};
use super::{Bitset, Hit, TwoTier, Vectors};
use crate::kernels::{FAST_SCAN_ROWS, Kernels};

/// What the sums of f32 are off besides, at most: some hundred roundings of numbers below 2.
const ROUNDING: f32 = 1e-4;

impl Vectors {
    /// All rows whose score is `least` or more and that are not in `hidden`, best first; none when `least`
    /// is not a number. Exact: every row's score is the one that [`Vectors::search`] gives it.
    ///
    /// # Panics
    /// When the query's length is not the vectors'.
    pub fn range(&self, query: &[f32], least: f32, hidden: &Bitset, kernels: &Kernels) -> Vec<Hit> {
        match self {
            Self::Flat(index) => index.range(query, least, hidden),
            Self::Compact(index) => index.range(query, least, hidden, kernels),
        }
    }
}

impl TwoTier {
    /// As [`Vectors::range`]; every row is compared by the finer tier.
    ///
    /// # Panics
    /// When the query's length is not `dim`.
    pub fn range(&self, query: &[f32], least: f32, hidden: &Bitset) -> Vec<Hit> {
        assert_eq!(query.len(), self.dim(), "a query of {} axes", self.dim());
        let shown = (0..self.len()).filter(|row| !hidden.contains(*row));
        let scored = shown.map(|row| Hit {
            id: row as u32,
            score: self.fine_score(row, query),
        });
        best_first(scored.filter(|hit| hit.score >= least).collect())
    }
}

impl Compact {
    /// As [`Vectors::range`].
    ///
    /// # Panics
    /// When the query's length is not `dim`.
    pub fn range(&self, query: &[f32], least: f32, hidden: &Bitset, kernels: &Kernels) -> Vec<Hit> {
        assert_eq!(query.len(), self.dim(), "a query of {} axes", self.dim());
        let query = self.parts().prepared(query, kernels);
        let mut found = Vec::new();
        for list in 0..self.parts().lists.len() {
            self.range_of_list(list, (&query, least), (hidden, kernels), &mut found);
        }
        best_first(found)
    }

    /// How far an axis of a row may be from that of the vector it was made of, but for rounding.
    pub(super) fn most_error(&self) -> f32 {
        self.parts().fine.scales.iter().copied().fold(0.0, f32::max) / 2.0
    }

    /// How far the thirteen bits of a unit query may put its inner product with a row: half a step an axis,
    /// with what the centroids and the finer codes are of the row, which is shorter than 3 together.
    pub(super) fn most_query_error(&self, query: &[f32]) -> f32 {
        let most = query.iter().fold(0f32, |most, x| most.max(x.abs()));
        3.0 * most / (2.0 * QUERY_MOST) * (query.len() as f32).sqrt()
    }

    fn range_of_list(
        &self,
        list: usize,
        (query, least): (&Prepared, f32),
        (hidden, kernels): (&Bitset, &Kernels),
        found: &mut Vec<Hit>,
    ) {
        let parts = self.parts();
        let rows = parts.lists.rows(list as u32);
        let ids: Vec<u32> = rows
            .clone()
            .filter(|row| !hidden.contains(*row))
            .map(|row| row as u32)
            .collect();
        if ids.is_empty() {
            return;
        }
        let first = rows.start / FAST_SCAN_ROWS;
        let blocks: Vec<u32> = (first..rows.end.div_ceil(FAST_SCAN_ROWS))
            .map(|block| block as u32)
            .collect();
        let (tables, centroid) = (&query.tables, query.score(list));
        let mut sums = Vec::new();
        if parts.base == Base::Coarse {
            sums.resize(blocks.len() * FAST_SCAN_ROWS, 0);
            kernels.fast_scan(&parts.scan.codes, &tables.bytes, &blocks, &mut sums);
        }
        let slack = tables.slack() + ROUNDING;
        let score = |id: u32, fine: f32| {
            let Some(sum) = sums.get(id as usize - first * FAST_SCAN_ROWS) else {
                return fine;
            };
            let coarse = centroid + (tables.base + f32::from(*sum) * tables.step);
            if coarse + fine + slack < least {
                return f32::NEG_INFINITY;
            }
            centroid + parts.scan.product(tables, id as usize) + fine
        };
        let offer = |id: u32, fine: f32| {
            let score = score(id, fine);
            if score >= least {
                found.push(Hit { id, score });
            }
        };
        let dots = &mut Dots::default();
        parts.fine.scores(&query.fine, &ids, kernels, dots, offer);
    }
}

fn best_first(mut hits: Vec<Hit>) -> Vec<Hit> {
    hits.sort_unstable_by(Hit::order);
    hits
}
