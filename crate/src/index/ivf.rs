//! Rows in lists, each around a centroid (Sivic and Zisserman 2003, "Video Google"; Jégou et al. 2011).
//!
//! ```text
//! centroids  Lvq [nlist, dim]
//! starts     list l holds the rows starts[l] … starts[l+1]-1: rows lie in the order of their lists
//! ```

use super::kmeans::{self, Assigner};
use super::lvq::{Dots, Lvq};
use super::random::Random;
use super::{Hit, bitset::Bitset};
use crate::kernels::Kernels;

/// Lists a square root of the rows: between what a query spends on centroids and on rows.
const LISTS_PER_ROOT: f64 = 1.0;
/// Rows to learn from, a list.
const SAMPLES_PER_LIST: usize = 32;
/// The fewest rows to learn from, if there are as many.
const MIN_SAMPLES: usize = 16_384;

/// Which rows belong together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Lists {
    /// The lists' middles.
    pub centroids: Lvq,
    /// `[nlist + 1]`, ascending from 0 to the number of rows.
    pub starts: Vec<u32>,
}

/// A sample of rows, and lists made from it.
pub(super) struct Trained {
    pub mean: Vec<f32>,
    /// `[n, dim]`
    pub sample: Vec<f32>,
    pub centroids: Lvq,
    assigner: Assigner,
}

impl Trained {
    /// Learns from some of `rows` rows; `vector(row, out)` fills a vector `[dim]` in.
    pub fn new(
        rows: usize,
        dim: usize,
        seed: u64,
        mean: Option<&[f32]>,
        vector: &(dyn Fn(usize, &mut [f32]) + Sync),
    ) -> Self {
        let mut random = Random(seed);
        let nlist = ((rows as f64).sqrt() * LISTS_PER_ROOT) as usize;
        let nlist = nlist.clamp(1, rows);
        let picked = random.sample(rows, (nlist * SAMPLES_PER_LIST).max(MIN_SAMPLES));
        let mut sample = vec![0.0; picked.len() * dim];
        for (out, row) in sample.chunks_exact_mut(dim).zip(picked) {
            vector(row, out);
        }
        Self::of_sample(sample, dim, nlist, mean, &mut random)
    }

    /// Learns `nlist` lists from all of `sample` `[n, dim]`.
    pub fn of_sample(
        sample: Vec<f32>,
        dim: usize,
        nlist: usize,
        mean: Option<&[f32]>,
        random: &mut Random,
    ) -> Self {
        let mean = mean.map_or_else(|| mean_of(&sample, dim), <[f32]>::to_vec);
        let centres = kmeans::centres(&sample, dim, nlist, random);
        let centroids = Lvq::encode(mean, nlist, |row, out| {
            out.copy_from_slice(&centres[row * dim..][..dim]);
        });
        Self {
            sample,
            ..Self::of(centroids)
        }
    }

    /// What was learnt before, without the sample.
    pub fn of(centroids: Lvq) -> Self {
        let lists = 0..centroids.len();
        let decoded: Vec<f32> = lists.flat_map(|list| centroids.vector(list)).collect();
        Self {
            mean: centroids.mean.clone(),
            sample: Vec::new(),
            assigner: Assigner::new(&decoded, centroids.dim()),
            centroids,
        }
    }

    /// The sample without its centroids `[n, dim]`.
    pub fn residuals(&self) -> Vec<f32> {
        let dim = self.mean.len();
        let sample = &self.sample;
        let point = |row: usize, out: &mut [f32]| out.copy_from_slice(&sample[row * dim..][..dim]);
        let lists = self.assigner.assign(sample.len() / dim, point);
        let mut residuals = sample.clone();
        let mut centroid = vec![0.0; dim];
        for (residual, list) in residuals.chunks_exact_mut(dim).zip(lists) {
            self.centroids.decode_into(list as usize, &mut centroid);
            residual
                .iter_mut()
                .zip(&centroid)
                .for_each(|(x, c)| *x -= c);
        }
        residuals
    }

    /// Deals all rows out to the lists: the lists, and which row comes where.
    pub fn deal(
        &self,
        rows: usize,
        vector: &(dyn Fn(usize, &mut [f32]) + Sync),
    ) -> (Lists, Vec<u32>) {
        let nearest = self.assigner.assign(rows, vector);
        let mut starts = vec![0u32; self.centroids.len() + 1];
        nearest
            .iter()
            .for_each(|list| starts[*list as usize + 1] += 1);
        (1..starts.len()).for_each(|at| starts[at] += starts[at - 1]);
        let mut order: Vec<u32> = (0..rows as u32).collect();
        order.sort_by_key(|row| nearest[*row as usize]);
        let centroids = self.centroids.clone();
        (Lists { centroids, starts }, order)
    }
}

fn mean_of(points: &[f32], dim: usize) -> Vec<f32> {
    let mut mean = vec![0f64; dim];
    for point in points.chunks_exact(dim) {
        mean.iter_mut()
            .zip(point)
            .for_each(|(sum, x)| *sum += f64::from(*x));
    }
    let count = (points.len() / dim).max(1) as f64;
    mean.into_iter().map(|sum| (sum / count) as f32).collect()
}

impl Lists {
    /// Whether the arrays fit together, for `rows` rows of `dim` axes, and every number is finite.
    pub fn is_whole(&self, rows: usize, dim: usize) -> bool {
        self.centroids.is_whole(dim)
            && self.starts.len() == self.centroids.len() + 1
            && self.starts.first() == Some(&0)
            && self
                .starts
                .last()
                .is_some_and(|last| *last as usize == rows)
            && self.starts.is_sorted()
    }

    /// How many lists there are.
    pub(super) fn len(&self) -> usize {
        self.centroids.len()
    }

    /// The rows of a list.
    pub(super) fn rows(&self, list: u32) -> std::ops::Range<usize> {
        self.starts[list as usize] as usize..self.starts[list as usize + 1] as usize
    }

    /// The list of each row.
    pub(super) fn of_rows(&self) -> Vec<u32> {
        let lists = 0..self.len() as u32;
        lists
            .flat_map(|list| self.rows(list).map(move |_| list))
            .collect()
    }

    /// The lists with their centroids' inner products with `query`, the best first.
    pub(super) fn ranked(&self, query: &[f32], kernels: &Kernels, dots: &mut Dots) -> Vec<Hit> {
        let ids: Vec<u32> = (0..self.len() as u32).collect();
        let mut ranked = Vec::with_capacity(ids.len());
        let ready = self.centroids.query(query);
        let keep = |id, score| ranked.push(Hit { id, score });
        self.centroids.scores(&ready, &ids, kernels, dots, keep);
        ranked.sort_unstable_by(Hit::order);
        ranked
    }
}

/// Ids of `rows` that are not in `hidden`.
pub(super) fn shown(rows: std::ops::Range<usize>, hidden: &Bitset) -> impl Iterator<Item = u32> {
    rows.filter(|row| !hidden.contains(*row))
        .map(|row| row as u32)
}
