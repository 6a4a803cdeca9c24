//! Product quantisation in four bits: what is scanned.
//!
//! ```text
//! r = x − centroid    two axes a subspace, 16 centres each: d/2 codes of four bits, d/4 bytes
//! y·r ≈ Σⱼ table[j][codeⱼ]        by look-up in registers, 32 rows at a time
//! ```
//! Jégou, Douze and Schmid 2011, "Product quantization for nearest neighbor search"; the blocked layout
//! is that of André, Kermarrec and Le Scouarnec 2015 ("fast scan"), see
//! [`Kernels::fast_scan`](crate::kernels::Kernels::fast_scan).

use super::across::{Both, across};
use super::parallel::fill_rows;
use super::random::Random;
use crate::kernels::{FAST_SCAN_MOST, FAST_SCAN_ROWS, Kernels, Sixteen};

/// Centres of a subspace.
const CENTRES: usize = 16;
/// Axes of a subspace.
const AXES: usize = 2;
/// Numbers of a subspace in the codebook.
const PART: usize = AXES * CENTRES;
/// Rounds of k-means in a subspace.
const ROUNDS: usize = 8;

/// Rows of four-bit codes and their codebook.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pq {
    /// `[subspaces, 2, 16]`: the first axis of all centres, then the second.
    pub codebook: Vec<f32>,
    /// `[blocks, pairs, 32]`, see the module.
    pub codes: Vec<u8>,
}

/// A query's tables: score ≈ `step`·sum + `base`, or the sum of products.
#[derive(Debug, Clone, Default)]
pub(super) struct Tables {
    /// The query, filled up with zeros `[subspaces, 2]`.
    query: Vec<f32>,
    /// `[subspaces, 16]`
    products: Vec<[f32; CENTRES]>,
    /// The least and the most of each subspace.
    extents: Vec<[f32; 2]>,
    /// `[subspaces, 16]`
    pub bytes: Vec<u8>,
    pub step: f32,
    pub base: f32,
}

impl Tables {
    /// How far step·sum + base may be from the sum of products: each number is rounded to half a step.
    pub fn slack(&self) -> f32 {
        self.step / 2.0 * self.products.len() as f32
    }
}

/// Subspaces for `dim` axes: a multiple of four, the axes past the end being zero.
fn subspaces(dim: usize) -> usize {
    dim.div_ceil(4 * AXES) * 4
}

/// A vector of zeros, by subspaces: the axes past the end stay so.
fn points(subspaces: usize) -> Vec<[f32; AXES]> {
    vec![[0.0; AXES]; subspaces]
}

/// The two axes of a subspace.
fn axes(vector: &[f32], subspace: usize) -> [f32; AXES] {
    std::array::from_fn(|axis| vector.get(subspace * AXES + axis).copied().unwrap_or(0.0))
}

impl Pq {
    /// Learns the codebook from `residuals` `[n, dim]`.
    pub(super) fn train(residuals: &[f32], dim: usize, seed: u64) -> Self {
        let mut codebook = vec![0.0; subspaces(dim) * PART];
        fill_rows(&mut codebook, PART, |subspace, out| {
            let points: Vec<[f32; AXES]> = residuals
                .chunks_exact(dim)
                .map(|vector| axes(vector, subspace))
                .collect();
            train_subspace(&points, &mut Random(seed ^ subspace as u64), out);
        });
        Self {
            codebook,
            codes: Vec::new(),
        }
    }

    /// Whether the arrays fit together, for `rows` rows of `dim` axes, and every number is finite.
    pub fn is_whole(&self, rows: usize, dim: usize) -> bool {
        self.codebook.len() == subspaces(dim) * PART
            && self.codes.len() == rows.div_ceil(FAST_SCAN_ROWS) * self.block_bytes()
            && self.codebook.iter().copied().all(f32::is_finite)
    }

    /// The mean square of a vector whose subspaces each are one of their centres.
    pub(super) fn mean_square(&self) -> f64 {
        let squares = self.codebook.iter().map(|x| f64::from(*x) * f64::from(*x));
        squares.sum::<f64>() / CENTRES as f64
    }

    /// Bytes of a block of 32 rows.
    pub(super) fn block_bytes(&self) -> usize {
        self.codebook.len() / PART / 2 * FAST_SCAN_ROWS
    }

    /// Encodes `rows` rows; `residual(row, out)` fills a vector `[dim]` in.
    pub(super) fn encode(
        &mut self,
        rows: usize,
        dim: usize,
        residual: impl Fn(usize, &mut [f32]) + Sync,
    ) {
        let kernels = Kernels::best();
        self.encode_by(rows, |row, sets, nearest| {
            let mut points = points(sets.len());
            residual(row, &mut points.as_flattened_mut()[..dim]);
            kernels.nearest_of_16(&points, sets, nearest);
        });
    }

    /// As [`Pq::encode`], [`across`] the rows.
    pub(super) fn encode_across(&mut self, rows: usize, dim: usize, both: Both<'_>) {
        let kernels = Kernels::best();
        self.encode_by(rows, |at, sets, nearest| {
            let [mut residual, mut row] = [points(sets.len()), points(sets.len())];
            both(
                at,
                &mut residual.as_flattened_mut()[..dim],
                &mut row.as_flattened_mut()[..dim],
            );
            across(residual.as_flattened(), row.as_flattened(), |moved| {
                kernels.nearest_of_16(moved.as_chunks().0, sets, nearest);
                let all = residual.iter().zip(&row).zip(sets.iter().zip(&*nearest));
                let left = all.map(|(([x, y], [along, up]), ([first, second], at))| {
                    let at = usize::from(*at);
                    (x - first[at]) * along + (y - second[at]) * up
                });
                left.sum()
            });
        });
    }

    /// `code(row, sets of centres, nearest)` tells which centre of each subspace a row gets.
    fn encode_by(
        &mut self,
        rows: usize,
        code: impl Fn(usize, &[[Sixteen; AXES]], &mut [u8]) + Sync,
    ) {
        let block_bytes = self.block_bytes();
        let sets = self.codebook.as_chunks::<CENTRES>().0.as_chunks::<AXES>().0;
        self.codes = vec![0; rows.div_ceil(FAST_SCAN_ROWS) * block_bytes];
        fill_rows(&mut self.codes, block_bytes, |block, out| {
            let mut nearest = vec![0; sets.len()];
            let first = block * FAST_SCAN_ROWS;
            for row in first..rows.min(first + FAST_SCAN_ROWS) {
                code(row, sets, &mut nearest);
                let pairs = nearest.as_chunks::<2>().0.iter();
                let places = out[row - first..].iter_mut().step_by(FAST_SCAN_ROWS);
                places
                    .zip(pairs)
                    .for_each(|(place, [low, high])| *place = low | high << 4);
            }
        });
    }

    /// The codes of a row, two in a byte.
    fn codes_of(&self, row: usize) -> impl Iterator<Item = u8> {
        let (block_bytes, at) = (self.block_bytes(), row % FAST_SCAN_ROWS);
        let block = &self.codes[row / FAST_SCAN_ROWS * block_bytes..][..block_bytes];
        block.chunks_exact(FAST_SCAN_ROWS).map(move |pair| pair[at])
    }

    /// Adds the centres of a row to `out` `[dim]`.
    pub(super) fn add_to(&self, row: usize, out: &mut [f32]) {
        let parts = self.codebook.chunks_exact(2 * PART);
        let axes = out.chunks_mut(2 * AXES);
        for ((parts, code), out) in parts.zip(self.codes_of(row)).zip(axes) {
            let (low, high) = (usize::from(code & 15), usize::from(code >> 4));
            let places = [low, CENTRES + low, PART + high, PART + CENTRES + high];
            for (x, place) in out.iter_mut().zip(places) {
                *x += parts[place];
            }
        }
    }

    /// The inner product of the query with the centres of a row, as exactly as f32 has it: the same on
    /// every machine.
    pub(super) fn product(&self, tables: &Tables, row: usize) -> f32 {
        // Four sums that do not wait for each other.
        let mut sums = [0f32; 4];
        let pairs = tables.products.as_chunks::<2>().0.iter();
        for (at, (code, [low, high])) in self.codes_of(row).zip(pairs).enumerate() {
            let half = at % 2 * 2;
            sums[half] += low[usize::from(code & 15)];
            sums[half + 1] += high[usize::from(code >> 4)];
        }
        (sums[0] + sums[1]) + (sums[2] + sums[3])
    }

    /// The inner products of `query` `[dim]` with every centre, also in seven bits.
    pub(super) fn tables(&self, query: &[f32], kernels: &Kernels) -> Tables {
        let mut tables = Tables::default();
        self.fill_tables(query, kernels, &mut tables);
        tables
    }

    /// The same in the memory of other ones.
    pub(super) fn fill_tables(&self, query: &[f32], kernels: &Kernels, tables: &mut Tables) {
        let subspaces = self.codebook.len() / PART;
        let Tables {
            query: whole,
            products,
            extents,
            bytes,
            ..
        } = tables;
        whole.clear();
        whole.extend(query);
        whole.resize(subspaces * AXES, 0.0);
        products.resize(subspaces, [0.0; CENTRES]);
        extents.resize(subspaces, [0.0; 2]);
        bytes.resize(subspaces * CENTRES, 0);
        kernels.look_ups(whole, &self.codebook, products, extents);
        let base = extents.iter().map(|[low, _]| low).sum::<f32>();
        let range = extents.iter().map(|[low, high]| high - low);
        let range = range.fold(0f32, |most, range| if range > most { range } else { most });
        // Sums of all subspaces must not pass 16 bits.
        let most = (65_535 / subspaces.max(1)).min(usize::from(FAST_SCAN_MOST)) as f32;
        let inverse = if range > 0.0 { most / range } else { 0.0 };
        kernels.look_up_bytes(products, extents, inverse, bytes);
        tables.step = if range > 0.0 { range / most } else { 1.0 };
        tables.base = base;
    }
}

/// k-means in two dimensions; starts from some of the points.
fn train_subspace(points: &[[f32; AXES]], random: &mut Random, out: &mut [f32]) {
    for (at, point) in random.sample(points.len(), CENTRES).into_iter().enumerate() {
        (out[at], out[CENTRES + at]) = (points[point][0], points[point][1]);
    }
    let mut nearest = vec![0; points.len()];
    for _ in 0..ROUNDS {
        let centres = out.as_chunks::<CENTRES>().0.as_chunks::<AXES>().0;
        Kernels::best().nearest_of_16(points, centres, &mut nearest);
        let mut sums = [[0f32; 3]; CENTRES];
        for ([x, y], nearest) in points.iter().zip(&nearest) {
            let sum = &mut sums[usize::from(*nearest)];
            *sum = [sum[0] + x, sum[1] + y, sum[2] + 1.0];
        }
        for (at, [x, y, count]) in sums.into_iter().enumerate() {
            if count > 0.0 {
                (out[at], out[CENTRES + at]) = (x / count, y / count);
            }
        }
    }
}
