//! Lloyd's k-means, seeded.

use super::parallel::fill_rows;
use super::random::Random;
use crate::kernels::Kernels;

/// Rows that are compared with the centres at a time.
const BLOCK: usize = 64;

/// Rounds of assigning and averaging; after four, queries to a million rows in tight clusters need twice the lists.
const ROUNDS: usize = 8;

/// `count` centres `[count, dim]` of `points` `[n, dim]`, at least one point each; near ones come one after
/// the other.
///
/// # Panics
/// When there are fewer points than centres.
pub(super) fn centres(points: &[f32], dim: usize, count: usize, random: &mut Random) -> Vec<f32> {
    let n = points.len() / dim;
    assert!((1..=n).contains(&count), "{count} centres of {n} points");
    let picked = random.sample(n, count);
    let mut centres: Vec<f32> = picked
        .iter()
        .flat_map(|at| &points[at * dim..][..dim])
        .copied()
        .collect();
    for _ in 0..ROUNDS {
        let nearest = Assigner::new(&centres, dim).assign(n, |row, out| {
            out.copy_from_slice(&points[row * dim..][..dim]);
        });
        average(points, dim, &nearest, &mut centres, random);
    }
    in_a_chain(&centres, dim)
}

/// Each centre followed by the nearest of those that have not come yet: what a query looks into then lies
/// together, which saves blocks where lists are read from afar.
fn in_a_chain(centres: &[f32], dim: usize) -> Vec<f32> {
    let count = centres.len() / dim;
    let assigner = Assigner::new(centres, dim);
    let mut scores = vec![0.0; count];
    let mut left: Vec<usize> = (0..count).collect();
    let mut chain = Vec::with_capacity(centres.len());
    let mut place = 0;
    while !left.is_empty() {
        let centre = &centres[left.swap_remove(place) * dim..][..dim];
        chain.extend_from_slice(centre);
        Kernels::best().gemm_f32(centre, 1, &assigner.packed, &mut scores);
        place = (0..left.len())
            .max_by(|&a, &b| scores[left[a]].total_cmp(&scores[left[b]]))
            .unwrap_or(0);
    }
    chain
}

/// Moves each centre into the middle of its points; one without points becomes some point.
fn average(points: &[f32], dim: usize, nearest: &[u32], centres: &mut [f32], random: &mut Random) {
    let mut counts = vec![0u32; centres.len() / dim];
    centres.fill(0.0);
    for (point, &centre) in points.chunks_exact(dim).zip(nearest) {
        counts[centre as usize] += 1;
        let centre = &mut centres[centre as usize * dim..][..dim];
        centre.iter_mut().zip(point).for_each(|(sum, x)| *sum += x);
    }
    for (centre, &count) in centres.chunks_exact_mut(dim).zip(&counts) {
        if count == 0 {
            let at = random.below(nearest.len());
            centre.copy_from_slice(&points[at * dim..][..dim]);
        } else {
            centre.iter_mut().for_each(|sum| *sum /= count as f32);
        }
    }
}

/// Finds the nearest of some centres by squared distance, |x − c|² = |x|² − 2·(x·c − |c|²/2).
pub(super) struct Assigner {
    dim: usize,
    count: usize,
    packed: crate::kernels::PackedF32,
}

impl Assigner {
    pub fn new(centres: &[f32], dim: usize) -> Self {
        let count = centres.len() / dim;
        let mut columns = vec![0.0; centres.len()];
        let mut bias = vec![0.0; count];
        for (at, centre) in centres.chunks_exact(dim).enumerate() {
            for (axis, x) in centre.iter().enumerate() {
                columns[axis * count + at] = *x;
            }
            bias[at] = -centre.iter().map(|x| x * x).sum::<f32>() / 2.0;
        }
        Self {
            dim,
            count,
            packed: Kernels::best().pack_f32(&columns, dim, count, Some(&bias)),
        }
    }

    /// The nearest centre of each of `n` points; `point(row, out)` fills a point in.
    pub fn assign(&self, n: usize, point: impl Fn(usize, &mut [f32]) + Sync) -> Vec<u32> {
        let mut nearest = vec![0u32; n];
        fill_rows(&mut nearest, BLOCK, |block, nearest| {
            let mut points = vec![0.0; nearest.len() * self.dim];
            for (at, out) in points.chunks_exact_mut(self.dim).enumerate() {
                point(block * BLOCK + at, out);
            }
            let mut scores = vec![0.0; nearest.len() * self.count];
            Kernels::best().gemm_f32(&points, nearest.len(), &self.packed, &mut scores);
            for (nearest, scores) in nearest.iter_mut().zip(scores.chunks_exact(self.count)) {
                let best = scores
                    .iter()
                    .enumerate()
                    .fold((0, f32::MIN), |best, (at, &score)| {
                        if score > best.1 { (at, score) } else { best }
                    });
                *nearest = best.0 as u32;
            }
        });
        nearest
    }
}
