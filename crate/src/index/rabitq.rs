//! Rotated codes of 1, 2 or 4 bits an axis, with an estimate of inner products that has no bias.
//!
//! ```text
//! r = R·x            u ∈ [0, 2ᵇ−1]ᴰ, y = u − (2ᵇ−1)/2: the y of the grid with the largest cosine to r
//! q·x ≈ f·(y·Rq)             f = |r|²/(y·r), one f32 a row
//!                            y·Rq = l·Σu + s·Σu·p − (2ᵇ−1)/2·Σ(Rq)     Rq ≈ l + s·p, p ∈ [0, 2ᵐ−1]ᴰ
//!                            Σu·p = Σⱼₖ 2ʲ⁺ᵏ·popcount(uⱼ & pₖ)          over bit planes
//! ```
//! RaBitQ: Gao and Long 2024, "RaBitQ: quantizing high-dimensional vectors with a theoretical error bound for
//! approximate nearest neighbor search", and with more bits Gao et al. 2025, "Practical and asymptotically
//! optimal quantization of high-dimensional vectors in Euclidean space for approximate nearest neighbor
//! search". Over random rotations y/(y·r) estimates r/|r|² without bias. The paper tries every scale at which
//! an axis moves to another step of the grid; here a few dozen are, which costs a hundredth of its cosine.

use super::across::{Both, across};
use super::lvq::rounded;
use super::parallel::{each, fill_rows};
use super::rotation::Rotation;
use crate::kernels::Kernels;
use std::ops::Range;

/// Scales of the grid that are tried for a row.
const SCALES: usize = 32;
/// Rows whose planes are counted at a time.
const BLOCK: usize = 64;
/// Axes that are summed side by side.
const LANES: usize = 8;

/// CodeBits an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeBits {
    /// A sign.
    One,
    /// Four steps.
    Two,
    /// Sixteen steps.
    Four,
}

impl CodeBits {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::One, Self::Two, Self::Four];

    /// How many.
    pub fn count(self) -> usize {
        match self {
            Self::One => 1,
            Self::Two => 2,
            Self::Four => 4,
        }
    }

    /// CodeBits an axis of a query: its steps may add less to the error than the rows' do.
    fn of_query(self) -> usize {
        4 + self.count()
    }

    /// The largest u.
    fn most(self) -> f32 {
        (1u32 << self.count()) as f32 - 1.0
    }
}

/// Rows as rotated codes: of vectors around zero, as what a centroid or the mean leaves of unit vectors.
#[derive(Debug, Clone, PartialEq)]
pub struct RaBitQ {
    bits: CodeBits,
    seed: u64,
    dim: usize,
    rotation: Rotation,
    /// `[rows, bits, axes / 64]`, the least bit first.
    planes: Vec<u64>,
    /// Σu `[rows]`
    sums: Vec<u32>,
    /// f `[rows]`
    factors: Vec<f32>,
}

/// A query's bit planes, and what is the same for all rows.
pub(super) struct Planes {
    /// `[bits of a query, axes / 64]`
    words: Vec<u64>,
    /// l and s
    low: f32,
    step: f32,
    /// Σ(Rq)
    total: f32,
}

impl RaBitQ {
    /// Codes of `rows` residuals `[dim]`, [`across`] their rows where those are not zero.
    ///
    /// # Panics
    /// When `dim` is 0.
    pub(super) fn encode(
        bits: CodeBits,
        (rows, dim): (usize, usize),
        seed: u64,
        both: Both<'_>,
    ) -> Self {
        assert!(dim > 0, "vectors of no axes");
        let rotation = Rotation::new(dim, seed);
        let words = rotation.axes / 64;
        let codes = each(rows, |row| {
            let [mut residual, mut x] = [vec![0.0; dim], vec![0.0; dim]];
            both(row, &mut residual, &mut x);
            let (residual, x) = (rotation.of(&residual), rotation.of(&x));
            let mut chosen = (Vec::new(), 0.0);
            across(&residual, &x, |moved| {
                chosen = code(bits, &residual, moved);
                let half = bits.most() / 2.0;
                let left = residual.iter().zip(&chosen.0).zip(&x);
                let left = left.map(|((r, u), x)| (r - chosen.1 * (f32::from(*u) - half)) * x);
                left.sum()
            });
            chosen
        });
        let mut planes = vec![0u64; rows * bits.count() * words];
        fill_rows(&mut planes, bits.count() * words, |row, out| {
            set_planes(codes[row].0.iter().map(|u| u32::from(*u)), words, out);
        });
        let factors = codes.iter().map(|(_, factor)| *factor).collect();
        Self::new((bits, seed), dim, planes, factors)
    }

    /// From what is stored, of vectors `[dim]`; `None` when the arrays do not fit together or a number is not
    /// finite.
    pub fn from_stored(
        (bits, seed): (CodeBits, u64),
        dim: usize,
        planes: Vec<u64>,
        factors: Vec<f32>,
    ) -> Option<Self> {
        let words = dim.div_ceil(64);
        let whole = words > 0
            && factors.len().checked_mul(bits.count() * words) == Some(planes.len())
            && factors.iter().copied().all(f32::is_finite);
        whole.then(|| Self::new((bits, seed), dim, planes, factors))
    }

    fn new((bits, seed): (CodeBits, u64), dim: usize, planes: Vec<u64>, factors: Vec<f32>) -> Self {
        let rotation = Rotation::new(dim, seed);
        let words = rotation.axes / 64;
        let ones = |plane: &[u64]| plane.iter().map(|word| word.count_ones()).sum::<u32>();
        let sum = |row: &[u64]| {
            let planes = row.chunks_exact(words).enumerate();
            planes.map(|(bit, plane)| ones(plane) << bit).sum()
        };
        Self {
            sums: planes.chunks_exact(bits.count() * words).map(sum).collect(),
            bits,
            seed,
            dim,
            rotation,
            planes,
            factors,
        }
    }

    /// Bits an axis, and the seed of the rotation.
    pub fn kind(&self) -> (CodeBits, u64) {
        (self.bits, self.seed)
    }

    /// The bit planes `[rows, bits, axes / 64]`, the least bit first, and the factors `[rows]`, to be stored.
    pub fn arrays(&self) -> (&[u64], &[f32]) {
        (&self.planes, &self.factors)
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.factors.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.factors.is_empty()
    }

    /// Axes of a vector.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Bytes of memory that the rows take.
    pub fn bytes(&self) -> usize {
        8 * self.planes.len() + 4 * self.sums.len() + 4 * self.factors.len()
    }

    /// Estimates of the inner products of `query` `[dim]` with all rows `[rows]`.
    ///
    /// # Panics
    /// When the query has more axes than the rows.
    pub fn estimates(&self, query: &[f32], kernels: &Kernels) -> Vec<f32> {
        let mut estimates = Vec::with_capacity(self.len());
        self.estimates_of(&self.ready(query), 0..self.len(), kernels, &mut estimates);
        estimates
    }

    /// [`RaBitQ::estimates`] of some rows, appended to `estimates`.
    pub(super) fn estimates_of(
        &self,
        query: &Planes,
        rows: Range<usize>,
        kernels: &Kernels,
        estimates: &mut Vec<f32>,
    ) {
        let (bits, words) = (self.bits.count(), self.rotation.axes / 64);
        let half = self.bits.most() / 2.0;
        let mut counts = [0u32; BLOCK * 4];
        let mut row = rows.start;
        let planes = &self.planes[rows.start * bits * words..rows.end * bits * words];
        for block in planes.chunks(BLOCK * bits * words) {
            let rows = block.len() / (bits * words);
            let counts = &mut counts[..rows * bits];
            let mut products = [0u32; BLOCK];
            for (power, plane) in query.words.chunks_exact(words).enumerate() {
                kernels.overlaps_u64(block, plane, counts);
                for (product, counts) in products.iter_mut().zip(counts.chunks_exact(bits)) {
                    let shifted = counts.iter().enumerate();
                    *product += shifted
                        .map(|(bit, count)| count << (bit + power))
                        .sum::<u32>();
                }
            }
            for product in &products[..rows] {
                let shifted = self.sums[row] as f32 * query.low + *product as f32 * query.step;
                estimates.push(self.factors[row] * (shifted - half * query.total));
                row += 1;
            }
        }
    }

    /// A query, ready for [`RaBitQ::estimates_of`].
    ///
    /// # Panics
    /// When it has more axes than the rows.
    pub(super) fn ready(&self, query: &[f32]) -> Planes {
        assert!(
            query.len() <= self.rotation.axes,
            "a query of too many axes"
        );
        let rotated = self.rotation.of(query);
        let extent = |(low, high): (f32, f32), x: &f32| (low.min(*x), high.max(*x));
        let (low, high) = rotated.iter().fold((f32::MAX, f32::MIN), extent);
        let most = (1u32 << self.bits.of_query()) as f32 - 1.0;
        let step = (high - low) / most;
        let inverse = if step > 0.0 { 1.0 / step } else { 0.0 };
        let steps = rotated.iter().map(|x| ((x - low) * inverse).round() as u32);
        let words = self.rotation.axes / 64;
        let mut planes = vec![0; self.bits.of_query() * words];
        set_planes(steps, words, &mut planes);
        Planes {
            words: planes,
            low,
            step,
            total: rotated.iter().sum(),
        }
    }
}

/// Sets bit j of value i as bit i of plane j; planes are of `words` words each.
fn set_planes(values: impl Iterator<Item = u32>, words: usize, planes: &mut [u64]) {
    for (at, value) in values.enumerate() {
        for (bit, plane) in planes.chunks_exact_mut(words).enumerate() {
            plane[at / 64] |= u64::from(value >> bit & 1) << (at % 64);
        }
    }
}

/// The u whose y lies nearest to `target` by the cosine, and f of the residual.
fn code(bits: CodeBits, residual: &[f32], target: &[f32]) -> (Vec<u8>, f32) {
    let half = bits.most() / 2.0;
    let most = target.iter().fold(0f32, |most, r| most.max(r.abs()));
    if most == 0.0 {
        return (vec![0; residual.len()], 0.0);
    }
    let step = |r: f32, scale: f32| rounded((r * scale + half).clamp(0.0, 2.0 * half));
    // y·r and |y|², in lanes that the compiler keeps in registers.
    let products = |scale: f32| {
        let mut sums = [[0f32; LANES]; 2];
        let (lanes, rest) = target.as_chunks::<LANES>();
        for part in lanes.iter().map(|part| &part[..]).chain([rest]) {
            for (lane, r) in part.iter().enumerate() {
                let y = step(*r, scale) - half;
                sums[0][lane] += y * r;
                sums[1][lane] += y * y;
            }
        }
        sums.map(|lanes| lanes.iter().sum::<f32>())
    };
    // From the largest axis on the last step to where it is three times as far out.
    let tried = if bits == CodeBits::One { 1 } else { SCALES };
    let (mut best, mut scale) = (f32::MIN, 1.0);
    for at in 0..tried {
        let next = half / most * (1.0 + 2.0 * at as f32 / SCALES as f32);
        let [product, square] = products(next);
        if product / square.sqrt() > best {
            (best, scale) = (product / square.sqrt(), next);
        }
    }
    let square: f32 = residual.iter().map(|r| r * r).sum();
    let steps: Vec<u8> = target.iter().map(|r| step(*r, scale) as u8).collect();
    let pairs = residual.iter().zip(&steps);
    let product: f32 = pairs.map(|(r, u)| r * (f32::from(*u) - half)).sum();
    let factor = if product > 0.0 { square / product } else { 0.0 };
    (steps, factor)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::index::kmeans::mean_of;
    use crate::index::normalise;
    use crate::index::random::Random;

    /// Unit vectors in clusters with a mean of their own.
    pub(in crate::index) fn clustered(rows: usize, dim: usize, seed: u64) -> Vec<f32> {
        let mut world = Random(5);
        let middles: Vec<f32> = (0..20 * dim).map(|_| world.normal()).collect();
        let mut random = Random(seed);
        let mut vectors = Vec::new();
        for _ in 0..rows {
            let middle = &middles[random.below(20) * dim..][..dim];
            let raw = middle.iter().map(|x| 1.0 + x + 0.8 * random.normal());
            vectors.extend(normalise(raw.collect()).expect("not zero"));
        }
        vectors
    }

    /// The codes of what the mean leaves, and the mean.
    fn encoded(bits: CodeBits, vectors: &[f32], dim: usize, seed: u64) -> (RaBitQ, Vec<f32>) {
        let mean = mean_of(vectors, dim);
        let code = RaBitQ::encode(bits, (vectors.len() / dim, dim), seed, &|row, out, _| {
            let pairs = vectors[row * dim..][..dim].iter().zip(&mean);
            out.iter_mut()
                .zip(pairs)
                .for_each(|(out, (x, mean))| *out = x - mean);
        });
        (code, mean)
    }

    /// Estimates of the inner products with the vectors themselves.
    fn estimates((code, mean): &(RaBitQ, Vec<f32>), query: &[f32], kernels: &Kernels) -> Vec<f32> {
        let base: f32 = query.iter().zip(mean).map(|(q, mean)| q * mean).sum();
        let found = code.estimates(query, kernels).into_iter();
        found.map(|estimate| base + estimate).collect()
    }

    /// Over many rotations the mean error is far smaller than a single one, which shrinks with the bits.
    #[test]
    fn estimates_have_no_bias_and_more_bits_err_less() {
        let dim = 128;
        let (vectors, query) = (clustered(30, dim, 1), &clustered(1, dim, 2)[..]);
        let truth: Vec<f32> = vectors
            .chunks_exact(dim)
            .map(|x| x.iter().zip(query).map(|(x, q)| x * q).sum())
            .collect();
        let mut last = 1.0;
        for bits in CodeBits::ALL {
            let (mut means, mut squares) = (vec![0f64; truth.len()], 0.0);
            let seeds = 100;
            for seed in 0..seeds {
                let code = encoded(bits, &vectors, dim, seed);
                let found = estimates(&code, query, Kernels::best());
                for (at, (found, want)) in found.iter().zip(&truth).enumerate() {
                    let error = f64::from(found - want);
                    means[at] += error / seeds as f64;
                    squares += error * error / (seeds as usize * truth.len()) as f64;
                }
            }
            let bias = means.iter().map(|x| x * x).sum::<f64>() / means.len() as f64;
            let (bias, error) = (bias.sqrt(), squares.sqrt());
            println!("{bits:?}: error {error:.5}, of the mean of {seeds} {bias:.5}");
            // A mean of so many has a tenth of the error, if nothing is systematic.
            assert!(bias < error / 6.0, "{bits:?}: {bias} of {error}");
            assert!(error < last / 1.8, "{bits:?}: {error}, before {last}");
            last = error;
        }
    }

    #[test]
    fn every_table_gives_the_same_estimates_to_the_bit() {
        let (dim, query) = (70, &clustered(1, 70, 2)[..]);
        let vectors = clustered(130, dim, 1);
        for bits in CodeBits::ALL {
            let code = encoded(bits, &vectors, dim, 3);
            let want = estimates(&code, query, Kernels::best());
            for table in Kernels::available() {
                assert_eq!(estimates(&code, query, table), want, "{}", table.name());
            }
        }
    }

    #[test]
    fn rows_that_are_the_mean_have_its_product() {
        let vectors = [0.6, 0.8, 0.6, 0.8];
        for bits in CodeBits::ALL {
            let code = encoded(bits, &vectors, 2, 1);
            let estimates = estimates(&code, &[1.0, 0.0], Kernels::best());
            assert!(
                estimates.iter().all(|x| (x - 0.6).abs() < 1e-6),
                "{estimates:?}"
            );
        }
    }
}
