//! Product quantisation in eight bits: a few axes a subspace, 256 centres each, a byte a subspace.
//!
//! ```text
//! y·r ≈ Σⱼ table[j][codeⱼ]      table[j][c] = y_j · centre c of subspace j
//! ```
//! Jégou, Douze and Schmid 2011, "Product quantization for nearest neighbor search". In f32 and in memory, unlike
//! [`Pq`](super::Pq), whose sixteen centres fit a register: for the same bytes it errs less and takes far longer.

use super::across::{Both, across};
use super::kmeans;
use super::parallel::fill_rows;
use super::random::Random;

/// Centres of a subspace.
const CENTRES: usize = 256;

/// Rows of codes of eight bits and their codebook.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pq8 {
    /// Axes of a subspace.
    pub axes: usize,
    /// `[subspaces, axes, 256]`, the axes past the end being zero.
    pub codebook: Vec<f32>,
    /// `[rows, subspaces]`
    pub codes: Vec<u8>,
}

impl Pq8 {
    /// Learns the codebook from `sample` `[n, dim]`, for subspaces of `axes` axes.
    pub(super) fn train(sample: &[f32], dim: usize, axes: usize, seed: u64) -> Self {
        let mut codebook = vec![0.0; dim.div_ceil(axes) * axes * CENTRES];
        fill_rows(&mut codebook, axes * CENTRES, |subspace, out| {
            let points: Vec<f32> = sample
                .chunks_exact(dim)
                .flat_map(|vector| part(vector, subspace, axes))
                .collect();
            let count = CENTRES.min(points.len() / axes);
            let random = &mut Random(seed ^ subspace as u64);
            let centres = kmeans::centres(&points, axes, count, random);
            for (at, centre) in centres.chunks_exact(axes).enumerate() {
                for (axis, x) in centre.iter().enumerate() {
                    out[axis * CENTRES + at] = *x;
                }
            }
        });
        Self {
            axes,
            codebook,
            codes: Vec::new(),
        }
    }

    /// Whether the arrays fit together, for `rows` rows of `dim` axes, and every number is finite.
    pub fn is_whole(&self, rows: usize, dim: usize) -> bool {
        (1..=dim).contains(&self.axes)
            && self.codebook.len() == dim.div_ceil(self.axes) * self.axes * CENTRES
            && rows.checked_mul(self.subspaces()) == Some(self.codes.len())
            && self.codebook.iter().copied().all(f32::is_finite)
    }

    fn subspaces(&self) -> usize {
        self.codebook.len() / (self.axes * CENTRES)
    }

    /// Encodes `rows` rows `[dim]`, [`across`] them.
    pub(super) fn encode(&mut self, (rows, dim): (usize, usize), both: Both<'_>) {
        let (subspaces, axes) = (self.subspaces(), self.axes);
        let parts = self.codebook.chunks_exact(axes * CENTRES);
        self.codes = vec![0; rows * subspaces];
        fill_rows(&mut self.codes, subspaces, |at, codes| {
            let [mut residual, mut row] = [vec![0.0; dim], vec![0.0; dim]];
            both(at, &mut residual, &mut row);
            across(&residual, &row, |moved| {
                let mut left = 0.0;
                for ((subspace, centres), code) in parts.clone().enumerate().zip(&mut *codes) {
                    *code = nearest(centres, part(moved, subspace, axes));
                    let centre = centres.iter().skip(usize::from(*code)).step_by(CENTRES);
                    let pairs = part(&residual, subspace, axes).zip(centre);
                    let products = pairs.zip(part(&row, subspace, axes));
                    left += products.map(|((x, c), along)| (x - c) * along).sum::<f32>();
                }
                left
            });
        });
    }

    /// The inner products of `query` `[dim]` with every centre, `[subspaces, 256]`.
    pub(super) fn table(&self, query: &[f32]) -> Vec<f32> {
        let mut table = vec![0.0; self.subspaces() * CENTRES];
        let parts = self.codebook.chunks_exact(self.axes * CENTRES).enumerate();
        for ((subspace, centres), products) in parts.zip(table.chunks_exact_mut(CENTRES)) {
            let axes = centres.chunks_exact(CENTRES);
            for (centres, q) in axes.zip(part(query, subspace, self.axes)) {
                let pairs = products.iter_mut().zip(centres);
                pairs.for_each(|(product, x)| *product += q * x);
            }
        }
        table
    }

    /// The inner product of a query with the centres of a row.
    pub(super) fn product(&self, table: &[f32], row: usize) -> f32 {
        let codes = self.codes.chunks_exact(self.subspaces()).nth(row);
        let codes = codes.unwrap_or_default().iter();
        let numbers = table.chunks_exact(CENTRES).zip(codes);
        numbers.map(|(table, code)| table[usize::from(*code)]).sum()
    }
}

/// The axes of a subspace.
fn part(vector: &[f32], subspace: usize, axes: usize) -> impl Iterator<Item = f32> {
    (subspace * axes..)
        .take(axes)
        .map(|axis| vector.get(axis).copied().unwrap_or(0.0))
}

/// The nearest of 256 centres `[axes, 256]`.
fn nearest(centres: &[f32], point: impl Iterator<Item = f32>) -> u8 {
    let mut distances = [0f32; CENTRES];
    for (centres, x) in centres.chunks_exact(CENTRES).zip(point) {
        let pairs = distances.iter_mut().zip(centres);
        pairs.for_each(|(distance, c)| *distance += (x - c) * (x - c));
    }
    let first = (f32::MAX, 0);
    let nearer = |best: (f32, u8), (at, distance): (usize, &f32)| match *distance < best.0 {
        true => (*distance, at as u8),
        false => best,
    };
    distances.iter().enumerate().fold(first, nearer).1
}
