//! Flat search over rotated codes, ranked again by eight bits an axis.
//!
//! ```text
//! query ─▶ rabitq: all rows by 1, 2 or 4 bits an axis ─▶ the best `rerank` ─▶ lvq: by 8 bits ─▶ k hits
//! ```
//! Of 30,000 vectors like CLIP's, with 512 axes, recall@10 of photos and of words against bytes that are scanned:
//!
//! | code | bytes a row | ranked again: 50 | 100 | 200 | 400 |
//! | --- | --- | --- | --- | --- | --- |
//! | 1 bit | 72 | .90, .51 | .97, .64 | .99, .78 | .99, .88 |
//! | 2 bits | 136 | .99, .87 | .99, .94 | .99, .97 | .99, .98 |
//! | 4 bits | 264 | .99, .99 | .99, .99 | .99, .99 | .99, .99 |
//! | lists' residuals in PQ of 4 bits ([`Compact`](super::Compact)) | 128 | .99, .93 | 1.0, .98 | 1.0, .99 | 1.0, .99 |
//!
//! PQ needs a codebook that was learnt, this needs none. The last column is bounded by the eight bits, which are of
//! what the mean leaves here and of what list and PQ leave there.

use super::lvq::{Dots, Lvq};
use super::rabitq::{CodeBits, RaBitQ};
use super::top::Top;
use super::{Bitset, Hit};
use crate::kernels::Kernels;

/// Rows that the mean is learnt from.
const SAMPLE: usize = 16_384;

/// Rows of unit vectors as rotated codes and in eight bits an axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Rotated {
    code: RaBitQ,
    fine: Lvq,
}

impl Rotated {
    /// Of `rows` unit vectors; `vector(row, out)` fills one `[dim]` in. The same `seed` gives the same codes.
    ///
    /// # Panics
    /// When there are no rows or no axes.
    pub fn build(
        bits: CodeBits,
        (rows, dim): (usize, usize),
        seed: u64,
        vector: &(dyn Fn(usize, &mut [f32]) + Sync),
    ) -> Self {
        assert!(rows > 0 && dim > 0, "{rows} rows of {dim}");
        let (mut x, mut sums, mut count) = (vec![0.0; dim], vec![0f64; dim], 0);
        for row in (0..rows).step_by(rows.div_ceil(SAMPLE)) {
            vector(row, &mut x);
            let pairs = sums.iter_mut().zip(&x);
            pairs.for_each(|(sum, x)| *sum += f64::from(*x));
            count += 1;
        }
        let mean = sums.iter().map(|sum| (sum / f64::from(count)) as f32);
        let mean: Vec<f32> = mean.collect();
        Self {
            code: RaBitQ::encode(bits, &mean, seed, rows, vector),
            fine: Lvq::encode(mean, rows, vector),
        }
    }

    /// From stored parts; `None` when they do not fit together or a number is not finite.
    pub fn from_parts(code: RaBitQ, fine: Lvq) -> Option<Self> {
        let whole = fine.is_whole(fine.dim()) && code.len() == fine.len();
        whole.then_some(Self { code, fine })
    }

    /// What is scanned, and what decides.
    pub fn parts(&self) -> (&RaBitQ, &Lvq) {
        (&self.code, &self.fine)
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.fine.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.fine.is_empty()
    }

    /// Axes of a vector.
    pub fn dim(&self) -> usize {
        self.fine.dim()
    }

    /// The `k` nearest rows that are not in `hidden`, best first, of the `rerank` that look best; the score is
    /// the inner product with the eight bits: the cosine, for unit vectors.
    ///
    /// # Panics
    /// When the query's length is not `dim`.
    pub fn search(
        &self,
        query: &[f32],
        (k, rerank): (usize, usize),
        hidden: &Bitset,
        kernels: &Kernels,
    ) -> Vec<Hit> {
        assert_eq!(query.len(), self.dim(), "a query of {} axes", self.dim());
        let rerank = rerank.max(k).min(self.len());
        let best = self.code.scan(query, rerank, hidden, kernels);
        let ids: Vec<u32> = best.iter().map(|hit| hit.id).collect();
        let (mut top, ready) = (Top::new(k), self.fine.query(query));
        let offer = |id, score| top.offer(Hit { id, score });
        let dots = &mut Dots::default();
        self.fine.scores(&ready, &ids, kernels, dots, offer);
        top.into_hits()
    }
}

#[cfg(test)]
mod tests {
    use super::super::rabitq::tests::clustered;
    use super::*;
    use crate::index::exact;

    #[test]
    fn what_is_ranked_again_is_found() {
        let (rows, dim, k) = (3000, 100, 10);
        let vectors = clustered(rows, dim, 1);
        let of = |row: usize, out: &mut [f32]| out.copy_from_slice(&vectors[row * dim..][..dim]);
        let mut hidden = Bitset::new(rows);
        hidden.insert(17);
        for (bits, rerank, least) in [
            (CodeBits::One, 300, 0.97),
            (CodeBits::Two, 100, 0.97),
            (CodeBits::Four, 30, 0.98),
        ] {
            let index = Rotated::build(bits, (rows, dim), 1, &of);
            assert_eq!(index.parts().0.bytes(), rows * (16 * bits.count() + 8));
            let mut found = 0;
            for query in clustered(100, dim, 9).chunks_exact(dim) {
                let truth = exact::search(&vectors, dim, query, k + 1);
                let truth: Vec<u32> = truth
                    .iter()
                    .map(|hit| hit.id)
                    .filter(|id| *id != 17)
                    .take(k)
                    .collect();
                let hits = index.search(query, (k, rerank), &hidden, Kernels::best());
                assert!(hits.len() == k && hits.iter().all(|hit| hit.id != 17));
                found += hits.iter().filter(|hit| truth.contains(&hit.id)).count();
            }
            println!("{bits:?}, {rerank} ranked again: {found} of 1000");
            assert!(found as f64 >= least * 1000.0, "{bits:?}: {found} of 1000");
        }
    }
}
