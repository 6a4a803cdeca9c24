//! A compact index whose rows lie elsewhere: what is read first, and which bytes a query needs then.
//!
//! ```text
//! query ─▶ probes: the nearest lists, as many as the plan says or a limit of bytes allows
//!       ─▶ scan of their blocks of 4-bit codes, read for this query ─▶ candidates
//!       ─▶ scores of the candidates by their 8-bit codes, read for this query
//! ```
//! The arithmetic is that of [`Compact`]: a row that is compared has the same score to the bit.

use std::ops::Range;

use super::compact::Compact;
use super::decide::Base;
use super::ivf::{self, Lists, Ranked};
use super::lvq::{Dots, Lvq};
use super::planner::{Bearing, Plan, Recall};
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
    /// What the finer codes are of.
    pub base: Base,
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
    /// Its centroid's cosine to the query: the list with the largest one is the nearest.
    pub cosine: f32,
}

impl Coarse {
    /// The part of `index` that comes first.
    pub fn of(index: &Compact) -> Self {
        let parts = index.parts();
        Self {
            lists: parts.lists.clone(),
            codebook: parts.scan.codebook.clone(),
            base: parts.base,
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
        let ready = self.lists.centroids.query(query);
        let mut ranked = self.lists.ranked(&self.lists.all(), &ready, kernels);
        let (_, effort) = self.plan.effort(Bearing::of(&ranked), recall);
        let count = match recall {
            Recall::Exact => ranked.len(),
            _ => ranked.len().min(effort.nprobe as usize),
        };
        let probe = |list: &Ranked| Probe {
            rows: self.lists.rows(list.list),
            score: list.score,
            cosine: list.cosine,
        };
        let probes = ivf::nearest(&mut ranked, count).iter().map(probe);
        let probes = probes.filter(|probe| !probe.rows.is_empty()).collect();
        (probes, effort.rerank as usize)
    }

    /// Where the codes that are scanned for `rows` lie among all: whole blocks.
    pub fn scan_bytes(&self, rows: &Range<usize>) -> Range<usize> {
        let block_bytes = self.pq().block_bytes();
        let blocks = rows.start / FAST_SCAN_ROWS..rows.end.div_ceil(FAST_SCAN_ROWS);
        blocks.start * block_bytes..blocks.end * block_bytes
    }

    /// The `count` rows that look best by their coarse codes, in no order, with what these say of the
    /// inner product; `codes` are the bytes at [`Coarse::scan_bytes`] of each probe.
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
        let tables = codes.tables(query, kernels);
        let best = scan(&codes, lists, count, &tables, (&hidden, kernels));
        let row = |hit: Hit| {
            let at = hit.id as usize;
            let (list, row) = local.row(at);
            Hit {
                id: row as u32,
                score: list + codes.product(&tables, at),
            }
        };
        best.into_hits().into_iter().map(row).collect()
    }

    /// The inner products of `query` with rows whose codes, scales and offsets are given, and what
    /// [`Coarse::candidates`] says of each, in order.
    ///
    /// # Panics
    /// When the arrays do not fit together.
    pub fn scores(&self, rows: Lvq, coarse: &[f32], query: &[f32], kernels: &Kernels) -> Vec<f32> {
        let rows = self.based(rows);
        assert!(
            rows.codes.len() == rows.len() * rows.dim()
                && rows.offsets.len() == rows.len()
                && coarse.len() == rows.len(),
            "rows with all of their codes"
        );
        let ids: Vec<u32> = (0..rows.len() as u32).collect();
        let mut scores = Vec::with_capacity(ids.len());
        let ready = rows.query(query);
        let keep = |id: u32, fine: f32| {
            scores.push(match self.base {
                Base::Mean => fine,
                Base::Coarse => coarse[id as usize] + fine,
            });
        };
        rows.scores(&ready, &ids, kernels, &mut Dots::default(), keep);
        scores
    }

    /// The vector of a row: `codes` are the bytes at [`Coarse::scan_bytes`] of it, `fine` are its own.
    ///
    /// # Panics
    /// When the arrays do not fit together.
    pub fn vector(&self, row: usize, codes: Vec<u8>, fine: Lvq) -> Vec<f32> {
        let mut vector = self.based(fine).vector(0);
        if self.base == Base::Coarse {
            let mut coarse = self.lists.centroids.vector(self.lists.of(row));
            Pq { codes, ..self.pq() }.add_to(row % FAST_SCAN_ROWS, &mut coarse);
            vector.iter_mut().zip(coarse).for_each(|(x, c)| *x += c);
        }
        vector
    }

    fn based(&self, rows: Lvq) -> Lvq {
        let mean = &self.lists.centroids.mean;
        let mean = match self.base {
            Base::Mean => mean.clone(),
            Base::Coarse => vec![0.0; mean.len()],
        };
        Lvq { mean, ..rows }
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

    /// The centroid's score of a row, and the index's row.
    fn row(&self, local: usize) -> (f32, usize) {
        let after = self.lists.partition_point(|(rows, ..)| rows.start <= local);
        let (_, score, shift) = self.lists[after - 1];
        (score, (local as isize + shift) as usize)
    }
}
