//! Which lists are worth a comparison: their directions in the four bits that rows are scanned in.
//!
//! ```text
//! query ─▶ tables, the same as for rows ─ fast scan of all directions ─▶ some that look nearest ─▶ their cosines
//! ```
//! A direction is centroid / |centroid| less the mean of all of them, stretched until it is as long as what the
//! codebook was learnt from. Made of the lists and the codebook whenever an index is opened, so it is not stored.

use super::exact;
use super::ivf::Lists;
use super::kmeans::mean_of;
use super::pq::{Pq, Tables};
use super::scan::{places, within};
use crate::kernels::{FAST_SCAN_ROWS, Kernels};

/// Lists that are compared with a query, at least, before it is known how far it has to go.
pub(super) const NEAR_LISTS: usize = 64;

/// One in so many more than are wanted does no harm, and saves looking for the very ones.
const MORE: usize = 8;

/// The directions of lists.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Sketch {
    directions: Pq,
    /// The mean of the centroids themselves `[dim]`.
    mean: Vec<f32>,
    count: usize,
    /// All blocks of the directions.
    blocks: Vec<u32>,
}

impl Sketch {
    /// Whether `count` lists of so many are found by it sooner than by comparing all of them.
    pub fn pays(count: usize, lists: usize) -> bool {
        count < lists / 2
    }

    /// Of these lists, in the codebook of `scan`; without their directions where those are of no use.
    pub fn of(lists: &Lists, scan: &Pq) -> Self {
        let (count, dim) = (lists.len(), lists.centroids.dim());
        let mut directions: Vec<f32> = (0..count)
            .flat_map(|list| lists.centroids.vector(list))
            .collect();
        let mean = mean_of(&directions, dim);
        if !Self::pays(NEAR_LISTS, count) {
            return Self {
                directions: Pq::default(),
                mean,
                count,
                blocks: Vec::new(),
            };
        }
        for direction in directions.chunks_exact_mut(dim) {
            let norm = square(direction).sqrt().max(f64::from(f32::MIN_POSITIVE));
            direction
                .iter_mut()
                .for_each(|x| *x = (f64::from(*x) / norm) as f32);
        }
        let middle = mean_of(&directions, dim);
        for direction in directions.chunks_exact_mut(dim) {
            direction
                .iter_mut()
                .zip(&middle)
                .for_each(|(x, middle)| *x -= middle);
        }
        let length = (square(&directions) / count.max(1) as f64).sqrt();
        let stretch = match length > 0.0 {
            true => (scan.mean_square().sqrt() / length) as f32,
            false => 1.0,
        };
        let mut codes = Pq {
            codebook: scan.codebook.clone(),
            codes: Vec::new(),
        };
        codes.encode(count, dim, |list, out| {
            let direction = &directions[list * dim..][..dim];
            out.iter_mut()
                .zip(direction)
                .for_each(|(out, x)| *out = x * stretch);
        });
        Self {
            directions: codes,
            mean,
            count,
            blocks: (0..count.div_ceil(FAST_SCAN_ROWS) as u32).collect(),
        }
    }

    /// How near each list looks; what is past the last one means nothing.
    pub fn looks(&self, tables: &Tables, kernels: &Kernels) -> Vec<u16> {
        let mut sums = vec![0; self.blocks.len() * FAST_SCAN_ROWS];
        let codes = &self.directions.codes;
        kernels.fast_scan(codes, &tables.bytes, &self.blocks, &mut sums);
        sums
    }

    /// The `count` lists that look nearest, and some that look nearly as near, in no order.
    pub fn nearest(&self, sums: &[u16], count: usize, kernels: &Kernels) -> Vec<u32> {
        let blocks = sums.as_chunks().0;
        let of = |least: u16| {
            let found = blocks.iter().map(move |sums| kernels.at_least(sums, least));
            let lists = |block: usize| within(0, self.count - block * FAST_SCAN_ROWS);
            found
                .enumerate()
                .map(move |(block, found)| found & lists(block))
        };
        let found = |least| of(least).map(u32::count_ones).sum::<u32>() as usize;
        // The largest sum that enough of them reach, bit by bit, until they are hardly more than that.
        let mut least = 0;
        for bit in (0..u16::BITS).rev().map(|bit| 1 << bit) {
            let enough = found(least | bit);
            if enough >= count {
                least |= bit;
            }
            if (count..count + count / MORE).contains(&enough) {
                break;
            }
        }
        let near = of(least).enumerate().flat_map(|(block, found)| {
            places(found).map(move |place| (block * FAST_SCAN_ROWS + place) as u32)
        });
        // `least` lets hardly more through than are wanted.
        let mut lists = Vec::with_capacity(count + count / MORE);
        lists.extend(near);
        lists
    }

    /// The mean inner product of the query with the centroids.
    pub fn mean_score(&self, query: &[f32]) -> f32 {
        exact::dot(query, &self.mean) as f32
    }
}

fn square(vector: &[f32]) -> f64 {
    exact::dot(vector, vector)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::Compact;
    use crate::index::ivf::nearest;
    use crate::index::random::Random;

    /// Rows around some centres, which have a direction in common.
    fn vectors(rows: usize, dim: usize) -> Vec<f32> {
        let mut random = Random(5);
        let mut next = || random.below(1 << 16) as f32 / 32_768.0 - 1.0;
        let centres: Vec<f32> = (0..200 * dim).map(|_| next()).collect();
        let row = |row: usize| {
            let centre = &centres[row % 200 * dim..][..dim];
            let raw: Vec<f32> = centre.iter().map(|c| 0.4 + c + 0.5 * next()).collect();
            let norm = square(&raw).sqrt() as f32;
            raw.into_iter().map(move |x| x / norm)
        };
        (0..rows).flat_map(row).collect()
    }

    #[test]
    fn the_nearest_lists_look_near() {
        let (rows, dim) = (9000, 32);
        let vectors = vectors(rows, dim);
        let vector =
            |row: usize, out: &mut [f32]| out.copy_from_slice(&vectors[row * dim..][..dim]);
        let (index, _) = Compact::build(rows, dim, 1, None, &vector);
        let parts = index.parts();
        let sketch = Sketch::of(&parts.lists, &parts.scan);
        let kernels = Kernels::best();
        let (mut met, mut all) = (0, 0);
        for query in vectors.chunks_exact(dim).step_by(90) {
            let mut ready = parts.prepared(query, kernels);
            let scores = ready.ranked.iter().map(|list| list.score);
            let mean = scores.sum::<f32>() / ready.ranked.len() as f32;
            assert!((sketch.mean_score(query) - mean).abs() < 1e-4);
            let near = sketch.nearest(&sketch.looks(&ready.tables, kernels), 64, kernels);
            assert!((64..96).contains(&near.len()) && parts.lists.len() > 250);
            let wanted = nearest(&mut ready.ranked, 8);
            met += wanted
                .iter()
                .filter(|list| near.contains(&list.list))
                .count();
            all += wanted.len();
        }
        assert!(met * 100 >= all * 99, "{met} of {all}");
    }
}
