//! How a query is led to its nearest rows.
//!
//! ```text
//! query ─▶ all rows by coarse codes, the best DEPTH of them by fine ones ─▶ for each true neighbour:
//!          the place of its list among the lists, and where the rows lie that look better
//! ```
//! From that it is known, without another search, which neighbours any number of lists and any depth of
//! re-ranking would find.

use super::calibrate::K;
use super::compact::{Compact, FIRST_LISTS};
use super::decide::Prepared;
use super::ivf;
use super::planner::Bearing;
use super::{Bitset, Hit};
use crate::kernels::{FAST_SCAN_ROWS, Kernels};

/// Depths of re-ranking that are tried.
pub(super) const RERANKS: [u32; 14] = [
    16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536,
];
/// Rows whose coarse scores are looked at: more than any depth.
const DEPTH: usize = 2048;

/// How one query is led.
#[derive(Debug, Clone, Default)]
pub(super) struct Trace {
    pub bearing: Bearing,
    /// The lists' cosines, descending.
    cosines: Vec<f32>,
    /// Rows that are scanned with so many lists, in whole blocks `[nlist + 1]`.
    scanned: Vec<usize>,
    /// The tenth best coarse score in the first lists.
    kth: f32,
    /// The true neighbours that the fine codes have among the best.
    neighbours: Vec<Neighbour>,
}

/// A true neighbour of a query.
#[derive(Debug, Clone)]
struct Neighbour {
    /// The place of its list.
    place: u32,
    /// The places of the lists of the rows that look better, ascending.
    better: Vec<u32>,
}

impl Trace {
    /// Of a query whose nearest rows are `truth`, and which may be a row itself, when `spare` rows more than
    /// those are given; `list_of` has each row's list.
    pub fn new(
        index: &Compact,
        query: &[f32],
        (truth, spare): (&[u32], usize),
        own: Option<u32>,
        list_of: &[u32],
    ) -> Self {
        let parts = index.parts();
        let mut prepared = parts.prepared(query, Kernels::best());
        let (bearing, count) = (Bearing::of(&prepared.ranked), prepared.ranked.len());
        ivf::nearest(&mut prepared.ranked, count);
        let ranked = &prepared.ranked[..];
        let mut places = vec![0; count];
        let mut scanned = vec![0];
        for (at, list) in ranked.iter().enumerate() {
            places[list.list as usize] = at as u32;
            scanned.push(scanned[at] + in_blocks(&parts.lists.rows(list.list)));
        }
        let place = |id: u32| places[list_of[id as usize] as usize];
        let coarse = best_coarse(index, &prepared, own);
        let first = coarse
            .iter()
            .filter(|hit| (place(hit.id) as usize) < FIRST_LISTS);
        let fine = parts.decide(&coarse, K + spare, &prepared, Kernels::best());
        let neighbour = |id: &u32| {
            let depth = coarse.iter().position(|hit| hit.id == *id)?;
            let mut better: Vec<u32> = coarse[..depth].iter().map(|hit| place(hit.id)).collect();
            better.sort_unstable();
            fine.iter().any(|hit| hit.id == *id).then(|| Neighbour {
                place: place(*id),
                better,
            })
        };
        Self {
            bearing,
            cosines: ranked.iter().map(|list| list.cosine).collect(),
            scanned,
            kth: first.map(|hit| hit.score).nth(K - 1).unwrap_or(f32::MIN),
            neighbours: truth.iter().filter_map(neighbour).collect(),
        }
    }

    /// Lists whose cosine is no more than `gap` below the tenth best score of the first ones, at most `most`.
    pub fn lists_within(&self, gap: f32, most: usize) -> usize {
        let least = self.kth - gap;
        let near = self.cosines.partition_point(|cosine| *cosine >= least);
        near.max(FIRST_LISTS).min(most).min(self.cosines.len())
    }

    /// Rows that are scanned with so many lists.
    pub fn scanned(&self, lists: usize) -> usize {
        self.scanned[lists]
    }

    /// Counts for each depth of re-ranking the neighbours that are found in so many lists.
    pub fn count_found(&self, lists: usize, found: &mut [usize; RERANKS.len()]) {
        let is_in = |place: &u32| (*place as usize) < lists;
        for neighbour in self.neighbours.iter().filter(|one| is_in(&one.place)) {
            let before = neighbour.better.partition_point(is_in);
            let enough = RERANKS.partition_point(|rerank| *rerank as usize <= before);
            found[enough..].iter_mut().for_each(|count| *count += 1);
        }
    }
}

/// The best rows of all by their coarse codes, best first.
fn best_coarse(index: &Compact, query: &Prepared, own: Option<u32>) -> Vec<Hit> {
    let (lists, hidden) = (&query.ranked, Bitset::new(index.len()));
    let through = (&hidden, Kernels::best());
    let mut best = index
        .parts()
        .scan_hits(lists, DEPTH, &query.tables, through);
    best.retain(|hit| Some(hit.id) != own);
    best.sort_unstable_by(Hit::order);
    best
}

/// Rows of the blocks that hold `rows`.
fn in_blocks(rows: &std::ops::Range<usize>) -> usize {
    if rows.is_empty() {
        return 0;
    }
    (rows.end.div_ceil(FAST_SCAN_ROWS) - rows.start / FAST_SCAN_ROWS) * FAST_SCAN_ROWS
}
