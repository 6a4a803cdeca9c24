//! Flat search in two tiers.
//!
//! ```text
//! scan     codes   q ∈ [-127, 127]ᵈ, one scale s and one offset o a row:  x ≈ s·q + o
//! re-rank  halves  f16, for the best max(4k, 64) of the scan
//! ```
//! A scale and an offset a vector are those of locally-adaptive vector quantisation (Aguerrebere et
//! al. 2023, "Similarity search in the blink of an eye with compressed indices", without its global
//! mean). The query is quantised too, symmetrically, y ≈ t·p, so that the scan is a dot product of
//! integers: x·y ≈ s·t·Σqp + o·t·Σp. The re-ranking sums in f64 in the order of the axes. Neither
//! depends on the machine: every one gives the same rows in the same order.

use half::f16;

use super::lvq::rounded;
use super::top::Top;
use super::{Bitset, Hit};
use crate::kernels::Kernels;

/// The fewest candidates that are re-ranked.
const MIN_CANDIDATES: usize = 64;

/// Rows of unit vectors, as codes and as halves.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TwoTier {
    dim: usize,
    rows: Rows,
    /// |x|²/2 `[rows]`, where the nearest are those at the least distance.
    squares: Option<Vec<f32>>,
}

/// The bare arrays of a [`TwoTier`], as they are stored.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rows {
    /// `[rows, dim]`
    pub codes: Vec<i8>,
    /// `[rows]`
    pub scales: Vec<f32>,
    /// `[rows]`
    pub offsets: Vec<f32>,
    /// `[rows, dim]`
    pub halves: Vec<f16>,
}

impl TwoTier {
    /// An empty index of vectors with `dim` axes.
    pub fn new(dim: usize) -> Self {
        Self {
            dim,
            rows: Rows::default(),
            squares: None,
        }
    }

    /// The same rows, of which those at the least distance are the nearest: the score is x·y − |x|²/2, which
    /// is (|y|² − |x − y|²)/2.
    #[must_use]
    pub fn by_distance(mut self) -> Self {
        self.squares = Some((0..self.len()).map(|id| self.half_square(id)).collect());
        self
    }

    fn half_square(&self, id: usize) -> f32 {
        let squares = self.halves(id).iter().map(|x| x.to_f64() * x.to_f64());
        (squares.sum::<f64>() / 2.0) as f32
    }

    /// From stored arrays; `None` when their lengths differ or a number is not finite.
    pub fn from_rows(dim: usize, rows: Rows) -> Option<Self> {
        let count = rows.scales.len();
        let lengths = rows.codes.len() == count * dim
            && rows.halves.len() == count * dim
            && rows.offsets.len() == count;
        let finite = rows
            .scales
            .iter()
            .chain(&rows.offsets)
            .all(|x| x.is_finite())
            && rows.halves.iter().all(|x| x.is_finite());
        (dim > 0 && lengths && finite).then_some(Self {
            dim,
            rows,
            squares: None,
        })
    }

    /// The arrays, to be stored.
    pub fn rows(&self) -> &Rows {
        &self.rows
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.scales.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Axes of a vector.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Appends a vector `[dim]`, each value within what f16 holds.
    ///
    /// # Panics
    /// When its length is not `dim`.
    pub fn push(&mut self, vector: &[f32]) {
        assert_eq!(vector.len(), self.dim, "a vector of {} axes", self.dim);
        let (low, high) = vector
            .iter()
            .fold((f32::MAX, f32::MIN), |(l, h), &x| (l.min(x), h.max(x)));
        let offset = (low + high) / 2.0;
        let scale = (high - low) / 254.0;
        let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
        let code = |x: &f32| rounded((x - offset) * inverse).clamp(-127.0, 127.0) as i8;
        self.rows.codes.extend(vector.iter().map(code));
        self.rows.scales.push(scale);
        self.rows.offsets.push(offset);
        self.rows
            .halves
            .extend(vector.iter().map(|&x| f16::from_f32(x)));
        if self.squares.is_some() {
            let square = self.half_square(self.len() - 1);
            self.squares.iter_mut().for_each(|all| all.push(square));
        }
    }

    /// The vector of a row, as the finer tier has it.
    pub fn vector(&self, id: usize) -> Vec<f32> {
        self.halves(id).iter().map(|x| x.to_f32()).collect()
    }

    /// Fills [`TwoTier::vector`] into `out` `[dim]`.
    pub fn decode_into(&self, id: usize, out: &mut [f32]) {
        let halves = self.halves(id).iter();
        out.iter_mut()
            .zip(halves)
            .for_each(|(out, x)| *out = x.to_f32());
    }

    fn halves(&self, id: usize) -> &[f16] {
        &self.rows.halves[id * self.dim..(id + 1) * self.dim]
    }

    /// The `k` rows nearest to `query` `[dim]` that are not in `hidden`, best first. The score is the
    /// inner product with the finer tier: the cosine, for unit vectors; or as [`TwoTier::by_distance`] says.
    ///
    /// # Panics
    /// When the query's length is not `dim`.
    pub fn search(&self, query: &[f32], k: usize, hidden: &Bitset, kernels: &Kernels) -> Vec<Hit> {
        assert_eq!(query.len(), self.dim, "a query of {} axes", self.dim);
        if k == 0 {
            return Vec::new();
        }
        let scan = self.scan(
            query,
            k.saturating_mul(4).max(MIN_CANDIDATES),
            hidden,
            kernels,
        );
        let mut hits: Vec<Hit> = scan
            .into_iter()
            .map(|hit| Hit {
                score: self.fine_score(hit.id as usize, query),
                ..hit
            })
            .collect();
        hits.sort_unstable_by(Hit::order);
        hits.truncate(k);
        hits
    }

    pub(super) fn fine_score(&self, id: usize, query: &[f32]) -> f32 {
        let products = self
            .halves(id)
            .iter()
            .zip(query)
            .map(|(x, y)| (x.to_f64(), f64::from(*y)));
        match self.squares {
            None => products.map(|(x, y)| x * y).sum::<f64>() as f32,
            Some(_) => products.map(|(x, y)| x * (y - x / 2.0)).sum::<f64>() as f32,
        }
    }

    fn scan(
        &self,
        query: &[f32],
        candidates: usize,
        hidden: &Bitset,
        kernels: &Kernels,
    ) -> Vec<Hit> {
        let most = query.iter().fold(0f32, |most, x| most.max(x.abs()));
        let step = if most > 0.0 { most / 127.0 } else { 1.0 };
        let codes: Vec<i8> = query.iter().map(|x| rounded(x / step) as i8).collect();
        let total: i32 = codes.iter().map(|&p| i32::from(p)).sum();
        let mut top = Top::new(candidates);
        for (id, row) in self.rows.codes.chunks_exact(self.dim).enumerate() {
            if hidden.contains(id) {
                continue;
            }
            let product = kernels.dot_i8(row, &codes) as f32 * (self.rows.scales[id] * step);
            let product = product + self.rows.offsets[id] * (total as f32 * step);
            let score = self
                .squares
                .as_ref()
                .map_or(product, |squares| product - squares[id]);
            top.offer(Hit {
                id: id as u32,
                score,
            });
        }
        top.into_hits()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::exact;

    /// Seeded clustered unit vectors, as photos of the same things are.
    fn clustered(rows: usize, dim: usize, seed: u64) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        };
        let centres: Vec<f32> = (0..20 * dim).map(|_| next()).collect();
        let mut vectors = Vec::new();
        for row in 0..rows {
            let centre = &centres[row % 20 * dim..][..dim];
            let raw: Vec<f32> = centre.iter().map(|c| 0.5 + c + 0.7 * next()).collect();
            let norm = raw.iter().map(|x| x * x).sum::<f32>().sqrt();
            vectors.extend(raw.iter().map(|x| x / norm));
        }
        vectors
    }

    fn filled(vectors: &[f32], dim: usize) -> TwoTier {
        let mut index = TwoTier::new(dim);
        vectors
            .chunks_exact(dim)
            .for_each(|vector| index.push(vector));
        index
    }

    #[test]
    fn finds_what_exact_search_finds() {
        let (rows, dim, k) = (3000, 96, 10);
        let vectors = clustered(rows, dim, 7);
        let index = filled(&vectors, dim);
        let mut found = 0;
        for query in clustered(100, dim, 99).chunks_exact(dim) {
            let truth = exact::search(&vectors, dim, query, k);
            let hits = index.search(query, k, &Bitset::new(rows), Kernels::best());
            found += truth
                .iter()
                .filter(|t| hits.iter().any(|h| h.id == t.id))
                .count();
        }
        assert!(found >= 990, "recall@10 {found} of 1000");
    }

    #[test]
    fn every_table_gives_the_same_hits_to_the_bit() {
        let (rows, dim) = (500, 100);
        let vectors = clustered(rows, dim, 3);
        let index = filled(&vectors, dim);
        let query = &clustered(1, dim, 5);
        let scalar = Kernels::by_name("scalar").expect("scalar runs everywhere");
        let want = index.search(query, 20, &Bitset::new(rows), scalar);
        for table in Kernels::available() {
            assert_eq!(
                index.search(query, 20, &Bitset::new(rows), table),
                want,
                "{}",
                table.name()
            );
        }
    }

    #[test]
    fn hidden_rows_leave_room_for_others() {
        let (rows, dim) = (400, 32);
        let index = filled(&clustered(rows, dim, 11), dim);
        let mut hidden = Bitset::new(rows);
        (0..rows - 10).for_each(|id| assert!(hidden.insert(id)));
        let hits = index.search(&index.vector(0), 10, &hidden, Kernels::best());
        assert_eq!(hits.len(), 10);
        assert!(hits.iter().all(|hit| hit.id as usize >= rows - 10));
    }

    #[test]
    fn a_row_finds_itself() {
        let dim = 48;
        let index = filled(&clustered(200, dim, 13), dim);
        for id in [0, 77, 199] {
            let hits = index.search(&index.vector(id), 1, &Bitset::new(200), Kernels::best());
            assert_eq!(hits[0].id as usize, id);
            assert!((hits[0].score - 1.0).abs() < 2e-3);
        }
    }

    #[test]
    fn arrays_that_do_not_fit_are_refused() {
        let rows = filled(&clustered(4, 8, 1), 8).rows().clone();
        assert!(TwoTier::from_rows(8, rows.clone()).is_some());
        assert!(TwoTier::from_rows(7, rows.clone()).is_none());
        assert!(
            TwoTier::from_rows(
                8,
                Rows {
                    scales: vec![f32::NAN; 4],
                    ..rows
                }
            )
            .is_none()
        );
    }
}
