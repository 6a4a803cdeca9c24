//! A compact index whose rows lie elsewhere: what is read first, and which bytes a query needs then.
//!
//! ```text
//! query ─▶ probes: the nearest lists, as many as the plan says or a limit of bytes allows
//!       ─▶ scan of their blocks of 4-bit codes, read for this query ─▶ candidates
//!       ─▶ scores of the candidates by their 8-bit codes, read for this query
//! ```
//! The arithmetic is that of [`Compact`]: a row that is compared has the same score to the bit.

use std::ops::Range;

use super::compact::{Compact, nearness};
use super::ivf::Lists;
use super::lvq::{Dots, Lvq};
use super::planner::{Plan, Recall};
use super::pq::Pq;
use super::scan::scan;
use super::{Bitset, Hit};
use crate::kernels::{FAST_SCAN_ROWS, Kernels};

/// What is read of a compact index before any query.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Coarse {
    /// Which rows belong together.
    pub lists: Lists,
    /// As [`Pq::codebook`].
    pub codebook: Vec<f32>,
    /// How much to look at.
    pub plan: Plan,
}

/// A list that a query looks into.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    /// The list's rows.
    pub rows: Range<usize>,
    /// Its centroid's inner product with the query.
    pub score: f32,
}

impl Coarse {
    /// The part of `index` that comes first.
    pub fn of(index: &Compact) -> Self {
        let parts = index.parts();
        Self {
            lists: parts.lists.clone(),
            codebook: parts.scan.codebook.clone(),
            plan: parts.plan,
        }
    }

    /// Whether the arrays fit together, for `rows` rows of `dim` axes, and every number is finite.
    pub fn is_whole(&self, rows: usize, dim: usize) -> bool {
        self.lists.is_whole(rows, dim) && self.pq().is_whole(0, dim)
    }

    /// The lists to look into, the nearest first, and how many rows to compare, for the ten nearest.
    ///
    /// # Panics
    /// When the query's length is not the index's.
    pub fn probes(&self, query: &[f32], recall: Recall, kernels: &Kernels) -> (Vec<Probe>, usize) {
        let ranked = self.lists.ranked(query, kernels, &mut Dots::default());
        let (_, effort) = self.plan.effort(nearness(&ranked), recall);
        let count = match recall {
            Recall::Exact => ranked.len(),
            _ => ranked.len().min(effort.nprobe as usize),
        };
        let probe = |list: &Hit| Probe {
            rows: self.lists.rows(list.id),
            score: list.score,
        };
        let probes = ranked[..count].iter().map(probe);
        let probes = probes.filter(|probe| !probe.rows.is_empty()).collect();
        (probes, effort.rerank as usize)
    }

    /// Where the codes that are scanned for `rows` lie among all: whole blocks.
    pub fn scan_bytes(&self, rows: &Range<usize>) -> Range<usize> {
        let block_bytes = self.pq().block_bytes();
        let blocks = rows.start / FAST_SCAN_ROWS..rows.end.div_ceil(FAST_SCAN_ROWS);
        blocks.start * block_bytes..blocks.end * block_bytes
    }

    /// The `count` rows that look best by their coarse codes, in no order; `codes` are the bytes at
    /// [`Coarse::scan_bytes`] of each probe.
    ///
    /// # Panics
    /// When the codes are not of that length.
    pub fn candidates(
        &self,
        probes: &[(Probe, Vec<u8>)],
        query: &[f32],
        count: usize,
        hidden: &Bitset,
        kernels: &Kernels,
    ) -> Vec<Hit> {
        let mut local = Local::default();
        for (probe, codes) in probes {
            local.add(probe, codes, self.scan_bytes(&probe.rows).len());
        }
        let hidden = local.hidden(hidden);
        let codes = Pq {
            codebook: self.codebook.clone(),
            codes: std::mem::take(&mut local.codes),
        };
        let lists = local
            .lists
            .iter()
            .map(|(rows, score, _)| (rows.clone(), *score));
        let best = scan(&codes, lists, count, query, (&hidden, kernels));
        let row = |hit: Hit| Hit {
            id: local.row(hit.id as usize) as u32,
            ..hit
        };
        best.into_hits().into_iter().map(row).collect()
    }

    /// The inner products of `query` with rows whose codes, scales and offsets are given, in order.
    ///
    /// # Panics
    /// When the arrays do not fit together.
    pub fn scores(&self, rows: Lvq, query: &[f32], kernels: &Kernels) -> Vec<f32> {
        let rows = Lvq {
            mean: self.lists.centroids.mean.clone(),
            ..rows
        };
        assert!(
            rows.codes.len() == rows.len() * rows.dim() && rows.offsets.len() == rows.len(),
            "rows with all of their codes"
        );
        let ids: Vec<u32> = (0..rows.len() as u32).collect();
        let mut scores = Vec::with_capacity(ids.len());
        let ready = rows.query(query);
        let keep = |_, score| scores.push(score);
        rows.scores(&ready, &ids, kernels, &mut Dots::default(), keep);
        scores
    }

    fn pq(&self) -> Pq {
        Pq {
            codebook: self.codebook.clone(),
            codes: Vec::new(),
        }
    }
}

/// The lists that were read, one after the other.
#[derive(Default)]
struct Local {
    codes: Vec<u8>,
    /// Rows of `codes`, the centroid's score, and which row of the index is row 0 of `codes` then.
    lists: Vec<(Range<usize>, f32, isize)>,
    rows: usize,
}

impl Local {
    fn add(&mut self, probe: &Probe, codes: &[u8], len: usize) {
        assert_eq!(codes.len(), len, "the codes of rows {:?}", probe.rows);
        let first = probe.rows.start / FAST_SCAN_ROWS * FAST_SCAN_ROWS;
        let blocks = probe.rows.end.div_ceil(FAST_SCAN_ROWS) - first / FAST_SCAN_ROWS;
        let shift = first as isize - self.rows as isize;
        let start = self.rows + probe.rows.start - first;
        let rows = start..start + probe.rows.len();
        self.lists.push((rows, probe.score, shift));
        self.rows += blocks * FAST_SCAN_ROWS;
        self.codes.extend_from_slice(codes);
    }

    fn hidden(&self, hidden: &Bitset) -> Bitset {
        let mut local = Bitset::new(self.rows);
        for (rows, _, shift) in &self.lists {
            for row in rows.clone() {
                if hidden.contains((row as isize + shift) as usize) {
                    local.insert(row);
                }
            }
        }
        local
    }

    /// The index's row.
    fn row(&self, local: usize) -> usize {
        let after = self.lists.partition_point(|(rows, ..)| rows.start <= local);
        let (.., shift) = self.lists[after - 1];
        (local as isize + shift) as usize
    }
}
