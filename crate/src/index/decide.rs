//! The last comparison: the rows that look best by their coarse codes, by all of their codes.
//!
//! ```text
//! x ≈ centroid + pq centres + s·q + o     y·x = y·centroid + Σⱼ table[j][codeⱼ] + (s·t·Σqp + o·t·Σp)
//! ```
//! The eight bits of a row are spent on what its list and its four-bit codes leave, which is far less
//! than the vector (residual quantisation: Chen, Guan and Wang 2010, "Approximate nearest neighbor search
//! by residual vector quantization"). The scan's seven-bit tables are too coarse for the sum, so that it
//! only says which rows come close; those are summed up again from the tables in f32.

use std::cell::Cell;

use serde::{Deserialize, Serialize};

use super::Hit;
use super::compact::Parts;
use super::ivf::{Lists, Ranked};
use super::lvq::{Dots, LvqQuery};
use super::pq::Tables;
use super::reservoir::Reservoir;
use crate::kernels::Kernels;

/// Rows beyond those wanted that are summed up again.
const SPARE: usize = 8;

/// What the eight-bit codes of a row are of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Base {
    /// What the mean of all leaves: before version 4, and where there is a graph.
    #[default]
    Mean,
    /// What the list's centroid and the row's coarse codes leave.
    Coarse,
}

/// A query that is ready for everything.
#[derive(Default)]
pub(super) struct Prepared {
    /// All lists, or those near enough to be of use, in no order.
    pub ranked: Vec<Ranked>,
    /// The inner product with the centroid of each list of `ranked` `[nlist]`.
    scores: Vec<Option<f32>>,
    pub tables: Tables,
    pub centroids: LvqQuery,
    pub fine: LvqQuery,
}

thread_local! {
    /// The last query's memory, for the next one: to ask the system for it takes a twentieth of a search.
    static LAST: Cell<Prepared> = Cell::default();
}

impl Prepared {
    /// Leaves its memory to the next query.
    pub fn spare(self) {
        LAST.set(self);
    }

    /// Compares it with those of `ids` that it was not compared with before.
    pub fn rank(&mut self, lists: &Lists, mut ids: Vec<u32>, kernels: &Kernels) {
        ids.retain(|list| self.scores[*list as usize].is_none());
        let ranked = lists.ranked(&ids, &self.centroids, kernels);
        for list in &ranked {
            self.scores[list.list as usize] = Some(list.score);
        }
        self.ranked.extend(ranked);
    }

    /// The inner product with the centroid of a list of `ranked`.
    pub fn score(&self, list: usize) -> f32 {
        self.scores[list].unwrap_or_default()
    }
}

impl Parts {
    /// The query, with all lists.
    pub(super) fn prepared(&self, query: &[f32], kernels: &Kernels) -> Prepared {
        let mut query = self.unranked(query, kernels);
        query.rank(&self.lists, self.lists.all(), kernels);
        query
    }

    /// The query, without any lists yet.
    pub(super) fn unranked(&self, query: &[f32], kernels: &Kernels) -> Prepared {
        let mut ready = LAST.take();
        ready.ranked.clear();
        ready.scores.clear();
        ready.scores.resize(self.lists.len(), None);
        self.scan.fill_tables(query, kernels, &mut ready.tables);
        let Prepared {
            centroids, fine, ..
        } = &mut ready;
        self.lists.centroids.fill_query(query, centroids);
        self.fine.fill_query_like(centroids, query, fine);
        ready
    }

    /// The `k` nearest of `candidates`, best first; those have the scores of their coarse codes.
    pub(super) fn decide(
        &self,
        candidates: &[Hit],
        k: usize,
        query: &Prepared,
        kernels: &Kernels,
    ) -> Vec<Hit> {
        let mut dots = Dots::default();
        let mut best = |hits: &[Hit], k: usize, base: &dyn Fn(&Hit) -> f32| {
            let ids: Vec<u32> = hits.iter().map(|hit| hit.id).collect();
            let (mut found, mut hits) = (Reservoir::new(k.min(hits.len())), hits.iter());
            let offer = |id, fine: f32| {
                let base = hits.next().map_or(0.0, base);
                found.offer(Hit {
                    id,
                    score: base + fine,
                });
            };
            self.fine
                .scores(&query.fine, &ids, kernels, &mut dots, offer);
            let mut found = found.into_hits();
            found.sort_unstable_by(Hit::order);
            found
        };
        if self.base == Base::Mean {
            return best(candidates, k, &|_| 0.0);
        }
        let near = best(candidates, k.saturating_add(k.max(SPARE)), &|hit| hit.score);
        best(&near, k, &|hit| {
            let list = self.lists.of(hit.id as usize);
            query.score(list) + self.scan.product(&query.tables, hit.id as usize)
        })
    }

    /// Fills in row `row` as all of its codes have it, `[dim]`.
    pub(super) fn decode_into(&self, row: usize, out: &mut [f32]) {
        self.fine.decode_into(row, out);
        if self.base == Base::Coarse {
            let mut coarse = vec![0.0; out.len()];
            self.coarse_into(row, self.lists.of(row), &mut coarse);
            out.iter_mut().zip(coarse).for_each(|(x, c)| *x += c);
        }
    }

    /// Fills in what the list and the coarse codes of a row say, `[dim]`.
    pub(super) fn coarse_into(&self, row: usize, list: usize, out: &mut [f32]) {
        self.lists.centroids.decode_into(list, out);
        self.scan.add_to(row, out);
    }
}
