//! Vectors in eight bits an axis.
//!
//! ```text
//! x ≈ μ + s·q + o     q ∈ [-127, 127]ᵈ, one scale s and one offset o a row, one mean μ for all
//! ```
//! Locally-adaptive vector quantisation (Aguerrebere et al. 2023, "Similarity search in the blink of an
//! eye with compressed indices", section 3). The mean is taken off because CLIP's vectors share a few
//! outlying axes, which would take most of the range. The query keeps thirteen bits, y ≈ t·p, so that
//! x·y ≈ μ·y + s·t·Σqp + o·t·Σp needs one sum of integers a row and is the same on every machine.

use super::exact;
use super::parallel::fill_rows;
use crate::kernels::Kernels;

/// The largest magnitude of a query's numbers: their products with int8 add up exactly in i32.
pub(super) const QUERY_MOST: f32 = 4095.0;

/// Rows of vectors in eight bits an axis.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Lvq {
    /// μ `[dim]`
    pub mean: Vec<f32>,
    /// `[rows, dim]`
    pub codes: Vec<i8>,
    /// `[rows]`
    pub scales: Vec<f32>,
    /// `[rows]`
    pub offsets: Vec<f32>,
}

/// A query, ready to be compared with the rows of an [`Lvq`].
#[derive(Debug, Clone, Default)]
pub struct LvqQuery {
    codes: QueryCodes,
    /// μ·y
    base: f32,
}

/// The part of an [`LvqQuery`] that does not depend on the rows.
#[derive(Debug, Clone, Default)]
struct QueryCodes {
    codes: Vec<i16>,
    /// t
    step: f32,
    /// t·Σp
    total: f32,
}

impl QueryCodes {
    fn fill(&mut self, vector: &[f32]) {
        // Not `f32::max`, which is a call in wasm.
        let larger = |most: f32, x: &f32| if x.abs() > most { x.abs() } else { most };
        let most = vector.iter().fold(0f32, larger);
        let step = if most > 0.0 { most / QUERY_MOST } else { 1.0 };
        self.codes.clear();
        let codes = vector.iter().map(|x| rounded(x / step) as i32 as i16);
        self.codes.extend(codes);
        let total: i32 = self.codes.iter().map(|&p| i32::from(p)).sum();
        (self.step, self.total) = (step, total as f32 * step);
    }
}

/// The nearest whole number, of two the even one, for |x| < 2²²: two additions, where the baseline of
/// x86-64 has no instruction but only a call for it.
pub(super) fn rounded(x: f32) -> f32 {
    const WHOLE: f32 = 12_582_912.0;
    (x + WHOLE) - WHOLE
}

/// s and o of a row.
#[derive(Debug, Clone, Copy, Default)]
struct Range {
    scale: f32,
    offset: f32,
}

impl Range {
    fn of(mean: &[f32], vector: &[f32]) -> Self {
        let centred = vector.iter().zip(mean).map(|(x, mean)| x - mean);
        let (low, high) = centred.fold((f32::MAX, f32::MIN), |(l, h), x| (l.min(x), h.max(x)));
        Self {
            scale: (high - low) / 254.0,
            offset: (low + high) / 2.0,
        }
    }

    fn quantise(self, mean: &[f32], vector: &[f32], codes: &mut [i8]) {
        let inverse = if self.scale > 0.0 {
            1.0 / self.scale
        } else {
            0.0
        };
        for ((code, x), mean) in codes.iter_mut().zip(vector).zip(mean) {
            *code = rounded((x - mean - self.offset) * inverse).clamp(-127.0, 127.0) as i8;
        }
    }
}

/// Memory that is used again from call to call.
#[derive(Debug, Clone, Default)]
pub struct Dots(Vec<i32>);

impl Lvq {
    /// No rows yet.
    pub fn new(mean: Vec<f32>) -> Self {
        Self {
            mean,
            ..Self::default()
        }
    }

    /// Whether the arrays fit together, for `dim` axes, and every number is finite.
    pub fn is_whole(&self, dim: usize) -> bool {
        let rows = self.scales.len();
        let numbers = self.mean.iter().chain(&self.scales).chain(&self.offsets);
        dim > 0
            && self.mean.len() == dim
            && self.codes.len() == rows * dim
            && self.offsets.len() == rows
            && numbers.copied().all(f32::is_finite)
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.scales.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Axes of a vector.
    pub fn dim(&self) -> usize {
        self.mean.len()
    }

    /// Rows made at once; `vector(row, out)` fills a vector `[dim]` in.
    pub(super) fn encode(
        mean: Vec<f32>,
        rows: usize,
        vector: impl Fn(usize, &mut [f32]) + Sync,
    ) -> Self {
        let dim = mean.len();
        let mut ranges = vec![Range::default(); rows];
        fill_rows(&mut ranges, 1, |row, out| {
            let mut x = vec![0.0; dim];
            vector(row, &mut x);
            out[0] = Range::of(&mean, &x);
        });
        let mut codes = vec![0; rows * dim];
        fill_rows(&mut codes, dim, |row, out| {
            let mut x = vec![0.0; dim];
            vector(row, &mut x);
            ranges[row].quantise(&mean, &x, out);
        });
        Self {
            mean,
            codes,
            scales: ranges.iter().map(|range| range.scale).collect(),
            offsets: ranges.iter().map(|range| range.offset).collect(),
        }
    }

    /// Appends a vector `[dim]`.
    ///
    /// # Panics
    /// When its length is not `dim`.
    pub fn push(&mut self, vector: &[f32]) {
        assert_eq!(vector.len(), self.dim(), "a vector of {} axes", self.dim());
        let at = self.codes.len();
        self.codes.resize(at + vector.len(), 0);
        let range = Range::of(&self.mean, vector);
        range.quantise(&self.mean, vector, &mut self.codes[at..]);
        self.scales.push(range.scale);
        self.offsets.push(range.offset);
    }

    /// Row `id`, decoded into `out` `[dim]`.
    pub fn decode_into(&self, id: usize, out: &mut [f32]) {
        let codes = &self.codes[id * self.dim()..][..self.dim()];
        for ((out, code), mean) in out.iter_mut().zip(codes).zip(&self.mean) {
            *out = mean + (f32::from(*code) * self.scales[id] + self.offsets[id]);
        }
    }

    /// Takes row `id`, decoded, off `out` `[dim]`.
    pub(super) fn take_from(&self, id: usize, out: &mut [f32]) {
        let mut decoded = vec![0.0; out.len()];
        self.decode_into(id, &mut decoded);
        out.iter_mut().zip(&decoded).for_each(|(x, y)| *x -= y);
    }

    /// The length of each row, decoded.
    pub(super) fn norms(&self) -> impl Iterator<Item = f32> {
        let codes = self.codes.chunks_exact(self.dim().max(1));
        let ranges = self.scales.iter().zip(&self.offsets);
        codes.zip(ranges).map(|(codes, (scale, offset))| {
            let decoded = codes.iter().zip(&self.mean);
            let square = |(code, mean): (&i8, &f32)| {
                let x = f64::from(mean + (f32::from(*code) * scale + offset));
                x * x
            };
            decoded.map(square).sum::<f64>().sqrt() as f32
        })
    }

    /// Row `id`, decoded `[dim]`.
    pub fn vector(&self, id: usize) -> Vec<f32> {
        let mut vector = vec![0.0; self.dim()];
        self.decode_into(id, &mut vector);
        vector
    }

    /// Makes `vector` `[dim]` ready for [`Lvq::scores`].
    pub fn query(&self, vector: &[f32]) -> LvqQuery {
        let mut query = LvqQuery::default();
        self.fill_query(vector, &mut query);
        query
    }

    /// [`Lvq::query`] in the memory of another one.
    pub(super) fn fill_query(&self, vector: &[f32], query: &mut LvqQuery) {
        query.codes.fill(vector);
        query.base = exact::dot(vector, &self.mean) as f32;
    }

    /// The same of a vector that is ready for other rows, as `other`.
    pub(super) fn fill_query_like(&self, other: &LvqQuery, vector: &[f32], query: &mut LvqQuery) {
        let codes = &mut query.codes;
        codes.codes.clone_from(&other.codes.codes);
        (codes.step, codes.total) = (other.codes.step, other.codes.total);
        query.base = exact::dot(vector, &self.mean) as f32;
    }

    /// The inner products of a query with the rows `ids`, each handed to `found` with its row.
    ///
    /// # Panics
    /// When an id is out of range.
    pub fn scores(
        &self,
        query: &LvqQuery,
        ids: &[u32],
        kernels: &Kernels,
        dots: &mut Dots,
        mut found: impl FnMut(u32, f32),
    ) {
        dots.0.resize(ids.len(), 0);
        let (codes, base) = (&query.codes, query.base);
        kernels.dot_i8_rows(&self.codes, &codes.codes, ids, &mut dots.0);
        for (&id, &dot) in ids.iter().zip(&dots.0) {
            let row = id as usize;
            let fine = dot as f32 * (self.scales[row] * codes.step);
            found(id, base + (fine + self.offsets[row] * codes.total));
        }
    }
}
