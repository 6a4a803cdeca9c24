//! Lloyd's k-means, seeded.

use super::lvq::rounded;
use super::parallel::fill_rows;
use super::random::Random;
use crate::kernels::{Before, Kernels, PackedI8, Rows, Then};

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
    let mut scratch = Scratch::default();
    let mut left: Vec<usize> = (0..count).collect();
    let mut chain = Vec::with_capacity(centres.len());
    let mut place = 0;
    while !left.is_empty() {
        let centre = &centres[left.swap_remove(place) * dim..][..dim];
        chain.extend_from_slice(centre);
        scratch.points.clear();
        scratch.points.extend_from_slice(centre);
        let scores = assigner.scores(&mut scratch);
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

/// The mean of `points` `[n, dim]`.
pub(super) fn mean_of(points: &[f32], dim: usize) -> Vec<f32> {
    let mut mean = vec![0f64; dim];
    for point in points.chunks_exact(dim) {
        mean.iter_mut()
            .zip(point)
            .for_each(|(sum, x)| *sum += f64::from(*x));
    }
    let count = (points.len() / dim).max(1) as f64;
    mean.into_iter().map(|sum| (sum / count) as f32).collect()
}

/// Finds the nearest of some centres by squared distance, |x − c|² = |x|² − 2·(x·c − |c|²/2), of x and c without the
/// centres' mean. Their products are those of eight bits an axis: which of two centres that are as near as that is
/// taken does not matter, and integers take half the time and are the same on every machine.
pub(super) struct Assigner {
    mean: Vec<f32>,
    kernels: &'static Kernels,
    packed: PackedI8,
}

/// Memory that is used again from block to block.
#[derive(Default)]
struct Scratch {
    /// `[n, dim]`
    points: Vec<f32>,
    rows: Rows,
    /// `[n, count]`
    scores: Vec<f32>,
}

impl Assigner {
    pub fn new(centres: &[f32], dim: usize) -> Self {
        let (count, mean) = (centres.len() / dim, mean_of(centres, dim));
        let mut codes = vec![0i8; centres.len()];
        let (mut scales, mut bias) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for (at, centre) in centres.chunks_exact(dim).enumerate() {
            let centred = || centre.iter().zip(&mean).map(|(x, mean)| x - mean);
            let most = centred().fold(0f32, |most, x| most.max(x.abs()));
            let inverse = if most > 0.0 { 127.0 / most } else { 0.0 };
            for (axis, x) in centred().enumerate() {
                codes[axis * count + at] = rounded(x * inverse) as i8;
            }
            scales.push(most / 127.0);
            bias.push(-centred().map(|x| x * x).sum::<f32>() / 2.0);
        }
        let kernels = Kernels::best().exact();
        Self {
            packed: kernels.pack_i8(&codes, dim, count, &scales, Some(&bias)),
            mean,
            kernels,
        }
    }

    /// The nearest centre of each of `n` points; `point(row, out)` fills a point in.
    pub fn assign(&self, n: usize, point: impl Fn(usize, &mut [f32]) + Sync) -> Vec<u32> {
        let (dim, count) = (self.mean.len(), self.packed.n());
        let mut nearest = vec![0u32; n];
        fill_rows(&mut nearest, BLOCK, |block, nearest| {
            let mut scratch = Scratch::default();
            scratch.points.resize(nearest.len() * dim, 0.0);
            for (at, out) in scratch.points.chunks_exact_mut(dim).enumerate() {
                point(block * BLOCK + at, out);
            }
            let scores = self.scores(&mut scratch).chunks_exact(count);
            for (nearest, scores) in nearest.iter_mut().zip(scores) {
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

    /// How near each centre is to each of `points`, which lose the mean: `[n, count]`, more is nearer.
    fn scores<'a>(&self, scratch: &'a mut Scratch) -> &'a [f32] {
        let dim = self.mean.len();
        for point in scratch.points.chunks_exact_mut(dim) {
            let pairs = point.iter_mut().zip(&self.mean);
            pairs.for_each(|(x, mean)| *x -= mean);
        }
        let Scratch {
            points,
            rows,
            scores,
        } = scratch;
        self.kernels.quantise(points, dim, Before::Nothing, rows);
        scores.resize(points.len() / dim * self.packed.n(), 0.0);
        self.kernels
            .multiply(rows, &self.packed, Then::Store, scores);
        scores
    }
}
